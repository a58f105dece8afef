//! The lab itself, and the system clock steered by kernel stamps: starts, restarts, a kill.

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
