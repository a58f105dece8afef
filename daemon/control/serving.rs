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
    /// Those of them where the time that is told is smeared around leap seconds.
    pub smeared: Vec<String>,
    /// Datagrams that came.
    pub received: u64,
    /// Replies in basic mode.
    pub basic: u64,
    /// Replies in interleaved mode (RFC 9769).
    pub interleaved: u64,
    /// Of both, those authenticated by NTS.
    pub authenticated: u64,
    /// Requests whose cookie could not be opened, or that were not sealed with the keys in it: they
    /// were told so (kiss code `NTSN`).
    pub naks: u64,
    /// Requests beyond their client's limit that were told so (kiss code `RATE`).
    pub rate_kisses: u64,
    /// Requests from addresses that are not allowed.
    pub denied: u64,
    /// Requests left unanswered, by reason (`limited`, `framing`, `mode`, ...).
    pub dropped: BTreeMap<String, u64>,
    /// Replies that the kernel did not take.
    pub unsent: u64,
    /// Who stamped requests, and the replies of which that is wanted.
    pub stamps: ServerStampsReport,
    /// What is remembered for interleaved mode.
    pub interleaved_table: TableReport,
    /// What the workers' tables take, octets, full or empty: replies remembered for interleaved mode
    /// and clients.
    pub tables_octets: u64,
    /// The threads that answer.
    pub workers: Vec<WorkerReport>,
    /// The clients that ask most, if they were asked for.
    pub talkers: Option<Vec<TalkerReport>>,
    /// Where NTS keys are established; null where they are not.
    pub key_establishment: Option<KeyServerReport>,
}

/// Who stamped the packets of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServerStampsReport {
    /// Requests stamped by a NIC.
    pub rx_hardware: u64,
    /// By the kernel.
    pub rx_kernel: u64,
    /// By the worker, since neither did.
    pub rx_daemon: u64,
    /// Replies stamped by a NIC: all to interleaved clients, and a few others.
    pub tx_hardware: u64,
    /// By the kernel.
    pub tx_kernel: u64,
    /// Not stamped themselves, but one before and one after them, since there were too many at once.
    pub tx_between: u64,
    /// Of which the best stamp was awaited in vain.
    pub tx_missing: u64,
    /// Stamps that could not be those of their replies.
    pub tx_implausible: u64,
}

/// What is remembered for interleaved mode, by all workers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TableReport {
    /// Replies that there is room for.
    pub capacity: u64,
    /// Replies that are remembered.
    pub remembered: u64,
    /// Replies that had to make room for others before their clients asked again. Clients that stop
    /// asking leave one each; far more means that `server.interleaved_replies` is too small.
    pub replaced: u64,
}

/// A worker: at each address one thread.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WorkerReport {
    /// Its number.
    pub number: u16,
    /// Datagrams that came to it.
    pub received: u64,
    /// Replies that tell the time.
    pub answered: u64,
    /// Of these, those in interleaved mode.
    pub interleaved: u64,
    /// Of these, those authenticated by NTS.
    pub authenticated: u64,
    /// Requests that were told nothing but a kiss code.
    pub kisses: u64,
    /// Datagrams left unanswered, by reason (`denied`, `limited`, `framing`, ...).
    pub dropped: BTreeMap<String, u64>,
    /// How often it took datagrams from the kernel; together where there are many.
    pub batches: u64,
}

/// A client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TalkerReport {
    /// Its address, or its network where a prefix is configured or IPv6: `2001:db8::/64`.
    pub address: String,
    /// Its requests since it was first remembered.
    pub requests: u64,
    /// Those beyond its limit.
    pub limited: u64,
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
