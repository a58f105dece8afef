//! A real ntp-daemon of ntpd-rs as a peer. It never touches the host's clock: no number of sources
//! is enough for it, and what it does to the clock all the same is nothing (`no_clock.c`).

use std::fmt::Display;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::directory::Directory;
use super::network::Host;
use super::peer::{Peer, Version};
use super::tls::{Authority, Identity};

/// A running ntp-daemon.
#[derive(Debug)]
pub(crate) struct NtpdRs {
    peer: Peer,
    socket: PathBuf,
}

impl NtpdRs {
    /// Starts one on `host` with this configuration, and waits until it can be observed. Its
    /// files are in `directory`, below `name`.
    #[track_caller]
    pub(crate) fn start(
        host: &Host,
        directory: &Directory,
        name: &str,
        configuration: &str,
    ) -> Self {
        let socket = directory.path(&format!("{name}.sock"));
        let file = directory.write(
            &format!("{name}.toml"),
            &format!(
                "{configuration}\n[observability]\nobservation-path = \"{}\"\n\
                 [synchronization]\nlocal-stratum = 1\nminimum-agreeing-sources = 1000\n",
                socket.display(),
            ),
        );
        let file = file.to_str().expect("a path in /tmp");
        let mut peer = Peer::start(
            host,
            directory,
            name,
            &Version::Newest.of("ntp-daemon"),
            &["-c", file],
        );
        peer.wait_until_it_answers(|| observe(&socket));
        Self { peer, socket }
    }

    /// What it says of its first source: `offset`, `unanswered_polls`, `nts_cookies` and so on;
    /// null before there is one.
    #[track_caller]
    pub(crate) fn source(&self) -> Value {
        self.observe("/sources/0")
    }

    /// What its first server has counted: `nts_accepted_packets` and so on.
    #[track_caller]
    pub(crate) fn server(&self) -> Value {
        self.observe("/servers/0/stats")
    }

    /// Asks it to end, and waits until it has.
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

    #[track_caller]
    fn observe(&self, pointer: &str) -> Value {
        let state = observe(&self.socket).unwrap_or_else(|error| panic!("ntp-daemon: {error}"));
        state.pointer(pointer).cloned().unwrap_or(Value::Null)
    }
}

/// A server that hands out the host's clock, with NTS and without; the keys of its cookies are
/// kept in `directory` and changed every `rotation` seconds.
pub(crate) fn nts_server(identity: &Identity, directory: &Directory, rotation: u32) -> String {
    format!(
        "[[server]]\nlisten = \"[::]:123\"\n\
         [[nts-ke-server]]\nlisten = \"[::]:4460\"\n\
         certificate-chain-path = \"{}\"\nprivate-key-path = \"{}\"\n\
         [keyset]\nkey-storage-path = \"{}\"\nkey-rotation-interval = {rotation}\n",
        identity.certificate.display(),
        identity.key.display(),
        directory.path("ntpd-rs.keys").display(),
    )
}

/// A client of a server with NTS, once a second.
pub(crate) fn nts_client(server: impl Display, authority: &Authority) -> String {
    format!(
        "[[source]]\nmode = \"nts\"\naddress = \"{server}\"\ncertificate-authority = \"{}\"\n\
         poll-interval-limits = {{ min = 0, max = 0 }}\ninitial-poll-interval = 0\n",
        authority.certificate().display()
    )
}

/// Its state: the length in eight octets, then JSON.
fn observe(socket: &Path) -> Result<Value, String> {
    let mut text = Vec::new();
    UnixStream::connect(socket)
        .and_then(|mut stream| stream.read_to_end(&mut text))
        .map_err(|error| format!("{}: {error}", socket.display()))?;
    let json = text.get(8..).unwrap_or_default();
    serde_json::from_slice(json).map_err(|error| error.to_string())
}
