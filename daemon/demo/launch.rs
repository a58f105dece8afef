//! The first steps of each host of the demo: into its network, tied to the demo's life.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;

use super::{netns, signals};
use crate::cli::DemoHostArgs;

/// This program, also when its file has been replaced or hidden meanwhile.
pub(super) const PROGRAM: &str = "/proc/self/exe";

/// Becomes `clockwright run` in the network namespace that is open as standard input; returns
/// only the reason why not.
///
/// The kernel is asked to kill the process when its parent dies, so that a demo that is killed
/// leaves nothing running. To be called in a process with a single thread.
pub(super) fn become_host(args: &DemoHostArgs) -> io::Error {
    if let Err(error) = prepare(args.parent) {
        return error;
    }
    let mut run = Command::new(PROGRAM);
    run.arg0("clockwright")
        .arg("run")
        .arg("--config")
        .arg(&args.config);
    if args.no_adjust {
        run.arg("--no-adjust");
    }
    run.stdin(Stdio::null()).exec()
}

fn prepare(parent: i32) -> io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    // The parent may have died before the line above; then no signal will ever come.
    if getppid().as_raw() != parent {
        return Err(io::Error::other("the demo has ended"));
    }
    signals::release()?;
    netns::enter(io::stdin().as_fd())
}
