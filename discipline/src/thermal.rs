//! What the temperature does to the oscillator, learnt from how the clock strays.
//!
//! Model: UTC's frequency against the oscillator is f + c₁u + c₂u², where u is the temperature above
//! a fixed one, and f performs a random walk. Over an interval the phase gains
//!
//! ```text
//! T·f + c₁·∫u dt + c₂·∫u² dt
//! ```
//!
//! so that phase, f, c₁ and c₂ are the state of a Kalman filter (recursive least squares with
//! forgetting), which measures the phase about once a minute. The coefficients walk, too, slowly:
//! crystals age.
//!
//! How fast f walks is not known, so a row of such filters runs side by side. Beside them runs a row
//! that ignores the temperature. Each predicts every phase; the temperature is believed to matter
//! where the best that looks at it has predicted clearly better than the best that does not. A
//! sensor that shows some other temperature explains nothing and is not believed.

use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::evidence::likelihood;
use crate::kalman::Covariance;

/// Least time between measurements of the phase.
const SPACING: Duration = Duration::from_secs(64);
/// The least wander of f that is tried, s/s per √s; each next one is four times the last.
const LEAST_WANDER: f64 = 1e-11;
const WANDERS: usize = 7;
/// What is known of any crystal's coefficients: s/s per K, s/s per K².
const PRIOR_SD: (f64, f64) = (3e-7, 3e-8);
/// What is known of any crystal's frequency, s/s.
const FREQUENCY_SD: f64 = 500e-6;
/// Variance that each coefficient gains with time: (1e-9 per K)² and (1e-10 per K²)² an hour, 1/s.
const AGEING: (f64, f64) = (1e-18 / 3600.0, 1e-20 / 3600.0);
/// Predictions over which evidence is remembered.
const REMEMBERED: f64 = 128.0;
/// Log-likelihood ratio at which the temperature is believed to matter: odds of 50 to 1.
const BELIEVED: f64 = 4.0;
/// An innovation beyond this many standard deviations is a jump of the clock or the oscillator, and
/// says nothing of the temperature.
const JUMP_SIGMAS: f64 = 8.0;

/// How the frequency depends on the temperature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TemperatureFit {
    /// The temperature that the coefficients are for, °C.
    pub around_c: f64,
    /// What UTC gains in frequency on the oscillator for each degree above that, s/s per K. Positive:
    /// the oscillator slows down when it gets warmer.
    pub per_k: f64,
    /// And for each square of a degree, s/s per K².
    pub per_k2: f64,
    /// Variance of `per_k`, covariance, variance of `per_k2`.
    pub covariance: [f64; 3],
    /// The temperature at present, or when the frequency kept with this was true, °C.
    pub at_c: f64,
}

impl TemperatureFit {
    /// What one degree more does at the present temperature, s/s per K.
    pub fn slope(&self) -> f64 {
        self.per_k + 2.0 * self.per_k2 * (self.at_c - self.around_c)
    }
}

/// Phase, frequency and both coefficients, with their covariance.
#[derive(Debug, Clone)]
struct Model {
    wander: f64,
    state: [f64; 4],
    covariance: [[f64; 4]; 4],
    /// Log-likelihood of what was predicted lately.
    evidence: f64,
}

impl Model {
    /// Knows nothing of the frequency; of the coefficients what `known` says.
    fn new(wander: f64, known: Option<&TemperatureFit>) -> Self {
        let mut covariance = [[0.0; 4]; 4];
        covariance[1][1] = FREQUENCY_SD * FREQUENCY_SD;
        let mut state = [0.0; 4];
        if let Some(fit) = known {
            (state[2], state[3]) = (fit.per_k, fit.per_k2);
            let [first, cross, second] = fit.covariance;
            (covariance[2][2], covariance[3][3]) = (first, second);
            (covariance[2][3], covariance[3][2]) = (cross, cross);
        }
        Self {
            wander,
            state,
            covariance,
            evidence: 0.0,
        }
    }

    /// Lets `dt` seconds pass, over which the temperature had these integrals (K·s, K²·s).
    fn predict(&mut self, dt: f64, warmth: (f64, f64), ageing: (f64, f64)) {
        let gain = [1.0, dt, warmth.0, warmth.1];
        let dot = |column: [f64; 4]| gain.iter().zip(column).map(|(g, c)| g * c).sum::<f64>();
        self.state[0] = dot(self.state);
        let p = &mut self.covariance;
        p[0] = [0, 1, 2, 3].map(|j| dot([0, 1, 2, 3].map(|i| p[i][j])));
        let column = [0, 1, 2, 3].map(|i| dot(p[i]));
        for (row, value) in p.iter_mut().zip(column) {
            row[0] = value;
        }
        let walked = Covariance {
            phase: 0.0,
            cross: 0.0,
            frequency: 0.0,
        }
        .after(dt, self.wander);
        p[0][0] += walked.phase;
        p[0][1] += walked.cross;
        p[1][0] += walked.cross;
        p[1][1] += walked.frequency;
        p[2][2] += ageing.0 * dt;
        p[3][3] += ageing.1 * dt;
    }

    /// How many standard deviations a phase (s) of variance `r` (s²) is from the predicted one.
    fn sigmas(&self, phase: f64, r: f64) -> f64 {
        (phase - self.state[0]).abs() / (self.covariance[0][0] + r).sqrt()
    }

    /// Takes in a measured phase, which then is the origin.
    fn update(&mut self, phase: f64, r: f64) {
        let innovation = phase - self.state[0];
        let p = &mut self.covariance;
        let variance = p[0][0] + r;
        self.evidence += likelihood(innovation, variance) - self.evidence / REMEMBERED;
        let first = p[0];
        for (state, row) in self.state.iter_mut().zip(p.iter_mut()) {
            let gain = row[0] / variance;
            *state += gain * innovation;
            for (value, in_first) in row.iter_mut().zip(first) {
                *value -= gain * in_first;
            }
        }
        self.state[0] -= phase;
    }

    /// Phase and frequency are to be found anew, from a phase of variance `r` (s²), with the
    /// frequency more uncertain by `more` (s/s); the coefficients stay.
    fn begin_again(&mut self, r: f64, more: f64) {
        self.state[0] = 0.0;
        let p = &mut self.covariance;
        let frequency = p[1][1] + more * more;
        p[0] = [r, 0.0, 0.0, 0.0];
        p[1] = [0.0, frequency, 0.0, 0.0];
        for coefficient in &mut p[2..] {
            (coefficient[0], coefficient[1]) = (0.0, 0.0);
        }
    }
}

/// The last measured phase.
#[derive(Debug, Clone, Copy)]
struct Measured {
    at: Timestamp<Raw>,
    offset: Duration,
    warmth: (f64, f64),
}

/// Learns the coefficients, and whether they are worth anything.
#[derive(Debug, Clone)]
pub(crate) struct Thermal {
    /// Those that look at the temperature.
    aware: [Model; WANDERS],
    /// Those that do not.
    blind: [Model; WANDERS],
    last: Option<Measured>,
    believed: bool,
}

impl Thermal {
    /// Begins with what was known in an earlier life. That is believed until it fails.
    pub(crate) fn new(known: Option<&TemperatureFit>) -> Self {
        let any = TemperatureFit {
            around_c: 0.0,
            per_k: 0.0,
            per_k2: 0.0,
            covariance: [PRIOR_SD.0.powi(2), 0.0, PRIOR_SD.1.powi(2)],
            at_c: 0.0,
        };
        let mut wander = LEAST_WANDER / 4.0;
        let wanders = [(); WANDERS].map(|()| {
            wander *= 4.0;
            wander
        });
        let mut thermal = Self {
            aware: wanders.map(|wander| Model::new(wander, Some(known.unwrap_or(&any)))),
            blind: wanders.map(|wander| Model::new(wander, None)),
            last: None,
            believed: known.is_some(),
        };
        if thermal.believed {
            for model in &mut thermal.aware {
                model.evidence = 2.0 * BELIEVED;
            }
        }
        thermal
    }

    /// Takes in UTC minus the oscillator at an instant, with its variance (s²) and the integrals of
    /// the temperature since the beginning (K·s, K²·s).
    pub(crate) fn note(
        &mut self,
        at: Timestamp<Raw>,
        offset: Duration,
        r: f64,
        warmth: (f64, f64),
    ) {
        let now = Measured { at, offset, warmth };
        let Some(last) = self.last else {
            self.last = Some(now);
            self.for_each(|model| model.begin_again(r, 0.0));
            return;
        };
        if at - last.at < SPACING {
            return;
        }
        self.last = Some(now);
        let dt = (at - last.at).as_secs_f64();
        let phase = (offset - last.offset).as_secs_f64();
        let warmth = (warmth.0 - last.warmth.0, warmth.1 - last.warmth.1);
        for model in &mut self.aware {
            model.predict(dt, warmth, AGEING);
        }
        for model in &mut self.blind {
            model.predict(dt, (0.0, 0.0), (0.0, 0.0));
        }
        let jumped = |model: &Model| model.sigmas(phase, r) > JUMP_SIGMAS;
        if jumped(best(&self.aware)) && jumped(best(&self.blind)) {
            let more = (phase - best(&self.aware).state[0]) / dt;
            self.for_each(|model| model.begin_again(r, more));
            return;
        }
        self.for_each(|model| model.update(phase, r));
        let better = best(&self.aware).evidence - best(&self.blind).evidence;
        self.believed = better > if self.believed { 0.0 } else { BELIEVED };
    }

    /// The phase or the temperature has jumped unseen.
    pub(crate) fn forget_phase(&mut self) {
        self.last = None;
    }

    /// Has the temperature been found to matter?
    pub(crate) fn is_believed(&self) -> bool {
        self.believed
    }

    /// The coefficients: s/s per K, s/s per K².
    pub(crate) fn coefficients(&self) -> (f64, f64) {
        let state = best(&self.aware).state;
        (state[2], state[3])
    }

    /// Their variances and covariance.
    pub(crate) fn covariance(&self) -> [f64; 3] {
        let p = best(&self.aware).covariance;
        [p[2][2], p[2][3], p[3][3]]
    }

    fn for_each(&mut self, mut act: impl FnMut(&mut Model)) {
        self.aware
            .iter_mut()
            .chain(&mut self.blind)
            .for_each(&mut act);
    }
}

/// The one that has predicted best lately.
fn best(row: &[Model; WANDERS]) -> &Model {
    let [first, rest @ ..] = row;
    rest.iter().fold(first, |best, model| {
        if model.evidence > best.evidence {
            model
        } else {
            best
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock whose frequency follows the temperature, which swings by 5 K in an hour, as `sensor`
    /// shows it or does not; for so many minutes.
    fn learn(minutes: u32, sensor: impl Fn(f64) -> f64) -> Thermal {
        let mut thermal = Thermal::new(None);
        let temperature = |s: f64| 5.0 * (core::f64::consts::TAU * s / 3600.0).sin();
        let (mut phase, mut warmth) = (0.0, (0.0, 0.0));
        let mut noise = 1_u32;
        for second in 0..minutes * 60 {
            let s = f64::from(second);
            let (truth, shown) = (temperature(s), sensor(s));
            phase += 12e-6 + 1e-7 * truth - 2e-9 * truth * truth;
            warmth.0 += shown;
            warmth.1 += shown * shown;
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let error = (f64::from(noise >> 8) / f64::from(1 << 24) - 0.5) * 3e-7;
            let at = Timestamp::from_epoch(Duration::from_secs(i64::from(second) + 1));
            let offset = Duration::from_secs_f64(phase + error);
            thermal.note(at, offset, 1e-14, warmth);
        }
        thermal
    }

    #[test]
    fn what_the_temperature_does_is_found() {
        let thermal = learn(180, |s| 5.0 * (core::f64::consts::TAU * s / 3600.0).sin());
        assert!(thermal.is_believed());
        let (per_k, per_k2) = thermal.coefficients();
        assert!((per_k - 1e-7).abs() < 2e-9, "{per_k:e}");
        assert!((per_k2 + 2e-9).abs() < 1e-9, "{per_k2:e}");
        let [variance, ..] = thermal.covariance();
        assert!((per_k - 1e-7).abs() < 4.0 * variance.sqrt(), "{variance:e}");
    }

    #[test]
    fn a_sensor_that_shows_something_else_is_not_believed() {
        for period in [700.0, 1500.0, 5000.0, 20_000.0] {
            let thermal = learn(600, |s| 4.0 * (core::f64::consts::TAU * s / period).sin());
            assert!(!thermal.is_believed(), "{period}");
        }
        assert!(!learn(600, |_| 1.0).is_believed());
    }

    #[test]
    fn what_was_known_is_believed_until_it_fails() {
        let known = TemperatureFit {
            around_c: 30.0,
            per_k: 1e-7,
            per_k2: -2e-9,
            covariance: [1e-18, 0.0, 1e-20],
            at_c: 30.0,
        };
        assert!(Thermal::new(Some(&known)).is_believed());
    }
}
