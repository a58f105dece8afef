//! `clockwright sim`: a scenario file in, the true error out, and its course in pictures and
//! numbers.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use clockwright_sim::{EventReport, Report, Scenario, SourceReport, plot, run_with_series};

use crate::cli::{Exit, SimArgs};
use crate::output::si;

/// Into how many parts the course of a scenario is thinned out: about what a picture can show, and
/// a file below 300 kB.
const PARTS: u32 = 1000;

/// Runs the scenario and prints what came of it.
pub fn main(args: &SimArgs) -> Exit {
    let path = args.scenario.display();
    let text = match fs::read_to_string(&args.scenario) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("clockwright: can't read the scenario {path}: {error}");
            return Exit::Failed;
        }
    };
    let mut scenario = match Scenario::parse(&text) {
        Ok(scenario) => scenario,
        Err(error) => {
            eprintln!("clockwright: {path}: {error}\nWhat a scenario may say: docs/simulation.md");
            return Exit::Usage;
        }
    };
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    let started = Instant::now();
    let (report, series) = run_with_series(&scenario, PARTS);
    let took_s = started.elapsed().as_secs_f64();
    let files = [
        args.plot.as_deref().map(|file| {
            let picture = plot(&report, &series, scenario.settle_s);
            write_file(file, picture.as_bytes())
        }),
        args.series.as_deref().map(|file| {
            let text = serde_json::to_vec(&series).unwrap_or_default();
            write_file(file, &text)
        }),
    ];
    let printed = if args.json {
        print_json(&report)
    } else {
        print_human(&report, &scenario, took_s)
    };
    // A closed pipe leaves no one to tell.
    if printed.is_ok() && !files.contains(&Some(false)) {
        Exit::Done
    } else {
        Exit::Failed
    }
}

/// Says why if it can't.
fn write_file(file: &Path, content: &[u8]) -> bool {
    let written = fs::write(file, content);
    if let Err(error) = &written {
        eprintln!("clockwright: can't write {}: {error}", file.display());
    }
    written.is_ok()
}

fn print_json(report: &Report) -> io::Result<()> {
    let text = serde_json::to_string_pretty(report)?;
    writeln!(io::stdout(), "{text}")
}

fn print_human(report: &Report, scenario: &Scenario, took_s: f64) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{} (seed {})", report.name, report.seed)?;
    let mut lines = error_lines(report, scenario.converged_s);
    lines.extend(bound_lines(report));
    for event in &report.events {
        lines.push(event_line(event));
    }
    lines.push(("exchanges".into(), report.exchanges.to_string()));
    for (number, source) in (1..).zip(&report.sources) {
        lines.push((format!("source {number}"), source_text(source)));
    }
    let simulated = format!(
        "{} in {} ({:.0} x real time)",
        si::span(report.duration_s),
        si::span(took_s),
        report.duration_s / took_s
    );
    lines.push(("simulated".into(), simulated));
    for (name, value) in lines {
        writeln!(out, "  {name:<24}{value}")?;
    }
    Ok(())
}

/// Names and values.
type Lines = Vec<(String, String)>;

fn error_lines(report: &Report, converged_s: f64) -> Lines {
    let mut lines = vec![("true error, RMS".into(), si::span(report.rms_s))];
    if let Some(limit_s) = report.kalman_limit_s {
        let ratio = report.rms_s / limit_s;
        let limit = si::span(limit_s);
        let text = format!("{limit} ({ratio:.2} x; blind to delays)");
        lines.push(("  Kalman limit".into(), text));
    }
    let converged = report.convergence_s.map_or_else(
        || "not before settling ended".to_owned(),
        |at| format!("after {}", si::span(at)),
    );
    lines.extend([
        ("  mean".into(), si::signed(report.mean_s)),
        ("  99 % below".into(), si::span(report.p99_s)),
        ("  largest".into(), si::span(report.max_s)),
        (format!("below {}", si::span(converged_s)), converged),
    ]);
    lines
}

fn bound_lines(report: &Report) -> Lines {
    let median = |bound: Option<f64>| bound.map_or_else(|| "-".to_owned(), si::span);
    let worst = report
        .first_violation_s
        .map_or_else(String::new, |first_s| {
            let worst = si::span(report.worst_violation_s);
            format!(", the first at {first_s:.1} s, the worst by {worst}")
        });
    let violations = format!(
        "{} of {} looks, {} of {} after samples{worst}",
        report.bound_violations,
        report.bound_probes,
        report.sample_violations,
        report.sample_probes
    );
    vec![
        ("error bound, median".into(), median(report.median_bound_s)),
        ("  violations".into(), violations),
        (
            "  chrony's would be".into(),
            median(report.median_root_distance_s),
        ),
    ]
}

fn event_line(event: &EventReport) -> (String, String) {
    let recovery = match event.recovery_s {
        Some(took_s) if took_s > 0.0 => format!("recovered after {}", si::span(took_s)),
        Some(_) => "never far off".to_owned(),
        None => "not recovered".to_owned(),
    };
    let peak = si::span(event.peak_s);
    let name = format!("at {:.0} s", event.at_s);
    (name, format!("{}: peak {peak}, {recovery}", event.what))
}

fn source_text(source: &SourceReport) -> String {
    let SourceReport {
        state,
        reason,
        poll_s,
    } = source;
    format!("{state}, poll {}: {reason}", si::span(*poll_s))
}
