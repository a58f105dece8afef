//! `clockwright sim`: a scenario file in, the true error out.

use std::fs;
use std::io::{self, Write};
use std::time::Instant;

use clockwright_sim::{Report, Scenario, run};

use crate::cli::{Exit, SimArgs};
use crate::output::si;

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
    let report = run(&scenario);
    let took_s = started.elapsed().as_secs_f64();
    let printed = if args.json {
        print_json(&report)
    } else {
        print_human(&report, scenario.converged_s, took_s)
    };
    // A closed pipe leaves no one to tell.
    if printed.is_ok() {
        Exit::Done
    } else {
        Exit::Failed
    }
}

fn print_json(report: &Report) -> io::Result<()> {
    let text = serde_json::to_string_pretty(report)?;
    writeln!(io::stdout(), "{text}")
}

fn print_human(report: &Report, converged_s: f64, took_s: f64) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{} (seed {})", report.name, report.seed)?;
    let mut line = |name: &str, value: String| writeln!(out, "  {name:<24}{value}");
    line("true error, RMS", si::span(report.rms_s))?;
    if let Some(limit_s) = report.kalman_limit_s {
        let ratio = report.rms_s / limit_s;
        line(
            "  Kalman limit",
            format!("{} ({ratio:.2} x; blind to delays)", si::span(limit_s)),
        )?;
    }
    line("  mean", si::signed(report.mean_s))?;
    line("  99 % below", si::span(report.p99_s))?;
    line("  largest", si::span(report.max_s))?;
    let converged = report.convergence_s.map_or_else(
        || "not before settling ended".to_owned(),
        |at| format!("after {}", si::span(at)),
    );
    line(&format!("below {}", si::span(converged_s)), converged)?;
    let bound = report
        .median_bound_s
        .map_or_else(|| "-".to_owned(), si::span);
    line("error bound, median", bound)?;
    line(
        "  violations",
        format!(
            "{} of {} looks",
            report.bound_violations, report.bound_probes
        ),
    )?;
    line("exchanges", report.exchanges.to_string())?;
    for (number, source) in (1..).zip(&report.sources) {
        line(
            &format!("source {number}"),
            format!(
                "{}, poll {}: {}",
                source.state,
                si::span(source.poll_s),
                source.reason
            ),
        )?;
    }
    line(
        "simulated",
        format!(
            "{} in {} ({:.0} x real time)",
            si::span(report.duration_s),
            si::span(took_s),
            report.duration_s / took_s
        ),
    )
}
