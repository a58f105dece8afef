//! A real chronyd as a peer. It never touches the host's clock (`-x`).

use std::ffi::OsString;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use super::directory::Directory;
use super::network::Host;
use super::peer::{self, Peer, Version};
use super::tls::{Authority, Identity};

/// A running chronyd.
#[derive(Debug)]
pub(crate) struct Chronyd {
    /// Runs as long as this is kept.
    peer: Peer,
    version: Version,
    socket: PathBuf,
}

/// What `authdata` says of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuthData {
    /// `NTS`, `SK` (a symmetric key) or `-`.
    pub(crate) mode: String,
    /// How many times keys were established.
    pub(crate) key_id: u32,
    /// The AEAD's number at IANA.
    pub(crate) algorithm: u16,
    /// Attempts to establish keys since the last that succeeded.
    pub(crate) attempts: u32,
    /// NTS NAKs received since keys were established.
    pub(crate) naks: u32,
    /// Cookies that it has.
    pub(crate) cookies: u32,
    /// The length of each, in octets.
    pub(crate) cookie_length: u32,
}

impl Chronyd {
    /// Starts that of this release on `host` with these lines of configuration, and waits until
    /// it answers chronyc. Its files are in `directory`, below `name`.
    #[track_caller]
    pub(crate) fn start(
        host: &Host,
        directory: &Directory,
        name: &str,
        configuration: &str,
    ) -> Self {
        Self::start_version(Version::Release, host, directory, name, configuration)
    }

    /// The same with a choice of the version. NTS keys and cookies are kept for the next start
    /// under the same name.
    #[track_caller]
    pub(crate) fn start_version(
        version: Version,
        host: &Host,
        directory: &Directory,
        name: &str,
        configuration: &str,
    ) -> Self {
        // chronyd makes these directories itself, with the permissions it insists on.
        let socket = directory.path(&format!("{name}-run")).join("chronyd.sock");
        let state = directory.path(&format!("{name}-state"));
        let pid = directory.path(&format!("{name}.pid"));
        let file = directory.write(
            &format!("{name}.conf"),
            &format!(
                "{configuration}\nbindcmdaddress {}\ncmdport 0\npidfile {}\nntsdumpdir {}\n",
                socket.display(),
                pid.display(),
                state.display()
            ),
        );
        let mut arguments = ["-x", "-d", "-u", "root", "-f"]
            .map(OsString::from)
            .to_vec();
        arguments.push(file.into());
        let mut peer = Peer::start(host, directory, name, &version.of("chronyd"), &arguments);
        peer.wait_until_it_answers(|| chronyc(version, &socket, "tracking"));
        Self {
            peer,
            version,
            socket,
        }
    }

    /// What chronyc prints when given this command.
    #[track_caller]
    pub(crate) fn ask(&self, command: &str) -> String {
        chronyc(self.version, &self.socket, command)
            .unwrap_or_else(|error| panic!("chronyc {command}: {error}"))
    }

    /// What it says of the authentication of its only source.
    #[track_caller]
    pub(crate) fn authdata(&self) -> AuthData {
        let report = self.ask("-c authdata");
        let fields: Vec<&str> = report.trim().split(',').collect();
        let number = |at: usize| fields[at].parse().expect("a number of authdata");
        AuthData {
            mode: fields[1].to_owned(),
            key_id: number(2),
            algorithm: fields[3].parse().expect("an AEAD"),
            attempts: number(6),
            naks: number(7),
            cookies: number(8),
            cookie_length: number(9),
        }
    }

    /// Asks it to end, and waits until it has: it keeps its state for the next start.
    #[track_caller]
    pub(crate) fn end(self) {
        self.peer.end();
    }

    /// What it has printed so far.
    pub(crate) fn log(&self) -> String {
        self.peer.log()
    }

    /// The id of its process, the first one if it has several.
    pub(crate) fn id(&self) -> u32 {
        self.peer.id()
    }
}

/// Lines for a server that hands out the host's clock, with NTS and without.
pub(crate) fn nts_server(identity: &Identity) -> String {
    format!(
        "local stratum 1\nallow\nntsservercert {}\nntsserverkey {}\n",
        identity.certificate.display(),
        identity.key.display()
    )
}

/// Options of a server that is asked eight times a second.
pub(crate) const OFTEN: &str = "iburst minpoll -3 maxpoll -3";

/// Lines for a client of a server with NTS; `options` are those of the server.
pub(crate) fn nts_client(server: impl Display, authority: &Authority, options: &str) -> String {
    format!(
        "server {server} nts {options}\nnosystemcert\nntstrustedcerts {}\n",
        authority.certificate().display()
    )
}

/// The value of a line `Name : value` of chronyc's reports.
pub(crate) fn value<'r>(report: &'r str, name: &str) -> Option<&'r str> {
    report
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

fn chronyc(version: Version, socket: &Path, command: &str) -> Result<String, String> {
    let mut chronyc = peer::tool(&version.of("chronyc"));
    chronyc.arg("-h").arg(socket).arg("-n");
    if version == Version::Newest {
        // It gives up the rights of root otherwise, for those of a user that may not exist.
        chronyc.args(["-u", "root"]);
    }
    peer::output(chronyc.args(command.split_whitespace()))
}
