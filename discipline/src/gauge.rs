//! A quick look at how noisy a source is, where the bank of filters would take too long to learn.
//!
//! A straight line through the last few offsets leaves the noise; over so few samples no
//! oscillator bends. This serves at the start, and when stamps suddenly become much worse.

use std::collections::VecDeque;

use clockwright_timebase::Duration;

use crate::sample::Sample;

/// Samples looked at.
const WINDOW: usize = 8;
/// Unexplained ones among them at which the noise is gauged anew.
const TOO_MANY: u32 = 4;
/// A slope is plain when it is so many of its standard deviations.
const PLAIN_SIGMAS: f64 = 5.0;

/// The last few samples of a source.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gauge {
    recent: VecDeque<Sample>,
    /// A bit for each, newest lowest: did neither noise nor queueing explain it?
    unexplained: u8,
}

/// A straight line through offsets, or through round trips.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    /// s/s.
    pub(crate) slope: f64,
    /// RMS deviation from it, s.
    pub(crate) noise_s: f64,
    /// A noise over this is the deviation of the slope, s.
    pub(crate) lever_s: f64,
}

impl Gauge {
    /// Notes a sample.
    pub(crate) fn note(&mut self, sample: &Sample, explained: bool) {
        if self.recent.len() == WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(*sample);
        self.unexplained = self.unexplained << 1 | u8::from(!explained);
    }

    /// The samples looked at, oldest first.
    pub(crate) fn recent(&self) -> impl DoubleEndedIterator<Item = &Sample> {
        self.recent.iter()
    }

    /// Whether so many samples were unexplained that the noise must have been taken for too
    /// small. Asking starts the count afresh.
    pub(crate) fn is_overwhelmed(&mut self) -> bool {
        let overwhelmed = self.unexplained.count_ones() >= TOO_MANY;
        if overwhelmed {
            self.unexplained = 0;
        }
        overwhelmed
    }

    /// The RMS deviation of the offsets from a straight line, s. `None` below four samples.
    pub(crate) fn noise_s(&self) -> Option<f64> {
        self.line().map(|line| line.noise_s)
    }

    /// The straight line through the offsets. `None` below four samples.
    pub(crate) fn line(&self) -> Option<Line> {
        line_through(self.recent.iter().copied(), |sample| sample.offset)
    }

    /// How fast the last three round trips and that of a sample that comes next become longer, s/s, if
    /// they plainly do; at least as fast as the last two.
    pub(crate) fn longer(&self, next: &Sample) -> Option<f64> {
        let last = self.recent.back()?;
        let longer = (next.delay - last.delay).as_secs_f64() / (next.at - last.at).as_secs_f64();
        let three = self.recent.iter().rev().take(3).copied();
        let line = line_through([*next].into_iter().chain(three), |sample| sample.delay);
        line.filter(Line::is_plain)
            .map(|line| line.slope.max(longer))
    }

    /// How fast round trips become longer, s/s, if they plainly do; else 0.
    pub(crate) fn delay_rate(&self) -> f64 {
        let line = line_through(self.recent.iter().copied(), |sample| sample.delay);
        line.filter(Line::is_plain).map_or(0.0, |line| line.slope)
    }
}

impl Line {
    fn is_plain(&self) -> bool {
        self.slope.abs() > PLAIN_SIGMAS * self.noise_s / self.lever_s
    }
}

/// The straight line through something of samples. `None` below four.
fn line_through(
    samples: impl Iterator<Item = Sample> + Clone,
    of: impl Fn(&Sample) -> Duration,
) -> Option<Line> {
    let first = samples.clone().next()?;
    let points = samples.map(|sample| {
        let t = (sample.at - first.at).as_secs_f64();
        (t, (of(&sample) - of(&first)).as_secs_f64())
    });
    let n = points.clone().count() as f64;
    if n < 4.0 {
        return None;
    }
    let (sum_t, sum_x) = points
        .clone()
        .fold((0.0, 0.0), |s, p| (s.0 + p.0, s.1 + p.1));
    let (mean_t, mean_x) = (sum_t / n, sum_x / n);
    let (stt, stx, sxx) = points.fold((0.0, 0.0, 0.0), |s, (t, x)| {
        let (dt, dx) = (t - mean_t, x - mean_x);
        (s.0 + dt * dt, s.1 + dt * dx, s.2 + dx * dx)
    });
    let residual = (sxx - stx * stx / stt).max(0.0);
    Some(Line {
        slope: stx / stt,
        noise_s: (residual / (n - 2.0)).sqrt(),
        lever_s: stt.sqrt(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Upstream;
    use clockwright_timebase::Timestamp;

    fn gauge_of(offsets_us: &[i64]) -> Gauge {
        let mut gauge = Gauge::default();
        let mut at = Timestamp::EPOCH;
        for offset in offsets_us {
            at += Duration::from_secs(1);
            let sample = Sample {
                at,
                offset: Duration::from_micros(*offset),
                delay: Duration::from_micros(100),
                uncertainty: Duration::ZERO,
                upstream: Upstream::default(),
            };
            gauge.note(&sample, false);
        }
        gauge
    }

    #[test]
    fn a_line_has_no_noise() {
        let noise = gauge_of(&[10, 30, 50, 70, 90]).noise_s();
        assert!(noise.is_some_and(|s| s < 1e-15), "{noise:?}");
    }

    #[test]
    fn what_the_line_leaves_is_noise() {
        let noise = gauge_of(&[30, -30, 30, -30, 30, -30, 30, -30]).noise_s();
        assert!(
            noise.is_some_and(|s| (25e-6..40e-6).contains(&s)),
            "{noise:?}"
        );
    }

    #[test]
    fn three_samples_say_nothing() {
        assert_eq!(gauge_of(&[1, 2, 3]).noise_s(), None);
    }

    #[test]
    fn many_unexplained_samples_are_too_many_once() {
        let mut gauge = gauge_of(&[1, 2, 3, 4]);
        assert!(gauge.is_overwhelmed());
        assert!(!gauge.is_overwhelmed());
    }
}
