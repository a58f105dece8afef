//! The scenarios of sim/scenarios in tables: medians over five seeds. Virtual time: the figures
//! are the same on any machine; only the last column is not.

#![expect(clippy::print_stdout, reason = "the tables are what a bench is for")]

use std::fs;
use std::path::Path;
use std::time::Instant;

use clockwright_sim::{EventReport, Report, Scenario, run};

const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sim/scenarios");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the folder is part of the project")
        .map(|entry| entry.expect("its entries can be read").path())
        .collect();
    files.sort();
    println!(
        "| scenario | RMS true error | x Kalman limit | 99 % below | largest | bound, median | chrony's root distance | violations | x real time |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut eventful = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a scenario can be read");
        let mut scenario = Scenario::parse(&text).expect("a scenario is valid");
        let started = Instant::now();
        let reports: Vec<Report> = SEEDS
            .iter()
            .map(|seed| {
                scenario.seed = *seed;
                run(&scenario)
            })
            .collect();
        let speed = 5.0 * scenario.duration_s / started.elapsed().as_secs_f64();
        print_row(&reports, speed);
        if (1..=6).contains(&reports[0].events.len()) {
            eventful.push((scenario.recovered_s, reports));
        }
    }
    println!("\n| scenario | event | peak | back within | after | violations, until |");
    println!("|---|---|---|---|---|---|");
    for (recovered_s, reports) in &eventful {
        print_events(reports, *recovered_s);
    }
}

fn print_row(reports: &[Report], speed: f64) {
    let rms_s = median(reports, |r| Some(r.rms_s));
    let limit = median(reports, |r| r.kalman_limit_s)
        .zip(rms_s)
        .map_or_else(
            || "–".to_owned(),
            |(limit_s, rms_s)| format!("{:.2}", rms_s / limit_s),
        );
    println!(
        "| {} | {} | {limit} | {} | {} | {} | {} | {} of {} | {} |",
        reports[0].name,
        si(rms_s),
        si(median(reports, |r| Some(r.p99_s))),
        si(median(reports, |r| Some(r.max_s))),
        si(median(reports, |r| r.median_bound_s)),
        si(median(reports, |r| r.median_root_distance_s)),
        sum(reports, |r| r.bound_violations + r.sample_violations),
        sum(reports, |r| r.bound_probes + r.sample_probes),
        two_digits(speed),
    );
}

/// The events of a scenario; all its runs have the same.
fn print_events(reports: &[Report], recovered_s: f64) {
    for (index, event) in reports[0].events.iter().enumerate() {
        let of = |report: &Report| report.events[index].clone();
        let last_s = |event: EventReport| event.last_violation_s.unwrap_or(0.0);
        let until_s = reports.iter().map(|r| last_s(of(r))).fold(0.0, f64::max);
        // A run that did not recover counts as infinitely late.
        let recovery_s = median(reports, |r| Some(of(r).recovery_s.unwrap_or(f64::INFINITY)));
        println!(
            "| {} | {} | {} | {} | {} | {}, {} |",
            reports[0].name,
            event.what,
            si(median(reports, |r| Some(of(r).peak_s))),
            si(Some(recovered_s)),
            si(recovery_s),
            sum(reports, |r| of(r).violations),
            si(Some(until_s)),
        );
    }
}

fn sum(reports: &[Report], value: impl Fn(&Report) -> u64) -> u64 {
    reports.iter().map(value).sum()
}

fn median(reports: &[Report], value: impl Fn(&Report) -> Option<f64>) -> Option<f64> {
    let mut values: Vec<f64> = reports.iter().filter_map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn si(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "–".to_owned(), clockwright::output::si::span)
}

/// A speed, of which more than two digits are chance.
fn two_digits(speed: f64) -> String {
    let unit = 10_f64.powf(speed.log10().floor() - 1.0);
    format!("{:.0}", (speed / unit).round() * unit)
}
