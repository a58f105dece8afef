//! Other people's daemons, which `make deps` unpacks and the script `peer` beside this file runs.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::directory::Directory;
use super::network::Host;
use super::process::Process;
use super::wait::wait_for;

/// How long one may take to answer after its start.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// How long one may take to end when asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// The number of `CAP_SYS_TIME` (linux/capability.h).
const CAP_SYS_TIME: u32 = 25;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/peer");

/// Which version of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// The one of this Debian release.
    Release,
    /// The newest one of Debian.
    Newest,
}

impl Version {
    /// What the script calls this version of a program.
    pub(crate) fn of(self, program: &str) -> String {
        match self {
            Self::Release => program.to_owned(),
            Self::Newest => format!("newest/{program}"),
        }
    }
}

/// A peer's running daemon, which cannot set the clock.
#[derive(Debug)]
pub(crate) struct Peer {
    process: Process,
    name: String,
}

impl Peer {
    /// Starts `program` on `host`; its log is in `directory`, below `name`.
    pub(crate) fn start<A: AsRef<OsStr>>(
        host: &Host,
        directory: &Directory,
        name: &str,
        program: &str,
        arguments: &[A],
    ) -> Self {
        let mut command = host.command(Path::new(SCRIPT));
        command.arg(program).args(arguments);
        Self {
            process: Process::start(name, &mut command, &directory.path(&format!("{name}.log"))),
            name: name.to_owned(),
        }
    }

    /// Waits until `look` finds that it answers.
    #[track_caller]
    pub(crate) fn wait_until_it_answers<T>(&mut self, look: impl Fn() -> Result<T, String>) {
        wait_for(
            &format!("{} to answer", self.name),
            ANSWERS_WITHIN,
            || match self.process.ended() {
                Some(status) => panic!("{} ended at once: {status}", self.name),
                None => look(),
            },
        );
        self.assert_that_it_cannot_set_the_clock();
    }

    /// Asks it to end, and waits until it has.
    #[track_caller]
    pub(crate) fn end(mut self) {
        self.process.signal(Signal::SIGTERM);
        self.process.wait(ENDS_WITHIN);
    }

    /// What it has printed so far.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// The id of its process, the first one if it has several.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The kernel says so: no configuration, and no mistake in one, can change that.
    #[track_caller]
    fn assert_that_it_cannot_set_the_clock(&self) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))
            .expect("read the status of a process");
        for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
            let line = status.lines().find_map(|line| line.strip_prefix(set));
            let capabilities = line.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
            let capabilities = capabilities.expect("capabilities in /proc");
            assert_eq!(
                capabilities >> CAP_SYS_TIME & 1,
                0,
                "{} may set the clock of this machine: {status}",
                self.name
            );
        }
    }
}

/// What a peer's tool prints, run by `command`: [`tool`] or [`tool_on`].
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("{error} (`make deps` brings the tests' peers)"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        Err(text + &String::from_utf8_lossy(&output.stderr))
    }
}

/// A peer's tool, to be run in the network of the test itself.
pub(crate) fn tool(program: &str) -> Command {
    let mut command = Command::new(SCRIPT);
    command.arg(program);
    command
}

/// A peer's tool, to be run on a host.
pub(crate) fn tool_on(host: &Host, program: &str) -> Command {
    let mut command = host.command(Path::new(SCRIPT));
    command.arg(program);
    command
}
