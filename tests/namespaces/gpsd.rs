//! A real gpsd, which has a receiver's sentences by TCP and gives their time by ntpd's shared memory and
//! by chrony's socket, to the real binary.
//!
//! Of a pseudo-terminal gpsd gives no time, and a pulse it takes only from a serial line's modem status
//! or from `/dev/pps*`, which namespaces have not: pulses come from a stand-in (`refclocks.rs`).

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use clockwright::control::{SourceReport, StatusReport};

use crate::support::daemon::Daemon;
use crate::support::directory::Directory;
use crate::support::network::{Host, Network};
use crate::support::peer::Peer;
use crate::support::process::Process;
use crate::support::wait::{wait_for, when};

/// How long anything may take here: sentences come once a second, and gpsd wants three fixes first.
const SOON: Duration = Duration::from_secs(60);
/// How late the sentences are.
const LATE_S: f64 = 0.25;
/// As exactly as a busy machine passes sentences on, s.
const CLOSE_S: f64 = 0.02;
/// What gpsd calls its receiver.
const RECEIVER: &str = "tcp://127.0.0.1:5000";
/// Where it looks for the socket to which that one's time goes (gpsd 3.25 or newer).
const SOCKET: &str = "/run/chrony.clk.127.0.0.1:5000.sock";

/// A host with a receiver.
struct Scene {
    directory: Directory,
    host: Host,
    _receiver: Process,
    _network: Network,
}

impl Scene {
    fn new() -> Self {
        let directory = Directory::new();
        let network = Network::new();
        let host = network.host_with_memory_and_run("host");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/receiver.py");
        let mut command: Command = host.command(Path::new("python3"));
        command.args([script, "5000", &LATE_S.to_string()]);
        let receiver = Process::start("receiver", &mut command, &directory.path("receiver.log"));
        wait_for("the receiver", SOON, || {
            when(receiver.log(), |log| log.contains("ready"))
        });
        Self {
            directory,
            host,
            _receiver: receiver,
            _network: network,
        }
    }

    /// A gpsd in the foreground that asks its receiver though nobody asks it (-n), and never writes to it.
    fn gpsd(&self, name: &str) -> Peer {
        let arguments = ["-N", "-n", "-p", "-D", "4", RECEIVER];
        Peer::start(&self.host, &self.directory, name, "newest/gpsd", &arguments)
    }

    fn start(&self, configuration: &str) -> Daemon {
        Daemon::start(&self.host, &self.directory, "clockwright", configuration)
    }
}

fn source(key: &str, more: &str) -> String {
    format!("[[source]]\n{key}\npoll = {{ min = \"1s\", max = \"1s\" }}\n{more}\n")
}

/// Samples come, and they are `expected` (s) from the clock.
fn comes(source: &SourceReport, expected: f64) -> bool {
    let near = |offset: f64| (offset - expected).abs() < CLOSE_S;
    source.reach & 1 == 1 && source.offset_s.is_some_and(near)
}

fn is_silent(source: &SourceReport) -> bool {
    let why = source.reason.as_deref().unwrap_or_default();
    why.starts_with("no sample for ")
}

#[test]
fn the_time_of_sentences_comes_by_shared_memory_as_late_as_they_are_until_offset_says_so() {
    let scene = Scene::new();
    let name = "shm 0";
    let gpsd = scene.gpsd("gpsd");
    let daemon = scene.start(&source("shm = 0", "delay = \"100ms\""));
    let late = daemon.wait_for_source(name, "late sentences", SOON, |s| comes(s, -LATE_S));
    // gpsd says that what a sentence tells may be half a second off, and half the delay is added.
    let bound = late.error_bound_s.unwrap();
    assert!((0.55..0.65).contains(&bound), "{bound}");
    let settings = "delay = \"100ms\"\noffset = \"250ms\"\nprecision = \"1ms\"";
    daemon.reload(&source("shm = 0", settings));
    // By what was believed before, the bound is wider for some samples.
    let narrow = |bound: f64| (0.05..0.15).contains(&bound);
    daemon.wait_for_source(name, "the right time", SOON, |source| {
        comes(source, 0.0) && source.error_bound_s.is_some_and(narrow)
    });
    daemon.wait_for_status("synchronization", SOON, |status| status.synchronized);
    gpsd.end();
    daemon.wait_for_source(name, "silence to be told", SOON, is_silent);
    let _again = scene.gpsd("gpsd-again");
    let before = daemon.source(name).received;
    daemon.wait_for_source(name, "samples of the new gpsd", SOON, |source| {
        source.received > before + 2 && comes(source, 0.0)
    });
}

#[test]
fn the_time_of_sentences_comes_by_the_socket_and_a_gpsd_that_is_started_again_finds_it() {
    let scene = Scene::new();
    let clock = "[clock]\nkind = \"virtual\"\nvirtual = { error = \"-3s\", drift = \"20ppm\" }\n";
    let settings = "delay = \"100ms\"\noffset = \"250ms\"";
    let key = format!("sock = \"{SOCKET}\"");
    let daemon = scene.start(&format!("{}{clock}", source(&key, settings)));
    let gpsd = scene.gpsd("gpsd");
    let right = |status: &StatusReport| {
        let near = |error: f64| error.abs() < CLOSE_S;
        status.synchronized && status.true_error_s.is_some_and(near)
    };
    daemon.wait_for_status("the receiver's time", SOON, right);
    let seen = daemon.source(SOCKET);
    assert!(seen.rejected.is_empty(), "{:?}", seen.rejected);
    gpsd.end();
    daemon.wait_for_source(SOCKET, "silence to be told", SOON, is_silent);
    let _again = scene.gpsd("gpsd-again");
    let before = daemon.source(SOCKET).received;
    daemon.wait_for_source(SOCKET, "samples of the new gpsd", SOON, |source| {
        source.received > before + 2
    });
    daemon.wait_for_status("the receiver's time again", SOON, right);
}
