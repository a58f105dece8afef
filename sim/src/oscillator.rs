//! An oscillator whose frequency performs a random walk, with white noise on top and steps.

use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::True;
use crate::random::Random;
use crate::scenario::{FrequencyStep, OscillatorScenario};

/// 1/√12.
const INV_ROOT_12: f64 = 0.288_675_134_594_812_9;

/// What `CLOCK_MONOTONIC_RAW` is to the simulated host. It can only be asked forward in time.
#[derive(Debug)]
pub(crate) struct Oscillator {
    random: Random,
    wander: f64,
    white: f64,
    now: Timestamp<True>,
    /// What it shows at `now`, minus true time, s.
    phase: f64,
    /// Rate minus true rate, s/s.
    frequency: f64,
    /// Changes of frequency (s/s) still to come, the next one last.
    steps: Vec<(Timestamp<True>, f64)>,
}

impl Oscillator {
    pub(crate) fn new(scenario: &OscillatorScenario, random: Random) -> Self {
        let step = |step: FrequencyStep| {
            let at = Timestamp::from_epoch(Duration::from_secs_f64(step.at_s));
            (at, step.ppm * 1e-6)
        };
        let steps = scenario.steps().into_iter().rev().map(step).collect();
        Self {
            random,
            wander: scenario.wander,
            white: scenario.white,
            now: Timestamp::EPOCH,
            phase: 0.0,
            frequency: scenario.frequency_ppm * 1e-6,
            steps,
        }
    }

    /// Lets true time pass; an earlier instant changes nothing.
    pub(crate) fn advance_to(&mut self, at: Timestamp<True>) {
        while let Some((step_at, by)) = self.steps.pop_if(|(step_at, _)| *step_at <= at) {
            self.walk((step_at - self.now).as_secs_f64());
            self.now = step_at.max(self.now);
            self.frequency += by;
        }
        self.walk((at - self.now).as_secs_f64());
        self.now = self.now.max(at);
    }

    /// What it shows now.
    pub(crate) fn read(&self) -> Timestamp<Raw> {
        self.now.shifted_to(Duration::from_secs_f64(self.phase))
    }

    /// The true instant at which it will show `target`, if its rate stays; not before now.
    pub(crate) fn when(&self, target: Timestamp<Raw>) -> Timestamp<True> {
        let remaining = (target - self.read()).as_secs_f64() / (1.0 + self.frequency);
        // A nanosecond late rather than early: an event that comes too early would come again.
        self.now + Duration::from_secs_f64(remaining.max(0.0)) + Duration::from_nanos(1)
    }

    /// The exact increments of an integrated random walk over `dt` seconds: frequency gains
    /// w√dt·n₁, phase gains dt·f + w·dt^1.5·(n₁/2 + n₂/√12), and s√dt·n₃ by white noise.
    fn walk(&mut self, dt: f64) {
        if dt <= 0.0 {
            return;
        }
        let root = dt.sqrt();
        let (n1, n2) = (self.random.normal(), self.random.normal());
        self.phase += dt * self.frequency + self.wander * dt * root * (n1 / 2.0 + n2 * INV_ROOT_12);
        self.frequency += self.wander * root * n1;
        if self.white > 0.0 {
            self.phase += self.white * root * self.random.normal();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(wander: f64) -> OscillatorScenario {
        OscillatorScenario {
            frequency_ppm: 50.0,
            wander,
            ..OscillatorScenario::default()
        }
    }

    fn at(secs: i64) -> Timestamp<True> {
        Timestamp::from_epoch(Duration::from_secs(secs))
    }

    #[test]
    fn without_wander_it_is_a_line() {
        let mut oscillator = Oscillator::new(&scenario(0.0), Random::new(1, 0));
        oscillator.advance_to(at(1000));
        let gained = (oscillator.read().since_epoch() - Duration::from_secs(1000)).as_secs_f64();
        assert!((gained - 0.05).abs() < 1e-12);
        let when = oscillator.when(oscillator.read() + Duration::from_secs(100));
        assert!(((when - at(1000)).as_secs_f64() - 100.0 / (1.0 + 50e-6)).abs() < 1e-8);
    }

    #[test]
    fn a_frequency_step_comes_when_it_should() {
        let steps = OscillatorScenario {
            step_at_s: Some(10.0),
            step_ppm: 10.0,
            step: vec![FrequencyStep {
                at_s: 5.0,
                ppm: -2.0,
            }],
            frequency_ppm: 0.0,
            ..scenario(0.0)
        };
        let mut oscillator = Oscillator::new(&steps, Random::new(1, 0));
        oscillator.advance_to(at(20));
        let gained = (oscillator.read().since_epoch() - Duration::from_secs(20)).as_secs_f64();
        assert!((gained - 70e-6).abs() < 1e-12, "{gained}");
    }

    #[test]
    fn white_noise_has_the_allan_deviation_it_should() {
        let noisy = OscillatorScenario {
            white: 1e-9,
            ..scenario(0.0)
        };
        let mut oscillator = Oscillator::new(&noisy, Random::new(1, 0));
        let phases: Vec<f64> = (0..=20_000)
            .map(|second| {
                oscillator.advance_to(at(second));
                (oscillator.read().since_epoch() - Duration::from_secs(second)).as_secs_f64()
            })
            .collect();
        let square = |w: &[f64]| (w[2] - 2.0 * w[1] + w[0]).powi(2) / 2.0;
        let variance = phases.windows(3).map(square).sum::<f64>() / 20_000.0;
        assert!((variance.sqrt() / 1e-9 - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn the_walk_has_the_variance_it_should() {
        let (runs, seconds) = (400, 100);
        let mean_square = (0..runs)
            .map(|seed| {
                let mut oscillator = Oscillator::new(&scenario(1e-9), Random::new(seed, 0));
                (1..=seconds).for_each(|s| oscillator.advance_to(at(s)));
                let shown = oscillator.read().since_epoch() - Duration::from_secs(seconds);
                (shown.as_secs_f64() - 50e-6 * 100.0).powi(2)
            })
            .sum::<f64>()
            / 400.0;
        // w²·t³/3
        let expected = 1e-18 * 1e6 / 3.0;
        assert!((mean_square / expected - 1.0).abs() < 0.25, "{mean_square}");
    }
}
