//! What goes wrong with NICs and their clocks: the daemon stays synchronised or is again within
//! ten polls, tells of each event once, and is never further off than it says.

use serde_json::{Value, json};

use crate::guest::{Drivers, run};
use crate::record::Record;
use crate::scene::{RIGHT_NS, SETTLED_S, client, reference, source, steered};

/// When the first thing happens.
const EVENT_S: f64 = 20.0;

/// Ten polls of a second.
const TEN_POLLS_S: f64 = 10.0;

/// No claim was wrong, and the clock itself was never moved for it.
#[track_caller]
fn assert_unharmed(record: &Record) {
    record.assert_claims_hold("client");
    record.assert_synchronized("client", SETTLED_S, f64::INFINITY);
    let last = record.samples.last().and_then(|last| last.status("client"));
    assert_eq!(
        last.map(|status| status.steps),
        Some(0),
        "the clock was stepped"
    );
}

/// The daemon's log tells of `what` this often, debugging aside.
#[track_caller]
fn assert_told(record: &Record, what: &str, times: usize) {
    let told = record.told("client", what);
    assert_eq!(told.len(), times, "times that `{what}` is told: {told:#?}");
}

/// At every look both stamps were of one kind.
#[track_caller]
fn assert_never_mixed(record: &Record) {
    for sample in &record.samples {
        for source in sample.sources("client") {
            assert_eq!(source.tx_stamp, source.rx_stamp, "at {:.2} s", sample.t);
        }
    }
}

fn events(events: &[(f64, Value)], seconds: f64) -> Value {
    let events: Vec<_> = events
        .iter()
        .map(|(at, action)| json!({ "at": at, "do": action }))
        .collect();
    steered(json!({ "events": events, "seconds": seconds }))
}

#[test]
fn a_fifth_of_transmit_stamps_is_lost() {
    let lost = json!(["knob", 1, "txts_loss_ppm", 200_000]);
    let record = run("lost", Drivers::Lab, events(&[(EVENT_S, lost)], 60.0));
    assert_unharmed(&record);
    assert_never_mixed(&record);
    record.assert_right(RIGHT_NS, SETTLED_S, f64::INFINITY);
    let stamps = &record.interface("client", "hwt1")["tx_stamps"];
    let lost = record.stats["1"]["tx_ts_lost"];
    assert!(lost >= 3, "the lab lost {lost}");
    assert_eq!(stamps["missing"].as_u64(), Some(lost), "{stamps:#}");
    assert!(
        record.warnings("client").len() <= 1,
        "{:#?}",
        record.warnings("client")
    );
}

#[test]
fn transmit_stamps_come_late() {
    let late = json!(["knob", 1, "txts_delay_ns", 5_000_000]);
    let record = run("late", Drivers::Lab, events(&[(EVENT_S, late)], 50.0));
    assert_unharmed(&record);
    assert_never_mixed(&record);
    record.assert_right(RIGHT_NS, SETTLED_S, f64::INFINITY);
    record.assert_kinds(
        "client",
        "hardware/hardware",
        EVENT_S + TEN_POLLS_S,
        f64::INFINITY,
    );
    let stamps = &record.interface("client", "hwt1")["tx_stamps"];
    let longest_s = stamps["latency_max_s"].as_f64().unwrap_or_default();
    assert!((0.005..0.006).contains(&longest_s), "{stamps:#}");
    assert!(stamps["wait_s"].as_f64() >= Some(0.005), "{stamps:#}");
    assert!(
        record.warnings("client").len() <= 1,
        "{:#?}",
        record.warnings("client")
    );
}

#[test]
fn another_program_steps_the_nics_clock() {
    let forward = json!(["step phc", 1, 0.001]);
    let back = json!(["step phc", 1, -37.0]);
    let record = run(
        "stepped",
        Drivers::Lab,
        events(&[(EVENT_S, forward), (35.3, back)], 50.0),
    );
    assert_unharmed(&record);
    assert_never_mixed(&record);
    record.assert_right(RIGHT_NS, SETTLED_S, f64::INFINITY);
    assert_told(&record, "was set by another program", 2);
    assert_eq!(record.interface("client", "hwt1")["phc"]["jumps"], 2);
    record.assert_kinds("client", "hardware/hardware", 45.4, f64::INFINITY);
}

#[test]
fn the_nics_clock_runs_fast() {
    let knobs = json!({ "all": { "delay_ns": 5000 }, "1": { "osc_ppb": 100_000 } });
    let record = run("fast", Drivers::Lab, steered(json!({ "knobs": knobs })));
    assert_unharmed(&record);
    record.assert_right(RIGHT_NS, SETTLED_S, f64::INFINITY);
    record.assert_kinds("client", "hardware/hardware", 8.0, f64::INFINITY);
    assert_eq!(record.warnings("client"), Vec::<&str>::new());
}

#[test]
fn another_program_changes_the_frequency_of_the_nics_clock() {
    // As if its oscillator had been exchanged: nothing but its readings tells.
    let faster = json!(["knob", 1, "osc_ppb", 93_000]);
    let record = run(
        "frequency",
        Drivers::Lab,
        events(&[(EVENT_S, faster)], 40.0),
    );
    assert_unharmed(&record);
    record.assert_right(10.0 * RIGHT_NS, SETTLED_S, f64::INFINITY);
    record.assert_right(RIGHT_NS, EVENT_S + TEN_POLLS_S, f64::INFINITY);
}

#[test]
fn the_driver_resets_and_forgets_what_to_stamp() {
    let reset = json!(["knob", 1, "reset", 1]);
    let unnoticed = (EVENT_S, reset.clone());
    // As most drivers do it: the link goes with it.
    let noticed = [
        (34.0, json!(["knob", 1, "cable", 0])),
        (34.2, reset),
        (36.0, json!(["knob", 1, "cable", 1])),
    ];
    let all: Vec<_> = std::iter::once(unnoticed).chain(noticed).collect();
    let record = run("reset", Drivers::Lab, events(&all, 50.0));
    assert_unharmed(&record);
    assert_never_mixed(&record);
    record.assert_right(2.0 * RIGHT_NS, SETTLED_S, f64::INFINITY);
    record.assert_kinds("client", "hardware/hardware", EVENT_S + TEN_POLLS_S, 34.0);
    record.assert_kinds("client", "hardware/hardware", 46.0, f64::INFINITY);
    assert_told(&record, "had forgotten how to timestamp", 2);
    assert_eq!(record.hwtstamp["1"], "1 1", "transmit on, receive all");
}

#[test]
fn the_interface_is_removed_and_comes_back() {
    let gone = json!(["unplug", 1]);
    let back = json!(["plug", 1]);
    let record = run(
        "unplugged",
        Drivers::Lab,
        events(&[(EVENT_S, gone), (27.0, back)], 45.0),
    );
    assert_unharmed(&record);
    record.assert_kinds(
        "client",
        "hardware/hardware",
        27.0 + TEN_POLLS_S,
        f64::INFINITY,
    );
    record.assert_right(RIGHT_NS, 27.0 + TEN_POLLS_S, f64::INFINITY);
    assert!(record.last_source("client").reachable);
    assert_told(&record, "hwt1: the interface is gone", 1);
    assert_told(&record, "hwt1: hardware timestamps by", 2);
}

#[test]
fn the_receive_filter_changes_and_nothing_goes_backwards() {
    // As a program that wants to stamp only what it sends asks for it.
    let none = json!(["run", "ip netns exec n1 hwstamp_ctl -i hwt1 -t 1 -r 0"]);
    let record = run(
        "filter-change",
        Drivers::Lab,
        events(&[(EVENT_S, none)], 40.0),
    );
    assert_unharmed(&record);
    assert_never_mixed(&record);
    record.assert_right(RIGHT_NS, SETTLED_S, f64::INFINITY);
    let again = EVENT_S + TEN_POLLS_S;
    record.assert_kinds("client", "hardware/hardware", again, f64::INFINITY);
    assert_told(&record, "set again: transmit on, receive all", 1);
}

#[test]
fn the_link_changes_its_speed_and_does_not_tell() {
    let speed = |mbps: u32| {
        json!([
            "run",
            format!("ip netns exec n1 ethtool -s hwt1 speed {mbps} duplex full autoneg off")
        ])
    };
    let all = [
        (EVENT_S, json!(["knob", 1, "hide_speed", 1])),
        (30.0, speed(1000)),
        (38.0, json!(["knob", 1, "hide_speed", 0])),
        (46.0, speed(10_000)),
    ];
    let record = run("speed", Drivers::Lab, events(&all, 60.0));
    assert_unharmed(&record);
    // A frame takes 752 ns at 1 Gb/s: while nobody says so, half of it is an error, and is known
    // to be one.
    record.assert_right(2.0 * RIGHT_NS, SETTLED_S, f64::INFINITY);
    record.assert_right(RIGHT_NS, 56.0, f64::INFINITY);
    record.assert_kinds("client", "hardware/hardware", 56.0, f64::INFINITY);
    assert_eq!(record.interface("client", "hwt1")["link_speed_bps"], 10e9);
}

#[test]
fn a_clock_that_may_be_read_only_so_often_is_not_read_more() {
    let case = steered(json!({
        "module": { "precise": 0 },
        "knobs": { "all": { "delay_ns": 5000 }, "1": { "osc_ppb": -7000, "read_ns": 1000, "reads_per_s": 125 } },
        "daemons": [reference(&["hwt0"]), client(&source("10.0.0.1", true).replace("1s", "1/8s"))],
        "seconds": 30,
    }));
    let record = run("reads", Drivers::Lab, case);
    assert_unharmed(&record);
    record.assert_kinds("client", "hardware/hardware", 8.0, f64::INFINITY);
    record.assert_right(2.0 * RIGHT_NS, SETTLED_S, f64::INFINITY);
    // It does not say so beforehand: the daemon learns it by being refused now and then.
    let (read, refused) = (
        record.stats["1"]["clock_reads"],
        record.stats["1"]["clock_refused"],
    );
    assert!(
        100 * refused < read,
        "{refused} of {read} readings were refused"
    );
    record.phc_read_extended("client", "hwt1");
}
