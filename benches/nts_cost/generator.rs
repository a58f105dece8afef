//! The other side: establishes keys and asks, in a process of its own in the clients' namespace. It
//! is told what to do on its standard input, a line of JSON each, and answers in the same way.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clockwright_ntp::nts::Session;
use serde::{Deserialize, Serialize};

use crate::common::helper;
use crate::common::keys::establish_keys;
use crate::load;
use crate::packet::Packets;

/// The program's first argument where it is to be the generator; the second is the authority's
/// file.
pub(crate) const ARGUMENT: &str = "generate";

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
    helper::obey(|command: Command| Done {
        times: generator.obey(&command),
    });
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
                if let Some(session) = establish_keys(server, aead, &self.authority, times) {
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
