//! What a scenario says of the clock of the host's NIC, as far as it is a second oscillator.

use serde::{Deserialize, Serialize};

use super::{Trouble, ensure, not_negative, positive};

/// The NIC's clock, which the host reads beside its own oscillator. Only the oscillators are compared
/// by it: what reading costs the stamps is `stamps`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NicScenario {
    /// What it counts.
    pub counts: Counts,
    /// How fast it runs at first, against true time, or what else it counts, ppm.
    pub frequency_ppm: f64,
    /// Random walk of its frequency, s/s per √s.
    pub wander: f64,
    /// White noise of its frequency, s per √s.
    pub white: f64,
    /// How often the host reads it, s.
    pub every_s: f64,
    /// Deviation of one reading, s.
    pub noise_s: f64,
    /// How long one reading takes, s.
    pub read_s: f64,
}

/// What a NIC's clock counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counts {
    /// An oscillator of its own.
    #[default]
    Itself,
    /// The host's oscillator; what is said of frequency, wander and white noise is what it adds.
    Host,
    /// The host's clock: another program copies that to it.
    Clock,
}

impl Default for NicScenario {
    fn default() -> Self {
        Self {
            counts: Counts::default(),
            frequency_ppm: -7.0,
            wander: 1e-9,
            white: 0.0,
            every_s: 2.0,
            noise_s: 100e-9,
            read_s: 1e-6,
        }
    }
}

impl NicScenario {
    pub(super) fn check(&self) -> Result<(), Trouble> {
        not_negative("nic.wander", self.wander)?;
        not_negative("nic.white", self.white)?;
        not_negative("nic.noise_s", self.noise_s)?;
        positive("nic.every_s", self.every_s)?;
        positive("nic.read_s", self.read_s)?;
        ensure(
            (-500.0..=500.0).contains(&self.frequency_ppm),
            "nic.frequency_ppm",
            "between -500 and 500",
        )
    }
}
