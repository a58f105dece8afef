//! The first few samples, where every one of them counts.
//!
//! The bank of filters has to learn how large noise is, and takes waits for noise. Of the five samples that a
//! burst has given after ten seconds, more can be made. With L(t) = a + b·t the offset at the time of
//! each, and h half of the floor of the round trip, 2n packets say
//!
//! ```text
//! there   uᵢ = delay/2 + offset =  L(tᵢ) + h + eᵢ
//! back    dᵢ = delay/2 − offset = −L(tᵢ) + h + eᵢ'
//! ```
//!
//! and all that is not known beforehand can be integrated over: h evenly, the scale σ or τ of the
//! errors with density 1/σ. What is left is the posterior of a and b, and the evidence of the model.
//!
//! - Noise, e normal: regression, with S the sum of squares that it leaves and ν = 2n − 3 degrees of freedom.
//!   The posterior is Student's; the evidence, with the determinant of the design 8n²·Σt²,
//!
//!   ```text
//!   ½ Γ(ν/2) (π·S)^(−ν/2) / √(8n²·Σt²)
//!   ```
//!
//! - Waits, e ≥ 0 and exponential: possible are floors h ≤ H(a, b) = min over i of min(uᵢ − L(tᵢ), dᵢ + L(tᵢ)),
//!   and with D the sum of all delays
//!
//!   ```text
//!   p(a, b) ∝ (D − 2n·H(a, b))^(1−2n)      times Γ(2n − 1) / 2n for the evidence
//!   ```
//!
//!   This neither has a scale to guess nor an idea of which packets have waited; its tails are heavy.
//!   Mean, covariance and evidence are sums over a grid, which is drawn anew around them until it fits.
//!
//! Both are mixed by their evidence. That is nearly as good as either where it holds (tests below), and
//! knows how good it is. The bank goes on from there, until its own model is the better one: when there are
//! many samples, or the oscillator's wander could be seen.

use core::f64::consts::{LN_2, PI};

use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::filter::RESOLUTION_S;
use crate::kalman::{Covariance, Kalman};
use crate::sample::Sample;

/// Samples of which something can be made.
const FEWEST: usize = 4;
/// Samples after which the bank knows better.
const MOST: usize = 16;
/// Points of the grid on either side of its middle.
const HALF: i32 = 10;
/// How far the grid reaches, in standard deviations.
const REACH: f64 = 5.0;
/// How often it is drawn.
const DRAWN: u32 = 5;
/// What is left of its reach at least, from one time to the next.
const SHRUNK: f64 = 0.15;
/// The part of the variance that wander may have.
const BENT: f64 = 0.1;

/// The first samples of a source; none once they are over.
#[derive(Debug, Clone, Default)]
pub(crate) struct FirstFew {
    samples: Vec<Sample>,
    over: bool,
}

/// What was known of the oscillator before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// Frequency and its standard deviation, s/s.
    pub(crate) frequency: (f64, f64),
    /// Wander, s/s per √s.
    pub(crate) wander: f64,
}

/// What the packets of a sample took, s.
#[derive(Debug, Clone, Copy)]
struct Trip {
    /// When, since the mean of all, s.
    t: f64,
    there: f64,
    back: f64,
}

/// Mean and covariance of offset (s, at the mean of all times) and frequency (s/s), and the logarithm of
/// the evidence.
#[derive(Debug, Clone, Copy)]
struct Posterior {
    mean: (f64, f64),
    covariance: Covariance,
    ln_evidence: f64,
}

impl FirstFew {
    /// Takes in a sample.
    pub(crate) fn note(&mut self, sample: &Sample) {
        if self.samples.len() == MOST {
            self.end();
        }
        if !self.over {
            self.samples.push(*sample);
        }
    }

    /// No more of them: the bank knows better, or they do not belong together.
    pub(crate) fn end(&mut self) {
        self.samples = Vec::new();
        self.over = true;
    }

    /// The same with one more.
    pub(crate) fn with(&self, sample: &Sample) -> Self {
        let mut all = self.clone();
        all.note(sample);
        all
    }

    /// What they say as of the last one, relative to `origin`. Nothing of too few, of too many, or where
    /// wander shows.
    pub(crate) fn state(&self, origin: Duration, known: Known) -> Option<Kalman> {
        let (first, last) = (self.samples.first()?, self.samples.last()?);
        if self.samples.len() < FEWEST {
            return None;
        }
        let since = |at: Timestamp<Raw>| (at - first.at).as_secs_f64();
        let times = self.samples.iter().map(|sample| since(sample.at));
        let mean_t = times.sum::<f64>() / self.samples.len() as f64;
        let trip = |sample: &Sample| {
            let offset = (sample.offset - origin).as_secs_f64();
            let half = sample.delay.as_secs_f64() / 2.0;
            Trip {
                t: since(sample.at) - mean_t,
                there: half + offset,
                back: half - offset,
            }
        };
        let trips: Vec<Trip> = self.samples.iter().map(trip).collect();
        let noise = of_noise(&trips, known.frequency);
        let found = noise.mixed_with(&of_waits(&trips, known.frequency, &noise)?);

        let length = since(last.at);
        let bent = Covariance::default().after(length / 2.0, known.wander);
        let mut covariance = found.covariance.after(length - mean_t, 0.0);
        if bent.phase > BENT * covariance.phase {
            return None;
        }
        covariance += bent;
        Some(Kalman {
            phase: found.mean.0 + found.mean.1 * (length - mean_t),
            frequency: found.mean.1,
            covariance,
        })
    }
}

/// With errors that are normal.
fn of_noise(trips: &[Trip], prior: (f64, f64)) -> Posterior {
    let n = trips.len() as f64;
    let mean = |of: fn(&Trip) -> f64| trips.iter().map(of).sum::<f64>() / n;
    let a = mean(|trip| (trip.there - trip.back) / 2.0);
    let h = mean(|trip| f64::midpoint(trip.there, trip.back));
    let tt: f64 = trips.iter().map(|trip| trip.t * trip.t).sum();
    let slopes = trips.iter().map(|trip| trip.t * (trip.there - trip.back));
    let tx = slopes.sum::<f64>() / 2.0;
    let freedom = 2.0 * n - 3.0;
    let square = |trip: &Trip| {
        let line = a + tx / tt * trip.t;
        (trip.there - line - h).powi(2) + (trip.back + line - h).powi(2)
    };
    let squares: f64 = trips.iter().map(square).sum();
    let squares = squares.max(freedom * RESOLUTION_S * RESOLUTION_S);
    let variance = squares / freedom;
    // Student's distribution is wider than the normal one.
    let variance = variance * freedom / (freedom - 2.0);
    let (seen, known) = (2.0 * tt / variance, prior.1.powi(-2));
    Posterior {
        mean: (a, (seen * tx / tt + known * prior.0) / (seen + known)),
        covariance: Covariance {
            phase: variance / (2.0 * n),
            cross: 0.0,
            frequency: (seen + known).recip(),
        },
        ln_evidence: ln_gamma_of_half(2 * trips.len() - 3)
            - LN_2
            - freedom / 2.0 * (PI * squares).ln()
            - (8.0 * n * n * tt).ln() / 2.0,
    }
}

/// With errors that are waits; about where `noise` would have them.
fn of_waits(trips: &[Trip], prior: (f64, f64), noise: &Posterior) -> Option<Posterior> {
    let reach = |of: &Posterior| {
        let (a, b) = (of.covariance.phase, of.covariance.frequency);
        (REACH * a.sqrt(), REACH * b.sqrt())
    };
    let (mut middle, mut reaches) = (noise.mean, reach(noise));
    let mut found = None;
    for _ in 0..DRAWN {
        let drawn = on_a_grid(trips, prior, middle, reaches)?;
        let next = reach(&drawn);
        middle = drawn.mean;
        reaches = (
            next.0.max(SHRUNK * reaches.0),
            next.1.max(SHRUNK * reaches.1),
        );
        found = Some(drawn);
    }
    found
}

/// What the points of a grid say together that reaches so far to either side of its middle. `None` where
/// nothing can be told.
fn on_a_grid(
    trips: &[Trip],
    prior: (f64, f64),
    middle: (f64, f64),
    reach: (f64, f64),
) -> Option<Posterior> {
    let n = trips.len() as f64;
    let delays: f64 = trips.iter().map(|trip| trip.there + trip.back).sum();
    let ln_density = |a: f64, b: f64| {
        let floor = |trip: &Trip| {
            let line = a + b * trip.t;
            (trip.there - line).min(trip.back + line)
        };
        let floor = trips.iter().map(floor).fold(f64::INFINITY, f64::min);
        let waits = delays - 2.0 * n * (floor - RESOLUTION_S);
        (1.0 - 2.0 * n) * waits.ln() - ((b - prior.0) / prior.1).powi(2) / 2.0
    };
    let step = (reach.0 / f64::from(HALF), reach.1 / f64::from(HALF));
    let lines = (-HALF..=HALF).map(|i| step.0 * f64::from(i));
    let points: Vec<[f64; 3]> = lines
        .flat_map(|a| (-HALF..=HALF).map(move |j| (a, step.1 * f64::from(j))))
        .map(|(a, b)| [a, b, ln_density(middle.0 + a, middle.1 + b)])
        .collect();
    let most = points.iter().map(|point| point[2]).fold(f64::MIN, f64::max);
    let mut sums = [0.0; 6];
    for [a, b, ln] in points {
        let weight = (ln - most).exp();
        for (sum, of) in sums.iter_mut().zip([1.0, a, b, a * a, a * b, b * b]) {
            *sum += weight * of;
        }
    }
    let [all, a, b, aa, ab, bb] = sums;
    let (a, b) = (a / all, b / all);
    let found = Posterior {
        mean: (middle.0 + a, middle.1 + b),
        covariance: Covariance {
            phase: aa / all - a * a,
            cross: ab / all - a * b,
            frequency: bb / all - b * b,
        },
        ln_evidence: most + (all * step.0 * step.1).ln() - (2.0 * n).ln()
            + ln_gamma_of_half(4 * trips.len() - 2),
    };
    let is_sound = found.ln_evidence.is_finite() && found.covariance.phase > 0.0;
    is_sound.then_some(found)
}

impl Posterior {
    /// Both, each as far as the evidence goes, and as uncertain as they differ.
    fn mixed_with(&self, other: &Self) -> Self {
        let part = 1.0 / (1.0 + (self.ln_evidence - other.ln_evidence).exp());
        let mix = |a: f64, b: f64| a + part * (b - a);
        let apart = part * (1.0 - part);
        let (a, b) = (other.mean.0 - self.mean.0, other.mean.1 - self.mean.1);
        let (p, q) = (self.covariance, other.covariance);
        Self {
            mean: (self.mean.0 + part * a, self.mean.1 + part * b),
            covariance: Covariance {
                phase: mix(p.phase, q.phase) + apart * a * a,
                cross: mix(p.cross, q.cross) + apart * a * b,
                frequency: mix(p.frequency, q.frequency) + apart * b * b,
            },
            ln_evidence: self.ln_evidence.max(other.ln_evidence),
        }
    }
}

/// ln Γ(k/2), for k > 0.
fn ln_gamma_of_half(k: usize) -> f64 {
    let below = (1..k).rev().skip(1).step_by(2).map(|k| k as f64 / 2.0);
    let ln: f64 = below.map(f64::ln).sum();
    // Γ(1) = 1, Γ(½) = √π.
    if k.is_multiple_of(2) {
        ln
    } else {
        ln + PI.ln() / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::{gauss, uniform};
    use crate::sample::Upstream;

    const FREQUENCY: f64 = 50e-6;
    const KNOWN: Known = Known {
        frequency: (0.0, 100e-6),
        wander: 1e-9,
    };
    const TRIES: u32 = 400;

    /// `n` samples 2 s apart, each way longer than 100 us by what is said.
    fn burst(n: i64, mut longer_s: impl FnMut() -> f64) -> Vec<Sample> {
        let sample = |i| {
            let (there, back) = (100e-6 + longer_s(), 100e-6 + longer_s());
            let since = Duration::from_secs(2 * i);
            let offset = (there - back) / 2.0 + FREQUENCY * since.as_secs_f64();
            Sample {
                at: Timestamp::EPOCH + since,
                offset: Duration::from_secs_f64(offset),
                delay: Duration::from_secs_f64(there + back),
                uncertainty: Duration::ZERO,
                upstream: Upstream::default(),
            }
        };
        (0..n).map(sample).collect()
    }

    fn all(samples: &[Sample]) -> FirstFew {
        let mut first = FirstFew::default();
        for sample in samples {
            first.note(sample);
        }
        first
    }

    /// The slope of the offsets and their mean tell the time 2 s after the last one, s.
    fn by_regression(samples: &[Sample]) -> f64 {
        let n = samples.len() as f64;
        let since = |sample: &Sample| (sample.at - Timestamp::EPOCH).as_secs_f64();
        let offset = |sample: &Sample| sample.offset.as_secs_f64();
        let mean_t = samples.iter().map(since).sum::<f64>() / n;
        let mean = samples.iter().map(offset).sum::<f64>() / n;
        let tt: f64 = samples.iter().map(|it| (since(it) - mean_t).powi(2)).sum();
        let tx = |it: &Sample| (since(it) - mean_t) * offset(it);
        let slope = samples.iter().map(tx).sum::<f64>() / tt;
        mean + slope * (2.0 * n - mean_t)
    }

    /// RMS error 2 s after the last of `n` samples (s), as a part of what regression gives, and the mean
    /// square error as a part of the variance that was said.
    fn quality(n: i64, mut longer_s: impl FnMut() -> f64) -> (f64, f64) {
        let (mut ours, mut regression, mut said) = (0.0, 0.0, 0.0);
        for _ in 0..TRIES {
            let samples = burst(n, &mut longer_s);
            let first = all(&samples);
            let mut state = first.state(Duration::ZERO, KNOWN).expect("enough");
            state.predict(2.0, KNOWN.wander);
            let truth = FREQUENCY * 2.0 * n as f64;
            let square = (state.phase - truth).powi(2);
            ours += square;
            said += square / state.covariance.phase;
            regression += (by_regression(&samples) - truth).powi(2);
        }
        ((ours / regression).sqrt(), said / f64::from(TRIES))
    }

    #[test]
    fn of_waits_more_is_made_than_by_regression() {
        for (n, limit) in [(5, 0.82), (8, 0.6), (12, 0.45)] {
            let mut seed = 5;
            let (ratio, said) = quality(n, || -10e-6 * uniform(&mut seed).ln());
            assert!(ratio < limit, "{n}: {ratio}");
            assert!((0.6..1.2).contains(&said), "{n}: {said}");
        }
    }

    #[test]
    fn of_noise_as_much_is_made_as_can_be() {
        for n in [5, 8, 12] {
            let mut seed = 5;
            let (ratio, said) = quality(n, || 10e-6 * gauss(&mut seed));
            assert!((0.95..1.1).contains(&ratio), "{n}: {ratio}");
            assert!((0.8..1.5).contains(&said), "{n}: {said}");
        }
    }

    #[test]
    fn a_heavy_tail_spoils_nothing() {
        let mut seed = 5;
        let pareto = || 5e-6 * (uniform(&mut seed).powf(-1.0 / 1.5) - 1.0);
        let (ratio, said) = quality(6, pareto);
        assert!(ratio < 0.3, "{ratio}");
        assert!((0.2..1.2).contains(&said), "{said}");
    }

    #[test]
    fn a_frequency_that_was_known_is_believed() {
        let mut seed = 5;
        let samples = burst(4, || -10e-6 * uniform(&mut seed).ln());
        let first = all(&samples);
        let known = Known {
            frequency: (FREQUENCY, 1e-9),
            ..KNOWN
        };
        let state = first.state(Duration::ZERO, known).expect("enough");
        assert!((state.frequency - FREQUENCY).abs() < 2e-9);
        assert!(state.covariance.frequency.sqrt() < 3e-9);
    }

    #[test]
    fn nothing_is_said_of_too_few_or_too_many_or_where_wander_shows() {
        let mut seed = 5;
        let samples = burst(20, || 10e-9 * gauss(&mut seed));
        let mut first = FirstFew::default();
        let known = |wander| Known { wander, ..KNOWN };
        for (n, sample) in (1..).zip(&samples) {
            first.note(sample);
            let state = first.state(Duration::ZERO, known(1e-12));
            assert_eq!(state.is_some(), (FEWEST..=MOST).contains(&n), "{n}");
            let state = first.state(Duration::ZERO, known(1e-7));
            assert!(state.is_none(), "{n}");
        }
    }

    #[test]
    fn without_any_noise_the_resolution_is_left() {
        let first = all(&burst(5, || 0.0));
        let state = first.state(Duration::ZERO, known_quiet()).expect("enough");
        assert!((state.phase - FREQUENCY * 8.0).abs() < 1e-9);
        assert!((0.1e-9..2e-9).contains(&state.covariance.phase.sqrt()));
    }

    fn known_quiet() -> Known {
        Known {
            wander: 1e-12,
            ..KNOWN
        }
    }

    #[test]
    fn gamma_of_halves() {
        for (k, gamma) in [
            (1, PI.sqrt()),
            (2, 1.0),
            (3, PI.sqrt() / 2.0),
            (8, 6.0),
            (7, 15.0 / 8.0 * PI.sqrt()),
        ] {
            assert!((ln_gamma_of_half(k) - f64::ln(gamma)).abs() < 1e-12, "{k}");
        }
    }
}
