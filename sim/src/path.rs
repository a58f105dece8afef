//! Network paths: delay, jitter, loss, asymmetry.

use clockwright_timebase::Duration;

use crate::random::Random;
use crate::scenario::{Distribution, PathScenario};

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the server.
    There,
    /// To the host.
    Back,
}

/// A path with its own randomness.
#[derive(Debug)]
pub(crate) struct Path {
    scenario: PathScenario,
    random: Random,
}

impl Path {
    pub(crate) fn new(scenario: PathScenario, random: Random) -> Self {
        Self { scenario, random }
    }

    /// How long the next packet takes, or `None` if it is lost.
    pub(crate) fn carry(&mut self, way: Way) -> Option<Duration> {
        let path = &self.scenario;
        if self.random.uniform() <= path.loss {
            return None;
        }
        let asymmetry = match way {
            Way::There => path.asymmetry_s,
            Way::Back => -path.asymmetry_s,
        };
        let queued = self.random.uniform() <= path.queued;
        let varies = match path.distribution {
            Distribution::Normal => self.random.normal(),
            Distribution::Exponential => self.random.exponential(),
        };
        let jitter = if queued { path.jitter_s * varies } else { 0.0 };
        let delay = (path.delay_s + asymmetry + jitter).max(0.0);
        Some(Duration::from_secs_f64(delay))
    }
}

impl PathScenario {
    /// The RMS error of one offset measured over this path, asymmetry aside, s.
    pub(crate) fn offset_noise_s(&self) -> f64 {
        // Of one way: E[x²] − E[x]² of a variable that is 0 but for a part q of the packets.
        let q = self.queued;
        let variance = match self.distribution {
            Distribution::Normal => q,
            Distribution::Exponential => 2.0 * q - q * q,
        };
        self.jitter_s * variance.sqrt() / 2.0_f64.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_noise_is_what_the_path_makes() {
        for (distribution, queued) in [
            (Distribution::Normal, 1.0),
            (Distribution::Exponential, 1.0),
            (Distribution::Exponential, 0.5),
        ] {
            let scenario = PathScenario {
                distribution,
                queued,
                delay_s: 1e-3,
                ..PathScenario::default()
            };
            let mut path = Path::new(scenario.clone(), Random::new(5, 0));
            let mut take = |way| path.carry(way).map_or(f64::NAN, Duration::as_secs_f64);
            let n = 50_000;
            let square = (0..n)
                .map(|_| ((take(Way::There) - take(Way::Back)) / 2.0).powi(2))
                .sum::<f64>()
                / f64::from(n);
            let ratio = square.sqrt() / scenario.offset_noise_s();
            assert!((ratio - 1.0).abs() < 0.03, "{distribution:?} {ratio}");
        }
    }

    #[test]
    fn loss_loses() {
        let scenario = PathScenario {
            loss: 0.25,
            ..PathScenario::default()
        };
        let mut path = Path::new(scenario, Random::new(5, 0));
        let lost = (0..10_000)
            .filter(|_| path.carry(Way::There).is_none())
            .count();
        assert!((2300..2700).contains(&lost), "{lost}");
    }
}
