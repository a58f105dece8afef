//! NTP over PTP (RFC 10030), where kernels stamp what no NIC does.

use std::time::Duration;

use clockwright::control::{SourceReport, StampReport, TransportReport};

use crate::support::daemon::Daemon;
use crate::support::star::{SERVER, Star, source};

const PATIENCE: Duration = Duration::from_secs(15);

fn transport(choice: &str) -> String {
    format!("[timestamping]\nptp_transport = \"{choice}\"\n")
}

/// Our client of one server at both of its addresses, four times a second.
fn asking(choice: &str) -> String {
    let sources = source(Star::server_ipv4(0), "250ms") + &source(Star::server_ipv6(0), "250ms");
    sources + &transport(choice)
}

/// Has it been answered this way, in interleaved mode, eight times in a row?
fn answered_by(transport: TransportReport) -> impl Fn(&SourceReport) -> bool {
    move |source| {
        source.transport == Some(transport)
            && source.reach == 0xff
            && source.interleaved
            && source.tx_stamp == Some(StampReport::Kernel)
            && source.rx_stamp == Some(StampReport::Kernel)
    }
}

#[test]
fn both_families_share_the_port_and_a_reload_changes_the_transport() {
    let star = Star::new(1);
    let server = SERVER.to_owned() + &transport("always");
    let _server = Daemon::start(&star.servers[0], &star.directory, "server", &server);
    let client = Daemon::start(&star.client, &star.directory, "client", &asking("always"));
    let addresses = [Star::server_ipv4(0), Star::server_ipv6(0)].map(|ip| ip.to_string());
    let all_by = |transport| {
        for address in &addresses {
            let what = format!("{address} to answer by {transport:?}");
            client.wait_for_source(address, &what, PATIENCE, answered_by(transport));
        }
    };
    all_by(TransportReport::Ptp);
    // The other way, and back: the sources stay what they are.
    client.reload(&asking("never"));
    all_by(TransportReport::Udp);
    client.reload(&asking("always"));
    all_by(TransportReport::Ptp);
    for source in client.sources() {
        assert!(
            source.rejected.values().all(|count| *count == 0),
            "{source:#?}"
        );
    }
}

#[test]
fn another_domain_is_not_answered() {
    let star = Star::new(1);
    let server = SERVER.to_owned() + &transport("always") + "ptp_domain = 5\n";
    let _server = Daemon::start(&star.servers[0], &star.directory, "server", &server);
    let other = asking("always");
    let client = Daemon::start(&star.client, &star.directory, "client", &other);
    let address = Star::server_ipv4(0).to_string();
    let silent = |source: &SourceReport| source.sent >= 8 && source.received == 0;
    client.wait_for_source(&address, "requests without answer", PATIENCE, silent);
    client.reload(&(asking("always") + "ptp_domain = 5\n"));
    client.wait_for_source(&address, "answers", PATIENCE, |source| {
        source.reach & 7 == 7
    });
}

#[test]
fn where_no_nic_needs_it_the_port_is_left_alone() {
    let star = Star::new(1);
    // Somebody else, ptp4l perhaps, can have it at both ends.
    let server = SERVER.to_owned() + &transport("auto");
    let _server = Daemon::start(&star.servers[0], &star.directory, "server", &server);
    let client = Daemon::start(&star.client, &star.directory, "client", &asking("auto"));
    let address = Star::server_ipv4(0).to_string();
    let plain = answered_by(TransportReport::Udp);
    client.wait_for_source(&address, "answers by UDP", PATIENCE, plain);
    let holder = SERVER.to_owned() + &transport("always");
    for (host, name) in [(&star.client, "beside"), (&star.servers[0], "there")] {
        let own_ports = holder.replace(":123", ":1123");
        let _holder = Daemon::start(host, &star.directory, name, &own_ports);
        let log = star.directory.path(&format!("{name}.log"));
        let log = std::fs::read_to_string(log).expect("a log");
        assert!(log.contains("serving NTP over PTP"), "{log}");
    }
}

#[test]
fn a_port_that_somebody_else_has_is_named() {
    let star = Star::new(1);
    let other = SERVER.to_owned() + &transport("always");
    let _other = Daemon::start(&star.client, &star.directory, "other", &other);
    let client = Daemon::start(&star.client, &star.directory, "client", &asking("always"));
    let address = Star::server_ipv4(0).to_string();
    let told = client.wait_for_source(&address, "the failure", PATIENCE, |source| {
        source.last_error.is_some()
    });
    let why = told.last_error.unwrap_or_default();
    assert!(why.contains("319") && why.contains("in use"), "{why}");
}

#[test]
fn a_source_on_port_319_is_asked_over_ptp() {
    let star = Star::new(1);
    let server = SERVER.to_owned() + &transport("always");
    let _server = Daemon::start(&star.servers[0], &star.directory, "server", &server);
    let there = source(Star::server_ipv4(0), "250ms") + "port = 319\n";
    let client = Daemon::start(&star.client, &star.directory, "client", &there);
    let address = Star::server_ipv4(0).to_string();
    let over_ptp = answered_by(TransportReport::Ptp);
    client.wait_for_source(&address, "answers over PTP", PATIENCE, over_ptp);
}
