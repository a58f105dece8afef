//! A clock that is read when it needs to be, and tracked.

use std::path::Path;

use clockwright_timebase::{Duration, Phc, Raw, Timestamp};

use crate::{Clock, Instant, PhcError, Reading, Selector, Taken, Tracker};

/// An open clock with its tracker and its limit of readings a second.
#[derive(Debug)]
pub struct Tracked {
    clock: Clock,
    tracker: Tracker,
    newest: Option<Reading>,
    pace: Pace,
}

impl Tracked {
    /// Opens the clock that `selector` names; nothing is read yet.
    pub fn open(selector: &Selector) -> Result<Self, PhcError> {
        Clock::open(selector).map(Self::new)
    }

    /// Opens the clock that `selector` names for steering it and for stamping events, too.
    pub fn open_to_change(selector: &Selector) -> Result<Self, PhcError> {
        Clock::open_to_change(selector).map(Self::new)
    }

    fn new(clock: Clock) -> Self {
        Self {
            pace: Pace::of(&clock),
            clock,
            tracker: Tracker::new(),
            newest: None,
        }
    }

    /// Reads the clock unless the last reading is younger than `max_age` at `now`, or the clock
    /// may not be read again so soon. A clock that has just surprised is read again at once,
    /// whatever the age, to know what it is doing. One that is busy is left alone for a while, and
    /// read less often for some time.
    ///
    /// `None`: nothing was read.
    ///
    /// # Errors
    /// Those of [`Clock::read`]; after [`PhcError::Moved`] the tracker begins anew.
    pub fn refresh(
        &mut self,
        now: Timestamp<Raw>,
        max_age: Duration,
    ) -> Result<Option<Taken>, PhcError> {
        let last = self.tracker.last_reading();
        let fresh = last.is_some_and(|last| now - last < max_age);
        if (fresh && !self.tracker.is_unsettled()) || !self.pace.allows(now) {
            return Ok(None);
        }
        match self.clock.read() {
            Ok(reading) => {
                self.pace.read(now);
                self.newest = Some(reading);
                Ok(Some(self.tracker.take(&reading)))
            }
            Err(error) if error.is_busy() => {
                self.pace.refused(now);
                Ok(None)
            }
            Err(error) => {
                self.pace.refused(now);
                if matches!(error, PhcError::Moved(_)) {
                    self.tracker = Tracker::new();
                }
                Err(error)
            }
        }
    }

    /// As [`Tracker::restart`], but with a reading taken at once, so that the clock's time is known
    /// all along. Where it cannot be read, everything stays, and the next reading will show a jump.
    ///
    /// # Errors
    /// Those of [`Clock::read`].
    pub fn restart(&mut self) -> Result<(), PhcError> {
        let reading = self.clock.read()?;
        self.tracker.restart();
        self.tracker.take(&reading);
        self.newest = Some(reading);
        Ok(())
    }

    /// The newest reading, as it was read.
    pub fn newest(&self) -> Option<&Reading> {
        self.newest.as_ref()
    }

    /// What is known of the clock against the local timescale.
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// The same, to be told what this program does to the clock.
    pub fn tracker_mut(&mut self) -> &mut Tracker {
        &mut self.tracker
    }

    /// The open clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The character device.
    pub fn path(&self) -> &Path {
        self.clock.path()
    }

    /// The raw instant of a stamp; see [`Tracker::instant_of`].
    pub fn instant_of(&self, stamp: Timestamp<Phc>) -> Option<Instant> {
        self.tracker.instant_of(stamp)
    }
}

/// When a clock may be read again.
#[derive(Debug)]
struct Pace {
    next: Option<Timestamp<Raw>>,
    /// Between readings, where all is well.
    least: Duration,
    /// Between readings now.
    spacing: Duration,
}

/// Readings keep the bus busy for tens of microseconds; closer ones tell nothing new.
const SPACING: Duration = Duration::from_millis(1);
/// Amazon's clocks (ENA) answer 125 times a second, refuse what goes beyond, and are to be refused
/// by in less than a hundredth of all requests. They are the ones that publish a bound.
const SPACING_LIMITED: Duration = Duration::from_millis(10);
/// The longest pause between readings of a clock that says it is busy.
const LONGEST: Duration = Duration::from_secs(1);

impl Pace {
    fn of(clock: &Clock) -> Self {
        let limited = clock.device().is_some() && clock.error_bound().is_some();
        Self::new(if limited { SPACING_LIMITED } else { SPACING })
    }

    const fn new(least: Duration) -> Self {
        Self {
            next: None,
            least,
            spacing: least,
        }
    }

    fn allows(&self, now: Timestamp<Raw>) -> bool {
        self.next.is_none_or(|next| now >= next)
    }

    /// It was read: little by little as often as before.
    fn read(&mut self, now: Timestamp<Raw>) {
        self.spacing = (self.spacing - self.spacing / 16).max(self.least);
        self.next = Some(now + self.spacing);
    }

    /// It refused: half as often from now on.
    fn refused(&mut self, now: Timestamp<Raw>) {
        self.spacing = (self.spacing * 2).min(LONGEST);
        self.next = Some(now + self.spacing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp<Raw> {
        Timestamp::from_epoch(Duration::from_millis(ms))
    }

    /// As many readings a second as the pace allows, asked every millisecond; `refuses` says which
    /// of them fail.
    fn readings(pace: &mut Pace, second: i64, refuses: impl Fn(i64) -> bool) -> (u32, u32) {
        let (mut read, mut refused) = (0, 0);
        for ms in 1_000 * second..1_000 * (second + 1) {
            if !pace.allows(at(ms)) {
                continue;
            }
            if refuses(ms) {
                pace.refused(at(ms));
                refused += 1;
            } else {
                pace.read(at(ms));
                read += 1;
            }
        }
        (read, refused)
    }

    #[test]
    fn a_limited_clock_is_read_no_more_often_than_it_answers() {
        let (read, _) = readings(&mut Pace::new(SPACING_LIMITED), 0, |_| false);
        assert!((90..=125).contains(&read), "{read}");
    }

    #[test]
    fn a_busy_clock_is_left_alone_and_then_read_as_before() {
        let mut pace = Pace::new(SPACING);
        let (read, refused) = readings(&mut pace, 0, |_| true);
        assert!(read == 0 && refused < 12, "{refused}");
        for second in 1..10 {
            readings(&mut pace, second, |_| false);
        }
        let (read, _) = readings(&mut pace, 10, |_| false);
        assert!(read > 900, "{read}");
    }
}
