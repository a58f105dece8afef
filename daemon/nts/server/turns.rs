//! Connections go on one at a time, and the rest of the daemon between two of them.
//!
//! A step of a connection can cost a signature, a third of a millisecond. Hundreds of clients may be
//! ready at the same moment, and whatever becomes ready after them, a packet that has the time in it
//! for example, would wait for all of them.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use tokio::sync::Semaphore;
use tokio::task::yield_now;

/// Who comes first has the first turn.
#[derive(Debug)]
pub(super) struct Turns(Semaphore);

impl Turns {
    /// It is nobody's turn yet.
    pub(super) fn new() -> Self {
        Self(Semaphore::new(1))
    }

    /// Runs `work` to its end, each step in a turn of its own. Sockets are looked at before every
    /// step, so whoever waits for one runs before the next. What waits has no turn: a client that
    /// stalls holds up nobody.
    pub(super) async fn take<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        loop {
            // It fails only where turns are over, which they never are.
            let turn = self.0.acquire().await;
            // Tokio comes back to a task that yields after it has looked at the sockets.
            yield_now().await;
            let step = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
            drop(turn);
            match step {
                Poll::Ready(output) => return output,
                // Nothing was awaited since, so the waking that `work` waits for is still to come.
                Poll::Pending => woken().await,
            }
        }
    }
}

/// Waits until the task is woken, whoever by.
async fn woken() {
    let mut waited = false;
    poll_fn(|_| {
        if waited {
            Poll::Ready(())
        } else {
            waited = true;
            Poll::Pending
        }
    })
    .await;
}
