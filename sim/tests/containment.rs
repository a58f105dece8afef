//! The bound contains the truth in all scenarios that come with the project: at each look, and right
//! after each sample. `worlds_at_random.rs` draws others.

use std::fs;
use std::path::Path;

use clockwright_sim::{Scenario, run};

use crate::looking::{assert_contained, run_all, scale};

mod looking;

/// All scenarios of sim/scenarios with their file names.
fn files() -> Vec<(String, Scenario)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the folder is part of the project")
        .map(|entry| entry.expect("its entries can be read").path())
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a scenario can be read");
            let name = path
                .file_stem()
                .expect("a file has a name")
                .to_string_lossy();
            let scenario = Scenario::parse(&text).expect("a scenario is valid");
            (name.into_owned(), scenario)
        })
        .collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files
}

/// Scenarios with several seeds each.
fn with_seeds(scenarios: impl Iterator<Item = Scenario>) -> Vec<Scenario> {
    let seeds = 1..=u64::from(2 * scale());
    scenarios
        .flat_map(|scenario| seeds.clone().map(move |seed| scenario.with_seed(seed)))
        .collect()
}

#[test]
fn the_bound_holds_in_all_scenarios_without_attackers() {
    let files = files()
        .into_iter()
        .filter(|(name, _)| !name.starts_with("attack"));
    let scenarios = with_seeds(files.map(|(_, scenario)| scenario));
    assert!(scenarios.len() >= 20);
    let looks = assert_contained("scenario files", &scenarios);
    println!("{looks} looks");
}

#[test]
fn the_bound_holds_in_all_scenarios_with_attackers_who_delay() {
    let files = files()
        .into_iter()
        .filter(|(name, _)| name.starts_with("attack"));
    let scenarios = with_seeds(files.map(|(_, scenario)| scenario));
    assert!(scenarios.len() >= 3);
    let looks = assert_contained("scenario files with attackers", &scenarios);
    println!("{looks} looks");
}

#[test]
fn eight_sources_that_come_and_go_never_unsettle_the_clock() {
    let (_, scenario) = files()
        .into_iter()
        .find(|(name, _)| name == "eight-sources")
        .expect("the scenario is part of the project");
    for report in run_all(&with_seeds([scenario.clone()].into_iter())) {
        // The clock is never slewed by more than a thousandth of what it may be, and stays near.
        assert!(
            report.max_rate_error_ppm < 50.0,
            "{}",
            report.max_rate_error_ppm
        );
        assert!(report.max_s < 100e-6, "{}", report.max_s);
        assert!(
            report.selection_changes < 60,
            "{}",
            report.selection_changes
        );
        assert!(report.exchanges > 3000, "{}", report.exchanges);
    }
    assert_eq!(run(&scenario), run(&scenario));
}
