//! An oscillator whose frequency performs a random walk.

use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::True;
use crate::random::Random;
use crate::scenario::OscillatorScenario;

/// What `CLOCK_MONOTONIC_RAW` is to the simulated host. It can only be asked forward in time.
#[derive(Debug)]
pub(crate) struct Oscillator {
    random: Random,
    wander: f64,
    now: Timestamp<True>,
    /// What it shows at `now`, minus true time, s.
    phase: f64,
    /// Rate minus true rate, s/s.
    frequency: f64,
    /// A change of frequency still to come.
    step: Option<(Timestamp<True>, f64)>,
}

impl Oscillator {
    pub(crate) fn new(scenario: &OscillatorScenario, random: Random) -> Self {
        let step = scenario.step_at_s.map(|at| {
            let at = Timestamp::from_epoch(Duration::from_secs_f64(at));
            (at, scenario.step_ppm * 1e-6)
        });
        Self {
            random,
            wander: scenario.wander,
            now: Timestamp::EPOCH,
            phase: 0.0,
            frequency: scenario.frequency_ppm * 1e-6,
            step,
        }
    }

    /// Lets true time pass; an earlier instant changes nothing.
    pub(crate) fn advance_to(&mut self, at: Timestamp<True>) {
        if let Some((step_at, by)) = self.step
            && at >= step_at
        {
            self.walk((step_at - self.now).as_secs_f64());
            self.now = step_at.max(self.now);
            self.frequency += by;
            self.step = None;
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
    /// w√dt·n₁, phase gains dt·f + w·dt^1.5·(n₁/2 + n₂/√12).
    fn walk(&mut self, dt: f64) {
        if dt <= 0.0 {
            return;
        }
        let (n1, n2) = (self.random.normal(), self.random.normal());
        self.phase +=
            dt * self.frequency + self.wander * dt * dt.sqrt() * (n1 / 2.0 + n2 / 12.0_f64.sqrt());
        self.frequency += self.wander * dt.sqrt() * n1;
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
            frequency_ppm: 0.0,
            ..scenario(0.0)
        };
        let mut oscillator = Oscillator::new(&steps, Random::new(1, 0));
        oscillator.advance_to(at(20));
        let gained = (oscillator.read().since_epoch() - Duration::from_secs(20)).as_secs_f64();
        assert!((gained - 100e-6).abs() < 1e-12, "{gained}");
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
