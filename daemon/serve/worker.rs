//! One worker: a thread with a socket of its own, which answers what comes to that.
//!
//! In the steady state it makes two system calls a batch, one to receive and one to send, and takes
//! no lock. Where clients are interleaved, a third one fetches the transmit stamps. All it remembers
//! has a fixed size.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration as StdDuration;

use clockwright_sys::clock::raw_now;
use clockwright_sys::socket::{ErrorQueue, MAX_BATCH, QueueItem, RecvBatch, UdpSocket};
use clockwright_timebase::{Duration, Raw, StampKind, Timestamp};
use tracing::error;

use super::answer::{Answerer, READING_TAKES, freshness};
use super::board::{Board, Need, Reader};
use super::rate::ClientTable;
use super::tally::{Counters, StampTally};
use crate::clock::Window;
use crate::interfaces::Direction;

/// Requests taken from the kernel at once.
pub(super) const BATCH: usize = 32;
/// After it was told to end, so many batches at most: more requests than may wait at a socket.
const LAST_BATCHES: usize = 256;
/// Longest request looked at, octets. Longer ones are not NTP.
pub(super) const PAYLOAD: usize = 1280;
/// Octets of a looped-back packet that are kept: it is known by its number, not by its content.
const FRAME: usize = 0;
/// How long it sleeps at most while transmit stamps are awaited.
const STAMP_WAIT: StdDuration = StdDuration::from_millis(100);
/// After the socket could not be read, which is the machine's trouble and may last.
const RECOVERY: StdDuration = StdDuration::from_millis(10);
/// After a worker has failed, which it may do again at once.
const REBIRTH: StdDuration = StdDuration::from_secs(1);
/// What an operator is told by the daemon is asked for so often at most.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What a worker shares with the daemon.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Which worker it is of those that share an address.
    pub(crate) number: u16,
    /// Where it is asked.
    pub(crate) address: SocketAddr,
    /// Is the time that it tells smeared?
    pub(crate) smeared: bool,
    /// What it has counted.
    pub(crate) counters: Counters,
    /// What became of its packets, by interface.
    pub(crate) stamps: StampTally,
    /// Its clients. Taken only to be read elsewhere, and to be replaced when its size changes.
    pub(super) clients: Mutex<Arc<ClientTable>>,
    /// Who was last denied, as far as that is still to be told.
    pub(super) denied: Mutex<Option<IpAddr>>,
    /// Is it to end?
    pub(super) ending: AtomicBool,
}

impl Shared {
    /// Its clients.
    pub(crate) fn clients(&self) -> Arc<ClientTable> {
        Arc::clone(&self.clients.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Who was denied lately; told once.
    pub(crate) fn take_denied(&self) -> Option<IpAddr> {
        self.denied
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// What the thread does: answers at a socket until it is told to end.
pub(super) fn attend(socket: &Arc<UdpSocket>, shared: &Arc<Shared>, board: &Arc<Board>) {
    while !shared.ending.load(Ordering::Relaxed) {
        let reader = Reader::new(Arc::clone(board));
        let worker = Worker::new(Arc::clone(socket), Arc::clone(shared), reader);
        if catch_unwind(AssertUnwindSafe(|| worker.run())).is_ok() {
            return;
        }
        // There is nothing known that panics; if there is, the clients that are steered here are not
        // to be left without answers for it. What was remembered of them is gone.
        error!(
            "worker {} at {} has failed, which is a bug: please report what is printed before this. \
             It starts anew",
            shared.number, shared.address
        );
        std::thread::sleep(REBIRTH);
    }
}

/// The thread's state.
struct Worker {
    socket: Arc<UdpSocket>,
    shared: Arc<Shared>,
    reader: Reader,
    requests: RecvBatch,
    queue: ErrorQueue,
    answerer: Answerer,
    told: Option<Timestamp<Raw>>,
}

impl Worker {
    /// One that answers at this socket, which blocks.
    fn new(socket: Arc<UdpSocket>, shared: Arc<Shared>, reader: Reader) -> Self {
        let answerer = Answerer::new(&shared, reader.posted());
        Self {
            socket,
            shared,
            reader,
            requests: RecvBatch::new(BATCH, PAYLOAD),
            queue: ErrorQueue::new(MAX_BATCH, FRAME),
            answerer,
            told: None,
        }
    }

    /// Answers until it is told to end, and then what has come before that.
    fn run(mut self) {
        while !self.shared.ending.load(Ordering::Relaxed) {
            match self.receive() {
                Ok(received) if received > 0 && !self.was_woken_to_end() => self.serve(received),
                Ok(_) => {}
                Err(_) => std::thread::sleep(RECOVERY),
            }
        }
        for _ in 0..LAST_BATCHES {
            match self.socket.recv_now(&mut self.requests) {
                Ok(0) | Err(_) => return,
                Ok(received) => self.serve(received),
            }
        }
    }

    /// Is there nothing in the batch? Of a socket whose receiving was ended comes one that has no datagram.
    fn was_woken_to_end(&self) -> bool {
        self.shared.ending.load(Ordering::Relaxed) && self.requests.messages().next().is_none()
    }

    /// Answers so many that were received, and counts them.
    fn serve(&mut self, received: usize) {
        self.shared.counters.received.add(received as u64);
        self.shared.counters.batches.bump();
        self.answer();
        self.answerer.tell(&self.shared);
        self.ask_to_tell();
    }

    /// Waits for requests, and for the stamps that are awaited.
    fn receive(&mut self) -> io::Result<usize> {
        while self.answerer.awaited.waiting() > 0 {
            let received = self.socket.recv_now(&mut self.requests)?;
            if received > 0 {
                return Ok(received);
            }
            let (readable, erroneous) = self.socket.wait(STAMP_WAIT)?;
            if erroneous {
                self.take_stamps(true);
            } else if !readable {
                self.give_up();
            }
            if self.shared.ending.load(Ordering::Relaxed) {
                return Ok(0);
            }
        }
        self.socket.recv(&mut self.requests)
    }

    /// Answers a batch.
    fn answer(&mut self) {
        self.look();
        let mut window = self.reader.posted().window();
        if self.refresh(&window) {
            window = self.reader.posted().window();
        }
        let Self {
            socket,
            shared,
            reader,
            requests,
            answerer,
            ..
        } = self;
        answerer.answer(socket, shared, reader, (requests, &window));
        if self.answerer.awaited.waiting() > 0 {
            // Software stamps are there by now; those of hardware come later.
            self.take_stamps(false);
            self.give_up();
        }
    }

    /// Goes by what is posted now.
    fn look(&mut self) {
        if self.reader.look() {
            self.answerer.go_by(&self.shared, self.reader.posted());
        }
    }

    /// Has the clocks read that the batch is to be stamped by, if that was long ago. Only the first
    /// packet after a pause waits for it; while packets flow it is done in between. True if there was
    /// a wait, so that `window` is old.
    fn refresh(&mut self, window: &Window) -> bool {
        let needed = freshness(self.reader.posted(), &self.requests, window);
        if needed.soon {
            self.reader.board().ask(Need::Clocks);
        }
        if needed.now && self.reader.wait(READING_TAKES) {
            self.answerer.go_by(&self.shared, self.reader.posted());
        }
        needed.now
    }

    /// Takes in transmit stamps that have come. `woken`: the socket said that something has.
    fn take_stamps(&mut self, woken: bool) {
        loop {
            // A stamp of the kernel and one of the NIC for each.
            let most = (2 * self.answerer.awaited.waiting()).clamp(1, MAX_BATCH);
            // An error here is one of the network's about somebody else's packet. When woken, what
            // has woken must be gone afterwards.
            let read = if woken {
                self.socket.recv_tx_stamps(&mut self.queue)
            } else {
                self.socket.recv_stamps_only(&mut self.queue, most)
            };
            let read = read.unwrap_or(0);
            if read == 0 {
                return;
            }
            let posted = self.reader.posted();
            let window = posted.window();
            for item in self.queue.items() {
                if let QueueItem::Stamp(stamp) = item {
                    self.answerer.stamped(&self.shared, posted, &stamp, &window);
                }
            }
            if self.answerer.awaited.waiting() == 0 || read < most {
                return;
            }
        }
    }

    /// Counts the stamps that will not come any more.
    fn give_up(&mut self) {
        let now = raw_now();
        while let Some(lost) = self.answerer.awaited.give_up(now) {
            self.shared.counters.tx_missing.add(lost.replies());
            let Some(interface) = lost.interface else {
                continue;
            };
            let reason = self
                .reader
                .posted()
                .sight
                .reason(Direction::Transmit, interface);
            let kernel = StampKind::Kernel;
            self.shared
                .stamps
                .count(Direction::Transmit, interface, kernel, reason);
            self.answerer.notable = true;
        }
    }

    /// Has the daemon tell what an operator should know, now and then.
    fn ask_to_tell(&mut self) {
        if !self.answerer.notable {
            return;
        }
        let now = raw_now();
        if self.told.is_none_or(|told| now - told > TELL_EVERY) {
            self.told = Some(now);
            self.answerer.notable = false;
            self.reader.board().ask(Need::Counts);
        }
    }
}
