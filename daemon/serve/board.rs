//! Where the daemon posts what its workers are to go by, and they say what they need.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use tokio::sync::Notify;

use super::posted::Posted;

/// Something that a worker needs and only the daemon can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// That the clocks be read: what is posted of them has become old.
    Clocks,
    /// That its counts be looked at, since they tell of something an operator should know.
    Counts,
}

impl Need {
    const fn bit(self) -> u32 {
        match self {
            Self::Clocks => 1,
            Self::Counts => 2,
        }
    }
}

/// What workers need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Needs(u32);

impl Needs {
    /// Is this one of it?
    pub(crate) const fn include(self, need: Need) -> bool {
        self.0 & need.bit() != 0
    }
}

/// The board. Workers look at it once a batch, which is one load of an atomic number while nothing
/// new is posted.
#[derive(Debug)]
pub(crate) struct Board {
    /// Of what is posted; counts up.
    generation: AtomicU64,
    posted: Mutex<Arc<Posted>>,
    /// How often the clock's stepping has begun or ended: odd while the clock is being stepped.
    steps: AtomicU32,
    needs: AtomicU32,
    needed: Notify,
    /// Workers that wait for something to be posted.
    waiting: Mutex<Vec<Thread>>,
}

impl Board {
    /// A board with this on it.
    pub(crate) fn new(posted: Posted) -> Self {
        Self {
            generation: AtomicU64::new(1),
            posted: Mutex::new(Arc::new(posted)),
            steps: AtomicU32::new(0),
            needs: AtomicU32::new(0),
            needed: Notify::new(),
            waiting: Mutex::new(Vec::new()),
        }
    }

    /// Replaces what is posted, and wakes who waits for it.
    pub(crate) fn post(&self, posted: Posted) {
        *lock(&self.posted) = Arc::new(posted);
        self.generation.fetch_add(1, Ordering::Release);
        for thread in lock(&self.waiting).drain(..) {
            thread.unpark();
        }
    }

    /// What is posted.
    pub(crate) fn posted(&self) -> Arc<Posted> {
        Arc::clone(&lock(&self.posted))
    }

    /// The clock is about to be stepped: nothing that was begun before is to be finished.
    pub(crate) fn step_begins(&self) {
        self.steps.fetch_or(1, Ordering::SeqCst);
    }

    /// The clock has been stepped, or was found to have been. What is posted next is after it.
    pub(crate) fn stepped(&self) {
        let next = |steps: u32| Some((steps | 1).wrapping_add(1));
        let _ = self
            .steps
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
    }

    /// Counts beginnings and ends of steps; odd while there is one.
    pub(crate) fn steps(&self) -> u32 {
        self.steps.load(Ordering::SeqCst)
    }

    /// Tells the daemon of a need, once until it is seen to.
    pub(crate) fn ask(&self, need: Need) {
        if self.needs.load(Ordering::Relaxed) & need.bit() == 0
            && self.needs.fetch_or(need.bit(), Ordering::AcqRel) & need.bit() == 0
        {
            self.needed.notify_one();
        }
    }

    /// Waits until workers need something.
    pub(crate) async fn asked(&self) -> Needs {
        loop {
            let needs = Needs(self.needs.swap(0, Ordering::AcqRel));
            if needs != Needs::default() {
                return needs;
            }
            self.needed.notified().await;
        }
    }

    /// Blocks this thread until something else than `seen` is posted, for `most` at most.
    fn wait(&self, seen: u64, most: Duration) {
        let own = std::thread::current();
        lock(&self.waiting).push(own.clone());
        if self.generation.load(Ordering::Acquire) == seen {
            std::thread::park_timeout(most);
        }
        lock(&self.waiting).retain(|thread| thread.id() != own.id());
    }
}

/// Nothing that holds one of these locks leaves anything half done.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A worker before the board.
#[derive(Debug)]
pub(crate) struct Reader {
    board: Arc<Board>,
    seen: u64,
    posted: Arc<Posted>,
}

impl Reader {
    /// One that has seen what is posted now.
    pub(crate) fn new(board: Arc<Board>) -> Self {
        let seen = board.generation.load(Ordering::Acquire);
        Self {
            posted: board.posted(),
            board,
            seen,
        }
    }

    /// The board.
    pub(crate) fn board(&self) -> &Board {
        &self.board
    }

    /// Looks again; true if something else is posted.
    pub(crate) fn look(&mut self) -> bool {
        let generation = self.board.generation.load(Ordering::Acquire);
        if generation == self.seen {
            return false;
        }
        self.seen = generation;
        self.posted = self.board.posted();
        true
    }

    /// Blocks until something else is posted, for `most` at most, and looks; true if it is.
    pub(crate) fn wait(&mut self, most: Duration) -> bool {
        self.board.wait(self.seen, most);
        self.look()
    }

    /// What was posted when it looked last.
    pub(crate) const fn posted(&self) -> &Arc<Posted> {
        &self.posted
    }
}
