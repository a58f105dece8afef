//! NICs that stamp only some of what they receive.

use serde_json::{Value, json};

use crate::guest::{Drivers, run};
use crate::record::Record;
use crate::scene::{
    ONE_SOURCE, RIGHT_NS, SERVER, SETTLED_S, both_ours, clockwright, source, steered,
};

/// From when on the transport has been chosen and the clocks are measured.
const CHOSEN_S: f64 = 15.0;

const PTP_ONLY: &str = "{ \"all\": { \"delay_ns\": 5000, \"rxfilter\": \"ptp\" } }";

fn ptp_only() -> Value {
    serde_json::from_str(PTP_ONLY).expect("JSON")
}

/// All exchanges travel in PTP messages and are stamped in hardware.
#[track_caller]
fn assert_ptp(record: &Record) {
    record.assert_kinds("client", "hardware/hardware", CHOSEN_S, f64::INFINITY);
    for source in record.last_sources("client") {
        assert_eq!(source.transport.as_deref(), Some("ptp"), "{source:#?}");
        assert!(source.reachable, "{source:#?}");
    }
}

#[test]
fn ptp_only_and_true_time_travels_in_ptp_messages() {
    let knobs = json!({
        "all": { "delay_ns": 5000 },
        "1": { "osc_ppb": -7000, "rxfilter": "ptp" },
    });
    let record = run("ptp-only", Drivers::Lab, steered(json!({ "knobs": knobs })));
    assert_ptp(&record);
    record.assert_claims_hold("client");
    record.assert_right(RIGHT_NS, SETTLED_S, f64::INFINITY);
    assert_eq!(record.interface("client", "hwt1")["rx_best"], "ptp");
}

#[test]
fn ptp_only_at_both_ends_of_ours() {
    let config = format!(
        "{}{}",
        source("10.0.0.1", true),
        source("fd00:0:0::1", false)
    );
    let case = both_ours(&config, json!({ "knobs": ptp_only(), "seconds": 25 }));
    let record = run("ptp-only-ours", Drivers::Lab, case);
    assert_ptp(&record);
    let stamped = record.interface("server", "hwt0");
    assert!(
        stamped["rx"]["hardware"].as_u64() >= Some(20),
        "{stamped:#}"
    );
}

#[test]
fn ptp_only_with_chrony_as_the_server() {
    let chrony = "ptpport 319\nhwtimestamp * rxfilter ptp\nlocal stratum 1\nallow\n";
    let case = json!({
        "knobs": ptp_only(),
        "daemons": [
            { "name": "server", "in": 0, "program": "chronyd", "config": chrony, "arguments": ["-x"] },
            clockwright("client", 1, ONE_SOURCE, &["--no-adjust"]),
        ],
        "seconds": 25,
    });
    let record = run("ptp-only-chrony-server", Drivers::Lab, case);
    assert_ptp(&record);
    assert!(
        record.last_source("client").interleaved,
        "chrony answers in interleaved mode"
    );
}

#[test]
fn ptp_only_with_chrony_as_the_client() {
    let chrony = "ptpport 319\nhwtimestamp * rxfilter ptp minpoll 0\n\
                  server 10.0.0.1 port 319 xleave minpoll 0 maxpoll 0\n";
    let case = json!({
        "knobs": ptp_only(),
        "daemons": [
            clockwright("server", 0, SERVER, &["--no-adjust"]),
            { "name": "client", "in": 1, "program": "chronyd", "config": chrony, "arguments": ["-x"] },
        ],
        "seconds": 25,
    });
    let record = run("ptp-only-chrony-client", Drivers::Lab, case);
    let words = record.end["client"]["ntpdata"].as_str().unwrap_or_default();
    for expected in [
        "Interleaved     : Yes",
        "TX timestamping : Hardware",
        "RX timestamping : Hardware",
        "NTP tests       : 111 111 1111",
    ] {
        assert!(words.contains(expected), "no `{expected}` in\n{words}");
    }
    let stamped = record.interface("server", "hwt0");
    assert!(
        stamped["rx"]["hardware"].as_u64() >= Some(15),
        "{stamped:#}"
    );
    assert!(
        stamped["tx"]["hardware"].as_u64() >= Some(15),
        "{stamped:#}"
    );
}

#[test]
fn a_filter_for_ntp_is_enough() {
    let knobs = json!({ "all": { "delay_ns": 5000 }, "1": { "rxfilter": "ntp" } });
    let record = run(
        "ntp-only",
        Drivers::Lab,
        steered(json!({ "knobs": knobs, "seconds": 25 })),
    );
    record.assert_kinds("client", "hardware/hardware", 8.0, f64::INFINITY);
    record.assert_right(RIGHT_NS, SETTLED_S, f64::INFINITY);
    assert_eq!(record.interface("client", "hwt1")["rx_best"], "ntp");
    assert_eq!(
        record.last_source("client").transport.as_deref(),
        Some("udp")
    );
}

/// What is sent is stamped in hardware, and nothing received: samples are whole in software, and
/// the screen says why.
#[track_caller]
fn assert_whole_in_software(record: &Record, interface: &str) {
    record.assert_kinds("client", "kernel/kernel", 3.0, f64::INFINITY);
    let stamped = record.interface("client", interface);
    assert!(stamped["tx"]["hardware"].as_u64() >= Some(5), "{stamped:#}");
    assert_eq!(stamped["rx"]["hardware"].as_u64(), Some(0), "{stamped:#}");
    assert_eq!(stamped["tx_best"], "hardware", "{stamped:#}");
    let reason = stamped["reason"].as_str().unwrap_or_default();
    assert!(!reason.is_empty(), "{stamped:#}");
    let screen = record.screen("client");
    assert!(screen.contains(interface), "{screen}");
    let first_words: String = reason
        .split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" ");
    assert!(
        screen.contains(&first_words),
        "`{reason}` is not on the screen:\n{screen}"
    );
}

#[test]
fn no_filter_leaves_samples_whole_in_software() {
    let knobs = json!({ "all": { "delay_ns": 5000 }, "1": { "rxfilter": "none" } });
    let record = run(
        "no-filter",
        Drivers::Lab,
        steered(json!({ "knobs": knobs, "seconds": 25 })),
    );
    assert_whole_in_software(&record, "hwt1");
    record.assert_claims_hold("client");
}

#[test]
fn igb_which_does_not_stamp_what_it_receives_here() {
    let config = source("10.0.0.1", true);
    let case = both_ours(&config, json!({ "network": "igb", "knobs": {} }));
    let record = run("igb", Drivers::Igb, case);
    for sample in record.between(5.0, f64::INFINITY) {
        for source in sample.sources("client") {
            assert_eq!(source.kinds(), "kernel/kernel", "at {:.2} s", sample.t);
        }
    }
    assert!(record.last_source("client").reachable);
    let interfaces = record.end["client"]["timestamps"]["interfaces"].as_array();
    let stamped = interfaces.and_then(|all| all.iter().find(|one| one["phc"].is_object()));
    let stamped = stamped.expect("an interface with a clock");
    assert!(stamped["tx"]["hardware"].as_u64() >= Some(5), "{stamped:#}");
    assert!(
        !stamped["last_fallback"].is_null() || !stamped["reason"].is_null(),
        "{stamped:#}"
    );
}
