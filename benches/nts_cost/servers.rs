//! The servers that are measured.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use clockwright_ntp::nts::Algorithm;

use crate::common::installed;
use crate::common::version::version;
use crate::support::chrony::{self, Chronyd};
use crate::support::daemon::CLOCKWRIGHT;
use crate::support::directory::Directory;
use crate::support::network::Host;
use crate::support::ntpd_rs::{self, NtpdRs};
use crate::support::peer::{self, Version};
use crate::support::process::Process;
use crate::support::star::{SERVER, Star};
use crate::support::tls::{Authority, Identity, Validity};

/// All of them, and the network. Dropped in this order: processes before what they stand on.
pub(crate) struct Servers {
    pub(crate) targets: Vec<Target>,
    authority: Authority,
    star: Star,
}

/// A server that is measured.
pub(crate) struct Target {
    /// The program and its version.
    pub(crate) name: String,
    pub(crate) address: IpAddr,
    /// The first of its processes.
    pub(crate) process: u32,
    /// The AEADs that it and we have.
    pub(crate) algorithms: &'static [Algorithm],
    _running: Running,
}

/// Runs as long as this is kept.
#[expect(dead_code, reason = "kept for what dropping it does")]
enum Running {
    Clockwright(Process),
    Chronyd(Chronyd),
    NtpdRs(NtpdRs),
}

type Start = fn(&Host, &Directory, &Identity) -> (u32, Running);

impl Servers {
    /// Starts them, and waits until they answer.
    pub(crate) fn start() -> Self {
        let both = &[Algorithm::AesSivCmac256, Algorithm::Aes128GcmSiv];
        let programs: [(String, &'static [Algorithm], Start); 3] = [
            (
                version(Command::new(CLOCKWRIGHT).arg("--version")),
                both,
                clockwright,
            ),
            (
                version(peer::tool("newest/chronyd").arg("--version")),
                both,
                chronyd,
            ),
            (
                version(peer::tool("newest/ntp-daemon").arg("--version")),
                &both[..1],
                ntp_daemon,
            ),
        ];
        let star = Star::new(3);
        let authority = Authority::new(&star.directory, "authority");
        let targets = (0..)
            .zip(programs)
            .map(|(number, (name, algorithms, start))| {
                let address = Star::server_ipv4(number);
                let identity = authority.issue(
                    &star.directory,
                    &format!("server-{number}"),
                    &[&address.to_string()],
                    Validity::Now,
                );
                let host = &star.servers[usize::from(number)];
                let (process, running) = start(host, &star.directory, &identity);
                Target {
                    name,
                    address,
                    process,
                    algorithms,
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
}

impl Target {
    /// The kinds of requests it answers: plain ones, and those with keys for an algorithm.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Option<Algorithm>> {
        std::iter::once(None).chain(self.algorithms.iter().copied().map(Some))
    }
}

fn clockwright(host: &Host, directory: &Directory, identity: &Identity) -> (u32, Running) {
    let lines = (SERVER, "connection_rate = false\n");
    let process = installed::start(host, directory, identity, "clockwright", lines);
    (process.id(), Running::Clockwright(process))
}

fn chronyd(host: &Host, directory: &Directory, identity: &Identity) -> (u32, Running) {
    let configuration = chrony::nts_server(identity);
    let chronyd =
        Chronyd::start_version(Version::Newest, host, directory, "chronyd", &configuration);
    (chronyd.id(), Running::Chronyd(chronyd))
}

fn ntp_daemon(host: &Host, directory: &Directory, identity: &Identity) -> (u32, Running) {
    // Keys that are kept for a day, as by default.
    let configuration = ntpd_rs::nts_server(identity, directory, 86_400);
    let daemon = NtpdRs::start(host, directory, "ntpd-rs", &configuration);
    (daemon.id(), Running::NtpdRs(daemon))
}
