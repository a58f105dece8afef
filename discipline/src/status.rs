//! What the discipline says of itself and of its sources.

use clockwright_timebase::{Raw, Timestamp};

use crate::estimate::SourceId;
use crate::learnt::Learnt;
use crate::part::{Reason, State};
use crate::sample::Upstream;

/// The state of the disciplined clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Status {
    /// Has it been set from sources, and is its error bound reasonable?
    pub synchronized: bool,
    /// Distance from a reference clock; 16 if unsynchronised.
    pub stratum: u8,
    /// The source whose root distance is ours.
    pub selected: Option<SourceId>,
    /// Is that source an orphan, which serves its own clock for want of a source? Then all bounds
    /// are of the distance from its clock, and nothing is known of UTC.
    pub orphan: bool,
    /// What that source says of itself.
    pub upstream: Upstream,
    /// What must be added to the clock to agree with the estimate, s.
    pub offset_s: f64,
    /// Standard deviation of the estimate, s.
    pub offset_sd_s: f64,
    /// UTC's frequency against the oscillator, s/s.
    pub frequency: f64,
    /// Its standard deviation, s/s.
    pub frequency_sd: f64,
    /// Wander of the oscillator, s/s per √s.
    pub wander: f64,
    /// Round trips to the reference clock, s.
    pub root_delay_s: f64,
    /// Everything else the clock may be wrong by, s.
    pub root_dispersion_s: f64,
    /// The clock is within this of UTC, s: root delay/2 + root dispersion.
    pub error_bound_s: f64,
    /// When the clock was last updated.
    pub updated: Option<Timestamp<Raw>>,
    /// Since when no source has been believed, s: the age of the last update. `None` while there is
    /// one, and before the first.
    pub holdover_s: Option<f64>,
}

impl Status {
    /// Of a clock that has not been set: all that is known is what was learnt before.
    pub(crate) fn unset(learnt: Learnt) -> Self {
        Self {
            synchronized: false,
            stratum: 16,
            selected: None,
            orphan: false,
            upstream: Upstream::default(),
            offset_s: 0.0,
            offset_sd_s: f64::INFINITY,
            frequency: learnt.frequency,
            frequency_sd: learnt.frequency_sd,
            wander: learnt.wander,
            root_delay_s: 0.0,
            root_dispersion_s: f64::INFINITY,
            error_bound_s: f64::INFINITY,
            updated: None,
            holdover_s: None,
        }
    }
}

/// The state of one source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SourceStatus {
    /// The part it plays.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// What must be added to the clock to agree with it, s.
    pub offset_s: Option<f64>,
    /// Its delay floor, s.
    pub delay_s: Option<f64>,
    /// RMS of recent innovations, s.
    pub jitter_s: f64,
    /// Correlation of neighbouring innovations, −1 to 1: near 0 where the filter suits what it sees.
    pub correlation: f64,
    /// Its frequency against the oscillator, s/s.
    pub frequency: Option<f64>,
    /// UTC is within this of what it says, s.
    pub error_bound_s: Option<f64>,
    /// Samples taken in.
    pub samples: u32,
    /// Age of the newest sample, s.
    pub last_sample_age_s: Option<f64>,
}
