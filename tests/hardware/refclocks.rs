//! Clocks of this host without a network: pulses on a pin, followers of either time scale, and a
//! clock that nobody can steer.

use serde_json::{Value, json};

use crate::guest::{Drivers, run};
use crate::record::Record;
use crate::scene::{SETTLED_S, client, steered};

/// What is asked of a path without a network, ns. The kernel's own clock swings by some 40 ns about
/// the rate it is told while it is idle (see the lab's README).
const LIMIT_NS: f64 = 50.0;

/// How far a device's clock was from true time plus `ahead_s` at most, once settled.
fn worst_phc_error_ns(record: &Record, device: &str, ahead_s: f64) -> f64 {
    record
        .between(SETTLED_S, f64::INFINITY)
        .map(|sample| (sample.phc_error_ns[device] - ahead_s * 1e9).abs())
        .fold(0.0, f64::max)
}

/// The part that a source played in the end.
fn part(record: &Record, name: &str) -> String {
    let sources = record.last_sources("client");
    let source = sources.iter().find(|source| source.name == name);
    source.map_or_else(|| format!("{sources:?}"), |source| source.state.clone())
}

fn case(config: &str, more: &Value) -> Value {
    let mut case = steered(json!({ "daemons": [client(config)] }));
    if let (Some(case), Some(more)) = (case.as_object_mut(), more.as_object()) {
        case.extend(more.clone());
    }
    case
}

/// True seconds on a pin of a clock that runs 50 ppm fast, numbered by a server that is good to a
/// millisecond.
#[test]
fn pulses_on_a_pin_are_numbered_by_another_source() {
    let config = "[[source]]\npps = \"{phc0}\"\nlock = \"hwtsim 1\"\n\
                  [[source]]\nphc = \"hwtsim 1\"\nprecision = \"1ms\"\n";
    let knobs = json!({ "0": { "osc_ppb": 50000, "extts_src": "true" } });
    let record = run(
        "pin",
        Drivers::Lab,
        case(config, &json!({ "knobs": knobs })),
    );
    record.assert_claims_hold("client");
    record.assert_synchronized("client", SETTLED_S, f64::INFINITY);
    record.assert_right(LIMIT_NS, SETTLED_S, f64::INFINITY);
    assert_eq!(part(&record, "/dev/ptp1"), "selected");
}

/// One shows UTC and one TAI; another program sets the one and changes the frequency of the other.
#[test]
fn clocks_that_follow_are_right_and_stay_so() {
    let config = "[[source]]\nphc = \"{true}\"\ntimescale = \"utc\"\n\
                  [[follow]]\nclock = \"hwtsim 0\"\ntimescale = \"utc\"\n\
                  [[follow]]\nclock = \"{phc1}\"\n";
    let more = json!({
        "knobs": { "0": { "osc_ppb": 100_000 }, "1": { "osc_ppb": -20_000 } },
        "events": [{ "at": 8, "do": ["step phc", 0, 0.001] }],
    });
    let record = run("follow", Drivers::Lab, case(config, &more));
    for (device, ahead_s) in [("0", 0.0), ("1", 37.0)] {
        let error = worst_phc_error_ns(&record, device, ahead_s);
        assert!(error < LIMIT_NS / 2.0, "{device}: {error} ns");
    }
    assert_eq!(
        record
            .told("client", "another program has set this clock")
            .len(),
        1
    );
    assert_eq!(record.told("client", "follows UTC").len(), 1);
    assert_eq!(record.told("client", "follows TAI").len(), 1);
}

#[test]
fn a_clock_with_virtual_clocks_is_left_alone() {
    let config =
        "[[source]]\nphc = \"{true}\"\ntimescale = \"utc\"\n[[follow]]\nclock = \"{phc0}\"\n";
    let more = json!({ "before": ["echo 1 >/sys/class/ptp/ptp1/n_vclocks"], "seconds": 15 });
    let record = run("vclock", Drivers::Lab, case(config, &more));
    assert_eq!(record.told("client", "write 0 to n_vclocks").len(), 1);
}

/// A clock that refuses most readings, is taken out, and comes back under another number.
#[test]
fn a_clock_that_is_busy_and_goes_and_comes_is_a_source_all_the_same() {
    let config = "[[source]]\nphc = \"hwtsim 1\"\n";
    let more = json!({
        "knobs": { "1": { "reads_per_s": 4 } },
        "events": [
            { "at": 15, "do": ["knob", 1, "plugged", 0] },
            { "at": 26, "do": ["knob", 1, "plugged", 1] },
        ],
        "seconds": 60,
    });
    let record = run("plugged", Drivers::Lab, case(config, &more));
    record.assert_claims_hold("client");
    record.assert_right(LIMIT_NS, 45.0, f64::INFINITY);
    assert_eq!(record.told("client", "source hwtsim 1: ").len(), 2);
    assert_eq!(record.told("client", "hwtsim 1: tells time").len(), 2);
    assert_eq!(part(&record, "hwtsim 1"), "selected");
}
