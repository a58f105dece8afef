//! Packets that wait for many times as long as their path is: the bound contains the truth, and is of use.
//!
//! An exchange says no more than offset ± delay/2, and none of them may be clean for long. Filters that
//! are persuaded by the many were wrong for minutes there, further than their bound said.

use clockwright_sim::{Distribution, Report, Scenario, WayScenario};

use crate::looking::{assert_contained, run_all, scale};
use crate::queues::{near, queue, waits};

mod looking;
mod queues;

/// Exchanges of a run.
const EXCHANGES: f64 = 3600.0;

/// One server close by whose packets wait so on either way, asked every 2^`poll` s.
fn waiting(name: &str, poll: i8, there: WayScenario, back: WayScenario) -> Scenario {
    let mut scenario = near(poll, EXCHANGES);
    scenario.name = format!("{name}, poll {poll}");
    scenario.probe_s = f64::from(poll).exp2() / 4.0;
    (scenario.source[0].path.there, scenario.source[0].path.back) = (there, back);
    scenario
}

/// What waits there are, and how they are called.
fn ways() -> Vec<(&'static str, WayScenario, WayScenario)> {
    let exponential = |wait_s, part| waits(Distribution::Exponential, wait_s, part);
    let pareto = |wait_s, part| waits(Distribution::Pareto, wait_s, part);
    let ways = [
        ("load 50 % each way", queue(0.5), queue(0.5)),
        ("load 90 % each way", queue(0.9), queue(0.9)),
        ("load 97 % each way", queue(0.97), queue(0.97)),
        ("load 90 % one way", queue(0.9), WayScenario::default()),
        (
            "10 and 200 us",
            exponential(10e-6, 1.0),
            exponential(200e-6, 1.0),
        ),
        (
            "200 us half of the time, 10 us",
            exponential(200e-6, 0.5),
            exponential(10e-6, 1.0),
        ),
        (
            "100 us each way",
            exponential(100e-6, 1.0),
            exponential(100e-6, 1.0),
        ),
        (
            "heavy tail, 10 and 200 us",
            pareto(10e-6, 1.0),
            pareto(200e-6, 1.0),
        ),
        (
            "heavy tail, 20 us nine times in ten",
            pareto(20e-6, 0.9),
            pareto(20e-6, 0.9),
        ),
    ];
    ways.into()
}

#[test]
fn the_bound_holds_where_packets_wait_for_longer_than_the_path_is() {
    let mut scenarios = Vec::new();
    for poll in [-2, 0, 4, 6] {
        for (name, there, back) in ways() {
            let scenario = waiting(name, poll, there, back);
            let seeds = 501..501 + 5 * u64::from(scale());
            scenarios.extend(seeds.map(|seed| scenario.with_seed(seed)));
        }
    }
    let looks = assert_contained("long waits", &scenarios);
    assert!(looks > 3_000_000, "only {looks} looks");
}

/// What all samples allow together is narrower than what chrony would say of the best of them, but at
/// short intervals, where that says nothing of how unequal waits are.
#[test]
fn the_bound_is_near_what_chronys_root_distance_would_be_or_below() {
    for poll in [0, 4, 6] {
        for (name, there, back) in ways() {
            let scenario = waiting(name, poll, there, back);
            let seeds: Vec<_> = (501..=505).map(|seed| scenario.with_seed(seed)).collect();
            let ratio = |report: &Report| {
                let bound_s = report.median_bound_s.expect("it is synchronised");
                bound_s / report.median_root_distance_s.expect("it is, too")
            };
            let mut ratios: Vec<f64> = run_all(&seeds).iter().map(ratio).collect();
            ratios.sort_by(f64::total_cmp);
            let most = if poll > 0 { 1.0 } else { 2.0 };
            assert!(ratios[2] < most, "{name}, poll {poll}: {ratios:?}");
        }
    }
}
