//! Temperature compensation: what it is worth, and that it does no harm.
//!
//! Virtual time and fixed seeds: these figures are the same on any machine.

use clockwright_sim::{Report, Scenario, SensorScenario, Span, run};

const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

const SENSOR: SensorScenario = SensorScenario {
    every_s: 10.0,
    step_k: 0.0,
    noise_k: 0.05,
    elsewhere_s: None,
};

/// A server that is asked every 64 s, behind a quiet network. The temperature swings by 5 K to each
/// side in an hour, the oscillator by 0.1 ppm with each degree.
fn swing(seed: u64, sensor: Option<SensorScenario>) -> Scenario {
    let text = "
        duration_s = 21600
        settle_s = 10800
        probe_s = 1.0
        [oscillator]
        wander = 1e-10
        ppm_per_k = 0.1
        [temperature]
        swing_k = 5
        period_s = 3600
        [[source]]
        poll_min = 6
        poll_max = 6
        path = { delay_s = 50e-6, jitter_s = 200e-9, distribution = \"normal\" }
    ";
    let mut scenario = Scenario::parse(text).expect("a valid scenario");
    scenario.seed = seed;
    scenario.temperature.sensor = sensor;
    scenario
}

fn reports(sensor: Option<SensorScenario>, change: impl Fn(&mut Scenario)) -> Vec<Report> {
    let report = |seed| {
        let mut scenario = swing(seed, sensor);
        change(&mut scenario);
        run(&scenario)
    };
    SEEDS.into_iter().map(report).collect()
}

fn assert_bound_holds(reports: &[Report]) {
    for report in reports {
        assert_eq!(report.bound_violations, 0, "seed {}", report.seed);
    }
}

/// Half an hour alone at the end, of which the last second counts. It begins at the hottest moment
/// or on the way there.
fn lose_the_source(scenario: &mut Scenario) {
    let from_s = 18_000.0 + 600.0 * (scenario.seed % 3) as f64;
    scenario.duration_s = from_s + 1800.5;
    scenario.settle_s = from_s + 1799.5;
    scenario.outage = vec![Span {
        from_s,
        until_s: f64::MAX,
    }];
}

#[test]
fn a_temperature_that_is_known_does_not_matter() {
    let without = reports(None, |_| {});
    let with = reports(Some(SENSOR), |_| {});
    let (with_s, without_s) = (Report::rms_of_all_s(&with), Report::rms_of_all_s(&without));
    println!("lock: {with_s:e} with a sensor, {without_s:e} without");
    assert!(
        with_s < without_s / 3.0,
        "{with_s:e} and {without_s:e} without"
    );
    assert_bound_holds(&with);
    let without = reports(None, lose_the_source);
    let with = reports(Some(SENSOR), lose_the_source);
    let (with_s, without_s) = (Report::rms_of_all_s(&with), Report::rms_of_all_s(&without));
    println!("holdover: {with_s:e} with a sensor, {without_s:e} without");
    assert!(
        with_s < without_s / 10.0,
        "{with_s:e} and {without_s:e} without"
    );
    assert_bound_holds(&with);
    assert_bound_holds(&without);
}

#[test]
fn a_sensor_in_whole_degrees_is_better_than_none() {
    let coarse = SensorScenario {
        step_k: 1.0,
        ..SENSOR
    };
    let (with_s, without_s) = (
        Report::rms_of_all_s(&reports(Some(coarse), |_| {})),
        Report::rms_of_all_s(&reports(None, |_| {})),
    );
    println!("lock, whole degrees: {with_s:e} with, {without_s:e} without");
    assert!(with_s < without_s, "{with_s:e} and {without_s:e} without");
    let with = reports(Some(coarse), lose_the_source);
    let (with_s, without_s) = (
        Report::rms_of_all_s(&with),
        Report::rms_of_all_s(&reports(None, lose_the_source)),
    );
    println!("holdover, whole degrees: {with_s:e} with, {without_s:e} without");
    assert!(
        with_s < without_s / 5.0,
        "{with_s:e} and {without_s:e} without"
    );
    assert_bound_holds(&with);
}

/// Of a place whose temperature has nothing to do with the oscillator's, of an oscillator that does
/// not feel the temperature, or of one that stays where it is.
#[test]
fn a_sensor_that_explains_nothing_does_no_harm() {
    for period_s in [500.0, 1700.0, 5000.0, 30_000.0] {
        let elsewhere = SensorScenario {
            elsewhere_s: Some(period_s),
            ..SENSOR
        };
        for ppm_per_k in [0.0, 0.1] {
            let feels = |scenario: &mut Scenario| scenario.oscillator.ppm_per_k = ppm_per_k;
            let with = reports(Some(elsewhere), feels);
            let (with_s, without_s) = (
                Report::rms_of_all_s(&with),
                Report::rms_of_all_s(&reports(None, feels)),
            );
            println!("{period_s} {ppm_per_k}: {with_s:e} with, {without_s:e} without");
            assert!(
                with_s < 1.05 * without_s,
                "{period_s} s, {ppm_per_k} ppm/K: {with_s:e}, and {without_s:e} without"
            );
            assert_bound_holds(&with);
        }
    }
}
