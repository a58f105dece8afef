//! Ctrl-C and its kin as messages, so that the demo ends in order.

use std::sync::mpsc::{Receiver, sync_channel};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise, sigprocmask};

/// The signals that end the demo.
const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

fn ending() -> SigSet {
    ENDING.into_iter().collect()
}

/// From now on the signals that would end this process arrive here instead.
///
/// To be called while the process has a single thread: those started later inherit that the
/// signals are held back, and so do children, which have to call [`release`].
pub(super) fn watch() -> Result<Receiver<Signal>, Errno> {
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&ending()), None)?;
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        while let Ok(signal) = ending().wait() {
            if sender.send(signal).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// Lets the signals of [`watch`] through again, with their usual effect.
pub(super) fn release() -> Result<(), Errno> {
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&ending()), None)
}

/// Ends this process by `signal`, so that whoever started it sees why it ended; a shell reports
/// 128 plus the signal's number. Returns only if that is not possible.
pub(super) fn die_of(signal: Signal) {
    // What cannot be done here leaves the caller to exit as it sees fit.
    let _ = release();
    let _ = raise(signal);
}
