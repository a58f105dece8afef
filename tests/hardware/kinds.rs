//! With the default configuration every exchange is stamped in hardware, at both ends.

use serde_json::json;

use crate::guest::{Drivers, run};
use crate::record::Record;
use crate::scene::{RIGHT_NS, SETTLED_S, both_ours, source, steered};

/// From when on only hardware stamps are expected: the first exchanges find clocks unmeasured.
const STAMPED_S: f64 = 8.0;

/// The server stamped what it received in hardware, and what it sent for interleaved mode.
#[track_caller]
fn assert_server_stamps(record: &Record, interface: &str) {
    let stamped = record.interface("server", interface);
    let count = |direction: &str, kind: &str| stamped[direction][kind].as_u64().expect("a count");
    assert!(count("tx", "hardware") >= 10, "{stamped:#}");
    assert!(count("rx", "hardware") >= 10, "{stamped:#}");
    // The first ones may come before the clock is measured.
    assert!(
        count("rx", "hardware") >= 4 * count("rx", "kernel"),
        "{stamped:#}"
    );
    assert_eq!(count("rx", "daemon"), 0, "{stamped:#}");
}

#[test]
fn basic_and_interleaved_over_ipv4_and_ipv6() {
    let sources = [
        ("10.0.0.1", false),
        ("10.0.0.11", true),
        ("fd00::1", false),
        ("fd00::11", true),
    ];
    let config: String = sources
        .iter()
        .map(|(address, interleaved)| source(address, *interleaved))
        .collect();
    let second_addresses = "ip -n n0 addr add 10.0.0.11/24 dev hwt0; \
                            ip -n n0 addr add fd00::11/64 dev hwt0 nodad";
    let case = both_ours(&config, json!({ "before": [second_addresses] }));
    let record = run("kinds", Drivers::Lab, case);
    record.assert_kinds("client", "hardware/hardware", STAMPED_S, f64::INFINITY);
    let last = record.last_sources("client");
    for (address, interleaved) in sources {
        let found = last
            .iter()
            .find(|source| source.name == address)
            .expect("every source");
        assert!(found.reachable, "{found:#?}");
        assert_eq!(found.interleaved, interleaved, "{found:#?}");
        assert_eq!(found.transport.as_deref(), Some("udp"), "{found:#?}");
        // Twice 5 us, and the frame at 25 Gb/s once each way.
        let delay_ns = found.delay_s.expect("a delay") * 1e9;
        let at_most = if interleaved { 10_200.0 } else { 30_000.0 };
        assert!((9_800.0..at_most).contains(&delay_ns), "{found:#?}");
    }
    assert_server_stamps(&record, "hwt0");
    assert_eq!(record.warnings("client"), Vec::<&str>::new());
}

#[test]
fn over_a_vlan_the_parent_stamps() {
    let config = format!(
        "{}{}",
        source("10.5.0.1", true),
        source("fd00:5:0::1", false)
    );
    let case = both_ours(&config, json!({ "network": "vlan" }));
    let record = run("vlan", Drivers::Network, case);
    record.assert_kinds("client", "hardware/hardware", STAMPED_S, f64::INFINITY);
    assert_server_stamps(&record, "hwt0");
    let modes: Vec<_> = record
        .last_sources("client")
        .iter()
        .map(|s| s.interleaved)
        .collect();
    assert_eq!(modes, [true, false]);
}

#[test]
fn the_clock_is_as_right_as_the_stamps() {
    let record = run("right", Drivers::Lab, steered(json!({})));
    record.assert_kinds("client", "hardware/hardware", STAMPED_S, f64::INFINITY);
    record.assert_claims_hold("client");
    record.assert_synchronized("client", STAMPED_S, f64::INFINITY);
    record.assert_right(RIGHT_NS, SETTLED_S, f64::INFINITY);
    assert_eq!(record.told("client", "hardware timestamps by").len(), 1);
    assert_eq!(record.warnings("client"), Vec::<&str>::new());
}
