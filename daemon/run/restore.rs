//! `clock.restore`: a clock that nothing keeps while the host is off starts from the time that was
//! known last, rather than from 1970.

use std::fmt;
use std::fs;
use std::path::Path;

use clockwright_sys::adjust::AdjustError;
use clockwright_timebase::{Duration, Timestamp, Utc};

use crate::clock::Clock;
use crate::control::{ClockName, Steering};
use crate::output::date;

/// Where the kernel shows its real-time clocks.
pub(super) const RTCS: &str = "/sys/class/rtc";

/// What came of it, in words for the log.
#[derive(Debug)]
pub(super) enum Restored {
    /// The clock shows a time that is possible.
    NotNeeded,
    /// A real-time clock keeps the time; that the clock does not show it is not ours to mend.
    KeptByRtc(Timestamp<Utc>),
    /// The clock is only watched.
    NotSteered(Steering),
    /// It went forward by this.
    Stepped(Duration, Timestamp<Utc>),
    /// It refused.
    Failed(AdjustError),
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNeeded => f.write_str(
                "clock.restore: nothing to do, the clock is not behind the time that was saved last",
            ),
            Self::KeptByRtc(shows) => write!(
                f,
                "clock.restore: the clock is behind the time that was saved last, and left alone, \
                 since this host's real-time clock says {}; `hwclock --hctosys` sets the clock by it",
                date(*shows)
            ),
            Self::NotSteered(why) => write!(
                f,
                "clock.restore: the clock is behind the time that was saved last, and cannot be \
                 set: {}",
                match why {
                    Steering::Disabled => "--no-adjust",
                    Steering::NotPermitted | Steering::Adjusting => "CAP_SYS_TIME is missing",
                }
            ),
            Self::Stepped(by, to) => write!(
                f,
                "clock.restore: the clock was set forward by {:.0} s, to {}, which is the time that \
                 was saved last, or that of this program's build. It is not synchronised",
                by.as_secs_f64(),
                date(*to)
            ),
            Self::Failed(error) => {
                write!(f, "clock.restore: the clock cannot be set forward: {error}")
            }
        }
    }
}

impl Restored {
    /// Is there something that an operator should look at?
    pub(super) const fn is_trouble(&self) -> bool {
        match self {
            Self::NotNeeded | Self::Stepped(..) => false,
            Self::KeptByRtc(_) | Self::NotSteered(_) | Self::Failed(_) => true,
        }
    }
}

/// Sets `clock` forward to `lower_bound` where it is behind it, and never back. Where one of the
/// `rtcs` keeps the time, it is left alone: one that is itself before `lower_bound` has lost its
/// battery, or never had one, and is as good as none.
pub(super) fn restore(
    clock: &mut dyn Clock,
    lower_bound: Timestamp<Utc>,
    rtcs: &[Timestamp<Utc>],
) -> Restored {
    let behind = lower_bound - clock.now();
    if behind <= Duration::ZERO {
        return Restored::NotNeeded;
    }
    if let Some(shows) = rtcs.iter().find(|shows| **shows >= lower_bound) {
        return Restored::KeptByRtc(*shows);
    }
    let steering = clock.steering();
    let Some(helm) = clock.helm() else {
        return Restored::NotSteered(steering);
    };
    match helm.step(behind) {
        Ok(()) => Restored::Stepped(behind, lower_bound),
        Err(error) => Restored::Failed(error),
    }
}

/// What the real-time clocks below `directory` show that keep the time of `clock` while the host is
/// off: no PTP hardware clock or virtual clock has any.
pub(super) fn rtcs_of(clock: &ClockName, directory: &Path) -> Vec<Timestamp<Utc>> {
    let (ClockName::System, Ok(entries)) = (clock, fs::read_dir(directory)) else {
        return Vec::new();
    };
    let shown = entries.filter_map(|entry| {
        let seconds = fs::read_to_string(entry.ok()?.path().join("since_epoch")).ok()?;
        Some(Timestamp::from_timespec(seconds.trim().parse().ok()?, 0))
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Observed, Simulated};

    const HOUR: Duration = Duration::from_secs(3600);

    /// A virtual clock that is an hour slow, and the truth.
    fn slow() -> (Simulated, Timestamp<Utc>) {
        let clock = Simulated::new(-HOUR, 0.0);
        let truth = clock.now() + HOUR;
        (clock, truth)
    }

    fn error_s(clock: &Simulated) -> f64 {
        clock.true_error().unwrap().as_secs_f64()
    }

    #[test]
    fn a_clock_goes_forward_to_what_is_surely_past() {
        let (mut clock, truth) = slow();
        let saved = truth - Duration::from_secs(600);
        let restored = restore(&mut clock, saved, &[]);
        assert!((error_s(&clock) + 600.0).abs() < 1.0, "{}", error_s(&clock));
        assert!(!restored.is_trouble());
        let text = restored.to_string();
        assert!(text.contains("forward by 3000 s"), "{text}");
        assert!(text.contains(&date(saved)), "{text}");
        assert!(text.contains("not synchronised"), "{text}");
    }

    #[test]
    fn never_back() {
        let (mut clock, truth) = slow();
        let restored = restore(&mut clock, truth - HOUR - HOUR, &[]);
        assert!(matches!(restored, Restored::NotNeeded));
        assert!((error_s(&clock) + 3600.0).abs() < 1.0);
    }

    #[test]
    fn a_clock_that_keeps_time_is_respected_and_one_that_lost_it_is_not() {
        let (mut clock, truth) = slow();
        let saved = truth - Duration::from_secs(600);
        let restored = restore(&mut clock, saved, &[Timestamp::EPOCH, truth]);
        assert!(matches!(restored, Restored::KeptByRtc(_)) && restored.is_trouble());
        assert!(restored.to_string().contains("hwclock"), "{restored}");
        assert!((error_s(&clock) + 3600.0).abs() < 1.0);

        let restored = restore(&mut clock, saved, &[Timestamp::EPOCH, truth - HOUR]);
        assert!(matches!(restored, Restored::Stepped(..)), "{restored}");
    }

    #[test]
    fn a_clock_that_is_only_watched_stays_as_it_is() {
        let mut clock = Observed::new(Steering::Disabled);
        let later = clock.now() + HOUR;
        let restored = restore(&mut clock, later, &[]);
        assert!(restored.to_string().contains("--no-adjust"), "{restored}");
    }

    #[test]
    fn real_time_clocks_are_the_system_clocks_only() {
        let directory =
            std::env::temp_dir().join(format!("clockwright-rtcs-{}", std::process::id()));
        for (name, text) in [("rtc0", "1800000000\n"), ("rtc1", "garbage")] {
            fs::create_dir_all(directory.join(name)).unwrap();
            fs::write(directory.join(name).join("since_epoch"), text).unwrap();
        }
        fs::create_dir_all(directory.join("rtc2")).unwrap();
        let found = rtcs_of(&ClockName::System, &directory);
        assert_eq!(found, [Timestamp::from_timespec(1_800_000_000, 0)]);
        assert_eq!(rtcs_of(&ClockName::Virtual, &directory), []);
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(rtcs_of(&ClockName::System, &directory), []);
    }
}
