//! How near the discipline comes to what no estimator can beat.
//!
//! The bound is the steady-state Kalman filter that is told noise, wander and poll interval, with every
//! exchange complete at once and its correction made in no time (`kalman_limit_s` of the report). All
//! of the discipline is in the ratio: estimating noise and wander, the age of interleaved exchanges,
//! corrections that take time.

use clockwright_sim::{Scenario, run};

const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];
/// log2 s.
const POLLS: [i8; 4] = [-4, 0, 2, 4];
const JITTERS_S: [f64; 2] = [10e-9, 50e-9];
const WANDERS: [f64; 2] = [1e-10, 1e-9];

/// 4000 polls, after as many as it takes to learn.
fn scenario(jitter_s: f64, wander: f64, poll: i8) -> Scenario {
    let text = include_str!("../scenarios/ideal-10ns.toml");
    let mut scenario = Scenario::parse(text).expect("the scenario is valid");
    let interval_s = f64::from(poll).exp2();
    scenario.settle_s = 600.0 * interval_s.max(0.25);
    scenario.duration_s = scenario.settle_s + 4000.0 * interval_s;
    scenario.probe_s = (0.21 * interval_s.min(4.0)).max(0.0131);
    scenario.oscillator.wander = wander;
    assert_eq!(scenario.source.len(), 1);
    let source = &mut scenario.source[0];
    source.path.jitter_s = jitter_s;
    (source.poll_min, source.poll_max) = (poll, poll);
    assert!(source.interleaved, "as by default");
    scenario
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// RMS true error over the bound, for each of the seeds; the published bounds hold.
fn ratios(scenario: &Scenario) -> Vec<f64> {
    SEEDS
        .iter()
        .map(|seed| {
            let report = run(&Scenario {
                seed: *seed,
                ..scenario.clone()
            });
            assert!(report.bound_probes > 0);
            assert_eq!(report.bound_violations, 0, "{}: {report:?}", report.name);
            report.rms_s / report.kalman_limit_s.expect("one source, noise and wander")
        })
        .collect()
}

/// The whole grid keeps below `limit` in the median, and no seed is far above.
fn assert_near_the_bound(limit: f64, change: impl Fn(&mut Scenario)) {
    for poll in POLLS {
        for jitter_s in JITTERS_S {
            for wander in WANDERS {
                let mut scenario = scenario(jitter_s, wander, poll);
                change(&mut scenario);
                let found = ratios(&scenario);
                let what = format!("jitter {jitter_s}, wander {wander}, poll {poll}: {found:.3?}");
                assert!(median(found.clone()) < limit, "{what}");
                // Few averaging times fit into a run at short intervals: one seed may be lucky or not.
                let bounds = 0.6..limit + 0.3;
                assert!(found.iter().all(|ratio| bounds.contains(ratio)), "{what}");
            }
        }
    }
}

#[test]
fn ideal_stamps_are_within_a_tenth_of_the_bound() {
    assert_near_the_bound(1.1, |_| {});
}

/// A reading of the NIC's clock takes 1 us and is off by 100 ns; the bound counts that as noise.
#[test]
fn readings_of_a_nics_clock_cost_no_more_than_their_noise() {
    assert_near_the_bound(1.1, |scenario| {
        scenario.stamps.read_s = 1e-6;
        scenario.stamps.read_noise_s = 100e-9;
    });
}

/// When an interleaved reply has left is told a poll interval later and foreseen until then. A server
/// whose replies take 12 us and exp(20 us) leaves little to be foreseen; the way there tells the time
/// all the same.
#[test]
fn servers_that_reply_when_they_please_cost_little() {
    assert_near_the_bound(1.35, |scenario| {
        scenario.source[0].turnaround_jitter_s = 20e-6;
    });
}

/// Also in basic mode, which has every exchange complete at once.
#[test]
fn basic_mode_is_within_a_tenth_of_the_bound() {
    assert_near_the_bound(1.13, |scenario| scenario.source[0].interleaved = false);
}
