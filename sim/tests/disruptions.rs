//! Hosts that sleep, go on from a snapshot or are moved, in virtual time.

use clockwright_sim::{Report, Scenario, run, run_with_seeds};

const SLEEP: &str = include_str!("../scenarios/sleep.toml");
const MOVE: &str = include_str!("../scenarios/move.toml");

fn scenario(text: &str) -> Scenario {
    Scenario::parse(text).expect("the scenarios that come with the project are valid")
}

/// Reports of forty seeds, on a LAN whose servers may be asked every 2^`poll` s.
fn on_a_lan(text: &str, jitter_s: f64, poll: i8) -> Vec<Report> {
    let mut scenario = scenario(text);
    scenario.recovered_s = 10e-6;
    for source in &mut scenario.source {
        source.path.jitter_s = jitter_s;
        (source.poll_min, source.poll_max) = (poll, poll.max(6));
    }
    run_with_seeds(&scenario, 1..=40)
}

#[test]
fn ten_seconds_after_sleep_or_a_move_a_clock_on_a_lan_is_within_10_us() {
    for (text, poll) in [(SLEEP, 0), (MOVE, 0), (SLEEP, 6), (MOVE, 6)] {
        for report in on_a_lan(text, 1e-6, poll) {
            let event = &report.events[0];
            assert!(event.peak_s > 0.1, "it was disrupted: {event:?}");
            assert!(
                event.recovery_s.is_some_and(|s| s <= 10.0),
                "{} (seed {}, poll {poll}): {event:?}",
                report.name,
                report.seed
            );
        }
    }
}

#[test]
fn no_bound_is_broken_by_sleep_or_a_move() {
    for text in [SLEEP, MOVE] {
        for seed in 1..=20 {
            let mut scenario = scenario(text);
            scenario.seed = seed;
            scenario.settle_s = 0.0;
            let report = run(&scenario);
            let broken = report.bound_violations + report.sample_violations;
            assert!(report.bound_probes > 4000, "{}", report.bound_probes);
            assert_eq!(broken, 0, "{} (seed {seed}): {report:?}", report.name);
        }
    }
}

#[test]
fn disruptions_that_overlap_are_refused() {
    let twice = format!("{SLEEP}\n[[disruption]]\nat_s = 2000.0\n");
    let error = Scenario::parse(&twice).expect_err("the host sleeps then");
    assert!(error.to_string().contains("disruption.at_s"), "{error}");
}
