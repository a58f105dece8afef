//! Who is answered, and who is not.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::actor;
use crate::ask::{Asker, plain};
use crate::scene::crowded;
use crate::support::daemon::Daemon;
use crate::support::star::Star;

/// The rules: the longest prefix that an address is in decides.
const RULES: &str = "\
[server]
listen = [\"0.0.0.0:123\", \"[::]:123\"]
workers = 1
local = { stratum = 1 }
allow = [\"10.128.0.0/9\", \"10.200.7.0/24\", \"10.200.9.9\", \"10.84.0.0/24\",
         \"fd99::/16\", \"fd99:1:2::/48\", \"fd99:1:3::5\", \"fd84::/16\"]
deny = [\"10.200.0.0/16\", \"10.200.7.128/25\", \"10.130.1.1\",
        \"fd99:1::/32\", \"fd99:1:2:8000::/49\", \"fd99::7\"]
";

/// Clients, and whether they are answered.
const CLIENTS: [(&str, bool); 22] = [
    ("10.128.0.1", true),
    ("10.130.1.0", true),
    ("10.130.1.1", false),
    ("10.130.1.2", true),
    ("10.199.255.255", true),
    ("10.200.0.1", false),
    ("10.200.6.255", false),
    ("10.200.7.1", true),
    ("10.200.7.127", true),
    ("10.200.7.128", false),
    ("10.200.9.9", true),
    ("10.200.9.8", false),
    ("10.201.0.1", true),
    ("fd99::1", true),
    ("fd99::7", false),
    ("fd99:1::1", false),
    ("fd99:1:2::1", true),
    ("fd99:1:2:7fff::1", true),
    ("fd99:1:2:8000::1", false),
    ("fd99:1:3::5", true),
    ("fd99:1:3::4", false),
    ("fd99:2::1", true),
];

#[derive(Debug, Serialize, Deserialize)]
struct Task {
    servers: [IpAddr; 2],
    clients: Vec<IpAddr>,
}

/// On the client's host: asks from every address, and tells which are answered, in order.
#[test]
#[ignore = "the test below starts it on its host"]
fn asks() {
    let task: Task = actor::task();
    let [ipv4, ipv6] = task.servers.map(|server| SocketAddr::new(server, 123));
    let server = |client: &IpAddr| if client.is_ipv4() { ipv4 } else { ipv6 };
    let clients = task.clients.iter();
    let askers = clients.map(|client| Asker::new(*client, server(client)));
    let askers: Vec<Asker> = askers.collect();
    for (mark, asker) in (1..).zip(&askers) {
        asker.send(&plain(mark << 8));
    }
    // From the addresses that the host has anyway, which are allowed.
    Asker::new([0, 0, 0, 0], ipv4).fence(1);
    Asker::new([0; 16], ipv6).fence(1);
    let answered = askers.iter().map(|asker| !asker.received().is_empty());
    let answered: Vec<bool> = answered.collect();
    actor::tell(&answered);
}

#[test]
fn the_longest_prefix_decides_who_is_answered() {
    let star = crowded();
    let ours = Daemon::start(&star.servers[0], &star.directory, "ours", RULES);
    let addresses = CLIENTS.map(|(client, _)| client.parse().expect("an address"));
    let task = Task {
        servers: [Star::server_ipv4(0), Star::server_ipv6(0)],
        clients: addresses.to_vec(),
    };
    let answered: Vec<bool> = actor::run(&star.client, &star.directory, "access::asks", &task);
    let found: Vec<_> = CLIENTS
        .iter()
        .zip(&answered)
        .map(|((client, _), answered)| (*client, *answered))
        .collect();
    assert_eq!(found, CLIENTS);
    let report = ours.server();
    let denied = CLIENTS.iter().filter(|(_, allowed)| !allowed).count() as u64;
    assert_eq!(report.denied, denied, "{report:#?}");
    assert_eq!(report.received, CLIENTS.len() as u64 + 2, "{report:#?}");
}
