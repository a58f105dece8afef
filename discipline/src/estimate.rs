//! What is believed of a source, and how firmly.

use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::kalman::Covariance;

/// Names a source among those of one [`crate::Discipline`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// UTC against the local oscillator, as one source or all of them together have it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SourceEstimate {
    /// The instant that the numbers belong to.
    pub at: Timestamp<Raw>,
    /// UTC minus the local oscillator.
    pub offset: Duration,
    /// How much faster than the local oscillator UTC runs, s/s.
    pub frequency: f64,
    /// Of offset (s) and frequency (s/s).
    pub(crate) covariance: Covariance,
    /// Oscillator wander, s/s per √s.
    pub(crate) wander: f64,
}

impl SourceEstimate {
    /// The estimate carried to another instant.
    #[must_use]
    pub fn carried_to(self, at: Timestamp<Raw>) -> Self {
        let dt = (at - self.at).as_secs_f64();
        Self {
            at,
            offset: self.offset + Duration::from_secs_f64(self.frequency * dt),
            covariance: self.covariance.after(dt.max(0.0), self.wander),
            ..self
        }
    }

    /// Standard deviation of the offset, s. What cannot be seen from exchanges (asymmetry of the
    /// path, errors of the source) is not in it.
    pub fn offset_sd_s(&self) -> f64 {
        self.covariance.phase.max(0.0).sqrt()
    }

    /// Standard deviation of the frequency, s/s.
    pub fn frequency_sd(&self) -> f64 {
        self.covariance.frequency.max(0.0).sqrt()
    }

    /// The estimated wander of the local oscillator, s/s per √s.
    pub fn wander(&self) -> f64 {
        self.wander
    }
}
