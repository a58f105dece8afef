//! The oscillators of NICs' clocks are compared with the host's, for what that tells of its wander.
//!
//! Exchanges read a NIC's clock, too, but at a poll interval of a minute that is too rarely to know
//! much by the time it matters: in the first hour. Later, innovations tell more.

use clockwright_sys::clock::raw_now;
use clockwright_timebase::{Duration, Raw, Timestamp};

use super::daemon::Daemon;

/// How often clocks are read.
const EVERY: Duration = Duration::from_secs(2);
/// For how long after a start.
const WATCHED: Duration = Duration::from_secs(3_600);

/// When clocks are compared next, and until when.
#[derive(Debug, Clone, Copy)]
pub(super) struct CompanionWatch {
    next: Timestamp<Raw>,
    end: Timestamp<Raw>,
}

impl CompanionWatch {
    /// From now on.
    pub(super) fn new(now: Timestamp<Raw>) -> Self {
        Self {
            next: now + EVERY,
            end: now + WATCHED,
        }
    }

    /// When something is to be done; `None`: never again.
    fn due(self) -> Option<Timestamp<Raw>> {
        (self.next < self.end).then_some(self.next)
    }

    /// It is due and done at `now`.
    fn done(&mut self, now: Timestamp<Raw>) {
        self.next = now + EVERY;
    }
}

impl Daemon {
    /// When NICs' clocks are to be compared with the oscillator; `None`: there are none, or enough is
    /// known.
    pub(super) fn companions_due(&self) -> Option<Timestamp<Raw>> {
        let due = self.companions.due()?;
        self.instruments.interfaces.has_clocks().then_some(due)
    }

    /// Compares them if that is due.
    pub(super) fn compare_companions(&mut self, now: Timestamp<Raw>) {
        if self.companions_due().is_none_or(|due| due > now) {
            return;
        }
        self.companions.done(now);
        let drift = self.clock.timescale().drift();
        let interfaces = &mut self.instruments.interfaces;
        let mut companions = interfaces.companions(EVERY.half(), raw_now());
        for companion in &mut companions {
            companion.frequency -= drift;
        }
        self.discipline.handle_companions(now, companions);
        self.tell_of_interfaces();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_compared_every_two_seconds_for_an_hour() {
        let start = Timestamp::EPOCH + Duration::from_secs(100);
        let mut watch = CompanionWatch::new(start);
        let mut times = 0;
        while let Some(due) = watch.due() {
            assert!(due >= start + EVERY && due < start + WATCHED);
            watch.done(due);
            times += 1;
        }
        assert_eq!(times, 1_799);
    }
}
