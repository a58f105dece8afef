//! What the error bound is made of beside the statistics of the filter.
//!
//! An exchange says that UTC lies within offset ± delay/2: the wait may all have been on one way.
//! A filter makes its estimate of many exchanges, so the round trip that counts is *theirs*, each
//! by as much as it moved the estimate, and that is not the shortest one remembered: a way may
//! become longer by so little that no sample shows it, and in one direction only. [`Believed`]
//! therefore runs the delays through the same linear recursion as the offsets. When all waits are
//! on one way, the error of the estimate is exactly half of what comes out.

use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::estimate::SourceEstimate;
use crate::kalman::Covariance;
use crate::sample::Sample;

/// Whatever has been learnt of the oscillator, the bound grows by at least this, s/s.
pub(crate) const LEAST_DRIFT: f64 = 10e-9;
/// Standard deviations by which the bound grows while no sample comes.
///
/// Three would be exceeded once in 370 outages if the wander were known exactly. It is not: it is
/// found on a grid of factors of two, from an hour in which it shows only a few dozen times. Six
/// hold, with three to spare, where it is twice what has been found.
pub(crate) const DRIFT_SIGMAS: f64 = 6.0;
/// An estimate that comes nearer to a sample by more than this part has changed its hypothesis.
const CHANGE_OF_MIND: f64 = 0.25;
/// Samples that must be off on the same side before that counts as an error of the estimate.
const IN_A_ROW: usize = 4;

/// The round trip that the estimate is made of, and how fast it changes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Believed {
    delay_s: Option<f64>,
    rate: f64,
}

impl Believed {
    /// Takes in a round trip (s), `dt` seconds after the last one, which the filter believed as
    /// much as its covariance of phase and frequency shows, before and after. The filter may also
    /// have thought better of the samples before this one, and now go with another hypothesis that
    /// had believed them; so if it came nearer to this one by the larger `part` of what it lacked,
    /// that counts, and so does how fast round trips become longer, s/s, where they plainly do.
    pub(crate) fn take(
        &mut self,
        (delay_s, longer): (f64, Option<f64>),
        dt: f64,
        (before, after): (Covariance, Covariance),
        part: f64,
    ) {
        let Some(last) = self.delay_s else {
            self.delay_s = Some(delay_s);
            return;
        };
        // P(1 − k₁) is what is left of P; the gains are in the ratio of P₁₂ to P₁₁.
        let k1 = (1.0 - after.phase / before.phase).clamp(0.0, 1.0);
        let k2 = k1 * before.cross / before.phase;
        let expected = last + self.rate * dt;
        let more = delay_s - expected;
        self.rate += k2 * more;
        let k1 = if more > 0.0 && part > CHANGE_OF_MIND {
            self.rate = longer.unwrap_or(self.rate);
            k1.max(part)
        } else {
            k1
        };
        self.delay_s = Some(expected + k1 * more);
        if !self.rate.is_finite() {
            self.rate = 0.0;
        }
    }

    /// How fast it changes, s/s; not negative.
    pub(crate) fn rate(&self) -> f64 {
        self.rate.abs()
    }

    /// The estimate was made anew of samples whose longest round trip is this (s), and which became
    /// longer by `rate` (s/s) one after the other.
    pub(crate) fn begin_again(&mut self, longest_s: f64, rate: f64) {
        let delay_s = self.delay_s.map_or(longest_s, |last| last.max(longest_s));
        (self.delay_s, self.rate) = (Some(delay_s), rate);
    }

    /// It, s; `None` before the first sample.
    pub(crate) fn delay_s(&self) -> Option<f64> {
        self.delay_s
    }
}

/// How far UTC may be off by a sample that contradicts the estimate, until the next one decides.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Doubt {
    /// At the sample, s.
    pub(crate) by_s: f64,
    /// By how much more with each second, s/s: if the frequency has stepped, it goes on.
    pub(crate) rate: f64,
}

impl Doubt {
    /// A sample, `dt` seconds after the one before, lies `innovation` (s) off the estimate.
    pub(crate) fn of(innovation: f64, dt: f64) -> Self {
        Self {
            by_s: innovation.abs(),
            rate: innovation.abs() / dt,
        }
    }

    /// Both of them: what either says may be true.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            by_s: self.by_s.max(other.by_s),
            rate: self.rate.max(other.rate),
        }
    }
}

/// The round trip to count for a sample: one that took less than nothing has broken stamps (a
/// server that is late with what it foretold of sending), and may be off by all of it and by the
/// round trip that it really took.
pub(crate) fn counted_delay(delay_s: f64, floor_s: f64) -> f64 {
    if delay_s < 0.0 {
        floor_s.max(0.0) - delay_s
    } else {
        delay_s
    }
}

/// By how much (s) the samples say that the estimate is wrong, though it takes that for noise: the
/// most that one of them is off by if `learning`, when noise cannot be told from a clock that has
/// been set; else what the last few all are off by, on the same side. Waits explain half of
/// themselves. `floor_s` is the floor of the round trip.
pub(crate) fn contradicted_s(
    samples: impl DoubleEndedIterator<Item = Sample>,
    estimate: &SourceEstimate,
    floor_s: f64,
    learning: bool,
) -> f64 {
    let off = |sample: Sample| {
        let expected = estimate.carried_to(sample.at).offset;
        let off = (sample.offset - expected).as_secs_f64();
        let waited = (sample.delay.as_secs_f64() - floor_s).max(0.0);
        off.signum() * (off.abs() - waited / 2.0).max(0.0)
    };
    if learning {
        return samples.map(|sample| off(sample).abs()).fold(0.0, f64::max);
    }
    let (mut ahead, mut behind, mut in_a_row) = (f64::INFINITY, f64::INFINITY, 0);
    for off in samples.map(off).rev().take(IN_A_ROW) {
        ahead = ahead.min(off.max(0.0));
        behind = behind.min((-off).max(0.0));
        in_a_row += 1;
    }
    if in_a_row < IN_A_ROW {
        return 0.0;
    }
    ahead.max(behind)
}

/// The seconds from `then` to `at`; 0 if that is in the past.
pub(crate) fn age_s(at: Timestamp<Raw>, then: Timestamp<Raw>) -> f64 {
    (at - then).max(Duration::ZERO).as_secs_f64()
}
