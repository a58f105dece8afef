//! `clockwright query`: asking real servers once, over IPv4 and IPv6.

use std::path::Path;

use serde_json::Value;

use crate::support::chrony::Chronyd;
use crate::support::daemon::{CLOCKWRIGHT, Daemon};
use crate::support::star::{SERVER, Star};

/// The exit code of `clockwright query --json` on the client, and what it says of each server.
fn query(star: &Star, arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
    let output = star
        .client
        .command(Path::new(CLOCKWRIGHT))
        .args(["query", "--json"])
        .args(arguments)
        .output()
        .expect("run clockwright");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let servers =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{errors}"));
    (output.status.code(), servers)
}

/// What is true of every answer here: both ends read the same clock over a cable of microseconds,
/// and the kernel stamps on it.
fn is_right(answer: &Value, stratum: u8) {
    let number = |key: &str| {
        answer[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key} is a number: {answer:#}"))
    };
    assert_eq!(answer["answered"], true, "{answer:#}");
    assert_eq!(answer["stratum"], stratum, "{answer:#}");
    assert_eq!(answer["tx_stamp"], "kernel", "{answer:#}");
    assert_eq!(answer["rx_stamp"], "kernel", "{answer:#}");
    let (offset, delay) = (number("offset_s"), number("delay_s"));
    assert!(offset.abs() < 200e-6, "{answer:#}");
    assert!(delay > 0.0 && delay < 2e-3, "{answer:#}");
    assert!(offset.abs() <= number("error_bound_s"), "{answer:#}");
}

#[test]
fn chronyd_is_asked_over_both_families_in_both_modes() {
    let star = Star::new(1);
    let _chronyd = Chronyd::start(
        &star.servers[0],
        &star.directory,
        "chronyd",
        "local stratum 3\nallow",
    );
    let (ipv4, ipv6) = (
        Star::server_ipv4(0).to_string(),
        Star::server_ipv6(0).to_string(),
    );
    let (code, basic) = query(&star, &[&ipv4, &ipv6]);
    assert_eq!((code, basic.len()), (Some(0), 2), "{basic:#?}");
    let (code, interleaved) = query(&star, &["--interleaved", "-n", "6", &ipv4, &ipv6]);
    assert_eq!((code, interleaved.len()), (Some(0), 2), "{interleaved:#?}");
    for (answers, mode) in [(basic, false), (interleaved, true)] {
        for (answer, address) in answers.iter().zip([&ipv4, &ipv6]) {
            assert_eq!(answer["address"], **address, "{answer:#}");
            assert_eq!(answer["interleaved"], mode, "{answer:#}");
            is_right(answer, 3);
        }
    }
}

#[test]
fn our_own_server_is_asked_over_both_families_in_interleaved_mode() {
    let star = Star::new(1);
    let _ours = Daemon::start(&star.servers[0], &star.directory, "ours", SERVER);
    let (ipv4, ipv6) = (
        Star::server_ipv4(0).to_string(),
        Star::server_ipv6(0).to_string(),
    );
    let (code, answers) = query(&star, &["--interleaved", "-n", "6", &ipv4, &ipv6]);
    assert_eq!((code, answers.len()), (Some(0), 2), "{answers:#?}");
    for answer in &answers {
        assert_eq!(answer["interleaved"], true, "{answer:#}");
        is_right(answer, 1);
    }
}

#[test]
fn a_clock_that_is_wrong_is_seen_to_be_wrong() {
    let star = Star::new(2);
    let fast = "[clock]\nkind = \"virtual\"\nvirtual = { error = \"20ms\" }\n";
    let _fast = Daemon::start(
        &star.servers[0],
        &star.directory,
        "fast",
        &format!("{SERVER}{fast}"),
    );
    let (address, nobody) = (
        Star::server_ipv4(0).to_string(),
        Star::server_ipv4(1).to_string(),
    );
    let (code, answers) = query(&star, &[&address, &nobody]);
    // One of them did not answer.
    assert_eq!((code, answers.len()), (Some(1), 2), "{answers:#?}");
    let offset = answers[0]["offset_s"].as_f64().unwrap_or(0.0);
    assert!((offset - 20e-3).abs() < 200e-6, "{answers:#?}");
    assert_eq!(answers[1]["answered"], false);
    assert!(
        answers[1]["error"]
            .as_str()
            .is_some_and(|error| error.contains("refused")),
        "{answers:#?}"
    );
}
