//! How near the discipline comes to what no estimator can beat.
//!
//! The bound is the steady-state Kalman filter that is told noise, wander and poll interval, with every
//! exchange complete at once and its correction made in no time (`kalman_limit_s` of the report). All
//! of the discipline is in the ratio: estimating noise and wander, the age of interleaved exchanges,
//! corrections that take time.

use clockwright_sim::{Report, Scenario, TemperatureStep, run, run_with_seeds};

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
    let ratio = |report: &Report| {
        assert!(report.bound_probes > 0);
        assert_eq!(report.bound_violations, 0, "{}: {report:?}", report.name);
        report.rms_s / report.kalman_limit_s.expect("one source, noise and wander")
    };
    run_with_seeds(scenario, SEEDS).iter().map(ratio).collect()
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
                let bounds = 0.6..limit + 0.5;
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

/// The reports of all seeds of a scenario that comes with the project.
fn reports(text: &str, change: impl Fn(&mut Scenario)) -> Vec<Report> {
    let mut scenario = Scenario::parse(text).expect("the scenario is valid");
    change(&mut scenario);
    run_with_seeds(&scenario, SEEDS)
}

const FREQUENCY_STEP: &str = include_str!("../scenarios/frequency-step.toml");

#[test]
fn a_frequency_step_is_over_after_three_polls() {
    for (at_s, interleaved) in [(1000.0, true), (1000.4, true), (1000.4, false)] {
        let peaks = reports(FREQUENCY_STEP, |scenario| {
            scenario.oscillator.step_at_s = Some(at_s);
            scenario.source[0].interleaved = interleaved;
            (scenario.probe_s, scenario.duration_s) = (0.01, 1020.0);
        });
        // Two samples have to contradict the estimate before it is given up.
        assert!(peaks.iter().all(|report| report.max_s < 24e-6), "{peaks:?}");
        let later = reports(FREQUENCY_STEP, |scenario| {
            scenario.oscillator.step_at_s = Some(at_s);
            scenario.source[0].interleaved = interleaved;
            (scenario.probe_s, scenario.settle_s) = (0.01, at_s + 4.0);
        });
        assert!(later.iter().all(|report| report.max_s < 50e-9), "{later:?}");
    }
}

/// A rack door that is opened: 10 K within 100 s, at 0.1 ppm/K.
#[test]
fn a_swing_of_temperature_is_followed() {
    let reports = reports(FREQUENCY_STEP, |scenario| {
        scenario.oscillator.step_at_s = None;
        scenario.oscillator.ppm_per_k = 0.1;
        scenario.temperature.step = vec![TemperatureStep {
            at_s: 1000.0,
            by_k: 10.0,
            time_s: 100.0,
        }];
        scenario.settle_s = 995.0;
    });
    // 10 ns/s each second, once: what a filter that is used to 1 ns/s makes of it.
    assert!(
        reports.iter().all(|report| report.max_s < 100e-9),
        "{reports:?}"
    );
    assert!(reports.iter().all(|report| report.bound_violations == 0));
}

#[test]
fn a_lan_at_the_default_poll_interval_is_below_3_us() {
    let reports = reports(include_str!("../scenarios/lan-default-poll.toml"), |_| {});
    let rms_s = median(reports.iter().map(|report| report.rms_s).collect());
    assert!(rms_s < 3e-6, "{rms_s}");
    assert!(reports.iter().all(|report| report.rms_s < 3.3e-6));
    assert!(
        reports
            .iter()
            .all(|report| report.sources[0].poll_s <= 64.0)
    );
}

/// Four servers 20 ms away, with 1 ms of queues each way.
#[test]
fn the_internet_at_the_default_poll_interval_is_below_100_us() {
    let source = "[[source]]\npath = { delay_s = 20e-3, jitter_s = 1e-3 }\n";
    let text = format!(
        "duration_s = 100000\nsettle_s = 10000\nprobe_s = 1.3\n{}",
        source.repeat(4)
    );
    let reports = reports(&text, |_| {});
    let rms_s = median(reports.iter().map(|report| report.rms_s).collect());
    assert!(rms_s < 100e-6, "{rms_s}");
    for report in &reports {
        assert_eq!(report.bound_violations, 0);
        // Not more often than public servers accept, and no more rarely for so much noise.
        let polls_s = report.sources.iter().map(|source| source.poll_s);
        assert!(polls_s.into_iter().all(|s| (60.0..70.0).contains(&s)));
    }
}

/// From 100 ms and 50 ppm off, on a LAN with 10 us of queues.
fn acquisition(change: impl Fn(&mut Scenario)) -> Vec<Report> {
    let text = include_str!("../scenarios/acquisition.toml");
    let mut scenario = Scenario::parse(text).expect("it comes with the project");
    change(&mut scenario);
    let seeds = 1..=100;
    seeds.map(|seed| run(&scenario.with_seed(seed))).collect()
}

/// The same at the default poll, looked at from `settle_s` on until `duration_s`.
fn at_the_default_poll(jitter_s: f64, settle_s: f64, duration_s: f64) -> Vec<Report> {
    acquisition(|scenario| {
        scenario.source[0].poll_min = 6;
        scenario.source[0].poll_max = 10;
        scenario.source[0].path.jitter_s = jitter_s;
        (scenario.settle_s, scenario.duration_s) = (settle_s, duration_s);
        scenario.probe_s = 0.1;
    })
}

fn below_10_us(reports: &[Report]) -> usize {
    let below = reports.iter().filter(|report| report.max_s < 10e-6);
    below.count()
}

/// And stays so.
#[test]
fn a_wrong_clock_is_right_to_10_us_within_10_s() {
    for report in acquisition(|_| {}) {
        let took_s = report.convergence_s.expect("it converges");
        assert!(took_s < 10.0, "seed {}: {took_s} s", report.seed);
    }
}

/// And stays so, at the default poll with queues of 1 us.
#[test]
fn a_clock_at_the_default_poll_is_right_to_10_us_within_10_s() {
    let reports = at_the_default_poll(1e-6, 10.0, 600.0);
    assert_eq!(below_10_us(&reports), reports.len());
    assert!(Report::rms_of_all_s(&reports) < 1e-6);
}

/// The burst's requests are 2 s apart at the default poll, as ntpd's limits want them to be, so five samples
/// have come by then. With queues of 10 us they let nobody know the time to better than 4.7 us, who knows
/// how long the queues are (a posterior by sampling; regression: 7.5 us), so one clock in twenty is
/// further off than 10 us. Later it is as with any sample of the steady state.
#[test]
fn with_queues_of_10_us_a_clock_at_the_default_poll_is_as_right_in_10_s_as_can_be_known() {
    let soon = at_the_default_poll(10e-6, 10.0, 10.5);
    let rms_s = Report::rms_of_all_s(&soon);
    assert!(rms_s < 1.25 * 4.7e-6, "{rms_s:e}");
    assert!(below_10_us(&soon) >= 88, "{}", below_10_us(&soon));

    let later = at_the_default_poll(10e-6, 10.0, 600.0);
    let rms_s = Report::rms_of_all_s(&later);
    // Half a minute after the burst 80 us, were the next request a whole interval later.
    assert!(rms_s < 4.5e-6, "{rms_s:e}");
    assert!(later.iter().all(|report| report.max_s < 40e-6));
    assert!(later.iter().all(|report| report.bound_violations == 0));
}
