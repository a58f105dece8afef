//! A clock that is read when it needs to be, and tracked.

use std::path::Path;

use clockwright_timebase::{Duration, Phc, Raw, Timestamp};

use crate::{Clock, PhcError, Selector, Taken, Tracker};

/// An open clock with its tracker and its limit of readings a second.
#[derive(Debug)]
pub struct Tracked {
    clock: Clock,
    tracker: Tracker,
    pace: Pace,
}

impl Tracked {
    /// Opens the clock that `selector` names; nothing is read yet.
    pub fn open(selector: &Selector) -> Result<Self, PhcError> {
        Ok(Self {
            clock: Clock::open(selector)?,
            tracker: Tracker::new(),
            pace: Pace::default(),
        })
    }

    /// Reads the clock unless the last reading is younger than `max_age` at `now`, or the clock
    /// may not be read again so soon. A clock that has just surprised is read again at once,
    /// whatever the age, to know what it is doing.
    ///
    /// `None`: nothing was read.
    pub fn refresh(
        &mut self,
        now: Timestamp<Raw>,
        max_age: Duration,
    ) -> Result<Option<Taken>, PhcError> {
        let fresh = self
            .tracker
            .last_reading()
            .is_some_and(|last| now - last < max_age);
        if (fresh && !self.tracker.is_unsettled()) || !self.pace.allows(now) {
            return Ok(None);
        }
        self.pace.note(now);
        match self.clock.read() {
            Ok(reading) => Ok(Some(self.tracker.take(&reading))),
            Err(error) if error.is_busy() => {
                self.pace.back_off();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// What is known of the clock against the local timescale.
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
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
    pub fn instant_of(&self, stamp: Timestamp<Phc>) -> Option<crate::Instant> {
        self.tracker.instant_of(stamp)
    }
}

/// When a clock may be read again.
#[derive(Debug)]
struct Pace {
    last: Option<Timestamp<Raw>>,
    spacing: Duration,
}

/// Readings keep the bus busy for tens of microseconds; closer ones tell nothing new.
const SPACING: Duration = Duration::from_millis(1);
/// The longest pause between readings of a clock that says it is busy.
const LONGEST: Duration = Duration::from_secs(1);

impl Default for Pace {
    fn default() -> Self {
        Self {
            last: None,
            spacing: SPACING,
        }
    }
}

impl Pace {
    fn allows(&self, now: Timestamp<Raw>) -> bool {
        self.last.is_none_or(|last| now - last >= self.spacing)
    }

    fn note(&mut self, now: Timestamp<Raw>) {
        self.last = Some(now);
    }

    fn back_off(&mut self) {
        self.spacing = (self.spacing * 2).min(LONGEST);
    }
}
