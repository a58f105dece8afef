//! Holdover: how far the clock is off half an hour after its source was lost, against what a perfect
//! estimator would have made of it.
//!
//! Virtual time and fixed seeds: these figures are the same on any machine.

use clockwright_discipline::Covariance;
use clockwright_sim::{Report, Scenario, Span, run};

const SEEDS: u64 = 40;
const LOCK_S: f64 = 3600.0;
const OUTAGE_S: f64 = 1800.0;

/// What the source and the oscillator are like.
#[derive(Debug, Clone, Copy)]
struct Case {
    scenario: &'static str,
    /// RMS error of one offset, s.
    noise_s: f64,
    wander: f64,
    /// Poll interval, log2 s.
    poll: i8,
}

const IDEAL: Case = Case {
    scenario: include_str!("../scenarios/ideal-10ns.toml"),
    noise_s: 10e-9 * core::f64::consts::FRAC_1_SQRT_2,
    wander: 1e-9,
    poll: 0,
};

const LAN: Case = Case {
    scenario: include_str!("../scenarios/lan.toml"),
    noise_s: 10e-6 * core::f64::consts::FRAC_1_SQRT_2,
    wander: 1e-9,
    poll: 4,
};

/// RMS error of the steady-state Kalman filter that is told noise and wander, `OUTAGE_S` after its
/// last measurement, s.
fn perfect_s(case: Case) -> f64 {
    let (r, poll_s) = (case.noise_s * case.noise_s, f64::from(case.poll).exp2());
    let mut after = Covariance {
        phase: r,
        cross: 0.0,
        frequency: r / (poll_s * poll_s),
    };
    for _ in 0..100_000 {
        (_, after) = after.after(poll_s, case.wander).measured(r);
    }
    after.after(OUTAGE_S, case.wander).phase.sqrt()
}

/// An hour of lock and an outage until the end; the statistics are of the last second.
fn outage(case: Case, seed: u64) -> Scenario {
    let mut scenario = Scenario::parse(case.scenario).expect("it comes with the project");
    scenario.seed = seed;
    scenario.oscillator.wander = case.wander;
    scenario.source[0].poll_min = case.poll;
    scenario.source[0].poll_max = case.poll;
    scenario.duration_s = LOCK_S + OUTAGE_S + 0.5;
    scenario.settle_s = LOCK_S + OUTAGE_S - 0.5;
    scenario.probe_s = 1.0;
    scenario.outage = vec![Span {
        from_s: LOCK_S + 0.2,
        until_s: f64::MAX,
    }];
    scenario
}

fn reports(case: Case, change: impl Fn(&mut Scenario)) -> Vec<Report> {
    let report = |seed| {
        let mut scenario = outage(case, seed);
        change(&mut scenario);
        run(&scenario)
    };
    (1..=SEEDS).map(report).collect()
}

fn assert_bound_holds(reports: &[Report]) {
    for report in reports {
        assert!(report.bound_probes > 5000, "no bound was published");
        assert_eq!(report.bound_violations, 0, "seed {}", report.seed);
    }
}

#[test]
fn half_an_hour_alone_is_as_good_as_a_perfect_estimator_would_make_it() {
    for case in [IDEAL, LAN] {
        for wander in [1e-9, 1e-10] {
            let case = Case { wander, ..case };
            let reports = reports(case, |_| {});
            let ratio = Report::rms_of_all_s(&reports) / perfect_s(case);
            assert!(ratio < 1.2, "{ratio} x the best possible: {case:?}");
            // Much better than the best possible would mean that the simulation is wrong; that it
            // looks at delays makes it a little better.
            assert!(ratio > 0.7, "{ratio} x the best possible: {case:?}");
            assert_bound_holds(&reports);
        }
    }
}

/// White noise of frequency bends the phase from poll to poll as wander does, and says nothing of
/// the next half hour: the frequency is known from a longer memory than that of the filter.
#[test]
fn white_noise_of_frequency_is_averaged_for_as_long_as_it_deserves() {
    for (case, white, limit_s) in [(IDEAL, 1e-9, 0.6e-6), (LAN, 1e-9, 2.2e-6)] {
        let case = Case {
            wander: 1e-11,
            ..case
        };
        let reports = reports(case, |scenario| scenario.oscillator.white = white);
        let rms_s = Report::rms_of_all_s(&reports);
        assert!(rms_s < limit_s, "{rms_s}: {case:?}");
        assert_bound_holds(&reports);
    }
}
