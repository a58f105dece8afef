//! What has been told of the clock, and what is still to be told.
//!
//! Several samples may come out of one reply, and replies may come many times a second. Steering
//! follows each of them at once; to say how good the clock is by now is done once for all that came
//! together, and the kernel is told only of what matters to those who ask it.

use clockwright_sys::adjust::Announcement;
use clockwright_timebase::{Duration, Raw, Timestamp};

/// The kernel is told again after this at the latest if there is something to tell.
const RENEWED: Duration = Duration::from_secs(1);

/// What the kernel was told, and what has happened since anything was told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Announced {
    told: Option<(Announcement, Timestamp<Raw>)>,
    /// Samples were taken in, and nothing was told since.
    pub(super) news: bool,
    /// They may have changed the parts that sources play.
    pub(super) parts: bool,
    /// Samples were told of since a request was last sent.
    pub(super) answered: bool,
}

impl Announced {
    /// Is the kernel to be told this, at `now`? What it knows must never be too good: it lets its
    /// maximum error grow by 500 us each second, which is more than the bound grows by, so only a bound
    /// that is wider than what was told is told at once.
    pub(super) fn is_due(&self, what: &Announcement, now: Timestamp<Raw>) -> bool {
        let Some((told, at)) = &self.told else {
            return true;
        };
        let same = Announcement {
            max_error: told.max_error,
            est_error: told.est_error,
            ..*what
        };
        same != *told || what.max_error > told.max_error || now - *at >= RENEWED
    }

    /// The kernel has been told this.
    pub(super) fn told(&mut self, what: Announcement, now: Timestamp<Raw>) {
        self.told = Some((what, now));
    }

    /// The kernel may have forgotten: the clock was set, which makes it unsynchronised.
    pub(super) fn forget(&mut self) {
        self.told = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clockwright_sys::adjust::KernelLeap;

    const GOOD: Announcement = Announcement {
        synchronized: true,
        leap: KernelLeap::None,
        max_error: Duration::from_micros(50),
        est_error: Duration::from_micros(2),
        tai_offset: Some(37),
    };

    fn at(millis: i64) -> Timestamp<Raw> {
        Timestamp::EPOCH + Duration::from_millis(millis)
    }

    #[test]
    fn what_gets_worse_is_told_at_once_and_what_gets_better_once_a_second() {
        let mut announced = Announced::default();
        assert!(announced.is_due(&GOOD, at(0)));
        announced.told(GOOD, at(0));
        let better = Announcement {
            max_error: Duration::from_micros(20),
            ..GOOD
        };
        assert!(!announced.is_due(&GOOD, at(1)));
        assert!(!announced.is_due(&better, at(999)));
        assert!(announced.is_due(&better, at(1000)));
        let worse = Announcement {
            max_error: Duration::from_micros(51),
            ..GOOD
        };
        assert!(announced.is_due(&worse, at(1)));
    }

    #[test]
    fn what_is_of_another_kind_is_told_at_once_and_so_is_what_was_forgotten() {
        let mut announced = Announced::default();
        announced.told(GOOD, at(0));
        let others = [
            Announcement {
                synchronized: false,
                ..GOOD
            },
            Announcement {
                leap: KernelLeap::Insert,
                ..GOOD
            },
            Announcement {
                tai_offset: None,
                ..GOOD
            },
        ];
        for other in others {
            assert!(announced.is_due(&other, at(1)), "{other:?}");
        }
        announced.forget();
        assert!(announced.is_due(&GOOD, at(1)));
    }
}
