//! Our server as others see it: chronyd is its client.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use crate::support::chrony::{Chronyd, value};
use crate::support::daemon::Daemon;
use crate::support::star::{SERVER, Star};
use crate::support::wait::{wait_for, when};

/// chronyd asks our server in interleaved mode, and finds everything in it that it looks for.
fn chronyd_finds_interleaved_replies(server: IpAddr) {
    let star = Star::new(1);
    let _ours = Daemon::start(&star.servers[0], &star.directory, "ours", SERVER);
    let chronyd = Chronyd::start(
        &star.client,
        &star.directory,
        "chronyd",
        &format!("server {server} iburst xleave minpoll -4 maxpoll -4"),
    );
    let report = wait_for(
        "chronyd to see interleaved replies",
        Duration::from_secs(15),
        || {
            when(chronyd.ask("ntpdata"), |report| {
                value(report, "Interleaved") == Some("Yes")
                    // The ten tests of RFC 5905 figure 17 and chrony's own, all passed.
                    && value(report, "NTP tests") == Some("111 111 1111")
            })
        },
    );
    assert_eq!(value(&report, "Mode"), Some("Server"), "{report}");
    assert_eq!(value(&report, "Stratum"), Some("1"), "{report}");
    assert_eq!(
        value(&report, "TX timestamping"),
        Some("Kernel"),
        "{report}"
    );
    assert_eq!(
        value(&report, "RX timestamping"),
        Some("Kernel"),
        "{report}"
    );
    // Both read the same clock.
    let offset = value(&report, "Offset").and_then(|text| text.split_once(' '));
    let offset: f64 = offset.expect("an offset").0.parse().expect("a number");
    assert!(offset.abs() < 1e-3, "{report}");
}

#[test]
fn chronyd_sees_interleaved_replies_over_ipv4() {
    chronyd_finds_interleaved_replies(Star::server_ipv4(0));
}

#[test]
fn chronyd_sees_interleaved_replies_over_ipv6() {
    chronyd_finds_interleaved_replies(Star::server_ipv6(0));
}

#[test]
fn a_client_that_is_not_allowed_gets_no_reply() {
    let star = Star::new(1);
    let closed = SERVER.replace("10.84.0.0/16", "10.85.0.0/16");
    let _ours = Daemon::start(&star.servers[0], &star.directory, "ours", &closed);
    let chronyd = Chronyd::start(
        &star.client,
        &star.directory,
        "chronyd",
        &format!(
            "server {} minpoll -4 maxpoll -4\nserver {} minpoll -4 maxpoll -4",
            Star::server_ipv4(0),
            Star::server_ipv6(0)
        ),
    );
    let received = |address: IpAddr| {
        let report = chronyd.ask(&format!("ntpdata {address}"));
        let count = |name| value(&report, name).and_then(|text| text.parse::<u32>().ok());
        (
            count("Total TX").unwrap_or(0),
            count("Total RX").unwrap_or(0),
        )
    };
    // chronyd asks a server that it does not reach once a second at most.
    let seen = wait_for("answers over IPv6 only", Duration::from_secs(15), || {
        let both = (
            received(Star::server_ipv4(0)),
            received(Star::server_ipv6(0)),
        );
        when(both, |((requests, _), (_, allowed))| {
            *requests >= 3 && *allowed >= 8
        })
    });
    assert_eq!(seen.0.1, 0, "replies over IPv4");
}

#[test]
fn nonsense_does_not_keep_the_server_from_answering() {
    let star = Star::new(1);
    let mut ours = Daemon::start(&star.servers[0], &star.directory, "ours", SERVER);
    // Datagrams of every length up to 200 octets: noise, and noise that begins like a request.
    let script = "exec 3>/dev/udp/$0/123; for length in $(seq 0 200); do \
                  head -c $length /dev/urandom >&3; \
                  { printf '\\043'; head -c $length /dev/urandom; } | dd bs=300 iflag=fullblock status=none >&3; \
                  done";
    for server in [Star::server_ipv4(0), Star::server_ipv6(0)] {
        let output = star
            .client
            .command(Path::new("bash"))
            .args(["-c", script, &server.to_string()])
            .output()
            .expect("run bash");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let chronyd = Chronyd::start(
        &star.client,
        &star.directory,
        "chronyd",
        &format!("server {} iburst", Star::server_ipv4(0)),
    );
    wait_for("an answer after all that", Duration::from_secs(15), || {
        when(chronyd.ask("ntpdata"), |report| {
            value(report, "Total valid RX").is_some_and(|count| count != "0")
        })
    });
    let log = ours.process().log();
    assert!(
        log.lines().count() < 50,
        "a log that strangers cannot fill: {log}"
    );
}
