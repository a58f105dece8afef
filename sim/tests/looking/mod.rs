//! Runs many scenarios and looks whether a bound was broken in one.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use clockwright_sim::{Report, Scenario, run};

/// How many times as many worlds as usual are to be looked at.
pub(crate) fn scale() -> u32 {
    let said = std::env::var("CONTAINMENT_SCALE").ok();
    said.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Runs all on all cores, in order.
pub(crate) fn run_all(scenarios: &[Scenario]) -> Vec<Report> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let share = |core| scenarios.iter().skip(core).step_by(cores);
        let threads: Vec<_> = (0..cores)
            .map(|core| scope.spawn(move || share(core).map(run).collect::<Vec<_>>()))
            .collect();
        let mut shares: Vec<_> = threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .expect("a simulation does not panic")
                    .into_iter()
            })
            .collect();
        (0..scenarios.len())
            .map(|index| shares[index % cores].next().expect("each has a report"))
            .collect()
    })
}

/// All violations there were, right after samples and between them.
fn violations(report: &Report) -> u64 {
    report.bound_violations + report.sample_violations
}

/// Asserts that no bound was broken; says all that were. Returns how often one was looked at.
pub(crate) fn assert_contained(name: &str, scenarios: &[Scenario]) -> u64 {
    let reports = run_all(scenarios);
    let mut broken = Vec::new();
    let mut looks = 0;
    for (scenario, report) in scenarios.iter().zip(&reports) {
        looks += report.bound_probes + report.sample_probes;
        assert!(report.exchanges > 0, "{} measures nothing", scenario.name);
        if violations(report) > 0 {
            broken.push((scenario, report));
        }
    }
    let told: Vec<String> = broken
        .iter()
        .map(|(scenario, report)| tell(scenario, report))
        .collect();
    assert!(
        broken.is_empty(),
        "{name}: {} of {} worlds break the bound:\n{}",
        broken.len(),
        scenarios.len(),
        told.join("\n")
    );
    looks
}

fn tell(scenario: &Scenario, report: &Report) -> String {
    format!(
        "{} (seed {}): {} of {} looks, {} of {} after samples, first at {:.1} s, worst by {:.3e} s; {}",
        report.name,
        report.seed,
        report.bound_violations,
        report.bound_probes,
        report.sample_violations,
        report.sample_probes,
        report.first_violation_s.unwrap_or(0.0),
        report.worst_violation_s,
        written(scenario).display(),
    )
}

/// The scenario in a file.
fn written(scenario: &Scenario) -> PathBuf {
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = scenario.name.chars().map(word).take(60).collect();
    let file = format!("{name}-{}.toml", scenario.seed);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
    let text = toml::to_string(scenario).expect("a scenario can be written");
    fs::write(&path, text).expect("the folder for temporary files can be written to");
    path
}
