//! What the daemon reports about how its sources prove themselves: the objects of
//! `auth --json`.
//!
//! The same rules hold as for the other reports: stable names, units in the name, `null` for what
//! is not known.

use serde::{Deserialize, Serialize};

use super::AuthReport;

/// One element of `clockwright auth --json`: a source that is asked over the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuthEntry {
    /// The name as configured.
    pub name: String,
    /// The address that is asked for the time; null while that is not known.
    pub address: Option<String>,
    /// Where keys are established, address and port; null without NTS, and while the name is not
    /// resolved.
    pub key_server: Option<String>,
    /// How it proves who it is.
    pub mode: AuthReport,
    /// Key establishments that succeeded since the daemon started. Zero with keys means that they
    /// are from before that.
    pub key_establishments: u32,
    /// The AEAD algorithm of the keys.
    pub aead: Option<String>,
    /// Its number (IANA registry "AEAD Algorithms").
    pub aead_id: Option<u16>,
    /// Bits of each key.
    pub key_length_bits: Option<u32>,
    /// How old the keys are, s.
    pub key_age_s: Option<f64>,
    /// Establishments begun since the last authentic reply.
    pub attempts: u32,
    /// Is one under way?
    pub establishing: bool,
    /// Kisses that say that the server cannot open a cookie. Anybody can forge them.
    pub naks: u64,
    /// Cookies left, each good for one request.
    pub cookies: u32,
    /// Octets of the next one.
    pub cookie_length: u32,
    /// Is it in doubt whether its certificate is valid, since this host's clock may be wrong?
    pub provisional: bool,
    /// If so: what is wrong with its dates, in words.
    pub doubt: Option<String>,
    /// Why keys could not be established the last time, in words; null since it succeeded.
    pub last_error: Option<String>,
}
