//! What a scenario says of the host: its oscillator, its clock, its stamps.

use serde::{Deserialize, Serialize};

use super::{Trouble, not_negative};

/// The host's oscillator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OscillatorScenario {
    /// How fast it runs at first, ppm.
    pub frequency_ppm: f64,
    /// Random walk of its frequency, s/s per √s.
    pub wander: f64,
    /// White noise of its frequency: random walk of its phase, s per √s. It is the Allan deviation
    /// at 1 s.
    pub white: f64,
    /// By how much it runs faster with each degree above the mean temperature, ppm/K.
    pub ppm_per_k: f64,
    /// By how much more, with the square of that, ppm/K²; about -0.04 for tuning-fork crystals.
    pub ppm_per_k2: f64,
    /// When its frequency changes at once, s.
    pub step_at_s: Option<f64>,
    /// By how much, ppm.
    pub step_ppm: f64,
    /// More such changes.
    pub step: Vec<FrequencyStep>,
}

impl Default for OscillatorScenario {
    fn default() -> Self {
        Self {
            frequency_ppm: 10.0,
            wander: 1e-9,
            white: 0.0,
            ppm_per_k: 0.0,
            ppm_per_k2: 0.0,
            step_at_s: None,
            step_ppm: 0.0,
            step: Vec::new(),
        }
    }
}

/// The frequency of the oscillator changes at once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrequencyStep {
    /// When, s.
    pub at_s: f64,
    /// By how much, ppm.
    pub ppm: f64,
}

impl OscillatorScenario {
    /// All changes of frequency, the first one first.
    pub(crate) fn steps(&self) -> Vec<FrequencyStep> {
        let ppm = self.step_ppm;
        let first = self.step_at_s.map(|at_s| FrequencyStep { at_s, ppm });
        let mut steps: Vec<_> = first.into_iter().chain(self.step.iter().copied()).collect();
        steps.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        steps
    }

    pub(super) fn check(&self) -> Result<(), Trouble> {
        not_negative("wander", self.wander)?;
        not_negative("white", self.white)?;
        for (key, value) in [
            ("ppm_per_k", self.ppm_per_k),
            ("ppm_per_k2", self.ppm_per_k2),
        ] {
            if !(-100.0..=100.0).contains(&value) {
                return Err(Trouble::value(key, "between -100 and 100"));
            }
        }
        for step in self.steps() {
            not_negative("step.at_s", step.at_s)?;
            if !(-500.0..=500.0).contains(&step.ppm) {
                return Err(Trouble::value("step.ppm", "between -500 and 500"));
            }
        }
        Ok(())
    }
}

/// The host's clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockScenario {
    /// How far it is ahead at first, s.
    pub initial_error_s: f64,
    /// An offset above this is stepped, s …
    pub step_above_s: f64,
    /// … in this many first updates.
    pub step_first: u32,
    /// Fastest slew, ppm.
    pub max_slew_ppm: f64,
    /// When the daemon is started anew, with nothing but what it keeps of the oscillator, s.
    pub restart_s: Vec<f64>,
    /// The frequency that was kept of a run before, ppm, and that for sure: of this oscillator or of
    /// another one.
    pub kept_ppm: Option<f64>,
    /// What the host is told of how far its oscillator's frequency may jump at once, ppm.
    pub max_frequency_step_ppm: f64,
}

impl Default for ClockScenario {
    fn default() -> Self {
        Self {
            initial_error_s: 0.0,
            step_above_s: 0.1,
            step_first: 3,
            max_slew_ppm: 50_000.0,
            restart_s: Vec::new(),
            kept_ppm: None,
            max_frequency_step_ppm: 0.0,
        }
    }
}

/// Where the host's stamps come from. Those of a NIC have to be converted to the host's oscillator
/// by reading the NIC's clock, which takes time; when within that time it was read, nobody knows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StampScenario {
    /// How long one reading takes, s. The host knows that, and that the conversion is off by half
    /// of it at most.
    pub read_s: f64,
    /// Deviation of the conversion's error from one exchange to the next, s.
    pub read_noise_s: f64,
    /// Its mean as a part of the most that it can be: -1 (the clock is read at the very beginning)
    /// to 1 (at the very end).
    pub read_asymmetry: f64,
}

impl StampScenario {
    pub(super) fn check(&self) -> Result<(), Trouble> {
        not_negative("read_s", self.read_s)?;
        not_negative("read_noise_s", self.read_noise_s)?;
        if self.read_noise_s > self.read_s / 4.0 {
            return Err(Trouble::value(
                "read_noise_s",
                "at most a quarter of read_s",
            ));
        }
        if !(-1.0..=1.0).contains(&self.read_asymmetry) {
            return Err(Trouble::value("read_asymmetry", "between -1 and 1"));
        }
        Ok(())
    }
}
