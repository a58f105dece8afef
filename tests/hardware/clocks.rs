//! PTP clocks: read the hard way, as sources, steered, and made to follow.

use serde_json::json;

use crate::guest::{Drivers, run};
use crate::record::Record;
use crate::scene::{ONE_SOURCE, RIGHT_NS, SETTLED_S, client, reference, steered};

#[test]
fn a_clock_without_cross_timestamps_is_read_between_readings_of_ours() {
    let case = steered(json!({
        "module": { "precise": 0 },
        "knobs": {
            "all": { "delay_ns": 5000 },
            "1": { "osc_ppb": -7000, "read_ns": 1000, "read_jitter_ns": 500 },
        },
    }));
    let record = run("extended", Drivers::Lab, case);
    record.assert_kinds("client", "hardware/hardware", 8.0, f64::INFINITY);
    record.assert_claims_hold("client");
    record.assert_right(2.0 * RIGHT_NS, SETTLED_S, f64::INFINITY);
    let phc = record.phc_read_extended("client", "hwt1");
    let delay_s = phc["read_delay_s"].as_f64().expect("a read delay");
    assert!((1e-6..4e-6).contains(&delay_s), "{phc:#}");
}

#[test]
fn a_ptp_clock_is_a_source() {
    let config = "[[source]]\nphc = \"hwtsim true\"\n";
    let case = steered(json!({ "daemons": [client(config)] }));
    let record = run("phc-source", Drivers::Lab, case);
    record.assert_claims_hold("client");
    record.assert_synchronized("client", SETTLED_S, f64::INFINITY);
    record.assert_right(RIGHT_NS, SETTLED_S, f64::INFINITY);
    let last = record.samples.last().and_then(|last| last.status("client"));
    assert!(last.is_some_and(|status| status.samples >= 10));
}

/// The largest error of the client's NIC clock in that time, ns.
fn worst_phc_error_ns(record: &Record, from: f64) -> f64 {
    let errors = record.between(from, f64::INFINITY);
    errors
        .map(|sample| sample.phc_error_ns["1"].abs())
        .fold(0.0, f64::max)
}

#[test]
fn a_ptp_clock_follows_the_system_clock_while_its_stamps_are_used() {
    let config = format!("{ONE_SOURCE}[[follow]]\nclock = \"hwt1\"\ntimescale = \"utc\"\n");
    let off = json!({ "at": 0.1, "do": ["step phc", 1, 0.25] });
    let case = steered(json!({
        "daemons": [reference(&["hwt0"]), client(&config)],
        "events": [off],
    }));
    let record = run("follow", Drivers::Lab, case);
    record.assert_claims_hold("client");
    record.assert_kinds("client", "hardware/hardware", 15.0, f64::INFINITY);
    record.assert_right(RIGHT_NS, SETTLED_S, f64::INFINITY);
    let worst = worst_phc_error_ns(&record, SETTLED_S);
    assert!(worst < 2.0 * RIGHT_NS, "the follower is {worst} ns off");
}

#[test]
fn a_ptp_clock_is_disciplined_and_the_system_clock_left_alone() {
    let config = format!("{ONE_SOURCE}[clock]\nkind = \"hwt1\"\ntimescale = \"utc\"\n");
    let case = steered(json!({
        "sys_ppb": 0,
        "clock_error_s": 0.0,
        "daemons": [reference(&["hwt0"]), client(&config)],
        "events": [{ "at": 0.1, "do": ["step phc", 1, 0.002] }],
        "seconds": 60,
    }));
    let record = run("phc-clock", Drivers::Lab, case);
    let worst = worst_phc_error_ns(&record, 40.0);
    assert!(worst < RIGHT_NS, "the clock is {worst} ns off");
    record.assert_kinds("client", "hardware/hardware", 40.0, f64::INFINITY);
    // Nobody touches the system clock, whose oscillator is true in this case.
    record.assert_right(100.0, 0.0, f64::INFINITY);
}

#[test]
fn a_pulse_per_second_is_a_source_and_ntp_numbers_its_seconds() {
    let config = "[[source]]\nserver = \"10.0.0.1\"\npoll = { min = \"1s\", max = \"1s\" }\n\
                  [[source]]\npps = \"/dev/pps0\"\nlock = \"10.0.0.1\"\n\
                  [timestamping]\ninterfaces = []\n";
    let case = steered(json!({
        // The clock at the server's end is on true time, and so are its pulses.
        "before": ["echo 1 >/sys/devices/platform/hwtsim.0/ptp/*/pps_enable"],
        "daemons": [reference(&["hwt0"]), client(config)],
        "seconds": 60,
    }));
    let record = run("pps", Drivers::Lab, case);
    record.assert_claims_hold("client");
    record.assert_synchronized("client", SETTLED_S, f64::INFINITY);
    // Kernel stamps alone leave it some microseconds off.
    record.assert_right(RIGHT_NS, 40.0, f64::INFINITY);
    let last = record.last_sources("client");
    let pulse = last.iter().find(|source| source.name == "/dev/pps0");
    assert!(
        pulse.is_some_and(|source| source.state == "selected"),
        "{last:#?}"
    );
}
