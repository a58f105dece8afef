//! Waiting that ends early when a benchmark is told to stop.

use std::future::Future;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// We were told to stop.
#[derive(Debug)]
pub(crate) struct Interrupted;

/// What tells that, from when this is made.
pub(crate) struct Interrupts {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// Ctrl-C and SIGTERM do not end the process any more.
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("start an event loop");
        let entered = runtime.enter();
        let interrupt = signal(SignalKind::interrupt()).expect("receive SIGINT");
        let terminate = signal(SignalKind::terminate()).expect("receive SIGTERM");
        drop(entered);
        Self {
            runtime,
            interrupt,
            terminate,
        }
    }

    /// Waits for `awaited`, which is made within the event loop.
    pub(crate) fn wait<F: Future>(
        &mut self,
        awaited: impl FnOnce() -> F,
    ) -> Result<F::Output, Interrupted> {
        self.runtime.block_on(async {
            tokio::select! {
                // First: a Ctrl-C ends those who are waited for as well.
                biased;
                _ = self.interrupt.recv() => Err(Interrupted),
                _ = self.terminate.recv() => Err(Interrupted),
                output = awaited() => Ok(output),
            }
        })
    }
}
