//! What a scenario says of the temperature.

use serde::{Deserialize, Serialize};

use super::{Trouble, not_negative, positive};

/// The temperature of the host's oscillator: a swing about a mean, and steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TemperatureScenario {
    /// Its mean, at which the oscillator runs by its `frequency_ppm`, °C.
    pub mean_c: f64,
    /// How far it swings to each side, K.
    pub swing_k: f64,
    /// How long one swing takes, s. It begins upwards.
    pub period_s: f64,
    /// Steps: a load that comes, a fan that fails.
    pub step: Vec<TemperatureStep>,
    /// What shows it to the host.
    pub sensor: Option<SensorScenario>,
}

impl Default for TemperatureScenario {
    fn default() -> Self {
        Self {
            mean_c: 35.0,
            swing_k: 0.0,
            period_s: 86_400.0,
            step: Vec::new(),
            sensor: None,
        }
    }
}

/// A sensor of the oscillator's temperature, or so the host was told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensorScenario {
    /// How often it is read, s.
    pub every_s: f64,
    /// Its resolution, K.
    #[serde(default)]
    pub step_k: f64,
    /// Its noise, K.
    #[serde(default)]
    pub noise_k: f64,
    /// It shows some other place, whose temperature swings by 4 K to each side in this time, s.
    #[serde(default)]
    pub elsewhere_s: Option<f64>,
}

impl SensorScenario {
    fn check(&self) -> Result<(), Trouble> {
        positive("sensor.every_s", self.every_s)?;
        not_negative("sensor.step_k", self.step_k)?;
        not_negative("sensor.noise_k", self.noise_k)?;
        self.elsewhere_s
            .map_or(Ok(()), |period_s| positive("sensor.elsewhere_s", period_s))
    }
}

/// From an instant on, the temperature goes to another value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemperatureStep {
    /// When, s.
    pub at_s: f64,
    /// How much warmer it gets in the end, K.
    pub by_k: f64,
    /// Time constant of getting there, s; 0: at once.
    #[serde(default)]
    pub time_s: f64,
}

impl TemperatureScenario {
    /// The temperature above the mean at an instant, K.
    pub(crate) fn above_mean_k(&self, at_s: f64) -> f64 {
        let swing = self.swing_k * (core::f64::consts::TAU * at_s / self.period_s).sin();
        let steps = self.step.iter().filter(|step| step.at_s <= at_s);
        let warmer = steps.map(|step| {
            let missing = (-(at_s - step.at_s) / step.time_s).exp();
            // 0/0 at the very beginning of a step that takes no time.
            step.by_k * (1.0 - if step.time_s > 0.0 { missing } else { 0.0 })
        });
        swing + warmer.sum::<f64>()
    }

    pub(super) fn check(&self) -> Result<(), Trouble> {
        if !(-100.0..=200.0).contains(&self.mean_c) {
            return Err(Trouble::value("mean_c", "between -100 and 200"));
        }
        not_negative("swing_k", self.swing_k)?;
        positive("period_s", self.period_s)?;
        self.sensor.as_ref().map_or(Ok(()), SensorScenario::check)?;
        for step in &self.step {
            not_negative("step.at_s", step.at_s)?;
            not_negative("step.time_s", step.time_s)?;
            if !(-100.0..=100.0).contains(&step.by_k) {
                return Err(Trouble::value("step.by_k", "between -100 and 100"));
            }
        }
        Ok(())
    }
}
