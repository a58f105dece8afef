//! Notices that the host slept, or that somebody else set the system clock.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Instant, SystemTime};

use clockwright_sys::{clock, wake};
use clockwright_timebase::Duration;
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::unistd::read;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Sleep shorter than this is the noise of reading two clocks.
const LEAST_SLEEP: Duration = Duration::from_millis(10);
/// A timer that never fires by itself: in the year 2242, before the kernel's 2262.
const NEVER_UNIX_S: i64 = 1 << 33;

/// What happened to the host's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disruption {
    /// The host slept this long; the oscillator did not count meanwhile.
    Slept(Duration),
    /// The machine was moved to another host, or goes on from a snapshot.
    Moved,
    /// The system clock was set: this was added to it.
    Set(Duration),
}

/// A watch on the system clock, that costs nothing until something happens: a timer that the
/// kernel cancels when the clock is set or the host wakes up (`TFD_TIMER_CANCEL_ON_SET`).
#[derive(Debug)]
pub(super) struct ClockWatch {
    timer: AsyncFd<OwnedFd>,
    seen: Seen,
}

/// What the clocks were like when last looked at.
#[derive(Debug, Clone, Copy)]
struct Seen {
    suspended: Duration,
    monotonic: Instant,
    system: SystemTime,
}

impl Seen {
    fn now() -> Self {
        Self {
            suspended: clock::time_suspended(),
            monotonic: Instant::now(),
            system: SystemTime::now(),
        }
    }

    /// What happened between `self` and `later`.
    fn compare(&self, later: &Self) -> Disruption {
        let slept = later.suspended - self.suspended;
        if slept >= LEAST_SLEEP {
            return Disruption::Slept(slept);
        }
        // Both clocks are slewed alike, so that only steps come between them.
        let monotonic = Duration::from(later.monotonic - self.monotonic);
        let system = match later.system.duration_since(self.system) {
            Ok(forward) => Duration::from(forward),
            Err(backward) => -Duration::from(backward.duration()),
        };
        Disruption::Set(system - monotonic)
    }
}

impl ClockWatch {
    /// Begins to watch. To be called within the tokio runtime.
    ///
    /// # Errors
    /// The kernel has no such timer.
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_REALTIME, flags)?;
        timer.set(
            Expiration::OneShot(TimeSpec::new(NEVER_UNIX_S, 0)),
            TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET,
        )?;
        Ok(Self {
            timer: wake::watch(OwnedFd::from(timer), Interest::READABLE)?,
            seen: Seen::now(),
        })
    }

    /// Waits until something happens. Can be dropped and called again without missing anything.
    pub(super) async fn disrupted(&mut self) -> Disruption {
        loop {
            // Fails only when the runtime is going down, and the process with it.
            let Ok(mut ready) = self.timer.readable().await else {
                return std::future::pending().await;
            };
            match read(self.timer.get_ref(), &mut [0; 8]) {
                Err(Errno::ECANCELED) => {
                    let now = Seen::now();
                    let happened = self.seen.compare(&now);
                    self.seen = now;
                    return happened;
                }
                Err(Errno::EAGAIN) => ready.clear_ready(),
                // Fired in 2242, or interrupted.
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration as StdDuration;

    fn later(seen: &Seen, monotonic_s: u64, system_s: i64, slept_s: i64) -> Seen {
        let system = StdDuration::from_secs(system_s.unsigned_abs());
        Seen {
            suspended: seen.suspended + Duration::from_secs(slept_s),
            monotonic: seen.monotonic + StdDuration::from_secs(monotonic_s),
            system: if system_s < 0 {
                seen.system - system
            } else {
                seen.system + system
            },
        }
    }

    #[test]
    fn sleep_and_setting_are_told_apart() {
        let seen = Seen::now();
        let slept = seen.compare(&later(&seen, 10, 3_610, 3_600));
        assert_eq!(slept, Disruption::Slept(Duration::from_secs(3_600)));
        let ahead = seen.compare(&later(&seen, 10, 15, 0));
        assert_eq!(ahead, Disruption::Set(Duration::from_secs(5)));
        let back = seen.compare(&later(&seen, 10, -20, 0));
        assert_eq!(back, Disruption::Set(Duration::from_secs(-30)));
    }

    #[test]
    fn nothing_happens_while_nobody_sets_the_clock() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let mut watch = ClockWatch::new().unwrap();
            let wait = StdDuration::from_millis(20);
            assert!(tokio::time::timeout(wait, watch.disrupted()).await.is_err());
        });
    }
}
