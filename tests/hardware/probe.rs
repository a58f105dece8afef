//! `clockwright probe` on a host whose NIC has timestamps and a clock.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::guest::{lab, lean_binary, results, succeed};

/// What is looked at, in the guest: `$1` is the program.
const SCRIPT: &str = r#"
set -e
. "$LAB/guest/lib.sh"
lab_up pairs=1 >/dev/null
knob 0 osc_ppb 20000
ip -n n0 link add link hwt0 name hwt0.5 type vlan id 5
ip -n n0 link set hwt0.5 up
in_ns 0 "$1" probe --json >$OUT/all.json
in_ns 0 setpriv --reuid 65534 --clear-groups "$1" probe --json hwt0.5 >$OUT/user.json
knob 0 rxfilter ptp
in_ns 0 "$1" probe --json hwt0 >$OUT/ptp.json
knob 0 rxfilter none
in_ns 0 "$1" probe --json hwt0 >$OUT/none.json
"#;

fn report(results: &Path, name: &str) -> Value {
    let text = fs::read_to_string(results.join(name)).expect("the guest's report");
    serde_json::from_str(&text).expect("JSON")
}

/// The element of an array in which `key` is `value`.
#[track_caller]
fn find<'v>(array: &'v Value, key: &str, value: &str) -> &'v Value {
    let mut elements = array.as_array().expect("an array").iter();
    let found = elements.find(|element| element[key] == value);
    found.unwrap_or_else(|| panic!("no {key} {value} in {array:#}"))
}

#[test]
fn probe_says_what_will_be_used_and_changes_nothing() {
    let results = results("probe");
    let mut command = Command::new(lab("run"));
    command.args(["-i", "-n", "net", "-o"]).arg(&results);
    command
        .args(["bash", "-c", SCRIPT, "probe"])
        .arg(lean_binary());
    succeed(&mut command);

    let all = report(&results, "all.json");
    let nic = find(&all["interfaces"], "name", "hwt0");
    assert_eq!(
        (&nic["driver"], &nic["stamping"]),
        (&"hwtsim".into(), &"hardware".into())
    );
    assert_eq!(
        (&nic["rx_filter"], &nic["rx_filter_wanted"]),
        (&"none".into(), &"all".into())
    );
    let clock = find(
        &all["clocks"],
        "path",
        nic["clock"].as_str().expect("a clock"),
    );
    assert_eq!(clock["interfaces"], Value::from(vec!["hwt0"]));
    // Its oscillator is 20 ppm fast.
    let fast = clock["frequency_ppm"].as_f64().expect("a frequency");
    assert!((fast - 20.0).abs() < 0.1, "{clock:#}");
    assert!(clock["noise_s"].as_f64() < Some(100e-9), "{clock:#}");
    let vlan = find(&all["interfaces"], "name", "hwt0.5");
    assert_eq!(vlan["below"], Value::from(vec!["hwt0"]));
    assert_eq!(vlan["stamping"], "hardware");
    let configuration = all["configuration"].as_str().expect("a configuration");
    assert!(
        configuration.contains("interfaces = [\"hwt0\"]"),
        "{configuration}"
    );

    // Another user sees the same but for the clock, and what was set is as it was.
    let user = report(&results, "user.json");
    assert_eq!(user["net_admin"], false);
    let nic = find(&user["interfaces"], "name", "hwt0");
    assert_eq!(
        (&nic["rx_filter"], &nic["tx_type"]),
        (&"none".into(), &"off".into())
    );
    assert_eq!(nic["stamping"], "hardware");
    let error = user["clocks"][0]["error"].as_str().expect("an error");
    assert!(error.contains("not permitted"), "{error}");

    let ptp = report(&results, "ptp.json");
    assert_eq!(ptp["interfaces"][0]["stamping"], "hardware_over_ptp");
    let configuration = ptp["configuration"].as_str().expect("a configuration");
    assert!(
        configuration.contains("must answer NTP over PTP"),
        "{configuration}"
    );

    let none = report(&results, "none.json");
    let nic = &none["interfaces"][0];
    assert_eq!(
        (&nic["stamping"], &nic["tx_hardware"]),
        (&"software".into(), &true.into())
    );
}
