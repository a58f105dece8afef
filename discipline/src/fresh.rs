//! The newest exchange of interleaved mode, before it is complete.
//!
//! When the reply left is told a poll interval later (RFC 9769 section 2). Until then T1, T2 and T4
//! are known, and T3 is a guess of standard deviation s. At long intervals the oscillator wanders
//! by more than the noise of a sample meanwhile, so what is known at once is worth more than what
//! is known exactly a poll interval later. The filter takes in both: a copy of its state takes in
//! the fresh sample and is what the clock follows; the state itself waits for the complete one, so
//! that no guess is ever counted twice or kept.
//!
//! Model: the way there shows θ + d + c + n₁ (T2 − T1), the way back θ − d + c + n₂ (T3 − T4), where θ
//! is the offset, d the delay of one way, and c an error that both have in common (of reading a NIC's
//! clock to convert both of the host's stamps by). Round trips vary by n₁ − n₂, of variance D: n₁ and
//! n₂ have D/2 each. The sample is the mean of both ways, of variance R; so c has R − D/4. A guessed T3
//! adds s² to the variance of n₂. How to weigh both ways then:
//!
//! - Where delays tell nothing of the offset (jitter of the stamps), d is the mean of half the round
//!   trip over many samples, and each way by itself is a measurement of θ, of variances v₁ = D/2 and
//!   v₂ = D/2 + s² beside that of c. Weighted by their inverses they leave v₁v₂/(v₁ + v₂) of it:
//!   between D/4 and D/2, however wild the guess.
//! - Where packets queue, the excess of the round trip over its floor is part of the model. The
//!   sample is taken as it is, of variance R(excess) + s²/4, unless s is what makes it poor.

use crate::noise::Hypothesis;
use crate::sample::Sample;

/// Mean and variance of the round trip forget with this weight of the newest sample; until there are
/// as many, they are the plain ones.
const FORGETTING: f64 = 1.0 / 128.0;
/// So many round trips make a mean.
const ENOUGH: u32 = 8;
/// A round trip this many standard deviations from the mean has not varied by noise alone.
const UNLIKELY: f64 = 5.0;
/// So many unlikely ones in a row are another route.
const ANOTHER_ROUTE: u32 = 4;
/// Variance of the resolution of the best stamps there are, s².
const LEAST_VARIANCE: f64 = 1e-18;

/// A sample of which the departure of the reply is a guess.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fresh {
    /// What it says, were the guess right.
    pub sample: Sample,
    /// Standard deviation of the guess, s: half of it is in the offset, all of it in the delay.
    pub deviation_s: f64,
}

/// The usual round trip.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Level {
    mean_s: f64,
    /// s².
    variance: f64,
    count: u32,
    /// Unlikely ones in a row.
    unlikely: u32,
}

impl Level {
    /// Takes in the round trip (s) of a complete sample.
    pub(crate) fn note(&mut self, delay: f64) {
        if self.count >= ENOUGH && self.is_unlikely(delay, 0.0) {
            self.unlikely += 1;
            if self.unlikely < ANOTHER_ROUTE {
                return;
            }
            *self = Self::default();
        }
        self.unlikely = 0;
        self.count = self.count.saturating_add(1);
        let weight = f64::from(self.count).recip().max(FORGETTING);
        let off = delay - self.mean_s;
        self.mean_s += weight * off;
        self.variance = (1.0 - weight) * (self.variance + weight * off * off);
    }

    /// The same with a guess of variance `guess` (s²) in it?
    fn is_unlikely(&self, delay: f64, guess: f64) -> bool {
        let variance = self.variance.max(LEAST_VARIANCE) + guess;
        (delay - self.mean_s).powi(2) > UNLIKELY * UNLIKELY * variance
    }
}

/// A fresh sample, weighed: how its offset is to be changed (s), and the variance (s²) it then has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weighed {
    pub(crate) change: f64,
    pub(crate) variance: f64,
}

impl Fresh {
    /// Weighs the sample, whose round trip lies `excess` (s) above the floor; `None` where it says
    /// nothing.
    pub(crate) fn weigh(
        &self,
        hypothesis: Hypothesis,
        level: Level,
        excess: f64,
    ) -> Option<Weighed> {
        let by_level = self.by_level(hypothesis, level);
        if !hypothesis.looks_at_delay() {
            return by_level;
        }
        let (noise, guess) = (hypothesis.variance(excess), self.deviation_s.powi(2) / 4.0);
        let by_floor = Weighed {
            change: 0.0,
            variance: noise + guess,
        };
        // What the excess says of a packet is not to be forgotten for what packets are usually like.
        let other = by_level.filter(|other| guess > noise && other.variance < by_floor.variance);
        Some(other.unwrap_or(by_floor))
    }

    /// Weighs both ways by how much the round trip usually varies.
    fn by_level(&self, hypothesis: Hypothesis, level: Level) -> Option<Weighed> {
        if level.count < ENOUGH {
            return None;
        }
        let guess = self.deviation_s.powi(2);
        let delay = self.sample.delay.as_secs_f64();
        let there = level.variance.max(LEAST_VARIANCE) / 2.0;
        // What noise does not explain: where guesses are poor, this one was the poorest; where they
        // are good, a packet has waited, nobody knows on which way.
        let unlikely = level.is_unlikely(delay, guess);
        if unlikely && guess < there {
            return None;
        }
        let back = if unlikely {
            f64::MAX.sqrt()
        } else {
            there + guess
        };
        let common = (hypothesis.variance(0.0) - there / 2.0).max(0.0);
        // How far the way there says more than the sample, and the way back less.
        let apart = (delay - level.mean_s) / 2.0;
        Some(Weighed {
            change: apart * (back - there) / (back + there),
            variance: common + there / (1.0 + there / back),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Excess;
    use crate::sample::Upstream;
    use clockwright_timebase::{Duration, Timestamp};

    /// A point of the grid of hypotheses.
    const NOISE: f64 = 90.5e-9;

    /// 10 us with a deviation of twice [`NOISE`], as without an error in common.
    fn level() -> Level {
        let mut level = Level::default();
        for turn in 0..200 {
            let off = if turn % 2 == 0 { NOISE } else { -NOISE };
            level.note(10e-6 + 2.0 * off);
        }
        level
    }

    fn fresh(delay_ns: i64, deviation_s: f64) -> Fresh {
        Fresh {
            sample: Sample {
                at: Timestamp::EPOCH,
                offset: Duration::ZERO,
                delay: Duration::from_nanos(delay_ns),
                uncertainty: Duration::ZERO,
                upstream: Upstream::default(),
            },
            deviation_s,
        }
    }

    fn weighed(excess: Excess, delay_ns: i64, deviation_s: f64) -> Option<Weighed> {
        let hypothesis = Hypothesis::nearest(excess, NOISE, 1e-9);
        let above = (delay_ns - 10_000).max(0) as f64 * 1e-9;
        fresh(delay_ns, deviation_s).weigh(hypothesis, level(), above)
    }

    #[test]
    fn a_perfect_guess_is_a_complete_sample() {
        let exact = weighed(Excess::Unrelated, 10_100, 0.0).unwrap();
        assert!(exact.change.abs() < 1e-15);
        assert!((exact.variance.sqrt() / NOISE - 1.0).abs() < 0.01);
    }

    #[test]
    fn of_a_wild_guess_the_way_there_remains() {
        // 100 us too early: the round trip seems longer by that, the offset smaller by half.
        let wild = weighed(Excess::Unrelated, 110_000, 100e-6).unwrap();
        assert!((wild.change - 50e-6).abs() < 2e-9, "{}", wild.change);
        let ratio = wild.variance.sqrt() / NOISE;
        assert!((ratio - 2_f64.sqrt()).abs() < 0.02, "{ratio}");
    }

    /// A NIC's clock was read with an error of 90 ns, which is in both stamps and so in the offset,
    /// but not in the round trip.
    #[test]
    fn what_both_ways_have_in_common_no_weighing_removes() {
        let mut level = Level::default();
        (0..200).for_each(|_| level.note(10e-6));
        let hypothesis = Hypothesis::nearest(Excess::Unrelated, NOISE, 1e-9);
        let wild = fresh(110_000, 100e-6).weigh(hypothesis, level, 100e-6);
        let sd = wild.unwrap().variance.sqrt();
        assert!((sd / NOISE - 1.0).abs() < 0.01, "{sd}");
    }

    #[test]
    fn where_packets_queue_a_guess_is_as_good_as_it_is() {
        let mut queues = Level::default();
        (0..200).for_each(|turn| queues.note(10e-6 * f64::from(1 + turn % 20)));
        let hypothesis = Hypothesis::nearest(Excess::BothWays, NOISE, 1e-9);
        let clean = fresh(10_000, 4e-6).weigh(hypothesis, queues, 0.0).unwrap();
        assert!(clean.change.abs() < 1e-18);
        assert!((clean.variance.sqrt() - 2e-6).abs() < 0.01e-6);
        // Of a wild guess, the way there remains: half of what the round trip varies by.
        let wild = fresh(10_000, 1e-3).weigh(hypothesis, queues, 0.0).unwrap();
        let (sd, varies) = (wild.variance.sqrt(), queues.variance.sqrt());
        assert!((sd / varies - 0.5_f64.sqrt()).abs() < 0.02, "{sd} {varies}");
    }

    /// Servers are late by far more than usual now and then.
    #[test]
    fn an_outlier_among_poor_guesses_leaves_the_way_there() {
        let late = weighed(Excess::Unrelated, 1_010_000, 5e-6).unwrap();
        assert!((late.change - 500e-6).abs() < 2e-9, "{}", late.change);
        assert!((late.variance.sqrt() / NOISE / 2_f64.sqrt() - 1.0).abs() < 0.02);
    }

    #[test]
    fn a_round_trip_that_noise_does_not_explain_says_nothing() {
        assert!(weighed(Excess::Unrelated, 12_000, 0.0).is_none());
    }

    #[test]
    fn another_route_has_another_mean() {
        let mut level = level();
        (0..3).for_each(|_| level.note(20e-6));
        assert!((level.mean_s - 10e-6).abs() < 2e-9);
        level.note(20e-6);
        assert!((level.mean_s - 20e-6).abs() < 1e-9);
    }
}
