//! Queues, routes and steps: the true error, and whether the bound contains it.

use clockwright_sim::{
    Attack, Distribution, Report, RouteChange, Scenario, Span, Way, WayScenario, run_with_seeds,
};

use crate::queues::{near, queue, waits};

mod queues;

const SEEDS: [u64; 3] = [1, 2, 3];

/// One server, hardware-like stamps, a poll of 1 s.
fn hardware() -> Scenario {
    near(0, 7200.0)
}

/// The same behind queues.
fn congested(load_there: f64, load_back: f64) -> Scenario {
    let mut scenario = hardware();
    let path = &mut scenario.source[0].path;
    (path.there, path.back) = (queue(load_there), queue(load_back));
    scenario
}

fn reports(scenario: &Scenario) -> Vec<Report> {
    run_with_seeds(scenario, SEEDS)
}

fn assert_bound_holds(reports: &[Report]) {
    for report in reports {
        assert!(report.bound_probes > 0, "no bound was published");
        assert_eq!(
            (report.bound_violations, report.sample_violations),
            (0, 0),
            "seed {}: first at {:?} s, by {} s",
            report.seed,
            report.first_violation_s,
            report.worst_violation_s
        );
    }
}

#[test]
fn queues_on_both_ways_leave_the_error_below_100_ns() {
    for (load, limit_s) in [(0.5, 20e-9), (0.9, 100e-9)] {
        let reports = reports(&congested(load, load));
        for report in &reports {
            let (seed, rms_s) = (report.seed, report.rms_s);
            assert!(rms_s < limit_s, "load {load}, seed {seed}: {rms_s}");
        }
        assert_bound_holds(&reports);
    }
}

#[test]
fn a_queue_on_one_way_does_not_shift_the_clock() {
    for (there, back) in [(0.9, 0.0), (0.0, 0.9)] {
        let reports = run_with_seeds(&congested(there, back), 1..=30);
        for report in &reports {
            let (seed, rms_s) = (report.seed, report.rms_s);
            assert!(rms_s < 50e-9, "{there} {back}, seed {seed}: {rms_s}");
            // A clean exchange tells the phase, not the frequency: the bank must not take over by it.
            assert!(report.max_s < 1e-6, "{report:?}");
        }
        assert_bound_holds(&reports);
    }
}

/// The filter's model is that waits are exponential. These have no variance.
#[test]
fn waits_with_a_heavy_tail_are_as_good() {
    let waits = waits(Distribution::Pareto, 20e-6, 0.9);
    for (back, limit_s) in [(WayScenario::default(), 20e-9), (waits.clone(), 100e-9)] {
        let mut scenario = hardware();
        let path = &mut scenario.source[0].path;
        (path.there, path.back) = (waits.clone(), back);
        let reports = reports(&scenario);
        for report in &reports {
            assert!(report.rms_s < limit_s, "{report:?}");
            assert!(report.max_s < 5e-6, "{report:?}");
        }
        assert_bound_holds(&reports);
    }
}

/// All of the delay is on the way back, so the clock is off by as much as the bound allows for, and
/// nothing is left for what the bound forgets. Then that way becomes longer, and later short again.
#[test]
fn a_route_that_changes_in_one_direction_is_within_the_bound() {
    for more_s in [10e-9, 20e-9, 40e-9, 100e-9, 300e-9, 1e-6, 5e-6, 50e-6] {
        let mut scenario = hardware();
        let path = &mut scenario.source[0].path;
        (path.there.delay_s, path.back.delay_s) = (Some(0.1e-6), Some(10e-6));
        let route = |at_s: f64, more_s: f64| RouteChange {
            at_s,
            delay_there_s: 0.1e-6,
            delay_back_s: 10e-6 + more_s,
        };
        path.route = vec![route(2000.3, more_s), route(4000.6, 0.0)];
        assert_bound_holds(&reports(&scenario));
    }
}

/// A jump of the frequency shows with the next sample, which is fresh in basic mode; until then
/// nothing can be known, unless the host was told that its oscillator does that.
#[test]
fn a_frequency_step_is_within_the_bound_from_the_first_sample_on() {
    for (told_ppm, interleaved) in [(0.0, false), (10.0, false), (10.0, true)] {
        let mut scenario = hardware();
        scenario.duration_s = 1200.0;
        scenario.oscillator.step_at_s = Some(1000.0);
        scenario.oscillator.step_ppm = 10.0;
        scenario.clock.max_frequency_step_ppm = told_ppm;
        scenario.source[0].interleaved = interleaved;
        let reports = reports(&scenario);
        for report in &reports {
            assert_eq!(report.sample_violations, 0, "seed {}", report.seed);
            assert!(report.bound_violations < 10, "{report:?}");
        }
        if told_ppm > 0.0 {
            assert_bound_holds(&reports);
        }
    }
}

/// An attacker who holds back what one way carries, suddenly or by and by, moves the clock by half
/// of that, and the bound says so.
#[test]
fn who_delays_packets_stays_within_the_bound() {
    for (way, delay_s, growth) in [
        (Way::There, 200e-6, 0.0),
        (Way::Back, 1e-3, 0.0),
        (Way::Back, 0.0, 1e-6),
        (Way::There, 0.0, 1e-7),
        (Way::There, 0.0, 20e-6),
    ] {
        let mut scenario = hardware();
        scenario.source[0].path.attack = vec![Attack {
            from_s: 2000.4,
            until_s: Some(4000.0),
            way,
            delay_s,
            growth,
        }];
        assert_bound_holds(&reports(&scenario));
    }
}

/// While a delay grows, the frequency is misled by half of that as well, and goes on to be so when
/// nothing comes any more.
#[test]
fn who_delays_packets_and_then_cuts_the_line_stays_within_the_bound() {
    for (growth, (poll_min, poll_max)) in [
        (0.2e-6, (0, 0)),
        (10e-6, (0, 4)),
        (200e-6, (-2, 2)),
        (200e-6, (4, 6)),
        (20e-6, (6, 6)),
    ] {
        let slower = f64::from(poll_min).exp2().max(1.0);
        let mut scenario = hardware();
        scenario.duration_s = 4000.0 * slower;
        (scenario.settle_s, scenario.probe_s) = (900.0 * slower, 0.25 * slower);
        let source = &mut scenario.source[0];
        (source.poll_min, source.poll_max) = (poll_min, poll_max);
        source.path.attack = vec![Attack {
            from_s: 1500.4 * slower,
            until_s: None,
            way: Way::There,
            delay_s: 0.0,
            growth,
        }];
        scenario.outage = vec![Span {
            from_s: 2000.0 * slower,
            until_s: 3000.0 * slower,
        }];
        assert_bound_holds(&run_with_seeds(&scenario, 1..=10));
    }
}

/// The other way still says what it always said, and is believed for long.
#[test]
fn a_longer_route_in_one_direction_is_not_chased() {
    let mut scenario = hardware();
    scenario.duration_s = 2600.0;
    scenario.source[0].path.route = vec![RouteChange {
        at_s: 2000.3,
        delay_there_s: 5e-6,
        delay_back_s: 10e-6,
    }];
    let reports = reports(&scenario);
    for report in &reports {
        // Half of what it is longer by would be 2.5 us.
        assert!(report.max_s < 0.6e-6, "{report:?}");
    }
    assert_bound_holds(&reports);
}
