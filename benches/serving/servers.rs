//! The servers that are measured.

use std::env;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;

use crate::clients::NETWORK;
use crate::common::installed;
use crate::common::version::version;
use crate::echo;
use crate::kind::Form;
use crate::settings::Settings;
use crate::share::Share;
use crate::support::chrony::{self, Chronyd};
use crate::support::daemon::CLOCKWRIGHT;
use crate::support::directory::Directory;
use crate::support::network::Host;
use crate::support::ntpd_rs::{self, NtpdRs};
use crate::support::peer::{self, Version};
use crate::support::process::Process;
use crate::support::star::Star;
use crate::support::tls::{Authority, Identity, Validity};

/// Their names, for messages.
const NAMES: &str = "clockwright, clockwright-N (workers), chronyd, ntpd-rs, echo, stamping-echo";

/// All of them, and the network. Dropped in this order: processes before what they stand on.
pub(crate) struct Servers {
    pub(crate) targets: Vec<Target>,
    authority: Authority,
    star: Star,
}

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Clockwright,
    /// With so many workers, each of which has a part of a CPU.
    Workers(u32),
    Chronyd,
    NtpdRs,
    Echo,
    StampingEcho,
}

/// A server that is measured.
pub(crate) struct Target {
    pub(crate) program: Program,
    /// The program and its version.
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
    /// The first of its processes.
    pub(crate) process: u32,
    _running: Running,
}

/// Runs as long as this is kept.
#[expect(dead_code, reason = "kept for what dropping it does")]
enum Running {
    Process(Process),
    Limited(Process, Share),
    Chronyd(Chronyd),
    NtpdRs(NtpdRs),
}

impl Servers {
    /// Starts those asked for, and waits until they answer. They run where this thread does.
    pub(crate) fn start(settings: &Settings) -> Self {
        let programs: Vec<Program> = settings
            .servers
            .iter()
            .map(|it| Program::named(it))
            .collect();
        let count = u8::try_from(programs.len()).expect("few servers");
        let star = Star::new(count);
        let authority = Authority::new(&star.directory, "authority");
        let (network, length) = NETWORK;
        star.client
            .ip(&format!("route add local {network}/{length} dev lo"));
        let targets = (0..)
            .zip(programs)
            .map(|(number, program)| {
                let host = &star.servers[usize::from(number)];
                let client = Star::client_ipv4(number);
                host.ip(&format!("route add {network}/{length} via {client}"));
                let IpAddr::V4(address) = Star::server_ipv4(number) else {
                    panic!("an address of IPv4");
                };
                let identity = authority.issue(
                    &star.directory,
                    &format!("server-{number}"),
                    &[&address.to_string()],
                    Validity::Now,
                );
                let (process, running) = program.start(host, &star.directory, &identity, settings);
                Target {
                    program,
                    name: program.version(),
                    address,
                    process,
                    _running: running,
                }
            })
            .collect();
        Self {
            targets,
            authority,
            star,
        }
    }

    /// The host that asks them.
    pub(crate) const fn client(&self) -> &Host {
        &self.star.client
    }

    /// The file of the authority that has certified all of them.
    pub(crate) fn authority(&self) -> &Path {
        self.authority.certificate()
    }

    /// With whom keys are established for requests to this one: the echo has none of its own, and gets
    /// packets made for another.
    pub(crate) fn keys_of(&self, target: &Target, form: Form) -> Option<Ipv4Addr> {
        if !target.program.is_echo() || form.algorithm().is_none() {
            return Some(target.address);
        }
        let mut others = self.targets.iter();
        let other = others.find(|it| !it.program.is_echo() && it.program.has(form));
        other.map(|it| it.address)
    }
}

impl Target {
    /// Resident memory of its first process, MB.
    pub(crate) fn memory_mb(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process));
        let status = status.expect("read the status of a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
        kib.expect("the memory of a process") * 1.024e-3
    }
}

impl Program {
    fn named(name: &str) -> Self {
        match name {
            "clockwright" => Self::Clockwright,
            "chronyd" => Self::Chronyd,
            "ntpd-rs" => Self::NtpdRs,
            "echo" => Self::Echo,
            "stamping-echo" => Self::StampingEcho,
            _ => {
                let workers = name.strip_prefix("clockwright-");
                let workers = workers.and_then(|number| number.parse().ok());
                workers.map_or_else(
                    || panic!("there is no server {name:?}; there are {NAMES}"),
                    Self::Workers,
                )
            }
        }
    }

    /// Does it give back what it gets?
    pub(crate) fn is_echo(self) -> bool {
        matches!(self, Self::Echo | Self::StampingEcho)
    }

    /// Does it answer such requests as they are meant? ntpd-rs knows neither interleaved mode nor
    /// AES-128-GCM-SIV.
    pub(crate) fn has(self, form: Form) -> bool {
        self != Self::NtpdRs || matches!(form, Form::Plain | Form::Nts(15))
    }

    fn version(self) -> String {
        match self {
            Self::Clockwright => version(Command::new(CLOCKWRIGHT).arg("--version")),
            Self::Workers(1) => "clockwright, 1 worker".to_owned(),
            Self::Workers(number) => format!("clockwright, {number} workers"),
            Self::Chronyd => version(peer::tool("newest/chronyd").arg("--version")),
            Self::NtpdRs => version(peer::tool("newest/ntp-daemon").arg("--version")),
            Self::Echo => "bare echo".to_owned(),
            Self::StampingEcho => "echo with stamps".to_owned(),
        }
    }

    fn start(
        self,
        host: &Host,
        directory: &Directory,
        identity: &Identity,
        settings: &Settings,
    ) -> (u32, Running) {
        match self {
            Self::Clockwright => {
                let process = clockwright(host, directory, identity, settings.workers);
                (process.id(), Running::Process(process))
            }
            Self::Workers(number) => {
                let process = clockwright(host, directory, identity, Some(number));
                let share = Share::give(process.id(), f64::from(number) * settings.share);
                (process.id(), Running::Limited(process, share))
            }
            Self::Chronyd => {
                let lines = chrony::nts_server(identity);
                let version = Version::Newest;
                let chronyd = Chronyd::start_version(version, host, directory, "chronyd", &lines);
                (chronyd.id(), Running::Chronyd(chronyd))
            }
            Self::NtpdRs => {
                // Keys that are kept for a day, as by default.
                let lines = ntpd_rs::nts_server(identity, directory, 86_400);
                let daemon = NtpdRs::start(host, directory, "ntpd-rs", &lines);
                (daemon.id(), Running::NtpdRs(daemon))
            }
            Self::Echo | Self::StampingEcho => {
                let argument = match self {
                    Self::StampingEcho => echo::STAMPING_ARGUMENT,
                    _ => echo::ARGUMENT,
                };
                let program = env::current_exe().expect("know this program's file");
                let mut command = host.command(&program);
                let log = directory.path(&format!("{argument}.log"));
                let process = Process::start("echo", command.arg(argument), &log);
                (process.id(), Running::Process(process))
            }
        }
    }
}

fn clockwright(
    host: &Host,
    directory: &Directory,
    identity: &Identity,
    workers: Option<u32>,
) -> Process {
    let name = workers.map_or_else(
        || "clockwright".to_owned(),
        |number| format!("clockwright-{number}"),
    );
    let workers = workers.map(|number| format!("workers = {number}\n"));
    let server = format!(
        "[server]\nlisten = [\"0.0.0.0:123\"]\nallow = [\"10.0.0.0/8\"]\n\
         local = {{ stratum = 1 }}\n{}",
        workers.unwrap_or_default(),
    );
    installed::start(host, directory, identity, &name, (&server, ""))
}
