//! What a NIC's clock is worth to the discipline as a second oscillator: the difference of the two
//! shows within minutes how much the host's can wander at most, where network samples take hours.
//!
//! The first hour after the start is looked at, but for its first ten minutes, at the default poll
//! interval of 64 s, over many seeds. "Without" has a NIC whose clock counts the host's oscillator,
//! so that it is read as often and says nothing.

use clockwright_sim::{Counts, NicScenario, Report, Scenario, run_with_seeds};

const SEEDS: core::ops::RangeInclusive<u64> = 1..=48;

/// Queues of 1 us and 10 us each way, and hardware stamps with hardly any.
const QUIET: &str = "delay_s = 5e-6, jitter_s = 10e-9, distribution = \"normal\"";
const SWITCHES: &str = "delay_s = 50e-6, jitter_s = 1e-6, distribution = \"exponential\"";
const LAN: &str = "delay_s = 100e-6, jitter_s = 10e-6, distribution = \"exponential\"";

/// The reports of all seeds, on a host of this wander with that NIC.
fn reports(path: &str, wander: f64, nic: NicScenario) -> Vec<Report> {
    let text = format!(
        "duration_s = 3600\nsettle_s = 600\nprobe_s = 1.3\n\
         [oscillator]\nfrequency_ppm = 30\nwander = {wander:e}\n\
         [stamps]\nread_s = 1e-6\nread_noise_s = 100e-9\n\
         [[source]]\npoll_min = 6\npoll_max = 6\npath = {{ {path} }}\n"
    );
    let mut scenario = Scenario::parse(&text).expect("the scenario is valid");
    scenario.nic = Some(nic);
    run_with_seeds(&scenario, SEEDS)
}

/// A NIC whose oscillator wanders like that.
fn own(wander: f64) -> NicScenario {
    NicScenario {
        wander,
        ..NicScenario::default()
    }
}

/// A NIC that counts the host's oscillator and adds that to it.
fn of_the_host(wander: f64) -> NicScenario {
    NicScenario {
        counts: Counts::Host,
        ..own(wander)
    }
}

fn violations(reports: &[Report]) -> u64 {
    reports.iter().map(|report| report.bound_violations).sum()
}

/// RMS true error with the NIC over that without it.
fn gain(path: &str, wander: f64, nic: NicScenario) -> f64 {
    let (with, without) = (
        reports(path, wander, nic),
        reports(path, wander, of_the_host(0.0)),
    );
    let (broken, usual) = (violations(&with), violations(&without));
    assert!(broken <= usual, "{broken} of {usual}");
    Report::rms_of_all_s(&with) / Report::rms_of_all_s(&without)
}

#[test]
fn the_first_hour_of_a_quiet_oscillator_is_better_for_what_a_nics_clock_tells() {
    for (path, least) in [(QUIET, 1.01), (SWITCHES, 0.97), (LAN, 0.83)] {
        let gain = gain(path, 1e-10, own(1e-10));
        println!("wander 1e-10, {path}: {gain:.3}");
        assert!(gain < least, "{path}: {gain}");
    }
}

/// Nothing else says so soon that an oscillator is ten times worse than crystals are. The bound is
/// broken less often, too.
#[test]
fn the_first_hour_of_a_bad_oscillator_is_much_better() {
    for (path, least) in [(QUIET, 0.92), (SWITCHES, 0.85), (LAN, 0.85)] {
        let gain = gain(path, 1e-8, own(1e-9));
        println!("wander 1e-8, {path}: {gain:.3}");
        assert!(gain < least, "{path}: {gain}");
    }
}

/// As the host is taken to be at first: there is nothing to gain, and nothing lost.
#[test]
fn an_ordinary_oscillator_is_as_good_as_without() {
    for path in [QUIET, SWITCHES, LAN] {
        for nic in [1e-10, 1e-9] {
            let gain = gain(path, 1e-9, own(nic));
            println!("wander 1e-9, {nic:e}, {path}: {gain:.3}");
            assert!((0.9..1.05).contains(&gain), "{path}: {gain}");
        }
    }
}

/// The sum is ten times what the host wanders by: the beginning costs something.
#[test]
fn a_nic_that_wanders_ten_times_as_much_does_little_harm() {
    for (path, most) in [(QUIET, 1.05), (SWITCHES, 1.1), (LAN, 1.3)] {
        let gain = gain(path, 1e-9, own(1e-8));
        println!("wander 1e-9, 1e-8, {path}: {gain:.3}");
        assert!(gain < most, "{path}: {gain}");
    }
}

/// Clocks that are made of what the host knows, of UTC or of the host's oscillator say nothing, whatever
/// they show.
#[test]
fn a_clock_without_an_oscillator_of_its_own_changes_nothing() {
    let copied = NicScenario {
        counts: Counts::Clock,
        ..own(0.0)
    };
    let kept_to_utc = NicScenario {
        frequency_ppm: 0.0,
        ..own(1e-10)
    };
    // One oscillator for both clocks, however well it is read, is what "without" has, too: if its
    // wander were ever seen, that would be at another time with other noise.
    let noisy = |noise_s| NicScenario {
        noise_s,
        ..of_the_host(0.0)
    };
    for nic in [copied, kept_to_utc, noisy(5e-9), noisy(250e-9)] {
        for (path, wander) in [(QUIET, 1e-9), (LAN, 1e-9), (LAN, 1e-10)] {
            let gain = gain(path, wander, nic);
            assert!((gain - 1.0).abs() < 1e-9, "{nic:?}, {path}: {gain}");
        }
    }
}

/// The worst there is: a clock that counts the host's oscillator and adds a tenth of its wander, so
/// that there is something to be seen, and it is wrong by ten. No bound is broken by that, and
/// innovations are in charge again within the hour.
#[test]
fn a_clock_that_hides_nine_tenths_of_the_wander_breaks_no_bound() {
    for (path, most) in [(QUIET, 1.05), (SWITCHES, 1.25), (LAN, 1.5)] {
        let gain = gain(path, 1e-9, of_the_host(1e-10));
        println!("wander 1e-9, hidden, {path}: {gain:.3}");
        assert!(gain < most, "{path}: {gain}");
    }
    // What innovations have found by then is not given up.
    for path in [QUIET, LAN] {
        let gain = gain(path, 1e-8, of_the_host(1e-9));
        println!("wander 1e-8, hidden, {path}: {gain:.3}");
        assert!(gain < 1.05, "{path}: {gain}");
    }
}
