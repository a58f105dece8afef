//! What a host can know of its oscillator's temperature.

use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::random::Random;
use crate::scenario::{SensorScenario, TemperatureScenario};

/// A sensor that is read every so often.
#[derive(Debug)]
pub(crate) struct Sensor {
    scenario: SensorScenario,
    temperature: TemperatureScenario,
    next: Timestamp<Raw>,
    random: Random,
}

impl Sensor {
    /// `None`: the host has none.
    pub(crate) fn new(
        temperature: &TemperatureScenario,
        now: Timestamp<Raw>,
        random: Random,
    ) -> Option<Self> {
        Some(Self {
            scenario: temperature.sensor?,
            temperature: temperature.clone(),
            next: now,
            random,
        })
    }

    /// When it is to be read.
    pub(crate) fn next(&self) -> Timestamp<Raw> {
        self.next
    }

    /// What it shows at true second `at_s`, °C; `None` if it is not to be read yet.
    pub(crate) fn read(&mut self, now: Timestamp<Raw>, at_s: f64) -> Option<f64> {
        if self.next > now {
            return None;
        }
        let SensorScenario {
            every_s,
            step_k,
            noise_k,
            elsewhere_s,
        } = self.scenario;
        self.next = now + Duration::from_secs_f64(every_s);
        let above_k = match elsewhere_s {
            None => self.temperature.above_mean_k(at_s),
            Some(period_s) => 4.0 * (core::f64::consts::TAU * at_s / period_s).sin(),
        };
        let shown = self.temperature.mean_c + above_k + noise_k * self.random.normal();
        Some(if step_k > 0.0 {
            (shown / step_k).round() * step_k
        } else {
            shown
        })
    }
}
