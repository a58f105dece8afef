//! A server's clock: how wrong it is, and how that changes.

use clockwright_timebase::{Duration, Timestamp};

use crate::True;
use crate::random::Random;
use crate::scenario::{ErrorChange, ErrorWander, SourceScenario};

/// The error of a server's clock. It can only be asked forward in time.
#[derive(Debug)]
pub(crate) struct ServerClock {
    random: Random,
    at_s: f64,
    /// Its error but for the wander, s.
    error_s: f64,
    /// How fast that grows, s/s.
    drift: f64,
    wander: Option<ErrorWander>,
    wandered_s: f64,
    /// Changes to come, the next one last.
    changes: Vec<ErrorChange>,
}

impl ServerClock {
    pub(crate) fn new(scenario: &SourceScenario, mut random: Random) -> Self {
        let mut changes = scenario.error_change.clone();
        changes.sort_by(|a, b| b.at_s.total_cmp(&a.at_s));
        let wandered_s = scenario
            .error_wander
            .map_or(0.0, |wander| wander.deviation_s * random.normal());
        Self {
            random,
            at_s: 0.0,
            error_s: scenario.error_s,
            drift: 0.0,
            wander: scenario.error_wander,
            wandered_s,
            changes,
        }
    }

    /// How far it is ahead at `at`.
    pub(crate) fn error_at(&mut self, at: Timestamp<True>) -> Duration {
        let at_s = at.since_epoch().as_secs_f64();
        while let Some(change) = self.changes.pop_if(|change| change.at_s <= at_s) {
            self.drift_until(change.at_s);
            self.error_s += change.by_s;
            self.drift = change.drift_ppm * 1e-6;
        }
        self.drift_until(at_s);
        Duration::from_secs_f64(self.error_s + self.wandered_s)
    }

    fn drift_until(&mut self, at_s: f64) {
        let dt = (at_s - self.at_s).max(0.0);
        self.at_s = self.at_s.max(at_s);
        self.error_s += self.drift * dt;
        if let Some(wander) = self.wander {
            let kept = (-dt / wander.time_s).exp();
            let new = wander.deviation_s * (1.0 - kept * kept).sqrt();
            self.wandered_s = kept * self.wandered_s + new * self.random.normal();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_s(clock: &mut ServerClock, at_s: f64) -> f64 {
        let at = Timestamp::from_epoch(Duration::from_secs_f64(at_s));
        clock.error_at(at).as_secs_f64()
    }

    #[test]
    fn an_error_steps_and_drifts_when_told() {
        let change = |at_s, by_s, drift_ppm| ErrorChange {
            at_s,
            by_s,
            drift_ppm,
        };
        let scenario = SourceScenario {
            error_s: 1e-3,
            error_change: vec![change(200.0, 0.0, 0.0), change(100.0, 2e-3, 10.0)],
            ..SourceScenario::default()
        };
        let mut clock = ServerClock::new(&scenario, Random::new(1, 0));
        for (at_s, expected_s) in [(99.0, 1e-3), (150.0, 3.5e-3), (300.0, 4e-3)] {
            let error_s = error_s(&mut clock, at_s);
            assert!((error_s - expected_s).abs() < 1e-12, "{at_s} {error_s}");
        }
    }

    #[test]
    fn it_wanders_within_its_deviation_and_slowly() {
        let scenario = SourceScenario {
            error_wander: Some(ErrorWander {
                deviation_s: 1e-6,
                time_s: 100.0,
            }),
            ..SourceScenario::default()
        };
        let mut clock = ServerClock::new(&scenario, Random::new(1, 0));
        let errors: Vec<f64> = (0..100_000)
            .map(|second| error_s(&mut clock, f64::from(second)))
            .collect();
        let rms = |values: &mut dyn Iterator<Item = f64>| {
            (values.map(|v| v * v).sum::<f64>() / 1e5).sqrt()
        };
        let deviation = rms(&mut errors.iter().copied());
        assert!((0.8e-6..1.2e-6).contains(&deviation), "{deviation}");
        let change = rms(&mut errors.windows(2).map(|w| w[1] - w[0]));
        // √2·√(1 − e^(−1/100)) of the deviation.
        assert!((change / 1e-6 - 0.141).abs() < 0.01, "{change}");
    }
}
