//! What the discipline promises, in figures: medians over five seeds, in virtual time.
//!
//! Each test is one line of the promises; the tables of docs/benchmarks.md say by how much they
//! are kept.

use clockwright_discipline::Covariance;
use clockwright_sim::{Distribution, Report, Scenario, StampScenario, run_with_seeds};

fn scenario(text: &str) -> Scenario {
    Scenario::parse(text).expect("the scenarios that come with the project are valid")
}

/// The median over five seeds of something in the report.
fn median(scenario: &Scenario, of: impl Fn(&Report) -> f64) -> f64 {
    let mut values: Vec<f64> = run_with_seeds(scenario, 1..=5).iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[2]
}

fn rms_s(text: &str) -> f64 {
    median(&scenario(text), |report| report.rms_s)
}

/// All combinations of jitter (s), wander (s/s per √s) and poll (log2 s).
fn ideal() -> impl Iterator<Item = (f64, f64, i8)> {
    let jitters = [10e-9, 50e-9].into_iter();
    jitters.flat_map(|jitter_s| {
        let wanders = [1e-10, 1e-9].into_iter();
        wanders.flat_map(move |wander| [-4, -2, 0, 4].map(|poll| (jitter_s, wander, poll)))
    })
}

/// RMS true error as a multiple of the Kalman limit, for those that are above `most`.
fn above(most: f64, stamps: &StampScenario) -> Vec<String> {
    let mut beyond = Vec::new();
    for (jitter_s, wander, poll) in ideal() {
        let interval_s = f64::from(poll).exp2();
        let mut scenario = scenario(include_str!("../scenarios/ideal-10ns.toml"));
        scenario.duration_s = 4800.0 * interval_s.max(0.25);
        scenario.settle_s = scenario.duration_s / 4.0;
        scenario.probe_s = 0.131 * interval_s;
        scenario.oscillator.wander = wander;
        scenario.stamps = stamps.clone();
        scenario.source[0].path.jitter_s = jitter_s;
        scenario.source[0].path.distribution = Distribution::Normal;
        scenario.source[0].poll_min = poll;
        scenario.source[0].poll_max = poll;
        let ratio = median(&scenario, |report| {
            let limit_s = report.kalman_limit_s.expect("one source, noise and wander");
            report.rms_s / limit_s
        });
        if ratio > most {
            beyond.push(format!(
                "jitter {jitter_s:e}, wander {wander:e}, poll {interval_s} s: {ratio:.3}"
            ));
        }
    }
    beyond
}

#[test]
fn ideal_stamps_are_within_a_quarter_of_the_kalman_limit() {
    let beyond = above(1.25, &StampScenario::default());
    assert!(beyond.is_empty(), "beyond 1.25 x the limit: {beyond:#?}");
}

#[test]
fn stamps_through_phc_reads_are_within_two_fifths_of_the_limit_that_counts_them() {
    let stamps = StampScenario {
        read_s: 1e-6,
        read_noise_s: 100e-9,
        read_asymmetry: 0.0,
    };
    let beyond = above(1.4, &stamps);
    assert!(beyond.is_empty(), "beyond 1.4 x the limit: {beyond:#?}");
}

#[test]
fn a_lan_at_default_poll_is_below_3_us() {
    let rms_s = rms_s(include_str!("../scenarios/lan-default-poll.toml"));
    assert!(rms_s < 3e-6, "{rms_s:e}");
}

#[test]
fn four_servers_of_the_internet_at_default_poll_are_below_100_us() {
    let rms_s = rms_s(include_str!("../scenarios/internet.toml"));
    assert!(rms_s < 100e-6, "{rms_s:e}");
}

#[test]
fn every_row_of_the_design_is_better_than_the_best_peer() {
    let rows = [
        (include_str!("../scenarios/ideal-10ns.toml"), 7.6e-9),
        (include_str!("../scenarios/ideal-10ns-quiet.toml"), 4.7e-9),
        (include_str!("../scenarios/ideal-50ns.toml"), 25.0e-9),
        (include_str!("../scenarios/ideal-50ns-quiet.toml"), 13.0e-9),
        (include_str!("../scenarios/ideal-10ns-16hz.toml"), 2.6e-9),
        (include_str!("../scenarios/lan-1us.toml"), 125e-9),
        (include_str!("../scenarios/lan.toml"), 1.05e-6),
        (include_str!("../scenarios/lan-default-poll.toml"), 5.1e-6),
        (include_str!("../scenarios/falseticker.toml"), 26e-6),
    ];
    for (text, best_peer_s) in rows {
        let rms_s = rms_s(text);
        assert!(rms_s < best_peer_s, "{}: {rms_s:e}", scenario(text).name);
    }
}

#[test]
fn half_of_the_packets_queued_leaves_100_ns() {
    let rms_s = rms_s(include_str!("../scenarios/congestion-50.toml"));
    assert!(rms_s < 100e-9, "{rms_s:e}");
}

#[test]
fn nine_of_ten_packets_queued_leaves_100_ns() {
    let rms_s = rms_s(include_str!("../scenarios/congestion-90.toml"));
    assert!(rms_s < 100e-9, "{rms_s:e}");
}

#[test]
fn nine_tenths_of_load_on_one_way_leave_5_us_within_the_bound() {
    let one_way = scenario(include_str!("../scenarios/one-way-90.toml"));
    for report in run_with_seeds(&one_way, 1..=50) {
        assert!(
            report.max_s < 5e-6,
            "seed {}: {:e}",
            report.seed,
            report.max_s
        );
        assert_eq!(report.bound_violations + report.sample_violations, 0);
    }
}

#[test]
fn a_step_of_10_ppm_peaks_below_30_us_and_is_over_after_4_s() {
    let step = scenario(include_str!("../scenarios/frequency-step.toml"));
    let peak_s = median(&step, |report| report.events[0].peak_s);
    let recovery_s = median(&step, |report| {
        report.events[0].recovery_s.unwrap_or(f64::INFINITY)
    });
    assert!(peak_s < 30e-6, "{peak_s:e}");
    assert!(recovery_s < 4.0, "{recovery_s}");
}

/// The standard deviation of the phase, s, `dt` seconds after the last of many measurements of
/// noise `noise_s` a second apart: what an estimator errs by that knows noise and wander.
fn perfect_holdover_s(noise_s: f64, wander: f64, dt: f64) -> f64 {
    let r = noise_s * noise_s;
    let first = Covariance {
        phase: r,
        cross: 0.0,
        frequency: 1e-10,
    };
    let settled = (0..3600).fold(first, |after, _| after.after(1.0, wander).measured(r).1);
    settled.after(dt, wander).phase.sqrt()
}

#[test]
fn half_an_hour_without_servers_costs_a_fifth_more_than_it_must() {
    let mut holdover = scenario(include_str!("../scenarios/holdover.toml"));
    // Only the end of the outage is looked at.
    holdover.duration_s = holdover.outage[0].until_s;
    holdover.settle_s = holdover.duration_s - 1.0;
    holdover.probe_s = 1.0;
    let reports = run_with_seeds(&holdover, 1..=60);
    let squares = reports.iter().map(|report| report.rms_s * report.rms_s);
    let rms_s = (squares.sum::<f64>() / 60.0).sqrt();
    let noise_s = 10e-9 / 2_f64.sqrt();
    let perfect_s = perfect_holdover_s(noise_s, holdover.oscillator.wander, 1800.0);
    // Sixty seeds know a deviation to a tenth.
    assert!(rms_s < 1.2 * 1.1 * perfect_s, "{rms_s:e} {perfect_s:e}");
    assert!(rms_s > perfect_s / 1.3, "{rms_s:e} is better than can be");
    let broken = |report: &Report| report.bound_violations + report.sample_violations;
    assert_eq!(reports.iter().map(broken).sum::<u64>(), 0);
}
