//! What goes in and out of a discipline.

use clockwright_timebase::{Duration, Poll, Raw, Timestamp, Utc};

use crate::estimate::SourceId;
use crate::leap::LeapSecond;
use crate::learnt::Learnt;

/// When the clock may be stepped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepPolicy {
    /// Only an offset larger than this is stepped.
    pub above: Duration,
    /// Only in this many first updates.
    pub first: u32,
}

/// How to discipline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Config {
    /// When to step.
    pub step: StepPolicy,
    /// Fastest removal of an offset, s/s.
    pub max_slew: f64,
    /// What is known of the oscillator.
    pub learnt: Learnt,
}

/// What the disciplined clock shows at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// The instant.
    pub raw: Timestamp<Raw>,
    /// What the clock shows.
    pub clock: Timestamp<Utc>,
}

impl ClockReading {
    /// The clock minus the oscillator.
    pub(super) fn ahead_of_raw(self) -> Duration {
        self.clock.since_epoch() - self.raw.since_epoch()
    }
}

/// Something to carry out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Action {
    /// Let the clock run faster than the oscillator by this (s/s).
    SetFrequency {
        /// Rate of the clock minus rate of the oscillator, s/s.
        frequency: f64,
    },
    /// Add this to the clock at once.
    Step {
        /// What to add.
        by: Duration,
    },
    /// A leap second has come: the count of UTC has jumped.
    Leap {
        /// Which.
        second: LeapSecond,
        /// Is the clock to be stepped by [`LeapSecond::shift`]? Otherwise somebody else sees to it,
        /// or it is slewed.
        step: bool,
    },
    /// Poll a source at another interval.
    SetPoll {
        /// Which.
        id: SourceId,
        /// How often.
        poll: Poll,
    },
}
