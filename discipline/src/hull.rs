//! What the samples allow: how far UTC can be from an estimate at most.
//!
//! An exchange says that UTC lies within offset ± delay/2, wherever its packets waited: none arrives
//! before it was sent. Filters are persuaded by many samples, and where waits are many times as long as
//! the path, many may agree for a while on what one of them rules out. So the latest intervals are
//! kept, carried to the instant of the estimate, and intersected: UTC is no further from the estimate than
//! the farther end of what is left.
//!
//! On its way an interval grows on both sides by what the frequency is uncertain by. With an age of τ,
//! that is
//!
//! ```text
//! (5 √(σ² + w²·τ/3) + |f − f_then|)·τ
//! ```
//!
//! - w is the largest wander that the samples do not refute, which may be many times what the filter
//!   works with. σ is the filter's deviation of the frequency as it would be then: in a steady state it
//!   grows as w^¾ (`steady.rs`).
//! - `f_then` is the frequency that was believed with the sample. A filter that has just been misled
//!   was not yet so then.
//!
//! Beside that the frequency may be off by as much as round trips plainly change (s/s): one that a delay misleads
//! which grows on one way is off by half of that, or all of it where the other way is believed to wait.
//!
//! If the estimate lies outside of the intersection all the same, its frequency is in doubt as well: by as
//! much as would have led it there from the sample before, twice.
//!
//! Intervals that do not meet tell that the source's clock was set, or that a stamp is broken. The newest ones
//! count then, as far back as they agree.

use std::collections::VecDeque;

use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::bound::{LEAST_DRIFT, age_s};
use crate::estimate::SourceEstimate;
use crate::sample::Sample;

/// Samples that are kept: where nine packets of ten wait on either way, 29 in 30 times one of them
/// did not.
const KEPT: usize = 32;
/// Samples whose shortest round trip says something.
const FEWEST: usize = 4;
/// Standard deviations of the frequency that are counted for certain.
const SIGMAS: f64 = 5.0;
/// What the deviation of the frequency is proportional to, as a power of the wander.
const STEADY: f64 = 0.75;
/// Samples are at least this long apart, s.
const SHORTEST_S: f64 = 1e-6;

/// Where UTC can be by one sample: its time minus the oscillator, at least and at most.
#[derive(Debug, Clone, Copy)]
struct Interval {
    at: Timestamp<Raw>,
    least: Duration,
    most: Duration,
    /// The frequency that was believed with it, s/s.
    frequency: f64,
    /// Its round trip, s.
    delay_s: f64,
}

/// Where UTC can be by the latest samples.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hull {
    newest_last: VecDeque<Interval>,
}

/// How uncertain the frequency of an estimate is.
#[derive(Debug, Clone, Copy)]
struct Uncertain {
    /// Variance, (s/s)².
    variance: f64,
    /// Wander, s/s per √s.
    wander: f64,
    /// Beside both, s/s.
    more: f64,
}

/// Where UTC lies about an estimate, at least and at most, s.
#[derive(Debug, Clone, Copy)]
struct Ends {
    least: f64,
    most: f64,
}

impl Hull {
    /// Notes a sample whose round trip counts as `delay_s`, and the frequency believed with it, s/s.
    pub(crate) fn note(&mut self, sample: &Sample, delay_s: f64, frequency: f64) {
        let upstream = sample.upstream;
        let round_trips_s = delay_s + upstream.root_delay.as_secs_f64();
        let reach = Duration::from_secs_f64(round_trips_s / 2.0)
            + upstream.root_dispersion
            + sample.uncertainty;
        if self.newest_last.len() == KEPT {
            self.newest_last.pop_front();
        }
        self.newest_last.push_back(Interval {
            at: sample.at,
            least: sample.offset - reach,
            most: sample.offset + reach,
            frequency,
            delay_s,
        });
    }

    /// How fast round trips change, s/s, if they plainly do: the shortest of each quarter are in order. All
    /// of that may be on one way, and the frequency misled by it.
    fn delay_rate(&self) -> f64 {
        let quarter = self.newest_last.len() / 4;
        if quarter < FEWEST {
            return 0.0;
        }
        let shortest = |number: usize| {
            let of = self.newest_last.iter().skip(number * quarter).take(quarter);
            of.map(|it| it.delay_s).fold(f64::INFINITY, f64::min)
        };
        let delays = [0, 1, 2, 3].map(shortest);
        let in_order = delays.is_sorted_by(|a, b| a < b) || delays.is_sorted_by(|a, b| a > b);
        let at = |number: usize| self.newest_last.get(number * quarter).map(|it| it.at);
        let (Some(first), Some(last)) = (at(0), at(3)) else {
            return 0.0;
        };
        let apart = (last - first).as_secs_f64();
        if in_order && apart > 0.0 {
            (delays[3] - delays[0]).abs() / apart
        } else {
            0.0
        }
    }

    /// How far UTC can be from an estimate, s, where the oscillator may wander `more` times as much as that
    /// was made for, and its frequency may jump by `jump` at once (s/s). Nothing without samples.
    pub(crate) fn farthest_s(&self, estimate: &SourceEstimate, more: f64, jump: f64) -> f64 {
        let uncertain = Uncertain {
            variance: estimate.covariance.frequency.max(0.0) * wider(more).powi(2),
            wander: more * estimate.wander,
            more: LEAST_DRIFT + jump + self.delay_rate(),
        };
        let Some(ends) = self.intersection(estimate, uncertain) else {
            return 0.0;
        };
        let outside = ends.outside_s();
        if outside <= 0.0 {
            return ends.farthest_s();
        }
        let more = uncertain.more + 2.0 * outside / self.interval_s(estimate);
        let doubted = self.intersection(estimate, Uncertain { more, ..uncertain });
        doubted.map_or(0.0, |doubted| doubted.farthest_s().max(ends.farthest_s()))
    }

    /// Where all samples allow UTC to be that agree with the newest one.
    fn intersection(&self, estimate: &SourceEstimate, uncertain: Uncertain) -> Option<Ends> {
        let mut newest_first = self.newest_last.iter().rev();
        let mut ends = newest_first.next()?.about(estimate, uncertain);
        for interval in newest_first {
            let its = interval.about(estimate, uncertain);
            if its.least > ends.most || its.most < ends.least {
                break;
            }
            ends.least = ends.least.max(its.least);
            ends.most = ends.most.min(its.most);
        }
        Some(ends)
    }

    /// How long before the estimate the last sample was taken that is not of the same instant, s.
    fn interval_s(&self, estimate: &SourceEstimate) -> f64 {
        let ages = self.newest_last.iter().rev();
        let mut ages = ages.map(|interval| age_s(estimate.at, interval.at));
        ages.find(|age| *age > SHORTEST_S).unwrap_or(SHORTEST_S)
    }
}

/// By what factor the deviation of a frequency is larger where the oscillator wanders `more` times as much
/// as the filter was made for.
pub(crate) fn wider(more: f64) -> f64 {
    more.powf(STEADY)
}

impl Interval {
    /// Where it lies about an estimate when carried to the instant of that.
    fn about(&self, estimate: &SourceEstimate, uncertain: Uncertain) -> Ends {
        let age = age_s(estimate.at, self.at);
        let wander = uncertain.wander.powi(2) * age / 3.0;
        let deviation = (uncertain.variance + wander).sqrt();
        let misled = (estimate.frequency - self.frequency).abs();
        let grown = (SIGMAS * deviation + misled + uncertain.more) * age;
        let drift = estimate.frequency * age;
        let about = |end: Duration| (end - estimate.offset).as_secs_f64() + drift;
        Ends {
            least: about(self.least) - grown,
            most: about(self.most) + grown,
        }
    }
}

impl Ends {
    fn farthest_s(self) -> f64 {
        self.most.max(-self.least)
    }

    /// By how much the estimate lies outside, s; not positive if it does not.
    fn outside_s(self) -> f64 {
        self.least.max(-self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kalman::Covariance;
    use crate::sample::Upstream;

    const WANDER: f64 = 1e-10;

    fn hull(samples: &[(i64, i64, f64)]) -> Hull {
        let mut hull = Hull::default();
        for (at_s, offset_us, delay_s) in samples {
            let sample = Sample {
                at: Timestamp::EPOCH + Duration::from_secs(*at_s),
                offset: Duration::from_micros(*offset_us),
                delay: Duration::from_secs_f64(*delay_s),
                uncertainty: Duration::ZERO,
                upstream: Upstream::default(),
            };
            hull.note(&sample, *delay_s, 1e-6);
        }
        hull
    }

    fn estimate(at_s: i64, offset_us: i64) -> SourceEstimate {
        SourceEstimate {
            at: Timestamp::EPOCH + Duration::from_secs(at_s),
            offset: Duration::from_micros(offset_us),
            frequency: 1e-6,
            covariance: Covariance {
                phase: 0.0,
                cross: 0.0,
                frequency: 1e-18,
            },
            wander: WANDER,
        }
    }

    fn assert_us(found_s: f64, expected_us: std::ops::Range<f64>) {
        assert!(expected_us.contains(&(found_s * 1e6)), "{found_s}");
    }

    #[test]
    fn what_two_long_waits_allow_together() {
        // One has waited for 80 us on one way, the other one for as long on the other way.
        let hull = hull(&[(0, 40, 90e-6), (1, -39, 90e-6)]);
        assert_us(hull.farthest_s(&estimate(1, 1), 1.0, 0.0), 5.0..5.1);
        assert_us(hull.farthest_s(&estimate(1, 4), 1.0, 0.0), 8.0..8.1);
    }

    #[test]
    fn one_narrow_interval_among_wide_ones_denies_an_estimate() {
        let hull = hull(&[(0, 30, 100e-6), (1, 1, 4e-6), (2, 27, 100e-6)]);
        // UTC is at 2 us by now, ± 2 us.
        assert_us(hull.farthest_s(&estimate(2, 2), 1.0, 0.0), 2.0..2.1);
        // What is believed of the frequency is as wrong, so that the narrow one has grown.
        assert_us(hull.farthest_s(&estimate(2, 20), 1.0, 0.0), 42.0..52.1);
    }

    #[test]
    fn the_older_and_the_more_wander_the_wider() {
        let hull = hull(&[(0, 0, 10e-6)]);
        let of = |at_s: i64, more| hull.farthest_s(&estimate(at_s, at_s), more, 0.0);
        assert_us(of(0, 1.0), 4.99..5.01);
        // 5 · 1 ns/s and the least drift for 100 s.
        assert_us(of(100, 1.0), 6.4..6.7);
        // Ten times the wander: 5.6 times the deviation of the frequency, and the wander of 100 s.
        assert_us(of(100, 10.0), 9.9..10.1);
        assert!(hull.farthest_s(&estimate(10, 10), 1.0, 1e-6) > 14.9e-6);
    }

    /// The way there is held up by 1 us more each second, and the clock runs fast by all of that.
    #[test]
    fn a_delay_that_grows_may_have_misled_the_frequency() {
        let samples: Vec<_> = (0..32).map(|n| (n, n, 10e-6 + 1e-6 * n as f64)).collect();
        let found = hull(&samples).farthest_s(&estimate(31, 31), 1.0, 0.0);
        assert_us(found, 20.4..20.6);
    }

    #[test]
    fn a_source_that_is_set_begins_anew() {
        let hull = hull(&[(0, 0, 10e-6), (1, 1_000_000, 10e-6)]);
        assert_us(hull.farthest_s(&estimate(1, 1_000_000), 1.0, 0.0), 4.9..5.1);
    }

    #[test]
    fn nothing_is_said_without_samples_and_old_ones_are_forgotten() {
        assert!(Hull::default().farthest_s(&estimate(0, 0), 1.0, 0.0) < 1e-18);
        let mut samples = vec![(0, 0, 2e-6)];
        samples.extend((1..=32).map(|at_s| (at_s, at_s, 10e-6)));
        assert_us(
            hull(&samples[..32]).farthest_s(&estimate(31, 31), 1.0, 0.0),
            1.0..2.0,
        );
        assert_us(
            hull(&samples).farthest_s(&estimate(32, 32), 1.0, 0.0),
            5.0..5.1,
        );
    }
}
