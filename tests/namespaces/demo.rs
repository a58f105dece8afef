//! `clockwright demo`, from the outside.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use serde_json::Value;

use crate::support::daemon::CLOCKWRIGHT;
use crate::support::directory::Directory;
use crate::support::process::Process;
use crate::support::wait::{wait_for, when};

/// A demo in a session of its own, by which everything it starts can be recognised, and is
/// killed at the end should the demo have left it behind.
struct Demo(Process);

impl Deref for Demo {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.0
    }
}

impl DerefMut for Demo {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.0
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        for (id, _) in session(self.id()) {
            // One that has ended meanwhile needs no killing.
            let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

fn start(directory: &Directory, command: &[&str]) -> Demo {
    let mut session = Command::new("setsid");
    session.args(command);
    Demo(Process::start("demo", &mut session, &directory.path("out")))
}

/// The JSON lines it has printed so far.
fn lines(demo: &Demo) -> Vec<Value> {
    let log = demo.log();
    let complete = log.rsplit_once('\n').map_or("", |(complete, _)| complete);
    complete
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// The processes of a session, with their command lines.
fn session(id: u32) -> Vec<(i32, String)> {
    let entries = fs::read_dir("/proc").expect("read /proc");
    entries
        .filter_map(|entry| {
            let directory = entry.ok()?.path();
            let stat = fs::read_to_string(directory.join("stat")).ok()?;
            // proc_pid_stat(5): pid (comm) state ppid pgrp session ...; comm may hold anything.
            let mut fields = stat.get(stat.rfind(')')? + 2..)?.split(' ');
            let state = fields.next()?;
            let of_session = fields.nth(2)?.parse() == Ok(id);
            let line = fs::read_to_string(directory.join("cmdline")).ok()?;
            let process = directory.file_name()?.to_str()?.parse().ok()?;
            (of_session && state != "Z").then(|| (process, line.replace('\0', " ")))
        })
        .collect()
}

/// Nothing of a demo that has ended is left.
fn nothing_is_left(id: u32) {
    wait_for(
        "the demo's processes to be gone",
        Duration::from_secs(5),
        || when(session(id), Vec::is_empty),
    );
    // Its files are in a private /tmp, its namespaces have no names.
    for name in ["server", "alpha", "beta"] {
        assert!(!Path::new("/tmp").join(name).exists());
    }
}

/// Waits until both clients have been seen to know the time.
fn wait_until_under_way(demo: &mut Demo) {
    wait_for(
        "both clients to be under way",
        Duration::from_secs(20),
        || {
            if let Some(status) = demo.ended() {
                panic!("the demo ended: {status}");
            }
            let lines = lines(demo);
            let under_way = ["alpha", "beta"].iter().all(|host| {
                lines
                    .iter()
                    .any(|line| line["host"] == *host && line["synchronized"] == true)
            });
            when(lines, |_| under_way)
        },
    );
}

#[test]
fn both_clocks_converge_and_the_bound_always_holds() {
    let directory = Directory::new();
    let mut demo = start(
        &directory,
        &[CLOCKWRIGHT, "demo", "--json", "--seconds", "20"],
    );
    let status = demo.wait(Duration::from_secs(40));
    let lines = lines(&demo);
    let (summary, samples) = lines.split_last().expect("some output");
    assert_eq!(summary["type"], "summary");
    assert_eq!(status.code(), Some(0), "{summary:#}");
    assert_eq!(summary["passed"], true);
    assert_eq!(summary["interrupted"], false);

    // What the summary says is checked against what was seen.
    for (host, initial_error_s) in [("alpha", 7.3e-3), ("beta", -4.1e-3)] {
        let seen: Vec<&Value> = samples.iter().filter(|line| line["host"] == host).collect();
        let number = |line: &Value, key: &str| line[key].as_f64();
        assert!(
            seen.len() >= 60,
            "{host} was looked at {} times",
            seen.len()
        );
        let first = number(seen[0], "true_error_s").expect("a true error");
        assert!(
            (first / initial_error_s - 1.0).abs() < 0.5,
            "{host} starts {first} s off"
        );
        for line in &seen {
            let error = number(line, "true_error_s").expect("a true error").abs();
            if let Some(bound) = number(line, "error_bound_s") {
                assert!(error <= bound, "{line}");
            }
            if number(line, "elapsed_s") > Some(15.0) {
                assert!(error < 20e-6, "{line}");
                assert!(number(line, "error_bound_s").is_some(), "{line}");
            }
        }
        let last = seen[seen.len() - 1];
        assert_eq!(last["interleaved"], true, "{last}");
        assert_eq!(last["authenticated"], true, "{last}");
        assert_eq!(last["tx_stamp"], "kernel", "{last}");
        assert_eq!(last["rx_stamp"], "kernel", "{last}");
    }
    nothing_is_left(demo.id());
}

#[test]
fn an_interrupt_ends_it_early_with_a_summary_and_nothing_left() {
    let directory = Directory::new();
    let mut demo = start(&directory, &[CLOCKWRIGHT, "demo", "--json"]);
    wait_until_under_way(&mut demo);
    assert_eq!(session(demo.id()).len(), 4, "the demo and its three hosts");
    demo.signal(Signal::SIGINT);
    let status = demo.wait(Duration::from_secs(5));
    assert_eq!(status.signal(), Some(Signal::SIGINT as i32), "{status}");
    let lines = lines(&demo);
    assert_eq!(lines[lines.len() - 1]["interrupted"], true);
    nothing_is_left(demo.id());
}

#[test]
fn killing_it_leaves_nothing() {
    let directory = Directory::new();
    let mut demo = start(&directory, &[CLOCKWRIGHT, "demo", "--json"]);
    wait_until_under_way(&mut demo);
    demo.signal(Signal::SIGKILL);
    demo.wait(Duration::from_secs(5));
    nothing_is_left(demo.id());
}

#[test]
fn an_ordinary_user_sees_it_too_or_is_told_why_not() {
    let directory = Directory::new();
    if !Uid::effective().is_root() {
        // Then the other tests of this file have shown it.
        return;
    }
    // The program may lie where only root can read.
    let program = directory.path("clockwright");
    fs::copy(CLOCKWRIGHT, &program).expect("copy the program");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("let others in");
    let program = program.to_str().expect("a plain path");
    let nobody = [
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
    ];
    let allowed = Command::new(nobody[0])
        .args(&nobody[1..])
        .args(["unshare", "--user", "--map-root-user", "--mount", "true"])
        .status()
        .expect("run setpriv")
        .success();
    let mut demo = start(
        &directory,
        &[&nobody[..], &[program, "demo", "--json"]].concat(),
    );
    if allowed {
        wait_until_under_way(&mut demo);
        demo.signal(Signal::SIGTERM);
        let status = demo.wait(Duration::from_secs(5));
        assert_eq!(status.signal(), Some(Signal::SIGTERM as i32), "{status}");
    } else {
        assert_eq!(demo.wait(Duration::from_secs(5)).code(), Some(1));
        assert!(
            demo.log().contains("sudo clockwright demo"),
            "{}",
            demo.log()
        );
    }
    nothing_is_left(demo.id());
}

#[test]
fn without_the_right_to_namespaces_it_says_what_to_do() {
    let directory = Directory::new();
    // In a user namespace that allows no further ones, and without CAP_SYS_ADMIN in it.
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && \
                  exec setpriv --bounding-set -sys_admin \"$0\" demo --json";
    let unshare = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        script,
        CLOCKWRIGHT,
    ];
    let mut demo = start(&directory, &unshare);
    let status = demo.wait(Duration::from_secs(5));
    assert_eq!(status.code(), Some(1), "{}", demo.log());
    for hint in ["tried", "sudo clockwright demo", "user.max_user_namespaces"] {
        assert!(demo.log().contains(hint), "{}", demo.log());
    }
}
