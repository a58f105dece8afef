//! Whom workers answer, how often, and what they remember of it.

use super::access::Access;
use super::rate::{Limit, Prefixes};
use crate::config::ServerConfig;

/// What a configuration says of that, made ready for use.
#[derive(Debug)]
pub(crate) struct Policy {
    /// Who is answered.
    pub(crate) access: Access,
    /// Which addresses are one client.
    pub(crate) prefixes: Prefixes,
    /// How often one client is answered without NTS.
    pub(crate) open: Option<Limit>,
    /// How often with it.
    pub(crate) authentic: Option<Limit>,
    /// How many clients each worker remembers.
    pub(crate) clients: u32,
    /// How many replies each worker remembers for interleaved mode.
    pub(crate) replies: usize,
}

impl Policy {
    /// What this configuration says.
    pub(crate) fn new(server: &ServerConfig) -> Self {
        let nts = server.nts.as_ref();
        Self {
            access: Access::new(&server.allow, &server.deny),
            prefixes: Prefixes::from(&server.clients),
            open: server.rate.as_ref().map(Limit::from),
            authentic: nts.and_then(|nts| nts.rate.as_ref()).map(Limit::from),
            clients: server.clients.table,
            replies: usize::try_from(server.interleaved_replies).unwrap_or(usize::MAX),
        }
    }
}
