//! The lab itself, the kernel boundary on its NICs, and the system clock steered by kernel stamps: starts, restarts, a kill.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::guest::{lab, lean_binary, results, succeed};

#[test]
fn the_lab_is_what_it_promises() {
    let mut command = Command::new(lab("run"));
    command
        .arg("-o")
        .arg(results("selftest"))
        .args(["-i", "-n", "net", "/usr/bin/python3"]);
    succeed(command.arg(lab("guest/selftest.py")));
}

/// The tests of `sys` that need a NIC, run on one.
#[test]
fn the_kernel_boundary_holds_on_a_nic_that_stamps() {
    let script = format!(
        ". $LAB/guest/lib.sh; lab_up; in_ns 0 {} --ignored --test-threads 1",
        sys_tests().display()
    );
    let mut command = Command::new(lab("run"));
    command.arg("-o").arg(results("sys-nic"));
    let said = succeed(command.args(["-n", "net", &script]));
    assert!(said.contains("8 passed"), "{said}");
}

/// The test program `sys/tests/nic.rs`, which cargo has put beside this one.
fn sys_tests() -> PathBuf {
    let this = std::env::current_exe().expect("a test knows its own file");
    let beside = this.parent().expect("a file is in a folder");
    let newest = fs::read_dir(beside)
        .expect("the folder can be read")
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.starts_with("nic-") && !name.contains('.')
        })
        .max_by_key(|entry| entry.metadata().and_then(|about| about.modified()).ok());
    newest
        .expect("`cargo test -p clockwright-sys --test nic --no-run` builds what this test runs")
        .path()
}

#[test]
fn a_wrong_system_clock_becomes_right_and_survives_restarts() {
    let mut command = Command::new(lab("steer"));
    command.args([
        "--only",
        "clockwright",
        "--seconds",
        "75",
        "--jobs",
        "1",
        "--binary",
    ]);
    command
        .arg(lean_binary())
        .arg("--keep")
        .arg(results("steer"));
    succeed(&mut command);
}
