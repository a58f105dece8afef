//! What chrony would say of how wrong the clock may be, from the same samples.
//!
//! chrony's bound is |offset| + root delay/2 + root dispersion (`chronyc tracking`). Both come from
//! the best of the last 64 samples of the selected source: the one with the least
//!
//! ```text
//! (root delay + delay)/2 + root dispersion + age·skew
//! ```
//!
//! Since the last update, the dispersion grows by the skew and by `maxclockerror`, 1 ppm (see
//! "Best sample" and "Root dispersion growth" in chrony's behaviour). Its regression is not
//! played: offset, its deviation and the skew are those of our estimate, which flatters chrony.

use crate::host::Look;

/// chrony's `maxclockerror`, s/s.
const MAX_CLOCK_ERROR: f64 = 1e-6;
/// chrony's confidence for a skew from many samples.
const SKEW_SIGMAS: f64 = 3.5;
/// Samples that are kept.
const KEPT: usize = 64;

/// One sample: when (s), and the distance it had then (s).
#[derive(Debug, Clone, Copy)]
struct Kept {
    at_s: f64,
    distance_s: f64,
}

/// The last samples of one source.
#[derive(Debug, Default)]
struct Samples {
    kept: Vec<Kept>,
    next: usize,
    best: Option<Best>,
}

/// As of the last update.
#[derive(Debug, Clone, Copy)]
struct Best {
    at_s: f64,
    distance_s: f64,
    growth: f64,
}

/// The root distances of all sources.
#[derive(Debug)]
pub(crate) struct RootDistances {
    sources: Vec<Samples>,
}

impl RootDistances {
    pub(crate) fn new(sources: usize) -> Self {
        Self {
            sources: (0..sources).map(|_| Samples::default()).collect(),
        }
    }

    /// Forgets the samples of a source.
    pub(crate) fn forget(&mut self, source: usize) {
        if let Some(samples) = self.sources.get_mut(source) {
            *samples = Samples::default();
        }
    }

    /// Takes in a sample of distance `distance_s` that came at `at_s`; our own estimate has these
    /// deviations of offset (s) and frequency (s/s).
    pub(crate) fn take(&mut self, source: usize, at_s: f64, distance_s: f64, sd: (f64, f64)) {
        let Some(samples) = self.sources.get_mut(source) else {
            return;
        };
        let new = Kept { at_s, distance_s };
        match samples.kept.get_mut(samples.next) {
            Some(oldest) => *oldest = new,
            None => samples.kept.push(new),
        }
        samples.next = (samples.next + 1) % KEPT;
        let (offset_sd_s, frequency_sd) = sd;
        let skew = SKEW_SIGMAS * frequency_sd;
        let aged = |kept: &Kept| kept.distance_s + (at_s - kept.at_s) * skew;
        let least_s = samples.kept.iter().map(aged).fold(f64::INFINITY, f64::min);
        samples.best = Some(Best {
            at_s,
            distance_s: least_s + offset_sd_s,
            growth: skew + MAX_CLOCK_ERROR,
        });
    }

    /// The bound at `at_s`, s, for what the clock says of itself in `look`.
    pub(crate) fn bound_s(&self, at_s: f64, look: &Look) -> Option<f64> {
        let best = self.sources.get(look.selected?)?.best?;
        let age_s = (at_s - best.at_s).max(0.0);
        Some(look.offset_s.abs() + best.distance_s + best.growth * age_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_the_last_samples_counts_and_ages() {
        let mut distances = RootDistances::new(1);
        let look = Look {
            offset_s: -1e-6,
            selected: Some(0),
            ..Look::default()
        };
        assert_eq!(distances.bound_s(0.0, &look), None);
        let sd = (1e-7, 1e-8 / SKEW_SIGMAS);
        distances.take(0, 0.0, 50e-6, sd);
        for second in 1..=63 {
            distances.take(0, f64::from(second), 90e-6, sd);
        }
        // 1 us of offset, 0.1 us of deviation, 63 s at 10 ppb, 10 s at 1.01 ppm.
        let bound_s = distances.bound_s(73.0, &look).expect("there are samples");
        let expected_s = 1e-6 + 50e-6 + 0.1e-6 + 0.63e-6 + 10.1e-6;
        assert!((bound_s - expected_s).abs() < 1e-12, "{bound_s}");
        // The 65th pushes the best one out.
        distances.take(0, 64.0, 90e-6, sd);
        assert!(distances.bound_s(64.0, &look).is_some_and(|b| b > 90e-6));
    }
}
