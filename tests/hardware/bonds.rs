//! Over a bond the slaves stamp, each by its own clock, and fail-over costs nothing.

use serde_json::json;

use crate::guest::{Drivers, run};
use crate::scene::{RIGHT_NS, SERVER, SETTLED_S, clockwright, reference, source, steered};

/// When the active cable is pulled, and when it is back.
const PULLED_S: f64 = 30.0;
const BACK_S: f64 = 45.0;

/// The second pair has clocks of its own: at another frequency, and a millisecond off.
fn two_pairs() -> serde_json::Value {
    json!({ "all": { "delay_ns": 5000 }, "1": { "osc_ppb": -7000 }, "3": { "osc_ppb": 20000 } })
}

#[test]
fn a_fail_over_moves_no_clock() {
    let case = steered(json!({
        "module": { "pairs": 2 },
        "network": "bond",
        "knobs": two_pairs(),
        "daemons": [reference(&["hwt0", "hwt2"]), crate::scene::client(&source("10.100.0.1", true))],
        "events": [
            { "at": 5, "do": ["step phc", 3, 0.001] },
            { "at": PULLED_S, "do": ["knob", 1, "cable", 0] },
            { "at": BACK_S, "do": ["knob", 1, "cable", 1] },
        ],
        "seconds": 60,
    }));
    let record = run("bond", Drivers::Network, case);
    record.assert_claims_hold("client");
    record.assert_synchronized("client", SETTLED_S, f64::INFINITY);
    record.assert_right(RIGHT_NS, SETTLED_S, f64::INFINITY);
    // Each slave stamps while it is the active one. The bond looks ten times a second.
    record.assert_kinds("client", "hardware/hardware", SETTLED_S, PULLED_S);
    record.assert_kinds("client", "hardware/hardware", PULLED_S + 5.0, BACK_S);
    record.assert_kinds("client", "hardware/hardware", BACK_S + 5.0, f64::INFINITY);
    for slave in ["hwt1", "hwt3"] {
        let stamped = record.interface("client", slave);
        assert_eq!(stamped["master"], "bond0", "{stamped:#}");
        assert!(stamped["rx"]["hardware"].as_u64() >= Some(8), "{stamped:#}");
        assert!(stamped["tx"]["hardware"].as_u64() >= Some(8), "{stamped:#}");
    }
    let steps = record
        .samples
        .last()
        .and_then(|last| last.status("client"))
        .map(|s| s.steps);
    assert_eq!(steps, Some(0), "the clock was stepped");
}

#[test]
fn a_server_on_a_bond_stamps_in_hardware() {
    let client = format!(
        "{}{}",
        source("10.100.0.1", true),
        source("fd00:100:0::1", false)
    );
    let case = json!({
        "module": { "pairs": 2 },
        "network": "bond",
        "knobs": two_pairs(),
        "daemons": [
            clockwright("server", 0, SERVER, &["--no-adjust"]),
            clockwright("client", 1, &client, &["--no-adjust"]),
        ],
        "events": [{ "at": 15, "do": ["knob", 1, "cable", 0] }],
        "seconds": 30,
    });
    let record = run("bond-server", Drivers::Network, case);
    record.assert_kinds("client", "hardware/hardware", 8.0, 15.0);
    record.assert_kinds("client", "hardware/hardware", 22.0, f64::INFINITY);
    for slave in ["hwt0", "hwt2"] {
        let stamped = record.interface("server", slave);
        assert!(stamped["rx"]["hardware"].as_u64() >= Some(8), "{stamped:#}");
        assert!(stamped["tx"]["hardware"].as_u64() >= Some(4), "{stamped:#}");
    }
}
