//! The host's stamps, and what reading the NIC's clock adds to them.
//!
//! A NIC stamps by its own clock. The daemon reads that clock once an exchange, when the reply is
//! there, and converts both stamps by that reading; so both are off by the same, and so is the
//! offset, but not the delay. A reading takes `read_s`. Somewhere within it the clock was read; the
//! daemon takes the middle, and knows that it is off by half of it at most.

use clockwright_timebase::{Duration, Raw, Stamp, StampKind, Timestamp};

use crate::random::Random;
use crate::scenario::StampScenario;

/// Makes stamps.
#[derive(Debug)]
pub(crate) struct Stamps {
    scenario: StampScenario,
    random: Random,
    uncertainty: Duration,
}

impl Stamps {
    pub(crate) fn new(scenario: &StampScenario, random: Random) -> Self {
        Self {
            scenario: scenario.clone(),
            random,
            uncertainty: Duration::from_secs_f64(scenario.read_s / 2.0),
        }
    }

    /// By how much the stamps of the next exchange will be late.
    pub(crate) fn read_error(&mut self) -> Duration {
        let of = &self.scenario;
        if of.read_s <= 0.0 {
            return Duration::ZERO;
        }
        let most_s = of.read_s / 2.0;
        let error_s = of.read_asymmetry * most_s + of.read_noise_s * self.random.normal();
        Duration::from_secs_f64(error_s.clamp(-most_s, most_s))
    }

    /// The stamp of a packet at `at`, converted with that error.
    pub(crate) fn stamp(&self, at: Timestamp<Raw>, error: Duration) -> Stamp<Raw> {
        Stamp {
            at: at + error,
            kind: StampKind::Kernel,
            uncertainty: self.uncertainty,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_off_as_told_and_never_by_more_than_half_of_it() {
        let scenario = StampScenario {
            read_s: 1e-6,
            read_noise_s: 0.2e-6,
            read_asymmetry: 0.2,
        };
        let mut stamps = Stamps::new(&scenario, Random::new(1, 0));
        let errors: Vec<f64> = (0..20_000)
            .map(|_| stamps.read_error().as_secs_f64())
            .collect();
        let mean = errors.iter().sum::<f64>() / 2e4;
        assert!((mean / 0.1e-6 - 1.0).abs() < 0.1, "{mean}");
        assert!(errors.iter().all(|error| error.abs() <= 0.5e-6));
        assert!(errors.iter().any(|error| error.abs() > 0.49e-6));
    }
}
