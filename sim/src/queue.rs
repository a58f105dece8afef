//! A link that cross traffic keeps busy.
//!
//! Bursts of traffic come at random (a Poisson process of rate λ) and each takes an exponential
//! time of mean s to send: an M/M/1 queue with load ρ = λs. A packet waits for the work W that is
//! there when it comes. Between bursts the work shrinks by one second a second; a burst adds its
//! own. That is Lindley's recursion, run in virtual time, so waits that are near in time are alike:
//!
//! ```text
//! W(t + a) = max(0, W(t) − a),   a ~ exponential of mean 1/λ;   then  W += exponential of mean s
//! ```
//!
//! The packets of NTP are few and small and add nothing to it.
//!
//! At rest, W is 0 for a part 1 − ρ of the time and otherwise exponential with mean s/(1 − ρ). The
//! queue forgets its past within a few relaxation times s/(1 − √ρ)² (Cohen 1982); a packet that
//! comes later than that finds the queue at rest, and need not wait for us to play all bursts.

use crate::random::Random;

/// After this many relaxation times nothing of the past is left: less than e⁻¹².
const FORGOTTEN: f64 = 12.0;

/// The queue of one way.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    load: f64,
    service_s: f64,
    at_s: f64,
    /// Work at `at_s`, s; negative before the first packet.
    work_s: f64,
}

impl Queue {
    pub(crate) fn new(load: f64, service_s: f64) -> Self {
        Self {
            load,
            service_s,
            at_s: f64::NEG_INFINITY,
            work_s: 0.0,
        }
    }

    /// How long a packet waits that comes at `at_s`, no earlier than the one before it, s.
    pub(crate) fn wait_s(&mut self, at_s: f64, random: &mut Random) -> f64 {
        if self.load <= 0.0 {
            return 0.0;
        }
        let relaxation_s = self.service_s / (1.0 - self.load.sqrt()).powi(2);
        if at_s - self.at_s > FORGOTTEN * relaxation_s {
            self.work_s = self.at_rest_s(random);
        } else {
            self.play_until(at_s, random);
        }
        self.at_s = self.at_s.max(at_s);
        self.work_s
    }

    fn at_rest_s(&self, random: &mut Random) -> f64 {
        if random.uniform() <= self.load {
            random.exponential() * self.service_s / (1.0 - self.load)
        } else {
            0.0
        }
    }

    fn play_until(&mut self, at_s: f64, random: &mut Random) {
        let mut left_s = at_s - self.at_s;
        // Bursts are without memory: the next one is drawn afresh at each packet.
        loop {
            let gap_s = random.exponential() * self.service_s / self.load;
            if gap_s >= left_s {
                self.work_s = (self.work_s - left_s.max(0.0)).max(0.0);
                return;
            }
            left_s -= gap_s;
            self.work_s = (self.work_s - gap_s).max(0.0) + random.exponential() * self.service_s;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean wait, part that waits, and correlation of successive waits, of packets `gap_s` apart.
    fn statistics(load: f64, gap_s: f64) -> (f64, f64, f64) {
        let (mut queue, mut random) = (Queue::new(load, 1e-3), Random::new(3, 0));
        let n = 40_000;
        let waits: Vec<f64> = (0..n)
            .map(|i| queue.wait_s(f64::from(i) * gap_s, &mut random))
            .collect();
        let mean = waits.iter().sum::<f64>() / f64::from(n);
        let waited = waits.iter().filter(|w| **w > 0.0).count() as f64 / f64::from(n);
        let variance = waits.iter().map(|w| (w - mean).powi(2)).sum::<f64>();
        let product = |w: &[f64]| (w[0] - mean) * (w[1] - mean);
        let covariance = waits.windows(2).map(product).sum::<f64>();
        (mean, waited, covariance / variance)
    }

    #[test]
    fn played_or_drawn_the_waits_are_those_of_the_theory() {
        // 1 s is drawn at rest at a load of 0.5, 0.02 s is played at both.
        for (load, gap_s) in [(0.5, 1.0), (0.5, 0.02), (0.8, 0.1), (0.8, 2.0)] {
            let (mean, waited, _) = statistics(load, gap_s);
            let expected = load * 1e-3 / (1.0 - load);
            assert!((mean / expected - 1.0).abs() < 0.1, "{load} {gap_s} {mean}");
            assert!((waited - load).abs() < 0.02, "{load} {gap_s} {waited}");
        }
    }

    #[test]
    fn waits_near_in_time_are_alike_and_those_far_apart_are_not() {
        let (_, _, near) = statistics(0.9, 1e-3);
        let (_, _, far) = statistics(0.9, 10.0);
        assert!(near > 0.95, "{near}");
        assert!(far.abs() < 0.03, "{far}");
    }
}
