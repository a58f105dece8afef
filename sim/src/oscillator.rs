//! An oscillator whose frequency performs a random walk, with white noise on top, steps, and a
//! temperature.

use std::cmp::Reverse;

use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::True;
use crate::random::Random;
use crate::scenario::{FrequencyStep, OscillatorScenario, TemperatureScenario};

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
    warmth: Option<Warmth>,
    /// Does it count nothing, since the host sleeps?
    stands: bool,
    /// Changes of frequency (s/s) still to come, the next one last.
    steps: Vec<(Timestamp<True>, f64)>,
}

impl Oscillator {
    pub(crate) fn new(
        scenario: &OscillatorScenario,
        temperature: &TemperatureScenario,
        random: Random,
    ) -> Self {
        let step = |step: FrequencyStep| {
            let at = Timestamp::from_epoch(Duration::from_secs_f64(step.at_s));
            (at, step.ppm * 1e-6)
        };
        let mut steps: Vec<_> = scenario.steps().into_iter().map(step).collect();
        let warmth = Warmth::new(scenario, temperature);
        if warmth.is_some() {
            // Where the temperature bends, so that no interval of integration spans a bend.
            steps.extend(temperature.step.iter().map(|bend| {
                let at = Timestamp::from_epoch(Duration::from_secs_f64(bend.at_s));
                (at, 0.0)
            }));
        }
        steps.sort_by_key(|(at, _)| Reverse(*at));
        Self {
            random,
            wander: scenario.wander,
            white: scenario.white,
            now: Timestamp::EPOCH,
            phase: 0.0,
            frequency: scenario.frequency_ppm * 1e-6,
            warmth,
            stands: false,
            steps,
        }
    }

    /// Counts nothing from now on.
    pub(crate) fn stop(&mut self) {
        self.stands = true;
    }

    /// Counts again, faster than before by `by` (s/s).
    pub(crate) fn go_on(&mut self, by: f64) {
        self.stands = false;
        self.frequency += by;
    }

    /// Lets true time pass; an earlier instant changes nothing.
    pub(crate) fn advance_to(&mut self, at: Timestamp<True>) {
        if self.stands {
            self.phase -= (at - self.now).as_secs_f64().max(0.0);
            self.now = self.now.max(at);
            return;
        }
        while let Some((step_at, by)) = self.steps.pop_if(|(step_at, _)| *step_at <= at) {
            self.walk((step_at - self.now).as_secs_f64());
            self.now = step_at.max(self.now);
            self.frequency += by;
        }
        self.walk((at - self.now).as_secs_f64());
        self.now = self.now.max(at);
    }

    /// True time now.
    pub(crate) fn now(&self) -> Timestamp<True> {
        self.now
    }

    /// True time now, s since the start.
    pub(crate) fn true_s(&self) -> f64 {
        self.now.since_epoch().as_secs_f64()
    }

    /// What it shows now.
    pub(crate) fn read(&self) -> Timestamp<Raw> {
        self.now.shifted_to(Duration::from_secs_f64(self.phase))
    }

    /// The true instant at which it will show `target`, if its rate stays; not before now.
    pub(crate) fn when(&self, target: Timestamp<Raw>) -> Timestamp<True> {
        let remaining = (target - self.read()).as_secs_f64() / (1.0 + self.frequency_now());
        // A nanosecond late rather than early: an event that comes too early would come again.
        self.now + Duration::from_secs_f64(remaining.max(0.0)) + Duration::from_nanos(1)
    }

    /// Rate minus true rate, with what the temperature does, s/s.
    pub(crate) fn frequency_now(&self) -> f64 {
        self.frequency + self.warmth.as_ref().map_or(0.0, |warmth| warmth.frequency)
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
        if let Some(warmth) = &mut self.warmth {
            self.phase += warmth.gain_s(self.now.since_epoch().as_secs_f64(), dt);
        }
    }
}

/// What the temperature does to the frequency.
#[derive(Debug)]
struct Warmth {
    temperature: TemperatureScenario,
    /// s/s per K.
    linear: f64,
    /// s/s per K².
    square: f64,
    /// At the end of the last interval, s/s.
    frequency: f64,
}

impl Warmth {
    /// `None` if the temperature does nothing.
    fn new(scenario: &OscillatorScenario, temperature: &TemperatureScenario) -> Option<Self> {
        let mut warmth = Self {
            temperature: temperature.clone(),
            linear: scenario.ppm_per_k * 1e-6,
            square: scenario.ppm_per_k2 * 1e-6,
            frequency: 0.0,
        };
        warmth.frequency = warmth.frequency_at(0.0);
        let matters = warmth.linear != 0.0 || warmth.square != 0.0;
        matters.then_some(warmth)
    }

    fn frequency_at(&self, at_s: f64) -> f64 {
        let above_k = self.temperature.above_mean_k(at_s);
        above_k * (self.linear + self.square * above_k)
    }

    /// By how much the phase grows from `from_s` over `dt` seconds, s (Simpson's rule).
    fn gain_s(&mut self, from_s: f64, dt: f64) -> f64 {
        // A step that begins at `from_s` is already in the frequency there.
        let begin = self.frequency_at(from_s);
        let middle = self.frequency_at(from_s + dt / 2.0);
        // Just before the end: a step that begins there belongs to the next interval.
        let end_s = from_s + dt * (1.0 - 1e-12);
        let end = self.frequency_at(end_s);
        self.frequency = end;
        dt * (begin + 4.0 * middle + end) / 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::TemperatureStep;

    fn scenario(wander: f64) -> OscillatorScenario {
        OscillatorScenario {
            frequency_ppm: 50.0,
            wander,
            ..OscillatorScenario::default()
        }
    }

    fn oscillator(scenario: &OscillatorScenario, random: Random) -> Oscillator {
        Oscillator::new(scenario, &TemperatureScenario::default(), random)
    }

    fn at(secs: i64) -> Timestamp<True> {
        Timestamp::from_epoch(Duration::from_secs(secs))
    }

    #[test]
    fn without_wander_it_is_a_line() {
        let mut oscillator = oscillator(&scenario(0.0), Random::new(1, 0));
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
        let mut oscillator = oscillator(&steps, Random::new(1, 0));
        oscillator.advance_to(at(20));
        let gained = (oscillator.read().since_epoch() - Duration::from_secs(20)).as_secs_f64();
        assert!((gained - 70e-6).abs() < 1e-12, "{gained}");
    }

    #[test]
    fn the_temperature_bends_its_phase() {
        let bent = OscillatorScenario {
            ppm_per_k: 0.5,
            ppm_per_k2: 0.01,
            frequency_ppm: 0.0,
            ..scenario(0.0)
        };
        let temperature = TemperatureScenario {
            swing_k: 4.0,
            period_s: 1000.0,
            step: vec![
                TemperatureStep {
                    at_s: 2000.0,
                    by_k: 10.0,
                    time_s: 0.0,
                },
                TemperatureStep {
                    at_s: 2500.0,
                    by_k: -10.0,
                    time_s: 50.0,
                },
            ],
            ..TemperatureScenario::default()
        };
        for tick in [1, 7, 20] {
            let mut oscillator = Oscillator::new(&bent, &temperature, Random::new(1, 0));
            (1..=3000 / tick).for_each(|n| oscillator.advance_to(at(n * tick)));
            oscillator.advance_to(at(3000));
            let gained = oscillator.read().since_epoch() - Duration::from_secs(3000);
            // The sum of small rectangles.
            let f = |s: f64| {
                let k = temperature.above_mean_k(s);
                0.5e-6 * k + 0.01e-6 * k * k
            };
            let expected = (0..3_000_000).map(|ms| f((f64::from(ms) + 0.5) * 1e-3) * 1e-3);
            let expected = expected.sum::<f64>();
            let off = gained.as_secs_f64() - expected;
            assert!(off.abs() < 1e-8, "{tick} {off:e} of {expected:e}");
        }
    }

    #[test]
    fn white_noise_has_the_allan_deviation_it_should() {
        let noisy = OscillatorScenario {
            white: 1e-9,
            ..scenario(0.0)
        };
        let mut oscillator = oscillator(&noisy, Random::new(1, 0));
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
                let mut oscillator = oscillator(&scenario(1e-9), Random::new(seed, 0));
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
