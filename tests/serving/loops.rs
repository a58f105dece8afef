//! Servers that are made to talk to each other by somebody who forges addresses do not go on.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use clockwright_ntp::{Header, Mode};
use serde::{Deserialize, Serialize};

use crate::actor;
use crate::ask::Asker;
use crate::scene::{PATIENCE, ipv4, kernel_count, open_to_all, set_kernel};
use crate::support::chrony::Chronyd;
use crate::support::daemon::Daemon;
use crate::support::network::Host;
use crate::support::star::Star;
use crate::support::wait::{wait_for, when};
use crate::wire::{Wire, set_source};

/// What follows the header of a packet.
const TAILS: [&[u8]; 5] = [
    // Nothing.
    &[],
    // An extension field of a kind that nobody knows.
    &[
        0x7f, 0x01, 0, 28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ],
    // A unique identifier of NTS.
    &[
        1, 4, 0, 36, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8,
        9, 1, 2, 3, 4, 5,
    ],
    // What would be a MAC.
    &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    // What is not framed as anything.
    &[0xff, 0xff, 0xff],
];
const MODES: [Mode; 8] = [
    Mode::Reserved,
    Mode::SymmetricActive,
    Mode::SymmetricPassive,
    Mode::Client,
    Mode::Server,
    Mode::Broadcast,
    Mode::Control,
    Mode::Private,
];

#[derive(Debug, Serialize, Deserialize)]
struct Task {
    victim: Ipv4Addr,
    /// Whose address is forged.
    other: Ipv4Addr,
}

/// On the host between the two: sends every kind of packet to one server as if it were the other; then
/// asks both of them something that is answered after all that.
#[test]
#[ignore = "the tests below start it on their hosts"]
fn forges() {
    let task: Task = actor::task();
    let mut wire = Wire::new(task.victim);
    let mut sent = 0;
    for mode in MODES {
        for version in 1..=4 {
            for tail in TAILS {
                let mut header = Header::zeroed(mode);
                header.version = version;
                let payload = [&header.to_bytes(), tail].concat();
                let mut packet = wire.headers(payload.len()).to_vec();
                set_source(&mut packet, task.other);
                // From port 123, too.
                packet[20..22].copy_from_slice(&123_u16.to_be_bytes());
                packet.extend(payload);
                wire.send(1, |_| &packet);
                sent += 1;
            }
        }
    }
    for server in [task.victim, task.other, task.victim] {
        Asker::new([0, 0, 0, 0], SocketAddr::new(server.into(), 123)).fence(1);
    }
    actor::tell(&sent);
}

/// The forger's host, which joins two servers' networks.
fn joined() -> Star {
    let star = Star::new(2);
    for (number, host) in star.servers.iter().enumerate() {
        let number = u8::try_from(number).expect("two");
        let via = Star::client_ipv4(number);
        host.ip(&format!("route add 10.84.{}.0/30 via {via}", 1 - number));
    }
    set_kernel(&star.client, "net/ipv4/ip_forward", "1");
    star
}

/// Packets between the two servers.
fn between(host: &Host) -> u64 {
    kernel_count(host, "Ip", "ForwDatagrams")
}

/// Our server, which has been made to write to another; `lines` are for its table.
fn victim(star: &Star, lines: &str) -> Daemon {
    let lines = open_to_all(&format!("workers = 1\n{lines}"));
    Daemon::start(&star.servers[0], &star.directory, "victim", &lines)
}

/// Forges packets from the second server to ours, and checks that ours writes to the other once each
/// at most, and is not written to. Gives how many were sent, and answered.
fn forge(star: &Star, victim: &Daemon) -> (u64, u64) {
    let task = Task {
        victim: ipv4(0),
        other: ipv4(1),
    };
    let sent: u64 = actor::run(&star.client, &star.directory, "loops::forges", &task);
    let report = victim.server();
    // Two more are the fences.
    assert_eq!(report.received, sent + 2, "{report:#?}");
    let answered = report.basic + report.interleaved + report.rate_kisses - 2;
    let wanted = |between: &u64| *between == answered;
    wait_for("replies to the other server alone", PATIENCE, || {
        when(between(&star.client), wanted)
    });
    // Of 8 modes, two are requests.
    let modes = report.dropped.get("mode").copied();
    assert_eq!(modes, Some(sent / 8 * 6), "{report:#?}");
    assert!(answered <= sent / 8 * 2, "{report:#?}");
    (sent, answered)
}

#[test]
fn two_of_our_servers_do_not_keep_each_other_busy() {
    let star = joined();
    let ours = victim(&star, "");
    let lines = open_to_all("workers = 1");
    let other = Daemon::start(&star.servers[1], &star.directory, "other", &lines);
    let (_, answered) = forge(&star, &ours);
    // Modes 1 and 3, four versions, with nothing more and with two kinds of fields.
    assert_eq!(answered, 2 * 4 * 3);
    let report = other.server();
    assert_eq!(report.received, answered + 1, "{report:#?}");
    assert_eq!(report.basic, 1, "the fence alone: {report:#?}");
    assert_eq!(report.dropped.get("mode"), Some(&answered), "{report:#?}");
}

#[test]
fn kisses_do_not_keep_two_servers_busy() {
    let star = joined();
    let rate = "rate = { interval = \"1h\", burst = 1, leak = 0, kiss = 1 }";
    let ours = victim(&star, rate);
    let lines = open_to_all(&format!("workers = 1\n{rate}"));
    let other = Daemon::start(&star.servers[1], &star.directory, "other", &lines);
    let (_, answered) = forge(&star, &ours);
    let kisses = ours.server().rate_kisses;
    assert!(kisses >= answered - 1, "{kisses} of {answered}");
    let report = other.server();
    assert_eq!(report.dropped.get("mode"), Some(&answered), "{report:#?}");
    assert_eq!(report.rate_kisses, 0, "{report:#?}");
}

#[test]
fn chronyd_and_our_server_do_not_keep_each_other_busy() {
    let star = joined();
    let ours = victim(&star, "");
    let _chronyd = Chronyd::start(
        &star.servers[1],
        &star.directory,
        "chronyd",
        "local stratum 1\nallow\n",
    );
    let (_, answered) = forge(&star, &ours);
    assert_eq!(answered, 2 * 4 * 3);
    let log = star.directory.path("victim.log");
    let log = fs::read_to_string(log).expect("a log");
    assert!(log.lines().count() < 50, "strangers cannot fill the log");
}
