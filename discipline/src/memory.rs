//! The long memory of frequency: which frequency has predicted best, found by hindsight.
//!
//! The filters' model is a random walk of frequency seen through white noise. Where it is true,
//! their frequency is the best forecast there is, however far ahead. Oscillators have more: white
//! and flicker noise of frequency, which make a filter that follows well from poll to poll forget
//! too soon for an outage of half an hour. No model is needed to see that. Every minute or so the
//! phase and the filter's frequency are noted (a *knot*), and what would have been forecast some
//! knots ago is compared with what came: by the filter's frequency, and by the mean frequency over
//! several longer memories,
//!
//! ```text
//! f_M = (x_i − x_{i−M}) / (t_i − t_{i−M})      error over H knots: (x_{i+H} − x_i) / (t_{i+H} − t_i) − f
//! ```
//!
//! A longer memory is used only where its mean square error has been clearly the smaller one. The
//! same comparison says whether the clock strays as far as the filters expect, and so what its
//! wander is in the long run.

use std::collections::VecDeque;

use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::estimate::SourceEstimate;
use crate::kalman::Covariance;

/// Least time between knots. Below a minute the filters are right about everything.
const SPACING: Duration = Duration::from_secs(64);
/// The memories that are tried, in knots: 4 minutes to 4.5 hours, or more where polls are rarer.
const MEMORIES: [usize; 4] = [4, 16, 64, 256];
/// How far ahead forecasts are compared, in knots.
const HORIZONS: [usize; 3] = [4, 16, 64];
/// Knots that are kept: for the longest memory as of the furthest horizon ago.
const KNOTS: usize = 256 + 64 + 1;
/// Forecasts, one after the other, that make a comparison worth something.
const ENOUGH: usize = 6;
/// A memory replaces the filter's frequency where its mean square error is this part of the
/// filter's or less. By chance alone six forecasts seldom differ by that.
const CLEARLY: f64 = 0.7;
/// A memory may begin later by this part of it, with a knot that is known better.
const FEW: usize = 8;
/// Longest running mean, in comparisons: a week at 64 s would make it slow to see a change.
const MEAN_OVER: f64 = 1024.0;
/// A single forecast counts at most as this many times its expected square: the frequency of a
/// crystal may jump, and one jump says nothing of what comes otherwise.
const WORST: f64 = 25.0;

/// UTC against the oscillator at one instant.
#[derive(Debug, Clone, Copy)]
struct Knot {
    at: Timestamp<Raw>,
    offset: Duration,
    /// By the filters, s/s.
    frequency: f64,
    covariance: Covariance,
    wander: f64,
}

impl Knot {
    /// Mean frequency since an earlier knot, s/s.
    fn frequency_since(&self, earlier: &Self) -> f64 {
        (self.offset - earlier.offset).as_secs_f64() / (self.at - earlier.at).as_secs_f64()
    }
}

/// A running mean over forecasts.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    /// How many forecasts it is worth.
    weight: f64,
    value: f64,
}

impl Mean {
    /// Takes in the value of one forecast, which counts as `weight` (0 to 1) of one.
    fn note(&mut self, value: f64, weight: f64) {
        self.weight += weight - self.weight / MEAN_OVER;
        if self.weight > 0.0 {
            self.value += weight / self.weight * (value - self.value);
        }
    }

    /// Is it worth enough forecasts that do not overlap?
    fn is_enough(&self, horizon: usize) -> bool {
        self.weight >= (ENOUGH * horizon) as f64
    }
}

/// Mean square errors of frequency over the same forecasts, (s/s)².
#[derive(Debug, Clone, Copy, Default)]
struct Score {
    /// By a memory.
    own: Mean,
    /// By the filter.
    filter: Mean,
}

/// What to expect of the oscillator while nobody tells the time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Forecast {
    /// UTC's frequency against the oscillator, s/s.
    pub(crate) frequency: f64,
    /// Its standard deviation, s/s.
    pub(crate) frequency_sd: f64,
    /// The wander that explains how far it has strayed in the long run, s/s per √s.
    pub(crate) wander: f64,
}

/// The long memory.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    knots: VecDeque<Knot>,
    /// For each memory and horizon.
    scores: [[Score; HORIZONS.len()]; MEMORIES.len()],
    /// For each horizon: the square of the wander that explains the filter's errors. One forecast
    /// may be better than it should, so a square may be negative.
    wanders: [Mean; HORIZONS.len()],
    /// What counts until there are enough forecasts, s/s per √s.
    prior_wander: f64,
}

impl Memory {
    /// Nothing is remembered but what the wander (s/s per √s) was in an earlier life.
    pub(crate) fn new(prior_wander: f64) -> Self {
        Self {
            knots: VecDeque::new(),
            scores: Default::default(),
            wanders: Default::default(),
            prior_wander,
        }
    }

    /// Takes in what the clock was set to; only once in a while it makes a knot.
    pub(crate) fn note(&mut self, estimate: &SourceEstimate) {
        if let Some(last) = self.knots.back()
            && estimate.at - last.at < SPACING
        {
            return;
        }
        if self.knots.len() == KNOTS {
            self.knots.pop_front();
        }
        self.knots.push_back(Knot {
            at: estimate.at,
            offset: estimate.offset,
            frequency: estimate.frequency,
            covariance: estimate.covariance,
            wander: estimate.wander,
        });
        for (index, horizon) in HORIZONS.into_iter().enumerate() {
            self.compare(index, horizon);
        }
    }

    /// The oscillator has lost count of time: phases before and after have nothing to do with each
    /// other. How well was forecast stays.
    pub(crate) fn forget_phases(&mut self) {
        self.knots.clear();
    }

    /// The knot `back` knots before the newest one.
    fn knot(&self, back: usize) -> Option<&Knot> {
        self.knots.get(self.knots.len().checked_sub(back + 1)?)
    }

    /// Compares what would have been forecast `horizon` knots ago with what has come.
    fn compare(&mut self, index: usize, horizon: usize) {
        let (Some(now), Some(then)) = (self.knot(0).copied(), self.knot(horizon).copied()) else {
            return;
        };
        let truth = now.frequency_since(&then);
        let dt = (now.at - then.at).as_secs_f64();
        // What the errors of both estimates make of it, and what a wander of 1 would.
        let noise = (then.covariance.after(dt, 0.0).phase + now.covariance.phase) / (dt * dt);
        let per_wander = dt / 3.0;
        let expected = (noise + per_wander * then.wander.powi(2)).max(f64::MIN_POSITIVE);
        let filter = (truth - then.frequency).powi(2).min(WORST * expected);
        if let Some(wander) = self.wanders.get_mut(index) {
            // The less of the error is the wander's, the less it says of the wander.
            let part = 1.0 - noise / expected;
            wander.note((filter - noise) / per_wander, part * part);
        }
        for (memory, length) in MEMORIES.into_iter().enumerate() {
            let Some((frequency, own_noise)) = self.mean_frequency(horizon, length) else {
                continue;
            };
            // What begins when the filter was still learning cannot be better, and says nothing of
            // memories that begin later.
            if own_noise > expected + then.covariance.frequency {
                continue;
            }
            let own = (truth - frequency).powi(2).min(WORST * expected);
            let scores = self.scores.get_mut(memory);
            if let Some(score) = scores.and_then(|scores| scores.get_mut(index)) {
                score.own.note(own, 1.0);
                score.filter.note(filter, 1.0);
            }
        }
    }

    /// The mean frequency (s/s) over `length` knots, as it was `back` knots ago, and the variance that the
    /// errors of both phases give it, (s/s)². Half of these knots are enough: the memory may be younger
    /// than it will be.
    ///
    /// It begins with whichever of the oldest few makes that variance least: the very first knots are
    /// poor.
    fn mean_frequency(&self, back: usize, length: usize) -> Option<(f64, f64)> {
        let then = self.knot(back)?;
        let before = (self.knots.len() - 1).checked_sub(back)?;
        let length = length.min(before);
        let oldest = (length - length / FEW..=length).filter(|age| *age > 0);
        let means = oldest.filter_map(|age| {
            let first = self.knot(back + age)?;
            let dt = (then.at - first.at).as_secs_f64();
            let variance = (first.covariance.phase + then.covariance.phase) / (dt * dt);
            Some((then.frequency_since(first), variance))
        });
        means.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Has it as many knots as half of this memory?
    fn remembers(&self, length: usize) -> bool {
        self.knots.len() > length / 2
    }

    /// What is to be expected after `estimate`, which the filters have made.
    pub(crate) fn forecast(&self, estimate: &SourceEstimate) -> Forecast {
        let frequency = estimate.frequency;
        let (frequency, variance) = self
            .longer_memory(frequency)
            .unwrap_or((frequency, estimate.covariance.frequency.max(0.0)));
        Forecast {
            frequency,
            frequency_sd: variance.sqrt(),
            wander: self.wander(estimate.wander),
        }
    }

    /// Frequency and variance by the memory that has been the best by far, if there is one that
    /// does not contradict what the filters find now (s/s): after a jump of the frequency it takes
    /// a memory its length to follow.
    fn longer_memory(&self, filter: f64) -> Option<(f64, f64)> {
        let mut best: Option<(f64, f64, f64)> = None;
        for (scores, length) in self.scores.iter().zip(MEMORIES) {
            let judged = scores.iter().zip(HORIZONS).rev();
            let judged = judged.take_while(|_| self.remembers(length));
            let mut enough = judged.filter(|(score, horizon)| score.own.is_enough(*horizon));
            let Some((score, _)) = enough.next() else {
                continue;
            };
            let (frequency, _) = self.mean_frequency(0, length)?;
            let (own, of_filter) = (score.own.value, score.filter.value);
            let part = own / of_filter.max(f64::MIN_POSITIVE);
            let contradicts = (frequency - filter).powi(2) > 9.0 * (own + of_filter);
            if part < best.map_or(CLEARLY, |best| best.0) && !contradicts {
                best = Some((part, frequency, own));
            }
        }
        best.map(|(_, frequency, variance)| (frequency, variance))
    }

    /// The wander over the horizon where it is most, and no less than the filters find now (s/s per
    /// √s). What they find jumps about; a while in which a restless crystal happens to be quiet
    /// says nothing of the next hour.
    fn wander(&self, now: f64) -> f64 {
        let judged = self.wanders.iter().zip(HORIZONS);
        judged
            .filter(|(wander, horizon)| wander.is_enough(*horizon))
            .map(|(wander, _)| wander.value.max(0.0).sqrt())
            .reduce(f64::max)
            .unwrap_or(self.prior_wander)
            .max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::gauss;

    /// An oscillator of white and random-walk noise of frequency, and a filter of it that is off by
    /// `filter_sd` (s/s) as white noise.
    struct Oscillator {
        seed: u64,
        at: Timestamp<Raw>,
        phase: f64,
        frequency: f64,
        white: f64,
        wander: f64,
        filter_sd: f64,
    }

    impl Oscillator {
        fn new(white: f64, wander: f64, filter_sd: f64) -> Self {
            Self {
                seed: 5,
                at: Timestamp::EPOCH,
                phase: 0.0,
                frequency: 12e-6,
                white,
                wander,
                filter_sd,
            }
        }

        /// The filter's estimate 64 s later.
        fn next(&mut self) -> SourceEstimate {
            let dt = 64.0_f64;
            let root = dt.sqrt();
            let (n1, n2) = (gauss(&mut self.seed), gauss(&mut self.seed));
            let walked = self.wander * dt * root * (n1 / 2.0 + n2 / 12.0_f64.sqrt());
            let white = self.white * root * gauss(&mut self.seed);
            self.phase += dt * self.frequency + walked + white;
            self.frequency += self.wander * root * n1;
            self.at += Duration::from_secs_f64(dt);
            SourceEstimate {
                at: self.at,
                offset: Duration::from_secs_f64(self.phase),
                frequency: self.frequency + self.filter_sd * gauss(&mut self.seed),
                covariance: Covariance {
                    phase: 1e-18,
                    cross: 0.0,
                    frequency: self.filter_sd.powi(2),
                },
                wander: self.wander.max(1e-12),
            }
        }
    }

    /// The memory after this many knots, and the last estimate.
    fn after(oscillator: &mut Oscillator, knots: usize) -> (Memory, SourceEstimate) {
        let mut memory = Memory::new(1e-9);
        for _ in 1..knots {
            memory.note(&oscillator.next());
        }
        let last = oscillator.next();
        memory.note(&last);
        (memory, last)
    }

    #[test]
    fn a_filter_with_too_short_a_memory_is_averaged() {
        let mut oscillator = Oscillator::new(1e-9, 0.0, 3e-10);
        let (memory, last) = after(&mut oscillator, 400);
        let forecast = memory.forecast(&last);
        let off = (forecast.frequency - oscillator.frequency).abs();
        assert!(off < 3e-11, "{off:e}: {forecast:?}");
        assert!(forecast.frequency_sd < 1.5e-10, "{forecast:?}");
    }

    #[test]
    fn a_filter_that_is_right_is_left_alone() {
        let mut oscillator = Oscillator::new(0.0, 1e-9, 2e-9);
        let (memory, last) = after(&mut oscillator, 400);
        let forecast = memory.forecast(&last);
        assert!((forecast.frequency - last.frequency).abs() < 1e-18);
        let ratio = forecast.wander / 1e-9;
        assert!((1.0..2.0).contains(&ratio), "{forecast:?}");
    }

    #[test]
    fn a_quiet_minute_does_not_make_a_quiet_crystal() {
        let mut oscillator = Oscillator::new(0.0, 1e-9, 2e-9);
        let (memory, mut last) = after(&mut oscillator, 200);
        last.wander = 3e-11;
        let forecast = memory.forecast(&last);
        assert!(forecast.wander > 0.7e-9, "{forecast:?}");
        // Until there is something to go by, what was known before counts.
        let (memory, mut last) = after(&mut oscillator, 5);
        last.wander = 3e-11;
        assert!((memory.forecast(&last).wander - 1e-9).abs() < 1e-18);
    }

    #[test]
    fn after_a_jump_of_the_frequency_the_filter_counts() {
        let mut oscillator = Oscillator::new(1e-9, 0.0, 3e-10);
        let (mut memory, _) = after(&mut oscillator, 400);
        oscillator.frequency += 1e-7;
        for _ in 0..300 {
            let last = oscillator.next();
            memory.note(&last);
            let off = (memory.forecast(&last).frequency - oscillator.frequency).abs();
            assert!(off < 5e-9, "{off:e}");
        }
        let last = oscillator.next();
        let off = (memory.forecast(&last).frequency - oscillator.frequency).abs();
        assert!(off < 2e-10, "{off:e}");
    }

    #[test]
    fn it_remembers_no_more_than_it_should() {
        let mut oscillator = Oscillator::new(1e-9, 0.0, 3e-10);
        let (mut memory, last) = after(&mut oscillator, 1000);
        assert_eq!(memory.knots.len(), KNOTS);
        memory.note(&last);
        assert_eq!(memory.knots.len(), KNOTS);
        memory.forget_phases();
        assert!((memory.forecast(&last).frequency - last.frequency).abs() < 1e-18);
    }
}
