//! A moving bank of filters that finds noise and wander by likelihood.
//!
//! The right gains follow from the noise of the measurements and the wander of the oscillator.
//! Neither is known beforehand and both change, so a handful of Kalman filters run side by side:
//! one in the middle, and one for each neighbour on the grid of [`Hypothesis`]. Each predicts
//! every measurement; the likelihood of what then comes says how well its hypothesis fits. When a
//! neighbour has explained the recent past clearly better than the middle, it becomes the middle.
//!
//! The evidence against a neighbour is bounded (a CUSUM test), so the bank follows change.
//! Likelihoods are those of Student's t distribution, so that a single outlier does not pass for
//! noise and many do.

use crate::kalman::{Covariance, Kalman};
use crate::noise::Hypothesis;

/// Log-likelihood ratio at which a neighbour takes over: odds of 50 to 1.
const TAKE_OVER: f64 = 4.0;
/// The most evidence that is held against a neighbour, so that it can win when things change.
const WORST: f64 = -6.0;
/// Degrees of freedom of the likelihood: near enough to normal that a normal noise is found
/// within 7 %.
const FREEDOM: f64 = 8.0;

/// One filter and how well it has predicted.
#[derive(Debug, Clone)]
struct Member {
    hypothesis: Hypothesis,
    kalman: Kalman,
    /// Log-likelihood ratio to the middle since the bank last moved.
    evidence: f64,
}

impl Member {
    fn advance(&mut self, dt: f64) {
        self.kalman.predict(dt, self.hypothesis.wander());
    }

    /// Takes in a measurement and returns its log-likelihood (but for a constant).
    fn update(&mut self, offset: f64, excess: f64) -> f64 {
        let innovation = offset - self.kalman.phase;
        let r = self.hypothesis.variance(excess);
        let variance = self.kalman.covariance.phase + r;
        let squared = innovation * innovation / variance;
        self.kalman.update(innovation, r);
        -0.5 * ((FREEDOM + 1.0) * (squared / FREEDOM).ln_1p() + variance.ln())
    }
}

/// The filters; the first is the one in the middle.
#[derive(Debug, Clone)]
pub(crate) struct Bank {
    middle: Member,
    neighbours: Vec<Member>,
}

impl Bank {
    /// Starts from one state under one hypothesis.
    pub(crate) fn new(hypothesis: Hypothesis, kalman: Kalman) -> Self {
        let middle = Member {
            hypothesis,
            kalman,
            evidence: 0.0,
        };
        let mut bank = Self {
            middle,
            neighbours: Vec::with_capacity(6),
        };
        bank.surround();
        bank
    }

    /// The state of the filter in the middle.
    pub(crate) fn state(&self) -> &Kalman {
        &self.middle.kalman
    }

    /// The hypothesis that explains the recent past best.
    pub(crate) fn hypothesis(&self) -> Hypothesis {
        self.middle.hypothesis
    }

    /// Lets `dt` seconds pass.
    pub(crate) fn advance(&mut self, dt: f64) {
        self.for_each(|member| member.advance(dt));
    }

    /// Takes in an offset (s, relative to the same origin as the state) whose round trip lay
    /// `excess` (s) above the floor.
    pub(crate) fn update(&mut self, offset: f64, excess: f64) {
        let expected = self.middle.update(offset, excess);
        for neighbour in &mut self.neighbours {
            let better = neighbour.update(offset, excess) - expected;
            neighbour.evidence = (neighbour.evidence + better).max(WORST);
        }
        self.move_to_the_best();
    }

    /// Moves the origin: subtracts `by` (s) from every phase.
    pub(crate) fn shift(&mut self, by: f64) {
        self.for_each(|member| member.kalman.phase -= by);
    }

    /// Makes every filter as uncertain as said, in addition: the clock or the path has changed.
    pub(crate) fn doubt(&mut self, more: Covariance) {
        self.for_each(|member| {
            let covariance = &mut member.kalman.covariance;
            covariance.phase += more.phase;
            covariance.cross += more.cross;
            covariance.frequency += more.frequency;
        });
    }

    fn for_each(&mut self, mut act: impl FnMut(&mut Member)) {
        act(&mut self.middle);
        self.neighbours.iter_mut().for_each(act);
    }

    fn move_to_the_best(&mut self) {
        let Some(best) = self
            .neighbours
            .iter()
            .max_by(|a, b| a.evidence.total_cmp(&b.evidence))
        else {
            return;
        };
        if best.evidence > TAKE_OVER {
            self.middle = best.clone();
            self.surround();
        }
    }

    /// Neighbours start from the middle's state and have to earn their difference from there.
    fn surround(&mut self) {
        self.middle.evidence = 0.0;
        let middle = &self.middle;
        self.neighbours.clear();
        self.neighbours
            .extend(middle.hypothesis.neighbours().map(|hypothesis| Member {
                hypothesis,
                ..middle.clone()
            }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deterministic noise of unit variance: a sum of twelve uniform numbers (Irwin–Hall).
    fn gauss(seed: &mut u64) -> f64 {
        let mut sum = -6.0;
        for _ in 0..12 {
            *seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            sum += (*seed >> 11) as f64 / (1_u64 << 53) as f64;
        }
        sum
    }

    fn learnt(noise: f64, wander: f64, guess: Hypothesis) -> Hypothesis {
        let start = Kalman {
            phase: 0.0,
            frequency: 0.0,
            covariance: Covariance {
                phase: 1e-6,
                cross: 0.0,
                frequency: 1e-8,
            },
        };
        let mut bank = Bank::new(guess, start);
        let (mut seed, mut phase, mut frequency) = (7, 0.0, 1e-6);
        for _ in 0..4000 {
            phase += frequency;
            frequency += wander * gauss(&mut seed);
            bank.advance(1.0);
            bank.update(phase + noise * gauss(&mut seed), 0.0);
        }
        bank.hypothesis()
    }

    #[test]
    fn finds_noise_and_wander_from_afar() {
        for (noise, wander) in [(7e-9, 1e-9), (50e-9, 1e-10), (2e-6, 1e-9)] {
            for guess in [
                Hypothesis::nearest(1e-6, 1e-9),
                Hypothesis::nearest(1e-8, 1e-8),
            ] {
                let found = learnt(noise, wander, guess);
                let (n, w) = (found.noise_s() / noise, found.wander() / wander);
                assert!(
                    (0.6..1.7).contains(&n),
                    "noise {noise}: {}",
                    found.noise_s()
                );
                assert!(
                    (0.2..5.0).contains(&w),
                    "wander {wander}: {}",
                    found.wander()
                );
            }
        }
    }
}
