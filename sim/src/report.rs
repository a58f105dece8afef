//! What came of a scenario.

use clockwright_discipline::SteadyState;
use clockwright_timebase::Timestamp;
use serde::Serialize;

use crate::True;
use crate::scenario::Scenario;

/// The true error of the clock over a scenario, and what the clock said of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The scenario's name.
    pub name: String,
    /// Its seed.
    pub seed: u64,
    /// Its length, s.
    pub duration_s: f64,
    /// Root mean square of the true error after settling, s.
    pub rms_s: f64,
    /// Its mean (clock minus UTC), s.
    pub mean_s: f64,
    /// 99 % of the time the true error was below this, s.
    pub p99_s: f64,
    /// Its largest, s.
    pub max_s: f64,
    /// From when on the true error stayed below `converged_s` until the settling time ended, s;
    /// null if it did not.
    pub convergence_s: Option<f64>,
    /// RMS error of a steady-state Kalman filter that is told noise, wander and poll interval but
    /// does not look at delays, s. With noise that shows in the delay one can do better. Null with
    /// several sources.
    pub kalman_limit_s: Option<f64>,
    /// Median of the published error bound after settling, s.
    pub median_bound_s: Option<f64>,
    /// Probes after synchronisation at which the bound did not contain the true error.
    pub bound_violations: u64,
    /// Probes at which a bound was published.
    pub bound_probes: u64,
    /// Completed exchanges.
    pub exchanges: u64,
    /// The sources at the end.
    pub sources: Vec<SourceReport>,
}

/// A source at the end of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceReport {
    /// The part it plays.
    pub state: String,
    /// Why.
    pub reason: String,
    /// Its poll interval, s.
    pub poll_s: f64,
}

/// Collects what the report is made of.
#[derive(Debug)]
pub(crate) struct Recorder<'a> {
    scenario: &'a Scenario,
    settled_errors_s: Vec<f64>,
    settled_bounds_s: Vec<f64>,
    bound_probes: u64,
    bound_violations: u64,
    last_unconverged_s: f64,
    converged: bool,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        Self {
            scenario,
            settled_errors_s: Vec::new(),
            settled_bounds_s: Vec::new(),
            bound_probes: 0,
            bound_violations: 0,
            last_unconverged_s: 0.0,
            converged: false,
        }
    }

    /// Notes the true error (s) at an instant, and the bound (s) if one is published.
    pub(crate) fn record(&mut self, at: Timestamp<True>, error_s: f64, bound_s: Option<f64>) {
        let at_s = at.since_epoch().as_secs_f64();
        let settled = at_s >= self.scenario.settle_s;
        if let Some(bound_s) = bound_s {
            self.bound_probes += 1;
            self.bound_violations += u64::from(error_s.abs() > bound_s);
            if settled {
                self.settled_bounds_s.push(bound_s);
            }
        }
        if settled {
            self.settled_errors_s.push(error_s);
        } else {
            self.converged = error_s.abs() <= self.scenario.converged_s;
            if !self.converged {
                self.last_unconverged_s = at_s;
            }
        }
    }

    pub(crate) fn report(self, exchanges: u64, sources: Vec<SourceReport>) -> Report {
        let n = self.settled_errors_s.len().max(1) as f64;
        let mean_s = self.settled_errors_s.iter().sum::<f64>() / n;
        let square = self.settled_errors_s.iter().map(|e| e * e).sum::<f64>() / n;
        let mut sorted: Vec<f64> = self.settled_errors_s.iter().map(|e| e.abs()).collect();
        sorted.sort_by(f64::total_cmp);
        let mut bounds = self.settled_bounds_s;
        bounds.sort_by(f64::total_cmp);
        let kalman_limit_s = kalman_limit(self.scenario, &sources);
        Report {
            name: self.scenario.name.clone(),
            seed: self.scenario.seed,
            duration_s: self.scenario.duration_s,
            rms_s: square.sqrt(),
            mean_s,
            p99_s: quantile(&sorted, 0.99).unwrap_or(0.0),
            max_s: sorted.last().copied().unwrap_or(0.0),
            convergence_s: self.converged.then_some(self.last_unconverged_s),
            kalman_limit_s,
            median_bound_s: quantile(&bounds, 0.5),
            bound_violations: self.bound_violations,
            bound_probes: self.bound_probes,
            exchanges,
            sources,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index below the length, which is far below 2^53"
)]
fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * q).round() as usize).copied()
}

fn kalman_limit(scenario: &Scenario, sources: &[SourceReport]) -> Option<f64> {
    let ([source], [at_end]) = (scenario.source.as_slice(), sources) else {
        return None;
    };
    let noise_s = source
        .path
        .offset_noise_s()
        .hypot(scenario.stamps.read_noise_s);
    let wander = scenario.oscillator.wander;
    (noise_s > 0.0 && wander > 0.0).then(|| SteadyState::new(noise_s, wander, at_end.poll_s).mean_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_little() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[3.0], 0.99), Some(3.0));
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 0.5), Some(2.0));
    }
}
