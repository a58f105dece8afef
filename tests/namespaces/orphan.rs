//! Servers that have nobody but each other: they agree on a leader and stay together.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use crate::support::chrony::{Chronyd, value};
use crate::support::daemon::Daemon;
use crate::support::directory::Directory;
use crate::support::network::{Host, Network};
use crate::support::star::source;
use crate::support::wait::{wait_for, when};

/// How long an election may take: samples 1/8 s apart, after a wait of 1 s.
const ELECTED_WITHIN: Duration = Duration::from_secs(30);

/// Three hosts at one switch.
struct Trio {
    directory: Directory,
    hosts: Vec<Host>,
    _switch: Host,
    _network: Network,
}

impl Trio {
    fn new() -> Self {
        let network = Network::new();
        let switch = network.host("switch");
        switch.ip("link add name br0 type bridge");
        switch.ip("link set br0 up");
        let hosts = (0..3)
            .map(|number| {
                let host = network.host(&format!("orphan-{number}"));
                let port = format!("to-{number}");
                switch.cable(&port, (&host, "eth0"));
                switch.ip(&format!("link set {port} master br0"));
                host.address("eth0", &format!("{}/24", address(number)));
                host
            })
            .collect();
        Self {
            directory: Directory::new(),
            hosts,
            _switch: switch,
            _network: network,
        }
    }

    /// Our daemon on a host, with a clock that is wrong by `error`.
    fn start(&self, number: u8, error: &str) -> Daemon {
        let name = format!("orphan-{number}");
        let host = &self.hosts[usize::from(number)];
        Daemon::start(host, &self.directory, &name, &configuration(number, error))
    }
}

/// The address of a host.
fn address(number: u8) -> IpAddr {
    [10, 84, 0, number + 1].into()
}

/// The others.
fn others(number: u8) -> impl Iterator<Item = u8> {
    (0..3).filter(move |other| *other != number)
}

/// A virtual clock that is wrong by `error`, and the two others as sources.
fn configuration(number: u8, error: &str) -> String {
    let mut sources = String::new();
    for other in others(number) {
        sources += &source(address(other), "125ms");
    }
    format!(
        "{sources}[clock]\nkind = \"virtual\"\nvirtual = {{ error = \"{error}\", drift = \"{number}ppm\" }}\n\
         [server]\nlisten = [\"0.0.0.0:123\"]\nallow = [\"10.84.0.0/16\"]\n\
         local = {{ stratum = 10, orphan = true, wait = \"1s\" }}\n"
    )
}

/// How far a clock is ahead, s.
fn error_of(daemon: &Daemon) -> f64 {
    daemon.status().true_error_s.expect("a virtual clock")
}

/// Waits until `follower` follows the one at `leader`, and both show the same time.
#[track_caller]
fn wait_until_together(follower: &Daemon, leader: (IpAddr, &Daemon)) {
    let (address, leader) = leader;
    let what = format!("{address} to be followed");
    follower.wait_for_status(&what, ELECTED_WITHIN, |status| {
        status.synchronized
            && status.orphan
            && status.stratum == 11
            && status.reference_id == Some(address.to_string())
    });
    wait_for("the same time", ELECTED_WITHIN, || {
        let apart = error_of(follower) - error_of(leader);
        when(apart, |apart| apart.abs() < 1e-3)
    });
}

/// Waits until a server says this of another.
#[track_caller]
fn wait_for_reason(server: &Daemon, other: u8, reason: &str) {
    let name = address(other).to_string();
    server.wait_for_source(&name, reason, ELECTED_WITHIN, |source| {
        source.reason.as_deref() == Some(reason)
    });
}

#[test]
fn the_lowest_address_leads_and_when_it_is_gone_the_next() {
    let trio = Trio::new();
    let daemons = [
        trio.start(0, "30ms"),
        trio.start(1, "-70ms"),
        trio.start(2, "400ms"),
    ];
    let [first, second, third] = daemons;
    wait_until_together(&second, (address(0), &first));
    wait_until_together(&third, (address(0), &first));
    let status = first.wait_for_status("the leader to lead", ELECTED_WITHIN, |status| {
        status.local_stratum == Some(10)
    });
    assert!(!status.synchronized && status.stratum == 16, "{status:?}");
    // It has led from its own clock, and not met the others half-way.
    let error = error_of(&first);
    assert!((error - 0.03).abs() < 1e-2, "{error}");
    wait_for_reason(&first, 1, "follows this host");
    wait_for_reason(&second, 2, "stratum 11 is not below the orphan stratum 10");

    first.end();
    wait_until_together(&third, (address(1), &second));
    second.wait_for_status("the next to lead", ELECTED_WITHIN, |status| {
        status.local_stratum == Some(10)
    });

    // To one that knows of no orphans the leader is a source as any other.
    third.reload(&configuration(2, "400ms").replace("orphan = true, ", ""));
    third.wait_for_status("the reload", ELECTED_WITHIN, |status| {
        status.synchronized && !status.orphan && status.stratum == 11
    });
}

#[test]
fn with_chronyd_the_rule_is_the_same() {
    let trio = Trio::new();
    // chronyd is in the middle: it follows the first, and leads the third.
    let mut sources = String::new();
    for other in others(1) {
        writeln!(sources, "server {} minpoll -3 maxpoll -3", address(other)).expect("room");
    }
    let chronyd = Chronyd::start(
        &trio.hosts[1],
        &trio.directory,
        "chronyd",
        &format!("{sources}local stratum 10 orphan\nallow\n"),
    );
    let third = trio.start(2, "0s");
    third.wait_for_status("chronyd to be followed", ELECTED_WITHIN, |status| {
        status.orphan && status.reference_id == Some(address(1).to_string())
    });
    let first = trio.start(0, "30ms");
    wait_for("chronyd to follow the first", ELECTED_WITHIN, || {
        when(chronyd.ask("tracking"), |report| {
            value(report, "Stratum") == Some("11")
                && value(report, "Reference ID").is_some_and(|id| id.contains("10.84.0.1"))
        })
    });
    wait_until_together(&third, (address(0), &first));
}
