//! What is configured, until the daemon's configuration has it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clockwright_timebase::Duration;

use crate::config::Host;

/// Key establishment for those who are served.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerNtsConfig {
    /// Addresses and ports to establish keys on.
    pub listen: Vec<SocketAddr>,
    /// PEM files with a certificate and those that lead from it to a root.
    pub certificates: Vec<PathBuf>,
    /// PEM files with their private keys, in the same order.
    pub private_keys: Vec<PathBuf>,
    /// A file or directory with cookie keys that several servers share.
    pub keys: Option<PathBuf>,
    /// How often cookie keys that are not shared are replaced.
    pub rotate: Duration,
    /// The NTP server that clients are sent to, if it is another host.
    pub ntp_server: Option<Host>,
    /// The UDP port that they are sent to.
    pub ntp_port: Option<u16>,
    /// Connections at a time.
    pub max_connections: u32,
    /// Connections at a time from one IPv4 address or IPv6 /64.
    pub max_connections_per_address: u32,
}
