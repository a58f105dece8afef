//! Guests of the lab: at most two at once, each with one case described in JSON.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::record::Record;

/// The program under test.
const CLOCKWRIGHT: &str = env!("CARGO_BIN_EXE_clockwright");

/// Guests at a time: each keeps a core busy, and no more than two cores are taken for granted.
const GUESTS: usize = 2;

/// Drivers beyond the lab's own module that a guest loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drivers {
    /// None.
    Lab,
    /// VLANs, bonds, netem.
    Network,
    /// QEMU's igb, two of them on one wire.
    Igb,
}

/// Runs one case (`tests/lab/guest/case.py` says what is in it) and returns what was recorded.
/// Panics if the lab fails, with what it printed.
#[track_caller]
pub(crate) fn run(name: &str, drivers: Drivers, case: Value) -> Record {
    let results = results(name);
    let mut command = Command::new(lab("run"));
    command.arg("-i").arg("-o").arg(&results);
    match drivers {
        Drivers::Lab => {}
        Drivers::Network => {
            command.args(["-n", "net"]);
        }
        Drivers::Igb => {
            command.args(["-n", "igb"]).args(igb());
        }
    }
    prepare(&mut command, &results, case);
    let _slot = Slot::take(1);
    set_up();
    let output = command.output().expect("run a guest");
    record(name, &results, &output)
}

/// The same for two guests at a time, each with a card at one end of a wire between them. They have
/// clocks of their own, so time is not virtual: figures depend on this machine's load.
#[track_caller]
pub(crate) fn run_two(name: &str, cases: [Value; 2]) -> [Record; 2] {
    let _slots = Slot::take(2);
    set_up();
    // Below /tmp, as the path of a Unix socket has at most 107 octets.
    let directory = nix::unistd::mkdtemp("/tmp/clockwright-lab-XXXXXX").expect("make a directory");
    let socket = directory.join("wire");
    let mut guests = Vec::new();
    for (end, mut case) in cases.into_iter().enumerate() {
        let results = results(&format!("{name}-{end}"));
        case["network"] = json!("wire");
        case["end"] = json!(end);
        let mut command = Command::new(lab("run"));
        command.args(["-n", "net", "-o"]).arg(&results);
        for part in [
            format!("-device virtio-net-pci,netdev=wire,mac=52:54:00:00:00:0{end}"),
            format!(
                "-netdev stream,id=wire,server={},addr.type=unix,addr.path={}",
                if end == 0 { "on" } else { "off" },
                socket.display()
            ),
        ] {
            command.args(["-q", &part]);
        }
        prepare(&mut command, &results, case);
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        guests.push((results, child.expect("run a guest")));
        let start = Instant::now();
        while !socket.exists() {
            assert!(start.elapsed() < Duration::from_secs(30), "{name}: no wire");
            thread::sleep(Duration::from_millis(20));
        }
    }
    let outputs: Vec<_> = guests
        .into_iter()
        .map(|(results, child)| (results, child.wait_with_output().expect("wait for a guest")))
        .collect();
    fs::remove_dir_all(&directory).expect("remove a directory");
    let mut records = outputs
        .iter()
        .map(|(results, output)| record(name, results, output));
    [records.next(), records.next()].map(|record| record.expect("two guests"))
}

/// Writes the case where its guest looks for it, and says what the guest runs.
fn prepare(command: &mut Command, results: &Path, mut case: Value) {
    case["programs"] = json!({ "clockwright": lean_binary() });
    fs::write(results.join("case.json"), case.to_string()).expect("write the case");
    command
        .arg("/usr/bin/python3")
        .arg(lab("guest/case.py"))
        .stdin(Stdio::null());
}

/// What the guest recorded; panics with what it printed if there is no record or it tells of a fault.
#[track_caller]
fn record(name: &str, results: &Path, output: &Output) -> Record {
    let printed = text(output);
    let record = fs::read(results.join("record.json"))
        .ok()
        .and_then(|text| serde_json::from_slice::<Record>(&text).ok());
    let Some(mut record) = record else {
        panic!(
            "{name}: the guest left no record in {}:\n{printed}",
            results.display()
        );
    };
    record.named(name, results);
    assert!(
        record.fault.is_none(),
        "{name}: {:?}\n{printed}",
        record.fault
    );
    record.assert_kernel_is_content();
    record
}

/// Runs any command of the lab as one guest; returns its output. Panics unless it succeeds.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> String {
    let slot = Slot::take(1);
    set_up();
    let done = command.stdin(Stdio::null()).output().expect("run the lab");
    drop(slot);
    let printed = text(&done);
    assert!(
        done.status.success(),
        "{command:?}: {}\n{printed}",
        done.status
    );
    printed
}

/// A file of the lab.
pub(crate) fn lab(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/lab")
        .join(name)
}

/// An empty folder for what a guest leaves; kept until the next run, to look into.
pub(crate) fn results(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("hardware")
        .join(name);
    // It may not be there; if it cannot be removed, making it anew tells.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("make a folder for results");
    folder
}

/// The program under test without its debugging information, of which a guest would read a lot.
pub(crate) fn lean_binary() -> &'static Path {
    static LEAN: OnceLock<PathBuf> = OnceLock::new();
    LEAN.get_or_init(|| {
        let lean = results("bin").join("clockwright");
        let done = Command::new("strip")
            .arg("-o")
            .arg(&lean)
            .arg(CLOCKWRIGHT)
            .status();
        assert!(
            done.is_ok_and(|status| status.success()),
            "`strip` failed: `make deps` installs it (package binutils)"
        );
        lean
    })
}

fn text(output: &Output) -> String {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    lossy(&output.stdout) + &lossy(&output.stderr)
}

/// Everything the lab needs, once; half a second if it is there.
fn set_up() {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    let done = DONE.get_or_init(|| {
        let setup = Command::new(lab("setup")).stdin(Stdio::null()).output();
        match setup {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    });
    if let Err(why) = done {
        panic!("the lab cannot be set up (`make test` as root installs what it needs): {why}");
    }
}

/// Two NICs on one hub; igb wants to be behind a root port each.
fn igb() -> Vec<String> {
    let mut arguments = Vec::new();
    for end in 0..2 {
        for part in [
            format!("-device pcie-root-port,id=port{end},chassis={end},slot={end}"),
            format!("-netdev hubport,id=hub{end},hubid=0"),
            format!("-device igb,bus=port{end},netdev=hub{end},mac=52:54:00:00:00:0{end}"),
        ] {
            arguments.extend(["-q".to_owned(), part]);
        }
    }
    arguments
}

/// Some of the places for guests; given back when dropped.
struct Slot(usize);

static TAKEN: Mutex<usize> = Mutex::new(0);
static GIVEN_BACK: Condvar = Condvar::new();

impl Slot {
    fn take(count: usize) -> Self {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = GIVEN_BACK
            .wait_while(taken, |taken| *taken + count > GUESTS)
            .unwrap_or_else(PoisonError::into_inner);
        *taken += count;
        Self(count)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        GIVEN_BACK.notify_all();
    }
}
