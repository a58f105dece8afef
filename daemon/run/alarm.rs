//! The daemon's one timer.
//!
//! tokio's timers count milliseconds, and long ones wake the process several times on their way.
//! The end of a correction is worth more than that, and a host that sleeps is worth even more: so
//! the kernel's timer is used directly.

use std::future::pending;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use clockwright_sys::wake;
use clockwright_timebase::{Duration, Raw, Timestamp};
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::unistd::read;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A timer that rings once.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: TimerFd,
    rings: AsyncFd<OwnedFd>,
    /// What it is set to.
    due: Option<Timestamp<Raw>>,
}

impl Alarm {
    /// A timer that is not set. To be called within the tokio runtime.
    ///
    /// # Errors
    /// The kernel gives none.
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let same = timer.as_fd().try_clone_to_owned()?;
        Ok(Self {
            timer,
            rings: wake::watch(same, Interest::READABLE)?,
            due: None,
        })
    }

    /// Waits until `due`, which is `idle` from now on `CLOCK_MONOTONIC`. That clock's rate may change
    /// on the way, so it may ring a little early or late; then it is to be set again.
    ///
    /// Can be dropped and called again, with the same instant or another.
    pub(super) async fn ring(&mut self, due: Timestamp<Raw>, idle: Duration) {
        if idle <= Duration::ZERO {
            return;
        }
        if self.due != Some(due) && self.set(idle).is_err() {
            // No timer, no more progress: but what arrives is still handled. Cannot happen with
            // an interval that is positive and finite.
            return pending().await;
        }
        self.due = Some(due);
        // Fails only when the runtime is going down, and the process with it.
        while let Ok(mut ready) = self.rings.readable().await {
            match read(self.rings.get_ref(), &mut [0; 8]) {
                Ok(_) => {
                    self.due = None;
                    return;
                }
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(_) => {}
            }
        }
        pending::<()>().await;
    }

    fn set(&self, idle: Duration) -> nix::Result<()> {
        // Zero would stop it.
        let idle = idle.to_std().max(std::time::Duration::from_nanos(1));
        let expiration = Expiration::OneShot(TimeSpec::from_duration(idle));
        self.timer.set(expiration, TimerSetTimeFlags::empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clockwright_sys::clock::raw_now;
    use std::time::Duration as StdDuration;
    use tokio::time::timeout;

    #[test]
    fn rings_when_due_whatever_it_was_set_to_before() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let mut alarm = Alarm::new().unwrap();
            let start = raw_now();
            let in_millis = |ms| (start + Duration::from_millis(ms), Duration::from_millis(ms));
            let (late, long) = in_millis(3_600_000);
            let waited = timeout(StdDuration::from_millis(5), alarm.ring(late, long)).await;
            assert!(waited.is_err());

            let (soon, short) = in_millis(20);
            alarm.ring(soon, short).await;
            let took = raw_now() - start;
            assert!(took >= Duration::from_millis(19), "{took:?}");

            // The past is now, and a ring is heard once.
            alarm.ring(start, Duration::ZERO).await;
            let waited = timeout(StdDuration::from_millis(5), alarm.ring(late, long)).await;
            assert!(waited.is_err());
        });
    }
}
