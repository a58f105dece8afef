//! Our own daemon, as it is built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use clockwright::control::{AuthEntry, ServerReport, SourceReport, StatusReport, TalkerReport};
use nix::sys::signal::Signal;
use serde::de::DeserializeOwned;

use super::directory::Directory;
use super::network::Host;
use super::process::Process;
use super::wait::{wait_for, when};

/// The program under test.
pub(crate) const CLOCKWRIGHT: &str = env!("CARGO_BIN_EXE_clockwright");

/// How long a daemon may take to answer after its start.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// How long one may take to end when asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// A running `clockwright run`.
#[derive(Debug)]
pub(crate) struct Daemon {
    process: Process,
    name: String,
    configuration: PathBuf,
    socket: PathBuf,
    own_lines: String,
}

impl Daemon {
    /// Starts one on `host` with this configuration, to which its own control socket and state
    /// directory are added (below `name` in `directory`; state found there is used), and waits
    /// until it answers. A daemon that disciplines the system clock is kept from steering it.
    #[track_caller]
    pub(crate) fn start(
        host: &Host,
        directory: &Directory,
        name: &str,
        configuration: &str,
    ) -> Self {
        let mut daemon = Self::launch(host, directory, name, configuration);
        wait_for(&format!("{name} to answer"), ANSWERS_WITHIN, || {
            if let Some(status) = daemon.process.ended() {
                panic!("{name} ended at once: {status}");
            }
            daemon.view::<StatusReport>("status")
        });
        daemon
    }

    /// The same without waiting: for a daemon that is expected not to start.
    pub(crate) fn launch(
        host: &Host,
        directory: &Directory,
        name: &str,
        configuration: &str,
    ) -> Self {
        let socket = directory.path(&format!("{name}.sock"));
        let state = directory.path(&format!("{name}-state"));
        fs::create_dir_all(&state).expect("make a state directory");
        let own_lines = format!(
            "\n[state]\ndirectory = \"{}\"\n[control]\nsocket = \"{}\"\n[log]\nlevel = \"debug\"\n",
            state.display(),
            socket.display()
        );
        let file = directory.write(
            &format!("{name}.toml"),
            &format!("{configuration}{own_lines}"),
        );
        let mut command = host.command(Path::new(CLOCKWRIGHT));
        command.args(["run", "--config"]).arg(&file);
        if !configuration.contains("kind = \"virtual\"") {
            command.arg("--no-adjust");
        }
        let process = Process::start(name, &mut command, &directory.path(&format!("{name}.log")));
        Self {
            process,
            name: name.to_owned(),
            configuration: file,
            socket,
            own_lines,
        }
    }

    /// `clockwright status --json`.
    #[track_caller]
    pub(crate) fn status(&self) -> StatusReport {
        self.view("status")
            .unwrap_or_else(|error| panic!("status of {}: {error}", self.name))
    }

    /// `clockwright sources --json`.
    #[track_caller]
    pub(crate) fn sources(&self) -> Vec<SourceReport> {
        self.view("sources")
            .unwrap_or_else(|error| panic!("sources of {}: {error}", self.name))
    }

    /// The source that was configured by this name.
    #[track_caller]
    pub(crate) fn source(&self, name: &str) -> SourceReport {
        let sources = self.sources();
        let found = sources.iter().find(|source| source.name == name);
        found
            .unwrap_or_else(|| panic!("{} has no source {name}: {sources:#?}", self.name))
            .clone()
    }

    /// Waits until the status is as wanted, and returns it.
    #[track_caller]
    pub(crate) fn wait_for_status(
        &self,
        what: &str,
        timeout: Duration,
        wanted: impl Fn(&StatusReport) -> bool,
    ) -> StatusReport {
        wait_for(what, timeout, || when(self.status(), &wanted))
    }

    /// Waits until a source is as wanted, and returns it.
    #[track_caller]
    pub(crate) fn wait_for_source(
        &self,
        name: &str,
        what: &str,
        timeout: Duration,
        wanted: impl Fn(&SourceReport) -> bool,
    ) -> SourceReport {
        wait_for(what, timeout, || when(self.source(name), &wanted))
    }

    /// `clockwright auth --json`: of the source that was configured by this name.
    #[track_caller]
    pub(crate) fn auth(&self, name: &str) -> AuthEntry {
        let entries: Vec<AuthEntry> = self
            .view("auth")
            .unwrap_or_else(|error| panic!("auth of {}: {error}", self.name));
        let found = entries.iter().find(|entry| entry.name == name);
        found
            .unwrap_or_else(|| panic!("{} has no source {name}: {entries:#?}", self.name))
            .clone()
    }

    /// `clockwright server --json`.
    #[track_caller]
    pub(crate) fn server(&self) -> ServerReport {
        self.view("server")
            .unwrap_or_else(|error| panic!("server of {}: {error}", self.name))
    }

    /// `clockwright server --json --talkers`: those clients that have asked most.
    #[track_caller]
    pub(crate) fn talkers(&self, most: u32) -> Vec<TalkerReport> {
        let most = most.to_string();
        let report: Result<ServerReport, String> =
            self.look(["server", "--json", "--talkers", &most, "--socket"]);
        let report = report.unwrap_or_else(|error| panic!("server of {}: {error}", self.name));
        report.talkers.unwrap_or_default()
    }

    /// Asks it to end, and waits until it has: it keeps its state for the next start.
    #[track_caller]
    pub(crate) fn end(mut self) {
        self.process.signal(Signal::SIGTERM);
        self.process.wait(ENDS_WITHIN);
    }

    /// Asks for a reload of the same configuration: files that it names may have changed.
    pub(crate) fn reload_as_it_is(&self) {
        self.process.signal(Signal::SIGHUP);
    }

    /// Replaces the configuration and asks for a reload.
    pub(crate) fn reload(&self, configuration: &str) {
        fs::write(
            &self.configuration,
            format!("{configuration}{}", self.own_lines),
        )
        .expect("write a configuration");
        self.process.signal(Signal::SIGHUP);
    }

    /// Its process.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    fn view<T: DeserializeOwned>(&self, command: &str) -> Result<T, String> {
        self.look([command, "--json", "--socket"])
    }

    fn look<const N: usize, T: DeserializeOwned>(&self, arguments: [&str; N]) -> Result<T, String> {
        let output = clockwright(arguments, &self.socket);
        serde_json::from_slice(&output.stdout).map_err(|error| {
            format!(
                "{error}: {}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }
}

/// Runs `clockwright` to its end in the network of the test itself.
fn clockwright<const N: usize>(arguments: [&str; N], path: &Path) -> Output {
    Command::new(CLOCKWRIGHT)
        .args(arguments)
        .arg(path)
        .output()
        .expect("run clockwright")
}
