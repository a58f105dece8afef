//! What is kept over a restart, and what it is worth.
//!
//! Virtual time and fixed seeds: these figures are the same on any machine.

use clockwright_sim::{Report, Scenario, run_with_seeds};

const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

fn reports(text: &str, change: impl Fn(&mut Scenario)) -> Vec<Report> {
    let mut scenario = Scenario::parse(text).expect("the scenarios that come with the project");
    change(&mut scenario);
    run_with_seeds(&scenario, SEEDS)
}

/// The minute after a restart.
fn minute_after(scenario: &mut Scenario, restarts: &[f64]) {
    scenario.clock.restart_s = restarts.to_vec();
    scenario.duration_s = 1860.0;
    scenario.settle_s = 1800.0;
}

#[test]
fn the_first_minute_after_a_restart_is_nearly_as_good_as_any() {
    // Where a sample is noisy, the phase has to be found again: nobody knows what became of the
    // clock meanwhile.
    for (text, most) in [
        (include_str!("../scenarios/ideal-10ns.toml"), 1.5),
        (include_str!("../scenarios/lan.toml"), 5.0),
    ] {
        let anew =
            Report::rms_of_all_s(&reports(text, |scenario| minute_after(scenario, &[1800.0])));
        let on = Report::rms_of_all_s(&reports(text, |scenario| minute_after(scenario, &[])));
        println!("{anew:e} after a restart, {on:e} without");
        assert!(anew < most * on, "{anew:e}, and {on:e} without a restart");
    }
}

#[test]
fn the_file_of_another_machine_is_found_out() {
    for (text, within_s) in [
        (include_str!("../scenarios/ideal-10ns.toml"), 100e-9),
        (include_str!("../scenarios/lan.toml"), 20e-6),
    ] {
        let reports = reports(text, |scenario| {
            scenario.clock.kept_ppm = Some(-scenario.oscillator.frequency_ppm + 50.0);
            scenario.duration_s = 120.0;
            scenario.settle_s = 60.0;
        });
        for report in &reports {
            println!("{:e} {:?}", report.max_s, report.bound_violations);
            assert!(
                report.max_s < within_s,
                "seed {}: {:e}",
                report.seed,
                report.max_s
            );
        }
    }
}
