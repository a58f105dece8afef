//! The daemon's one timer.
//!
//! tokio's timers count milliseconds, and long ones wake the process several times on their way.
//! The end of a correction is worth more than that, and a host that sleeps is worth even more: so
//! the kernel's timer is used directly, beside the ports.

use std::io;

use clockwright_timebase::{Duration, Raw, Timestamp};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::measure::Woken;

/// A timer that rings once, where ports ring.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: TimerFd,
    /// What it is set to.
    due: Option<Timestamp<Raw>>,
}

impl Alarm {
    /// A timer that is not set, to be heard at `woken`.
    ///
    /// # Errors
    /// The kernel gives none.
    pub(super) fn new(woken: &Woken) -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        woken.watch_timer(&timer)?;
        Ok(Self { timer, due: None })
    }

    /// Lets it ring at `due`, which is `idle` from now on `CLOCK_MONOTONIC`. That clock's rate may
    /// change on the way, so it may ring a little early or late; then it is to be set again.
    pub(super) fn set(&mut self, due: Timestamp<Raw>, idle: Duration) {
        if self.due == Some(due) {
            return;
        }
        // Zero would stop it.
        let idle = idle.to_std().max(std::time::Duration::from_nanos(1));
        let expiration = Expiration::OneShot(TimeSpec::from_duration(idle));
        let set = self.timer.set(expiration, TimerSetTimeFlags::empty());
        // Cannot fail with an interval that is positive and finite. Setting it also takes back that it
        // has rung before, so nobody has to read it.
        self.due = set.is_ok().then_some(due);
    }

    /// It was heard: it is not set any more.
    pub(super) fn heard(&mut self) {
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clockwright_sys::clock::raw_now;
    use std::time::Duration as StdDuration;
    use tokio::time::timeout;

    use crate::measure::{Wake, Wakes};

    #[test]
    fn rings_when_due_whatever_it_was_set_to_before() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let (_wakes, mut woken) = Wakes::new().unwrap();
            let mut alarm = Alarm::new(&woken).unwrap();
            let start = raw_now();
            let in_millis = |ms| (start + Duration::from_millis(ms), Duration::from_millis(ms));
            let (late, long) = in_millis(3_600_000);
            alarm.set(late, long);
            let waited = timeout(StdDuration::from_millis(5), woken.next()).await;
            assert!(waited.is_err());

            let (soon, short) = in_millis(20);
            alarm.set(soon, short);
            assert_eq!(woken.next().await, Some(Wake::Timer));
            alarm.heard();
            let took = raw_now() - start;
            assert!(took >= Duration::from_millis(19), "{took:?}");

            // A ring is heard once, and one that nobody has heard is taken back.
            let waited = timeout(StdDuration::from_millis(5), woken.next()).await;
            assert!(waited.is_err());
            let (now, at_once) = in_millis(0);
            alarm.set(now, at_once);
            while raw_now() - start < Duration::from_millis(30) {}
            alarm.set(late, long);
            let waited = timeout(StdDuration::from_millis(5), woken.next()).await;
            assert!(waited.is_err());
            let (again, short) = in_millis(1);
            alarm.set(again, short);
            assert_eq!(woken.next().await, Some(Wake::Timer));
        });
    }
}
