//! NTP over PTP with servers and hosts where it does not work, or not always.

use serde_json::{Value, json};

use crate::guest::{Drivers, run};
use crate::record::Record;
use crate::scene::{ONE_SOURCE, SERVER, clockwright};

/// The server as it is used here: `choice` says when it answers over PTP.
fn server(name: &str, choice: &str) -> Value {
    let config = format!("{SERVER}[timestamping]\nptp_transport = \"{choice}\"\n");
    clockwright(name, 0, &config, &["--no-adjust"])
}

/// A client in its default configuration whose NIC stamps only PTP on arrival.
fn case(others: &[Value], more: &[(&str, Value)]) -> Value {
    let mut daemons = others.to_vec();
    daemons.push(clockwright("client", 1, ONE_SOURCE, &["--no-adjust"]));
    let mut case = json!({
        "knobs": { "all": { "delay_ns": 5000, "rxfilter": "ptp" } },
        "daemons": daemons,
        "seconds": 16,
    });
    for (key, value) in more {
        case[*key] = value.clone();
    }
    case
}

/// Between these seconds all was measured by this transport.
#[track_caller]
fn assert_transport(record: &Record, transport: &str, from: f64, to: f64) {
    let kinds = match transport {
        "ptp" => "hardware/hardware",
        _ => "kernel/kernel",
    };
    record.assert_kinds("client", kinds, from, to);
    for sample in record.between(from, to) {
        for source in sample.sources("client") {
            assert_eq!(source.transport.as_deref(), Some(transport), "{}", sample.t);
            assert!(source.reachable, "at {:.2} s", sample.t);
        }
    }
}

#[test]
fn a_server_without_it_is_asked_by_udp_and_nothing_is_lost() {
    let record = run(
        "ptp-not-served",
        Drivers::Lab,
        case(&[server("server", "never")], &[]),
    );
    assert_transport(&record, "udp", 4.0, f64::INFINITY);
    record.assert_synchronized("client", 12.0, f64::INFINITY);
    assert!(record.last_source("client").interleaved);
}

#[test]
fn a_server_that_stops_answering_there_is_noticed_and_found_again() {
    let mut plain = server("plain", "never");
    plain["at"] = json!(10.5);
    let events = json!([
        { "at": 10.0, "do": ["end", "server"] },
        { "at": 24.0, "do": ["end", "plain"] },
        { "at": 24.5, "do": ["start", "server"] },
    ]);
    let record = run(
        "ptp-withdrawn",
        Drivers::Lab,
        case(
            &[server("server", "always"), plain],
            &[("events", events), ("seconds", json!(44))],
        ),
    );
    assert_transport(&record, "ptp", 5.0, 10.0);
    assert_transport(&record, "udp", 18.0, 24.0);
    assert_transport(&record, "ptp", 40.0, f64::INFINITY);
    record.assert_synchronized("client", 10.0, f64::INFINITY);
}

#[test]
fn a_port_that_somebody_else_has_is_named_once_and_udp_is_used() {
    let mut holder = server("holder", "always");
    holder["in"] = json!(1);
    let others = [holder, server("server", "always")];
    let record = run("ptp-port-taken", Drivers::Lab, case(&others, &[]));
    assert_transport(&record, "udp", 5.0, f64::INFINITY);
    let told = record.told("client", "port 319");
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("ptp4l"), "{told:#?}");
}

#[test]
fn chrony_is_told_what_its_requests_collect() {
    // The field for it is asked for by `extfield 10A`; chrony takes no reply that is malformed.
    let chrony = "ptpport 319\nhwtimestamp * rxfilter ptp minpoll 0\n\
                  server 10.0.0.1 port 319 xleave extfield 10A minpoll 0 maxpoll 0\n";
    let case = json!({
        "knobs": { "all": { "delay_ns": 5000, "rxfilter": "ptp" } },
        "daemons": [
            server("server", "auto"),
            { "name": "client", "in": 1, "program": "chronyd", "config": chrony, "arguments": ["-x"] },
        ],
        "seconds": 15,
    });
    let record = run("ptp-extfield", Drivers::Lab, case);
    let words = record.end["client"]["ntpdata"].as_str().unwrap_or_default();
    for expected in ["Interleaved     : Yes", "NTP tests       : 111 111 1111"] {
        assert!(words.contains(expected), "no `{expected}` in\n{words}");
    }
}
