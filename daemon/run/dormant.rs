//! Futures that cost nothing while nothing happens to them.
//!
//! Whoever waits for one of several futures polls all of them each time that one has moved. Of
//! signals, interfaces that come and go, and questions on the control socket, nearly none ever
//! happens while packets come all the time; so those are polled only when they themselves were woken.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// A future that is polled at first, and then only when something has happened to it.
pub(super) struct Dormant<F> {
    future: Pin<Box<F>>,
    bell: Arc<Bell>,
    /// Rings the bell.
    waker: Waker,
}

/// What the future's own wakers ring.
struct Bell {
    rung: AtomicBool,
    /// Wakes whoever polls.
    sleeper: Mutex<Waker>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        let sleeper = self.sleeper.lock().unwrap_or_else(PoisonError::into_inner);
        sleeper.wake_by_ref();
    }
}

impl<F: Future> Dormant<F> {
    /// One that has yet to be polled.
    pub(super) fn new(future: F) -> Self {
        let bell = Arc::new(Bell {
            rung: AtomicBool::new(true),
            sleeper: Mutex::new(Waker::noop().clone()),
        });
        Self {
            future: Box::pin(future),
            waker: Waker::from(Arc::clone(&bell)),
            bell,
        }
    }
}

impl<F: Future> Future for Dormant<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        {
            // Before looking at the bell: one that rings later wakes whoever polls now.
            let sleeper = this.bell.sleeper.lock();
            let mut sleeper = sleeper.unwrap_or_else(PoisonError::into_inner);
            if !sleeper.will_wake(context.waker()) {
                sleeper.clone_from(context.waker());
            }
        }
        if !this.bell.rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let mut context = Context::from_waker(&this.waker);
        this.future.as_mut().poll(&mut context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    #[derive(Default)]
    struct Count(AtomicBool);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn it_is_polled_when_it_was_woken_and_not_when_others_were() {
        let (polls, inner) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(None)));
        let (counted, kept) = (Rc::clone(&polls), Rc::clone(&inner));
        let mut dormant = Dormant::new(std::future::poll_fn(move |context| {
            counted.set(counted.get() + 1);
            *kept.borrow_mut() = Some(context.waker().clone());
            if counted.get() == 3 {
                Poll::Ready(7)
            } else {
                Poll::Pending
            }
        }));
        let woken = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut poll = || Pin::new(&mut dormant).poll(&mut Context::from_waker(&waker));
        assert_eq!(poll(), Poll::Pending);
        for _ in 0..5 {
            assert_eq!(poll(), Poll::Pending);
        }
        assert_eq!(polls.get(), 1);
        let ring = || inner.borrow_mut().take().unwrap().wake();
        ring();
        assert!(woken.0.swap(false, Ordering::Relaxed), "nobody was woken");
        assert_eq!(poll(), Poll::Pending);
        assert_eq!(polls.get(), 2);
        ring();
        assert_eq!(poll(), Poll::Ready(7));
    }
}
