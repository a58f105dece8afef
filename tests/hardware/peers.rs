//! Beside others: ptp4l on the same NIC, a user without the privilege, a second guest.

use serde_json::json;

use crate::guest::{Drivers, lean_binary, run, run_two};
use crate::scene::{ONE_SOURCE, SERVER, SETTLED_S, client, clockwright, reference, steered};

const PTP4L: &str = "\
[global]
logSyncInterval -3
logMinDelayReqInterval -3
tx_timestamp_timeout 50
network_transport L2
";

#[test]
fn ptp4l_owns_the_same_nic_and_both_work() {
    let ptp4l = |name: &str, namespace: u8, arguments: &[&str]| {
        let interface = format!("hwt{namespace}");
        let mut all = vec!["-m", "-i", &interface];
        all.extend(arguments);
        json!({ "name": name, "in": namespace, "program": "ptp4l", "config": PTP4L, "arguments": all, "at": 15 })
    };
    let case = steered(json!({
        "daemons": [
            reference(&["hwt0"]),
            client(ONE_SOURCE),
            ptp4l("master", 0, &["--priority1", "10"]),
            ptp4l("slave", 1, &["-s"]),
        ],
        "seconds": 60,
    }));
    let record = run("ptp4l", Drivers::Lab, case);
    record.assert_claims_hold("client");
    record.assert_synchronized("client", SETTLED_S, f64::INFINITY);
    // The clock behind the stamps is steered by somebody else, from 7 ppm slow to right.
    record.assert_right(5000.0, SETTLED_S, f64::INFINITY);
    record.assert_right(1000.0, 45.0, f64::INFINITY);
    record.assert_kinds("client", "hardware/hardware", 45.0, f64::INFINITY);
    for sample in record.between(45.0, f64::INFINITY) {
        let error = sample.phc_error_ns["1"];
        assert!(
            error.abs() < 1000.0,
            "ptp4l's clock is {error} ns off at {:.2} s",
            sample.t
        );
    }
    assert_eq!(
        record.hwtstamp["1"], "1 1",
        "ptp4l's wish does not narrow ours, nor ours its"
    );
}

#[test]
fn without_the_capability_it_is_named_and_software_stamps_are_used() {
    let without = [
        "setpriv",
        "--bounding-set",
        "-net_admin",
        "--inh-caps",
        "-net_admin",
    ];
    let mut daemon = client(ONE_SOURCE);
    daemon["wrap"] = json!(without);
    let case = steered(json!({ "daemons": [reference(&["hwt0"]), daemon], "seconds": 25 }));
    let record = run("no-capability", Drivers::Lab, case);
    record.assert_kinds("client", "kernel/kernel", 3.0, f64::INFINITY);
    record.assert_claims_hold("client");
    assert_eq!(record.told("client", "CAP_NET_ADMIN").len(), 1);
    let reason = &record.interface("client", "hwt1")["reason"];
    assert!(
        reason
            .as_str()
            .is_some_and(|words| words.contains("CAP_NET_ADMIN")),
        "{reason}"
    );
    assert!(record.screen("client").contains("CAP_NET_ADMIN"));
    assert_eq!(record.stats["1"]["hwtstamp_sets"], 0);
}

#[test]
fn two_guests_with_a_clock_each_agree() {
    let server = json!({
        "daemons": [clockwright("server", 0, SERVER, &["--no-adjust"])],
        "interval": 1, "seconds": 60,
    });
    // Either guest may be the later one.
    let answered = format!(
        "for i in {{1..60}}; do ip netns exec n1 {} query -n 1 10.0.0.1 && exit; sleep 0.5; done; exit 1",
        lean_binary().display()
    );
    let client = json!({
        "daemons": [client(ONE_SOURCE)], "clock_error_s": 3, "before": [answered],
        "interval": 1, "seconds": 15,
    });
    let [server, client] = run_two("two-guests", [server, client]);
    let source = client.last_source("client");
    assert_eq!(
        source.kinds(),
        "kernel/kernel",
        "virtio's card has no clock"
    );
    assert!(source.reachable && source.interleaved, "{source:#?}");
    let status = client.samples.last().and_then(|last| last.status("client"));
    let status = status.expect("a status");
    assert!(status.synchronized, "{status:#?}");
    // Their clocks were set at boot, to the second.
    assert_eq!(status.steps, 1, "2 to 4 s are stepped");
    // Emulated guests that compete for this machine: scheduling is what is seen here.
    assert!(status.error_bound_s < Some(0.05), "{status:#?}");
    let stamps = &server.end["server"]["timestamps"]["interfaces"][0];
    assert!(stamps["rx"]["kernel"].as_u64() >= Some(10), "{stamps:#}");
}
