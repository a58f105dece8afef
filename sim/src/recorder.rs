//! Collects what a report is made of while a scenario runs.

use clockwright_timebase::Poll;

use crate::events::Watch;
use crate::histogram::Histogram;
use crate::host::Look;
use crate::limit::Limit;
use crate::report::{Report, SourceReport};
use crate::scenario::Scenario;
use crate::series::Series;

/// How often a bound was looked at, and how often it was broken.
#[derive(Debug, Default)]
struct Tally {
    looks: u64,
    violations: u64,
}

/// Collects.
#[derive(Debug)]
pub(crate) struct Recorder<'a> {
    scenario: &'a Scenario,
    count: u64,
    sum: f64,
    sum_of_squares: f64,
    errors: Histogram,
    bounds: Histogram,
    root_distances: Histogram,
    probes: Tally,
    samples: Tally,
    first_violation_s: Option<f64>,
    worst_violation_s: f64,
    max_rate_error: f64,
    selected: Option<usize>,
    selection_changes: u64,
    last_unconverged_s: f64,
    converged: bool,
    limit: Limit,
    watch: Watch,
    series: Option<Series>,
}

impl<'a> Recorder<'a> {
    /// Records the series, too, if one is given.
    pub(crate) fn new(scenario: &'a Scenario, series: Option<Series>) -> Self {
        Self {
            scenario,
            count: 0,
            sum: 0.0,
            sum_of_squares: 0.0,
            errors: Histogram::new(),
            bounds: Histogram::new(),
            root_distances: Histogram::new(),
            probes: Tally::default(),
            samples: Tally::default(),
            first_violation_s: None,
            worst_violation_s: 0.0,
            max_rate_error: 0.0,
            selected: None,
            selection_changes: 0,
            last_unconverged_s: 0.0,
            converged: false,
            limit: Limit::new(scenario),
            watch: Watch::new(scenario),
            series,
        }
    }

    /// Notes one of the looks that come at equal intervals, and the poll intervals then in use.
    pub(crate) fn probe(
        &mut self,
        at_s: f64,
        look: &Look,
        root_distance_s: Option<f64>,
        polls: impl Iterator<Item = Poll> + Clone,
    ) {
        let broken_by_s = look.broken_by_s();
        self.probes.note(broken_by_s);
        self.note(at_s, look, broken_by_s);
        if at_s < self.scenario.settle_s {
            self.converged = look.error_s.abs() <= self.scenario.converged_s;
            if !self.converged {
                self.last_unconverged_s = at_s;
            }
        } else {
            self.count += 1;
            self.sum += look.error_s;
            self.sum_of_squares += look.error_s * look.error_s;
            self.errors.add(look.error_s);
            self.max_rate_error = self.max_rate_error.max(look.rate_error.abs());
            if let Some(bound_s) = look.bound_s {
                self.bounds.add(bound_s);
            }
            if let Some(distance_s) = root_distance_s {
                self.root_distances.add(distance_s);
            }
            self.limit.note(polls);
        }
        if let Some(series) = &mut self.series {
            series.note(at_s, look, root_distance_s);
        }
    }

    /// Notes a look right after a sample was taken in.
    pub(crate) fn sample(&mut self, at_s: f64, look: &Look) {
        let broken_by_s = look.broken_by_s();
        self.samples.note(broken_by_s);
        self.note(at_s, look, broken_by_s);
        if look.selected != self.selected {
            self.selected = look.selected;
            self.selection_changes += 1;
            if let Some(series) = &mut self.series {
                series.note_selection(at_s, look.selected);
            }
        }
        if let Some(series) = &mut self.series {
            series.note(at_s, look, None);
        }
    }

    fn note(&mut self, at_s: f64, look: &Look, broken_by_s: Option<f64>) {
        let broken_by_s = broken_by_s.filter(|by_s| *by_s > 0.0);
        self.watch.note(at_s, look.error_s, broken_by_s.is_some());
        if let Some(by_s) = broken_by_s {
            self.first_violation_s.get_or_insert(at_s);
            self.worst_violation_s = self.worst_violation_s.max(by_s);
        }
    }

    pub(crate) fn report(
        self,
        exchanges: u64,
        sources: Vec<SourceReport>,
    ) -> (Report, Option<Series>) {
        let n = self.count.max(1) as f64;
        let report = Report {
            name: self.scenario.name.clone(),
            seed: self.scenario.seed,
            duration_s: self.scenario.duration_s,
            rms_s: (self.sum_of_squares / n).sqrt(),
            mean_s: self.sum / n,
            p99_s: self.errors.quantile(0.99).unwrap_or(0.0),
            max_s: self.errors.largest(),
            convergence_s: self.converged.then_some(self.last_unconverged_s),
            kalman_limit_s: self.limit.rms_s(),
            median_bound_s: self.bounds.quantile(0.5),
            median_root_distance_s: self.root_distances.quantile(0.5),
            bound_violations: self.probes.violations,
            bound_probes: self.probes.looks,
            sample_violations: self.samples.violations,
            sample_probes: self.samples.looks,
            first_violation_s: self.first_violation_s,
            worst_violation_s: self.worst_violation_s,
            max_rate_error_ppm: self.max_rate_error * 1e6,
            selection_changes: self.selection_changes.saturating_sub(1),
            exchanges,
            events: self.watch.reports(),
            sources,
        };
        (report, self.series)
    }
}

impl Tally {
    /// Notes by how much a bound was broken, s, if one was published.
    fn note(&mut self, broken_by_s: Option<f64>) {
        if let Some(by_s) = broken_by_s {
            self.looks += 1;
            self.violations += u64::from(by_s > 0.0);
        }
    }
}
