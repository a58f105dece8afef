//! What is kept of the oscillator over a restart.

use crate::thermal::TemperatureFit;

/// What the oscillator was like when the program last ran.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Learnt {
    /// UTC's frequency against the oscillator, s/s.
    pub frequency: f64,
    /// Its standard deviation, s/s.
    pub frequency_sd: f64,
    /// Wander as the filters find it from one sample to the next, s/s per √s.
    pub wander: f64,
    /// The wander that explains how far the clock strays over an hour, s/s per √s.
    pub long_wander: f64,
    /// What the temperature does to it, if that is known.
    pub temperature: Option<TemperatureFit>,
}

impl Learnt {
    /// What it is worth after a restart that alone makes the frequency uncertain by `restart_sd`
    /// (s/s), `age_s` seconds after it was kept: the frequency has wandered since.
    #[must_use]
    pub fn after_restart(self, age_s: f64, restart_sd: f64) -> Self {
        let wander = self.wander.max(self.long_wander);
        let variance = self.frequency_sd.powi(2) + wander.powi(2) * age_s + restart_sd.powi(2);
        Self {
            frequency_sd: variance.sqrt().min(Self::default().frequency_sd),
            ..self
        }
    }
}

impl Default for Learnt {
    /// Any crystal: within 100 ppm, wandering by 1e-9 per √s.
    fn default() -> Self {
        Self {
            frequency: 0.0,
            frequency_sd: 100e-6,
            wander: 1e-9,
            long_wander: 1e-9,
            temperature: None,
        }
    }
}
