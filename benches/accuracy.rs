//! The scenarios of sim/scenarios in a table: medians over five seeds. Virtual time: the figures
//! are the same on any machine; only the last column is not.

#![expect(clippy::print_stdout, reason = "the table is what a bench is for")]

use std::fs;
use std::path::Path;
use std::time::Instant;

use clockwright_sim::{Report, Scenario, run};

const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sim/scenarios");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the folder is part of the project")
        .map(|entry| entry.expect("its entries can be read").path())
        .collect();
    files.sort();
    println!(
        "| scenario | RMS true error | x Kalman limit | 99 % below | largest | bound, median | violations | x real time |"
    );
    println!("|---|---|---|---|---|---|---|---|");
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
        "| {} | {} | {limit} | {} | {} | {} | {} of {} | {speed:.0} |",
        reports[0].name,
        si(rms_s),
        si(median(reports, |r| Some(r.p99_s))),
        si(median(reports, |r| Some(r.max_s))),
        si(median(reports, |r| r.median_bound_s)),
        reports.iter().map(|r| r.bound_violations).sum::<u64>(),
        reports.iter().map(|r| r.bound_probes).sum::<u64>(),
    );
}

fn median(reports: &[Report], value: impl Fn(&Report) -> Option<f64>) -> Option<f64> {
    let mut values: Vec<f64> = reports.iter().filter_map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn si(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "–".to_owned(), clockwright::output::si::span)
}
