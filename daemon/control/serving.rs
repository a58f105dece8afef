//! What the daemon reports about the hosts that ask it: the object of `server --json`.
//!
//! The same rules hold as for the other reports: stable names, units in the name, `null` for what
//! is not known. Counts begin when the daemon does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `clockwright server --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerReport {
    /// Addresses and ports where requests are answered.
    pub listening: Vec<String>,
    /// Replies in basic mode.
    pub basic: u64,
    /// Replies in interleaved mode (RFC 9769).
    pub interleaved: u64,
    /// Of both, those authenticated by NTS.
    pub authenticated: u64,
    /// Requests whose cookie could not be opened, or that were not sealed with the keys in it: they
    /// were told so (kiss code `NTSN`).
    pub naks: u64,
    /// Requests from addresses that are not allowed.
    pub denied: u64,
    /// Requests left unanswered, by reason (`framing`, `mode`, ...).
    pub dropped: BTreeMap<String, u64>,
    /// Replies that the kernel did not take.
    pub unsent: u64,
    /// Where NTS keys are established; null where they are not.
    pub key_establishment: Option<KeyServerReport>,
}

/// The server of NTS keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyServerReport {
    /// Addresses and ports where it listens.
    pub listening: Vec<String>,
    /// TLS handshakes that were completed.
    pub accepted: u64,
    /// Clients that were given keys and cookies.
    pub established: u64,
    /// Connections refused or given up, by reason (`timeout`, `no_alpn`, `too_many`, ...).
    pub refused: BTreeMap<String, u64>,
    /// Connections that are open.
    pub open: u32,
    /// The name of the key that new cookies are sealed with: eight hexadecimal digits, with which
    /// those cookies begin.
    pub cookie_key: String,
    /// How many keys open cookies, this one included.
    pub cookie_keys: u32,
}
