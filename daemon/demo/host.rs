//! A host of the demo: a network namespace with the real daemon in it.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::cast::{configuration_file, directory, log_file};
use super::launch::PROGRAM;
use super::netns::NetworkNamespace;

/// How long a daemon may take to stop before it is killed.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much of a daemon's log is shown when it ended too early, octets from its end.
const LOG_SHOWN: u64 = 2000;

/// One running daemon. Killed and reaped when dropped.
#[derive(Debug)]
pub(super) struct Host {
    /// What it is called on the screen.
    pub name: &'static str,
    child: Child,
}

/// Why a host is not there.
#[derive(Debug)]
pub(super) enum HostError {
    /// It could not be started.
    Start(&'static str, io::Error),
    /// Its daemon ended, with this status, having said this at last.
    Ended(&'static str, ExitStatus, String),
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(name, error) => write!(f, "start {name}: {error}"),
            Self::Ended(name, status, log) => {
                write!(
                    f,
                    "the daemon of {name} ended ({status}); its last words:\n{log}"
                )
            }
        }
    }
}

impl Host {
    /// Starts the daemon `name` with this configuration in this network; with `no_adjust` it
    /// does not steer its clock.
    pub(super) fn start(
        name: &'static str,
        network: &NetworkNamespace,
        configuration: &str,
        no_adjust: bool,
    ) -> Result<Self, HostError> {
        spawn(name, network, configuration, no_adjust)
            .map(|child| Self { name, child })
            .map_err(|error| HostError::Start(name, error))
    }

    /// An error if the daemon has ended.
    pub(super) fn check(&mut self) -> Result<(), HostError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(HostError::Ended(self.name, status, last_words(self.name))),
            Err(error) => Err(HostError::Start(self.name, error)),
        }
    }
}

/// Stops all of them: asked first, all at once, then killed.
pub(super) fn stop(mut hosts: Vec<Host>) {
    for host in &mut hosts {
        if let Ok(pid) = i32::try_from(host.child.id())
            && matches!(host.child.try_wait(), Ok(None))
        {
            // Not yet reaped, so the number is still this child's. It may have ended since.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }
    let start = Instant::now();
    while start.elapsed() < PATIENCE
        && hosts
            .iter_mut()
            .any(|host| matches!(host.child.try_wait(), Ok(None)))
    {
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Both do nothing for a child that has been reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(
    name: &'static str,
    network: &NetworkNamespace,
    configuration: &str,
    no_adjust: bool,
) -> io::Result<Child> {
    fs::create_dir_all(directory(name).join("state"))?;
    fs::write(configuration_file(name), configuration)?;
    let log = File::create(log_file(name))?;
    let mut command = Command::new(PROGRAM);
    command
        .arg0("clockwright")
        .arg("demo-host")
        .arg("--parent")
        .arg(std::process::id().to_string())
        .arg("--config")
        .arg(configuration_file(name));
    if no_adjust {
        command.arg("--no-adjust");
    }
    command
        .stdin(network.as_stdin()?)
        .stdout(log.try_clone()?)
        .stderr(log)
        // A Ctrl-C at the terminal is for the demo alone, which then stops its hosts in order.
        .process_group(0)
        .spawn()
}

fn last_words(name: &str) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log_file(name))?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_SHOWN)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        Ok(String::from_utf8_lossy(&tail).into_owned())
    };
    match read() {
        Ok(text) if text.trim().is_empty() => "(nothing)".to_owned(),
        Ok(text) => text,
        Err(error) => format!("(its log cannot be read: {error})"),
    }
}
