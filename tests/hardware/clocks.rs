//! PTP clocks: read the hard way, as sources, steered, and made to follow.

use serde_json::json;

use crate::guest::{Drivers, run};
use crate::scene::{RIGHT_NS, SETTLED_S, client, steered};

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
    let phc = &record.interface("client", "hwt1")["phc"];
    assert!(
        phc["method"]
            .as_str()
            .is_some_and(|method| method.starts_with("extended")),
        "{phc:#}"
    );
    let delay_s = phc["read_delay_s"].as_f64().expect("a read delay");
    assert!((1e-6..4e-6).contains(&delay_s), "{phc:#}");
}

#[test]
fn a_ptp_clock_is_a_source() {
    let config = "[[source]]\nphc = \"{true}\"\ntimescale = \"utc\"\n";
    let case = steered(json!({ "daemons": [client(config)] }));
    let record = run("phc-source", Drivers::Lab, case);
    record.assert_claims_hold("client");
    record.assert_synchronized("client", SETTLED_S, f64::INFINITY);
    record.assert_right(RIGHT_NS, SETTLED_S, f64::INFINITY);
    let last = record.samples.last().and_then(|last| last.status("client"));
    assert!(last.is_some_and(|status| status.samples >= 10));
}
