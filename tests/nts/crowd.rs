//! Ten thousand connections that say nothing, and one client who wants keys.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};

use crate::scene::{PATIENCE, Scene};
use crate::support::daemon::{CLOCKWRIGHT, Daemon};
use crate::support::process::Process;
use crate::support::star::{SERVER, Star};
use crate::support::wait::{wait_for, when};

/// How many there are.
const CROWD: u16 = 10_000;
/// Whom they visit.
const TARGET: &str = "CLOCKWRIGHT_TEST_CROWD_TARGET";
/// What the server may grow by, kB. It is the same for a thousand and for ten thousand.
const ROOM_KB: u64 = 64 * 1024;

/// The program that makes the crowd, in the client's network: each comes from an address of its
/// own, says the first octet of a handshake, and waits. Run by the test below.
#[test]
#[ignore = "only the test of the crowd runs it"]
fn crowd() {
    let target: SocketAddrV4 = env::var(TARGET)
        .expect("a target")
        .parse()
        .expect("an address");
    let mut connections: Vec<OwnedFd> = Vec::new();
    for visitor in 0..CROWD {
        let [high, low] = visitor.to_be_bytes();
        let from = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::new(10, 85, high, low), 0));
        let connection = socket(
            AddressFamily::Inet,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC,
            None,
        )
        .expect("a socket: is the limit of descriptors high enough?");
        bind(connection.as_raw_fd(), &from).expect("an address of its own");
        connect(connection.as_raw_fd(), &SockaddrIn::from(target)).expect("a connection");
        // The server may have hung up already.
        let _ = nix::unistd::write(&connection, &[0x16]);
        connections.push(connection);
    }
    println!("everybody is there");
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

fn resident_kb(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("read /proc");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.unwrap_or_else(|| panic!("no VmRSS: {status}"))
}

/// Keys and the time for one client, or what it says.
fn query(scene: &Scene) -> Result<(), String> {
    let mut command = scene.star.client.command(Path::new(CLOCKWRIGHT));
    command.args(["query", "--nts", "-n", "1", "--trust"]);
    command
        .arg(scene.authority.certificate())
        .arg(Star::server_name(0));
    let output = command.output().expect("run clockwright");
    if output.status.success() {
        return Ok(());
    }
    let (said, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    Err(format!("{said}{error}"))
}

#[test]
fn ten_thousand_who_dawdle_do_not_keep_one_out_nor_take_more_memory() {
    let scene = Scene::new(1);
    let star = &scene.star;
    // Everybody in 10.85.0.0/16 is the client's host.
    star.client.ip("route add local 10.85.0.0/16 dev lo");
    let client = format!("{}", Star::client_ipv4(0));
    star.servers[0].ip(&format!("route add 10.85.0.0/16 via {client}"));
    let identity = scene.identity(0);
    let configuration = format!(
        "{}[server.nts]\nlisten = [\"0.0.0.0:4460\", \"[::]:4460\"]\n\
         certificate = \"{}\"\nkey = \"{}\"\nconnection_rate = false\n",
        SERVER.replace("\"10.84.0.0/16\"", "\"10.84.0.0/16\", \"10.85.0.0/16\""),
        identity.certificate.display(),
        identity.key.display()
    );
    let mut ours = Daemon::start(&star.servers[0], &star.directory, "ours", &configuration);
    query(&scene).expect("keys while nobody else is there");
    let before = resident_kb(ours.process().id());

    let target = SocketAddr::new(Star::server_ipv4(0), 4460).to_string();
    let mut command = star.client.command(Path::new("bash"));
    command.args(["-c", "ulimit -n 20000 && exec \"$0\" \"$@\""]);
    command.arg(env::current_exe().expect("this program"));
    command.args(["--exact", "crowd::crowd", "--ignored", "--nocapture"]);
    command.env(TARGET, target);
    let mut crowd = Process::start("the crowd", &mut command, &star.directory.path("crowd"));
    let mut served = 0;
    wait_for("ten thousand", PATIENCE * 3, || {
        if let Some(status) = crowd.ended() {
            panic!("the crowd went: {status}: {}", crowd.log());
        }
        // While they come, too.
        query(&scene).expect("keys in the midst of the crowd");
        served += 1;
        when(crowd.log(), |log| log.contains("everybody is there"))
    });
    query(&scene).expect("keys with everybody there");

    let grown = resident_kb(ours.process().id()).saturating_sub(before);
    assert!(grown < ROOM_KB, "grown by {grown} kB");
    let report = ours.server();
    let keys = report.key_establishment.as_ref().expect("a server of keys");
    assert!(keys.open <= 1024, "{keys:#?}");
    assert_eq!(keys.established, served + 2, "{keys:#?}");
    let refused: u64 = keys.refused.values().sum();
    assert!(
        refused + u64::from(keys.open) >= u64::from(CROWD),
        "{keys:#?}"
    );
    let log = ours.process().log();
    assert!(log.lines().count() < 100, "strangers cannot fill the log");
}
