//! The other side: establishes keys and asks, in a process of its own in the clients' namespace. It
//! is told what to do on its standard input, a line of JSON each, and answers in the same way.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clockwright::config::Host;
use clockwright::nts::client::{DatePolicy, KeOrder, establish};
use clockwright_ntp::nts::{Algorithm, Session};
use clockwright_timebase::Timestamp;
use serde::{Deserialize, Serialize};

use crate::load;
use crate::packet::Packets;

/// The program's first argument where it is to be the generator; the second is the authority's
/// file.
pub(crate) const ARGUMENT: &str = "generate";

const KE_PORT: u16 = 4460;
const NTP_PORT: u16 = 123;

/// Something to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Establish keys so often, one after the other, and keep the last ones.
    Establish {
        /// With this server.
        server: IpAddr,
        /// The number of the AEAD at IANA.
        aead: u16,
        times: usize,
    },
    /// Ask for the time.
    Ask {
        /// This server.
        server: IpAddr,
        /// Authentically, with keys for this AEAD that have been established before.
        aead: Option<u16>,
        /// Until so many good replies have come.
        requests: usize,
        /// Requests sent at a time.
        burst: usize,
    },
}

/// What came of it: how often it was done, and well.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) times: usize,
}

/// Does what it is told until there is nothing more.
pub(crate) fn run(authority: PathBuf) {
    let mut generator = State {
        authority,
        sessions: BTreeMap::new(),
    };
    for line in io::stdin().lock().lines() {
        let line = line.expect("read a command");
        let command = serde_json::from_str(&line).expect("a command");
        let times = generator.obey(&command);
        let done = serde_json::to_string(&Done { times }).expect("an answer");
        let mut out = io::stdout().lock();
        writeln!(out, "{done}").expect("answer");
        out.flush().expect("answer");
    }
}

struct State {
    authority: PathBuf,
    sessions: BTreeMap<(IpAddr, u16), Session>,
}

impl State {
    fn obey(&mut self, command: &Command) -> usize {
        match *command {
            Command::Establish {
                server,
                aead,
                times,
            } => {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("start an event loop");
                for _ in 0..times {
                    let session = runtime.block_on(keys(server, aead, &self.authority));
                    self.sessions.insert((server, aead), session);
                }
                times
            }
            Command::Ask {
                server,
                aead,
                requests,
                burst,
            } => {
                let session = aead.map(|aead| {
                    let session = self.sessions.get(&(server, aead));
                    session.expect("keys that were established before")
                });
                let mut packets = Packets::new(session);
                load::ask(
                    SocketAddr::new(server, NTP_PORT),
                    &mut packets,
                    requests,
                    burst,
                )
            }
        }
    }
}

/// Establishes keys as our daemon does.
async fn keys(server: IpAddr, aead: u16, authority: &Path) -> Session {
    let algorithm = Algorithm::from_id(aead).expect("an AEAD of ours");
    let order = KeOrder {
        address: SocketAddr::new(server, KE_PORT),
        name: Host::Address(server),
        trusted_certificates: vec![authority.to_owned()],
        dates: DatePolicy::Ignore,
        time: Timestamp::EPOCH,
        algorithms: vec![algorithm],
    };
    let established = establish(order)
        .await
        .unwrap_or_else(|error| panic!("establish keys with {server}: {error}"));
    let session = established.session;
    assert_eq!(session.keys.algorithm(), algorithm);
    session
}
