//! What came of a scenario.

use serde::Serialize;

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
    /// RMS error of a steady-state Kalman filter that is told noise (that of PHC reads included),
    /// wander and poll intervals but does not look at delays, s. With noise that shows in the
    /// delay one can do better. Null where its model does not hold.
    pub kalman_limit_s: Option<f64>,
    /// Median of the published error bound after settling, s.
    pub median_bound_s: Option<f64>,
    /// Median of what chrony's root distance would be, from the same samples, s.
    pub median_root_distance_s: Option<f64>,
    /// Probes after synchronisation at which the bound did not contain the true error.
    pub bound_violations: u64,
    /// Probes at which a bound was published.
    pub bound_probes: u64,
    /// The same right after each sample: violations …
    pub sample_violations: u64,
    /// … of how many samples after which a bound was published.
    pub sample_probes: u64,
    /// When the bound was first violated, s.
    pub first_violation_s: Option<f64>,
    /// How far beyond the bound the true error ever was, s; 0 without violations.
    pub worst_violation_s: f64,
    /// The largest difference between the clock's rate and true time's after settling, ppm.
    pub max_rate_error_ppm: f64,
    /// How often another source was selected.
    pub selection_changes: u64,
    /// Completed exchanges.
    pub exchanges: u64,
    /// What happened in the scenario, and what came of it.
    pub events: Vec<EventReport>,
    /// The sources at the end.
    pub sources: Vec<SourceReport>,
}

impl Report {
    /// The RMS true error of several runs together, s.
    pub fn rms_of_all_s(reports: &[Self]) -> f64 {
        let squares: f64 = reports.iter().map(|r| r.rms_s * r.rms_s).sum();
        (squares / reports.len() as f64).sqrt()
    }
}

/// Something that happened in the scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventReport {
    /// When, s.
    pub at_s: f64,
    /// What.
    pub what: String,
    /// The largest true error until the next event, s.
    pub peak_s: f64,
    /// How long after it the true error was last above `recovered_s`, s: 0 if never; null if it
    /// still was when the next event came, or the end.
    pub recovery_s: Option<f64>,
    /// How often until the next event the bound did not contain the true error.
    pub violations: u64,
    /// How long after the event it last did not, s.
    pub last_violation_s: Option<f64>,
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
