//! `clockwright demo`: three hosts in a private network find the time before your eyes.
//!
//! Each host is a network namespace with the real daemon in it: this program, started again as
//! `clockwright run`. The server hands out the time of this machine's own clock; the clients
//! discipline virtual clocks, of which the true error is known. Everything is made inside a
//! private world (`world.rs`) that the kernel takes down with the last process, and the processes
//! end with the one that started them (`launch.rs`), so nothing is left behind, however it ends.

mod cast;
mod certificate;
mod host;
mod launch;
mod netns;
mod network;
mod record;
mod rtnetlink;
mod screen;
mod signals;
mod view;
mod world;

use std::fmt;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::cli::{DemoArgs, DemoHostArgs, Exit};
use crate::control::{AskError, Request, SourceReport, StatusReport, ask};
use crate::output::{after_writing, complain};
use cast::{CLIENTS, SERVER, client_configuration, control_socket, server_configuration};
use certificate::CertificateError;
use host::{Host, HostError};
use network::{Network, NetworkError};
use record::{Reading, Record, Verdict};
use view::{End, View};
use world::WorldError;

/// How often the clients are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a daemon may take until it answers on its control socket.
const STARTED_WITHIN: Duration = Duration::from_secs(10);

/// Why there is nothing to be seen.
#[derive(Debug)]
enum DemoError {
    World(WorldError),
    Network(NetworkError),
    Certificate(CertificateError),
    Host(HostError),
    /// A daemon runs and does not answer, or not as it should.
    Silent(&'static str, AskError),
    /// A daemon on a virtual clock does not say how wrong that is.
    NoTruth(&'static str),
    Output(io::Error),
    Signals(nix::errno::Errno),
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::World(error) => error.fmt(f),
            Self::Network(error) => error.fmt(f),
            Self::Certificate(error) => error.fmt(f),
            Self::Host(error) => error.fmt(f),
            Self::Silent(name, why) => write!(f, "the daemon of {name} does not answer: {why}"),
            Self::NoTruth(name) => {
                write!(
                    f,
                    "the daemon of {name} does not say how far off its clock is"
                )
            }
            Self::Output(error) => write!(f, "cannot write: {error}"),
            Self::Signals(error) => write!(f, "cannot watch for Ctrl-C: {}", error.desc()),
        }
    }
}

impl From<HostError> for DemoError {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

/// `clockwright demo`. The process must have a single thread.
pub fn main(args: &DemoArgs) -> Exit {
    match play(args) {
        Ok(Outcome::Passed) => Exit::Done,
        Ok(Outcome::Failed) => Exit::Failed,
        Ok(Outcome::Interrupted(signal)) => {
            signals::die_of(signal);
            Exit::Failed
        }
        Err(DemoError::Output(error)) => after_writing(&Err(error)),
        Err(error) => {
            complain(&error.to_string());
            Exit::Failed
        }
    }
}

/// `clockwright demo-host`, the first steps of a host; returns only if they fail.
pub fn host_main(args: &DemoHostArgs) -> Exit {
    let error = launch::become_host(args);
    complain(&format!("cannot start a host of the demo: {error}"));
    Exit::Failed
}

enum Outcome {
    Passed,
    Failed,
    Interrupted(Signal),
}

fn play(args: &DemoArgs) -> Result<Outcome, DemoError> {
    world::enter().map_err(DemoError::World)?;
    let signals = signals::watch().map_err(DemoError::Signals)?;
    let mut view = View::of_stdout(args.json);
    let mut show = Show::open()?;
    view.begin().map_err(DemoError::Output)?;
    let signal = show.run(args.seconds, &mut view, &signals)?;
    let elapsed_s = show.elapsed_s();
    let verdicts = show.close();
    let end = End {
        verdicts: &verdicts,
        interrupted: signal.is_some(),
        elapsed_s,
    };
    view.end(&end).map_err(DemoError::Output)?;
    Ok(match signal {
        Some(signal) => Outcome::Interrupted(signal),
        None if end.passed() => Outcome::Passed,
        None => Outcome::Failed,
    })
}

/// The running demo.
struct Show {
    /// The server first, then the clients in the order of [`CLIENTS`].
    hosts: Vec<Host>,
    records: Vec<Record>,
    start: Instant,
}

impl Show {
    /// Lays the network and starts the hosts, the server before those who will ask it.
    fn open() -> Result<Self, DemoError> {
        let network = Network::lay().map_err(DemoError::Network)?;
        let addresses = CLIENTS.map(|client| client.server_address);
        certificate::write(&cast::certificates(), &addresses).map_err(DemoError::Certificate)?;
        let mut server = Host::start(SERVER, &network.server, &server_configuration(), true)?;
        wait_until_answering(&mut server)?;
        let mut hosts = vec![server];
        let start = Instant::now();
        for (client, namespace) in CLIENTS.iter().zip(&network.clients) {
            let configuration = client_configuration(client);
            hosts.push(Host::start(client.name, namespace, &configuration, false)?);
        }
        for host in &mut hosts {
            wait_until_answering(host)?;
        }
        Ok(Self {
            hosts,
            records: CLIENTS.into_iter().map(Record::new).collect(),
            start,
        })
    }

    fn elapsed_s(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Looks at the clients and shows them until the time is over; a signal ends it early.
    fn run(
        &mut self,
        seconds: u32,
        view: &mut View,
        signals: &Receiver<Signal>,
    ) -> Result<Option<Signal>, DemoError> {
        let end = Duration::from_secs(seconds.into());
        let mut next = self.start.elapsed();
        loop {
            self.look()?;
            view.update(&self.records, self.elapsed_s(), seconds)
                .map_err(DemoError::Output)?;
            next += LOOK_EVERY;
            if next > end {
                return Ok(None);
            }
            match signals.recv_timeout(next.saturating_sub(self.start.elapsed())) {
                Ok(signal) => return Ok(Some(signal)),
                Err(RecvTimeoutError::Timeout) => {}
                // The watching thread is gone: nothing more to be heard, time goes on.
                Err(RecvTimeoutError::Disconnected) => {
                    std::thread::sleep(next.saturating_sub(self.start.elapsed()));
                }
            }
        }
    }

    /// Takes one reading of each client.
    fn look(&mut self) -> Result<(), DemoError> {
        for host in &mut self.hosts {
            host.check()?;
        }
        for record in &mut self.records {
            let name = record.client.name;
            let socket = control_socket(name);
            let silent = |why| DemoError::Silent(name, why);
            let status: StatusReport = ask(&socket, Request::Status).map_err(silent)?;
            let elapsed_s = self.start.elapsed().as_secs_f64();
            let sources: Vec<SourceReport> = ask(&socket, Request::Sources).map_err(silent)?;
            let reading =
                Reading::new(elapsed_s, &status, &sources).ok_or(DemoError::NoTruth(name))?;
            record.note(reading);
        }
        Ok(())
    }

    /// Stops the hosts and says what the clients did.
    fn close(self) -> Vec<Verdict> {
        host::stop(self.hosts);
        self.records.iter().map(Record::verdict).collect()
    }
}

fn wait_until_answering(host: &mut Host) -> Result<(), DemoError> {
    let socket = control_socket(host.name);
    let start = Instant::now();
    loop {
        host.check()?;
        match ask::<StatusReport>(&socket, Request::Status) {
            Ok(_) => return Ok(()),
            Err(why) if start.elapsed() > STARTED_WITHIN => {
                return Err(DemoError::Silent(host.name, why));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}
