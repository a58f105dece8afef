//! Reference clocks that other programs give: by chrony's socket and by ntpd's shared memory, to
//! the real binary, which disciplines a virtual clock.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clockwright::control::{KindReport, SourceReport, SourceState, StatusReport};

use crate::support::daemon::Daemon;
use crate::support::directory::Directory;
use crate::support::network::{Host, Network};
use crate::support::process::Process;
use crate::support::wait::{wait_for, when};

/// How long anything may take here: samples come ten times a second.
const SOON: Duration = Duration::from_secs(40);

/// The clock is right when it is off by less, s: the programs' stamps and the virtual clock's truth
/// are read from one clock.
const RIGHT_S: f64 = 50e-6;

const CLOCK: &str =
    "\n[clock]\nkind = \"virtual\"\nvirtual = { error = \"-300ms\", drift = \"40ppm\" }\n";

/// A host with shared memory of its own, and what gives time there.
struct Scene {
    directory: Directory,
    giver: PathBuf,
    host: Host,
    _network: Network,
}

impl Scene {
    fn new() -> Self {
        let directory = Directory::new();
        let giver = directory.path("time_giver");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/time_giver.c");
        let built = Command::new("cc")
            .args(["-O1", "-o"])
            .arg(&giver)
            .args([source, "-lm"])
            .status()
            .expect("run cc (of Debian's package gcc: `make deps`)");
        assert!(built.success());
        let network = Network::new();
        let host = network.host_with_memory("host");
        Self {
            directory,
            giver,
            host,
            _network: network,
        }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path("gps.sock")
    }

    /// Begins to give time until it is dropped.
    fn give(&self, kind: &str, to: &str, shift_ns: i64) -> Process {
        let mut command = self.host.command(&self.giver);
        command.args([kind, to, &shift_ns.to_string()]);
        Process::start(kind, &mut command, &self.directory.path("giver.log"))
    }

    fn start(&self, sources: &str) -> Daemon {
        let configuration = format!("{sources}{CLOCK}");
        Daemon::start(&self.host, &self.directory, "clockwright", &configuration)
    }
}

fn right(status: &StatusReport) -> bool {
    status.synchronized
        && status
            .true_error_s
            .is_some_and(|error| error.abs() < RIGHT_S)
}

fn source(key: &str, more: &str) -> String {
    format!("[[source]]\n{key}\npoll = {{ min = \"1/4s\", max = \"1/4s\" }}\n{more}\n")
}

#[test]
fn a_program_that_gives_time_to_chrony_sets_the_clock_and_its_silence_is_told() {
    let scene = Scene::new();
    let path = scene.socket();
    let name = path.to_str().unwrap();
    let daemon = scene.start(&source(&format!("sock = \"{name}\""), "refid = \"GPS\""));
    daemon.wait_for_source(name, "a hint where nothing comes", SOON, |source| {
        source
            .reason
            .as_ref()
            .is_some_and(|why| why.contains("start it after this daemon"))
    });
    let giver = scene.give("sock", name, 0);
    let status = daemon.wait_for_status("the time of the socket", SOON, right);
    assert_eq!(status.stratum, 1);
    assert_eq!(status.reference_id.as_deref(), Some("GPS"));
    let found = daemon.source(name);
    assert_eq!((found.kind, found.stratum), (KindReport::Sock, Some(0)));
    assert_eq!(found.state, SourceState::Selected);
    drop(giver);
    daemon.wait_for_source(name, "silence to be told", SOON, |source| {
        source
            .reason
            .as_ref()
            .is_some_and(|why| why.starts_with("no sample for "))
    });
    daemon.end();
    assert!(!path.exists(), "the socket is left behind");
}

#[test]
fn what_is_no_sample_is_counted_by_kind_and_never_used() {
    let scene = Scene::new();
    let path = scene.socket();
    let name = path.to_str().unwrap();
    let daemon = scene.start(&source(&format!("sock = \"{name}\""), ""));
    let _giver = scene.give("junk", name, 0);
    let kinds = [
        "length",
        "magic",
        "no_time",
        "old",
        "unsynchronized",
        "long_past",
    ];
    let seen = daemon.wait_for_source(name, "all kinds of junk", SOON, |source| {
        kinds
            .iter()
            .all(|kind| source.rejected.get(*kind).is_some_and(|count| *count >= 2))
    });
    assert_eq!((seen.received, seen.reach), (0, 0));
    assert_eq!(seen.rejected.len(), kinds.len(), "{:?}", seen.rejected);
    let why = seen.reason.unwrap();
    assert!(
        why.starts_with("nothing that can be used has come: "),
        "{why}"
    );
}

/// The memory is wrong by 80 ms, and says that it may be; the pulses are exact and know no second.
#[test]
fn pulses_locked_to_shared_memory_have_its_seconds_and_their_own_exactness() {
    let scene = Scene::new();
    let path = scene.socket();
    let name = path.to_str().unwrap();
    let pulses = source(&format!("sock = \"{name}\""), "lock = \"shm 200\"");
    let memory = source("shm = 200", "delay = \"300ms\"");
    let daemon = scene.start(&format!("{pulses}{memory}"));
    let _pulses = scene.give("pulse", name, 0);
    daemon.wait_for_source(name, "pulses without numbers", SOON, |source| {
        source
            .rejected
            .get("unnumbered")
            .is_some_and(|count| *count > 2)
    });
    assert_eq!(daemon.source(name).received, 0);
    let _memory = scene.give("shm", "200", 80_000_000);
    daemon.wait_for_status("the pulses' time", SOON, right);
    let pulses = daemon.source(name);
    assert_eq!(pulses.state, SourceState::Selected, "{pulses:?}");
    let memory: SourceReport = daemon.source("shm 200");
    assert_eq!(memory.kind, KindReport::Shm);
    let offset = memory.offset_s.unwrap();
    assert!((offset - 0.08).abs() < 1e-3, "{offset}");
    // Half the delay, and the 2^-10 s that the writer says it is exact to.
    let bound = memory.error_bound_s.unwrap();
    assert!((0.1509..0.16).contains(&bound), "{bound}");
    assert_eq!(memory.root_delay_s, Some(0.3));
}

#[test]
fn a_reload_makes_and_removes_sockets_and_what_is_in_the_way_is_named() {
    let scene = Scene::new();
    let path = scene.socket();
    let name = path.to_str().unwrap();
    fs::write(&path, "precious").unwrap();
    let with = source(&format!("sock = \"{name}\""), "");
    let without = source("shm = 201", "");
    let daemon = scene.start(&with);
    daemon.wait_for_source(name, "what is in the way to be named", SOON, |source| {
        source
            .reason
            .as_ref()
            .is_some_and(|why| why.contains("is not a socket"))
    });
    daemon.reload(&format!("{without}{CLOCK}"));
    let names = || {
        daemon
            .sources()
            .into_iter()
            .map(|s| s.name)
            .collect::<Vec<_>>()
    };
    wait_for("the source to go", SOON, || {
        when(names(), |names| *names == ["shm 201"])
    });
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    // Left behind by a program that died.
    fs::remove_file(&path).unwrap();
    drop(UnixDatagram::bind(&path).unwrap());
    daemon.reload(&format!("{with}{without}{CLOCK}"));
    let _giver = scene.give("sock", name, 0);
    daemon.wait_for_status("the time of the new socket", SOON, right);
    daemon.reload(&format!("{without}{CLOCK}"));
    wait_for("the socket to go", SOON, || {
        when(path.exists(), |there| !there)
    });
}
