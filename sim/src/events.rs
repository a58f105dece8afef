//! What happens in a scenario by its author's will, and what comes of it.

use crate::report::EventReport;
use crate::scenario::{ErrorChange, Scenario, Span};

/// All events of a scenario, the first one first: when (s), and what.
pub(crate) fn events_of(scenario: &Scenario) -> Vec<(f64, String)> {
    let mut events = Vec::new();
    for step in scenario.oscillator.steps() {
        events.push((step.at_s, format!("frequency {:+} ppm", step.ppm)));
    }
    for step in &scenario.temperature.step {
        events.push((step.at_s, format!("temperature {:+} K", step.by_k)));
    }
    for disruption in &scenario.disruption {
        let what = if disruption.moved { "moved" } else { "slept" };
        let lasts_s = disruption.lasts_s;
        events.push((disruption.ends_s(), format!("{what}, {lasts_s} s")));
    }
    push_outages(&mut events, "all sources", &scenario.outage);
    for (number, source) in (1..).zip(&scenario.source) {
        let name = format!("source {number}");
        push_outages(&mut events, &name, &source.outage);
        if source.from_s > 0.0 {
            events.push((source.from_s, format!("{name} comes")));
        }
        if let Some(until_s) = source.until_s {
            events.push((until_s, format!("{name} goes")));
        }
        for change in &source.error_change {
            events.push((change.at_s, format!("{name} {}", how_it_errs(change))));
        }
        for route in &source.path.route {
            events.push((route.at_s, format!("{name} by another route")));
        }
        for attack in &source.path.attack {
            events.push((attack.from_s, format!("{name} attacked")));
            if let Some(until_s) = attack.until_s {
                events.push((until_s, format!("{name} no longer attacked")));
            }
        }
    }
    events.retain(|(at_s, _)| *at_s <= scenario.duration_s);
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    events
}

fn how_it_errs(change: &ErrorChange) -> String {
    let ErrorChange {
        by_s, drift_ppm, ..
    } = change;
    match (*by_s != 0.0, *drift_ppm != 0.0) {
        (true, false) => format!("errs {by_s:+} s"),
        (true, true) => format!("errs {by_s:+} s, drifts {drift_ppm:+} ppm"),
        (false, true) => format!("drifts {drift_ppm:+} ppm"),
        (false, false) => "drifts no more".to_owned(),
    }
}

fn push_outages(events: &mut Vec<(f64, String)>, name: &str, outages: &[Span]) {
    for outage in outages {
        events.push((outage.from_s, format!("{name} lost")));
        events.push((outage.until_s, format!("{name} back")));
    }
}

/// Watches the true error after each event.
#[derive(Debug)]
pub(crate) struct Watch {
    recovered_s: f64,
    /// Those to come, the next one last.
    to_come: Vec<(f64, String)>,
    reports: Vec<EventReport>,
    /// Of the newest report: when the error was last too large, s.
    last_above_s: f64,
    is_above: bool,
}

impl Watch {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut to_come = events_of(scenario);
        to_come.reverse();
        Self {
            recovered_s: scenario.recovered_s,
            to_come,
            reports: Vec::new(),
            last_above_s: 0.0,
            is_above: false,
        }
    }

    /// Notes the true error (s) at an instant, and whether it is beyond the bound.
    pub(crate) fn note(&mut self, at_s: f64, error_s: f64, is_broken: bool) {
        while let Some((event_s, what)) = self.to_come.pop_if(|(event_s, _)| *event_s <= at_s) {
            self.close();
            self.last_above_s = event_s;
            self.is_above = false;
            self.reports.push(EventReport {
                at_s: event_s,
                what,
                peak_s: 0.0,
                recovery_s: None,
                violations: 0,
                last_violation_s: None,
            });
        }
        if let Some(report) = self.reports.last_mut() {
            report.peak_s = report.peak_s.max(error_s.abs());
            self.is_above = error_s.abs() > self.recovered_s;
            if self.is_above {
                self.last_above_s = at_s;
            }
            if is_broken {
                report.violations += 1;
                report.last_violation_s = Some(at_s - report.at_s);
            }
        }
    }

    fn close(&mut self) {
        if let Some(report) = self.reports.last_mut() {
            let took_s = self.last_above_s - report.at_s;
            report.recovery_s = (!self.is_above).then_some(took_s);
        }
    }

    pub(crate) fn reports(mut self) -> Vec<EventReport> {
        self.close();
        self.reports
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_and_recoveries_belong_to_their_events() {
        let scenario = Scenario {
            recovered_s: 1e-6,
            outage: vec![Span {
                from_s: 10.0,
                until_s: 20.0,
            }],
            ..Scenario::default()
        };
        let mut watch = Watch::new(&scenario);
        for (at_s, error_s) in [
            (5.0, 9e-6),
            (11.0, 2e-6),
            (13.0, -3e-6),
            (15.0, 0.5e-6),
            (22.0, 8e-6),
        ] {
            watch.note(at_s, error_s, at_s < 12.0);
        }
        let reports = watch.reports();
        let told: Vec<_> = reports.iter().map(|r| (r.peak_s, r.recovery_s)).collect();
        assert_eq!(told, [(3e-6, Some(3.0)), (8e-6, None)]);
        let violations: Vec<_> = reports
            .iter()
            .map(|report| (report.violations, report.last_violation_s))
            .collect();
        assert_eq!(violations, [(1, Some(1.0)), (0, None)]);
        assert_eq!(reports[1].what, "all sources back");
    }
}
