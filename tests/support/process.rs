//! Processes of a test.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::wait::wait_for;

/// A running process: killed and reaped when dropped, its output shown if the test failed.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it with no input; what it prints goes to the file `log`.
    pub(crate) fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        Self::start_reading(name, command.stdin(Stdio::null()), log)
    }

    /// The same with the input that `command` has.
    pub(crate) fn start_reading(name: &str, command: &mut Command, log: &Path) -> Self {
        let out = File::create(log).expect("create a log file");
        let child = command
            .stdout(out.try_clone().expect("share a log file"))
            .stderr(out)
            .spawn()
            .unwrap_or_else(|error| panic!("start {name} ({command:?}): {error}"));
        Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal. It has not been reaped, so the id is its own.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).expect("a process id");
        kill(Pid::from_raw(id), signal)
            .unwrap_or_else(|error| panic!("signal {}: {error}", self.name));
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("look after a child")
    }

    /// Waits for it to end.
    #[track_caller]
    pub(crate) fn wait(&mut self, timeout: Duration) -> ExitStatus {
        let name = self.name.clone();
        wait_for(&format!("the end of {name}"), timeout, || {
            self.ended().ok_or("it still runs")
        })
    }

    /// What it has printed so far.
    pub(crate) fn log(&self) -> String {
        read(&self.log).unwrap_or_else(|error| format!("(no log: {error})"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both do nothing for a child that has been reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {} printed:\n{}---", self.name, self.log());
        }
    }
}

/// A log may hold anything.
fn read(path: &Path) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}
