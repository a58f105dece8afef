//! What is known of the clock: what it was last set from, and what that says at a later instant.

use clockwright_timebase::{Raw, Timestamp};

use super::{ClockReading, MAX_DISTANCE_S};
use crate::bound::{DRIFT_SIGMAS, LEAST_DRIFT, age_s};
use crate::estimate::{SourceEstimate, SourceId};
use crate::leap::Leaps;
use crate::sample::Upstream;
use crate::status::Status;
use crate::warmth::Taken;

/// What the clock was last set from; outlives the sources.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reference {
    pub(super) estimate: SourceEstimate,
    pub(super) selected: SourceId,
    pub(super) upstream: Upstream,
    pub(super) root_delay_s: f64,
    pub(super) distance_s: f64,
    /// How much further from UTC it may be by a suspect sample of the selected source, s.
    pub(super) doubt_s: f64,
    /// By how much more with each second, s/s.
    pub(super) doubt_rate: f64,
    /// How far the oscillator's frequency may jump at once, s/s.
    pub(super) jump: f64,
    /// By how much sources without a voice have changed the frequency, s/s.
    pub(super) pull: f64,
    /// Has the clock gone on by its long memory since?
    pub(super) held: bool,
}

impl Reference {
    /// How far UTC may be from the estimate at a later instant, s.
    pub(super) fn distance_at(&self, at: Timestamp<Raw>) -> f64 {
        let age = age_s(at, self.estimate.at);
        self.doubt_s + self.doubt_rate * age + self.settled_distance_at(at)
    }

    /// The same, should the suspect sample be wrong.
    pub(super) fn settled_distance_at(&self, at: Timestamp<Raw>) -> f64 {
        let age = age_s(at, self.estimate.at);
        let more = self.estimate.carried_to(at).offset_sd_s() - self.estimate.offset_sd_s();
        self.distance_s + DRIFT_SIGMAS * more + (LEAST_DRIFT + self.pull + self.jump) * age
    }
}

/// What a discipline knows of its clock at one moment. Without further samples, what it says grows
/// vaguer with time.
#[derive(Debug, Clone, Copy)]
pub struct Outlook {
    pub(super) reference: Option<Reference>,
    /// Is that an orphan?
    pub(super) orphan: bool,
    /// Is no source believed any more?
    pub(super) alone: bool,
    /// What is taken back of what the temperature does.
    pub(super) taken: Taken,
    /// The state without a reference.
    pub(super) unset: Status,
    pub(super) leaps: Leaps,
}

impl Outlook {
    /// The state of the clock, of which `reading` is a reading.
    pub fn status(&self, reading: ClockReading) -> Status {
        let Some(reference) = self.reference else {
            return self.unset;
        };
        let reading = self.leaps.reading(reading, Some(&reference.estimate));
        let reading = reading.compensated(self.taken);
        let estimate = reference.estimate.carried_to(reading.raw);
        let offset_s = (estimate.offset - reading.ahead_of_raw()).as_secs_f64();
        let error_bound_s = offset_s.abs() + reference.distance_at(reading.raw);
        let root_delay_s = reference.root_delay_s;
        let synchronized = error_bound_s < MAX_DISTANCE_S;
        Status {
            synchronized,
            stratum: if synchronized {
                (reference.upstream.stratum + 1).min(16)
            } else {
                16
            },
            selected: Some(reference.selected),
            orphan: self.orphan,
            upstream: reference.upstream,
            offset_s,
            offset_sd_s: estimate.offset_sd_s(),
            frequency: estimate.frequency + self.taken.rate,
            frequency_sd: estimate.frequency_sd(),
            wander: estimate.wander,
            root_delay_s,
            root_dispersion_s: (error_bound_s - root_delay_s / 2.0).max(0.0),
            error_bound_s,
            updated: Some(reference.estimate.at),
            holdover_s: self
                .alone
                .then(|| (reading.raw - reference.estimate.at).as_secs_f64()),
        }
    }
}
