//! What the best linear filter could do in a scenario.

use clockwright_discipline::SteadyState;
use clockwright_timebase::Poll;

use crate::scenario::Scenario;

/// How often each poll interval was in use, and the limit that follows.
#[derive(Debug)]
pub(crate) struct Limit {
    /// RMS noise of one offset of each source, s; `None` where the model does not hold.
    noises_s: Option<Vec<f64>>,
    wander: f64,
    /// Looks with the same poll intervals (log2 s), and how many.
    seen: Vec<(Vec<i8>, u64)>,
}

impl Limit {
    /// The model: white noise of one deviation a source, and a random walk of the frequency. It
    /// does not hold for servers that are wrong or come and go, nor for white frequency noise.
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let read_noise_s = scenario.stamps.read_noise_s;
        let plain = scenario.source.iter().all(|source| {
            let is_right = source.error_s == 0.0
                && source.error_wander.is_none()
                && source.error_change.is_empty();
            is_right && source.from_s == 0.0 && source.until_s.is_none()
        });
        let noise_s = |source: &crate::SourceScenario| {
            let noise_s = source.path.offset_noise_s().hypot(read_noise_s);
            (noise_s > 0.0).then_some(noise_s)
        };
        let oscillator = &scenario.oscillator;
        let holds = plain && oscillator.wander > 0.0 && oscillator.white == 0.0;
        let noises_s = scenario.source.iter().map(noise_s).collect::<Option<_>>();
        Self {
            noises_s: noises_s.filter(|_| holds),
            wander: oscillator.wander,
            seen: Vec::new(),
        }
    }

    /// Counts one look at which the sources were asked at these intervals.
    pub(crate) fn note(&mut self, polls: impl Iterator<Item = Poll> + Clone) {
        if self.noises_s.is_none() {
            return;
        }
        // Intervals change seldom, so the last ones come first.
        let same =
            |seen: &&mut (Vec<i8>, u64)| seen.0.iter().copied().eq(polls.clone().map(Poll::log2));
        if let Some((_, count)) = self.seen.iter_mut().rev().find(same) {
            *count += 1;
        } else {
            self.seen.push((polls.map(Poll::log2).collect(), 1));
        }
    }

    /// RMS error over the time of all looks, s: the mean of the variances at each choice of poll
    /// intervals. Several sources give what one would at the first one's interval with as much
    /// information a second.
    pub(crate) fn rms_s(&self) -> Option<f64> {
        let noises_s = self.noises_s.as_ref()?;
        let mut sum = 0.0;
        let mut looks = 0;
        for (polls, count) in &self.seen {
            let interval_s = |poll: &i8| Poll::new(*poll).as_secs_f64();
            let first_s = polls.first().map(interval_s)?;
            let rates = noises_s.iter().zip(polls);
            let information: f64 = rates
                .map(|(noise_s, poll)| (noise_s * noise_s * interval_s(poll)).recip())
                .sum();
            let noise_s = (information * first_s).recip().sqrt();
            let mean_s = SteadyState::new(noise_s, self.wander, first_s).mean_s;
            sum += mean_s * mean_s * *count as f64;
            looks += count;
        }
        (looks > 0).then(|| (sum / looks as f64).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit_s(sources: usize, looks: &[(i8, u64)]) -> Option<f64> {
        let scenario = Scenario {
            source: vec![crate::SourceScenario::default(); sources],
            ..Scenario::default()
        };
        let mut limit = Limit::new(&scenario);
        for (poll, count) in looks {
            for _ in 0..*count {
                limit.note(core::iter::repeat_n(Poll::new(*poll), sources));
            }
        }
        limit.rms_s()
    }

    #[test]
    fn it_is_the_mean_of_the_limits_of_the_intervals_in_use() {
        let (short, long) = (limit_s(1, &[(0, 1)]), limit_s(1, &[(6, 1)]));
        let both = limit_s(1, &[(0, 3), (6, 1)]);
        let square = |limit: Option<f64>| limit.map_or(f64::NAN, |s| s * s);
        let expected = (3.0 * square(short) + square(long)) / 4.0;
        assert!((square(both) / expected - 1.0).abs() < 1e-12);
        assert_eq!(limit_s(1, &[]), None);
    }

    #[test]
    fn four_sources_are_worth_one_with_half_the_noise() {
        let four = limit_s(4, &[(0, 1)]).unwrap_or(f64::NAN);
        let noise_s = 10e-6 / 2_f64.sqrt() / 2.0;
        let expected = SteadyState::new(noise_s, 1e-9, 1.0).mean_s;
        assert!((four / expected - 1.0).abs() < 1e-12, "{four}");
    }
}
