//! NTS (RFC 8915): how a source's keys are got, and how this host hands them out.

use std::net::SocketAddr;
use std::path::PathBuf;

use clockwright_timebase::Duration;

use super::address::{Host, KE_PORT};
use super::rates::{ConnectionRateConfig, NtsRateConfig};
use super::section::section;

section! {
    /// How the keys for a source are got: `nts = true`, or a table of these.
    pub struct NtsSettings or bool {
        /// The TCP port of its key establishment.
        "port" => port: u16 = KE_PORT, if key_port;
        /// PEM files of certificates that are trusted besides those that this host trusts anyway.
        "trusted_certificates" => trusted_certificates: Vec<PathBuf> = Vec::new();
        /// Refuse certificates that are out of date; without, time can be forged with an old one.
        "check_time" => check_time: bool = true;
    }
}

section! {
    /// Handing out keys to clients.
    pub struct ServerNtsConfig {
        /// Addresses and TCP ports to listen on.
        "listen" => listen: Vec<SocketAddr> = Vec::new();
        /// PEM files, each a certificate and those between it and the root.
        "certificate" => certificates: Vec<PathBuf> = Vec::new();
        /// PEM files of their private keys, in the same order.
        "key" => private_keys: Vec<PathBuf> = Vec::new();
        /// A file, or a directory of files, with the secrets of cookies, shared with other
        /// servers; `None`: this host makes its own.
        "keys" => keys: Option<PathBuf> = None;
        /// How often this host makes a new secret for its cookies.
        "rotate" => rotate: Duration = Duration::from_secs(86_400), if rotation;
        /// The NTP server that clients are sent to; `None`: this one.
        "ntp_server" => ntp_server: Option<Host> = None;
        /// The UDP port that clients are sent to; `None`: the one that is served on here, or 123 of
        /// another server.
        "ntp_port" => ntp_port: Option<u16> = None, if ntp_port;
        /// How many clients may be connected at once.
        "max_connections" => max_connections: u32 = 1024, if connections;
        /// How many of them from one address.
        "max_connections_per_address" =>
            max_connections_per_address: u32 = 16, if connections_per_address;
        /// How often one client may connect; `None`: as often as it likes.
        "connection_rate" => connection_rate: Option<ConnectionRateConfig> =
            Some(ConnectionRateConfig::default());
        /// How many requests with NTS of one client are answered; `None`: all.
        "rate" => rate: Option<NtsRateConfig> = None;
    }
}

impl ServerNtsConfig {
    /// Are cookies only opened here, which another host hands out with the secrets of `keys`?
    pub fn only_opens_cookies(&self) -> bool {
        let hands_out = !self.listen.is_empty()
            || !self.certificates.is_empty()
            || !self.private_keys.is_empty()
            || self.ntp_server.is_some();
        self.keys.is_some() && !hands_out
    }
}

fn key_port(port: u16) -> Result<(), String> {
    if port == 0 {
        Err(format!(
            "port 0 is not a port; keys are handed out on {KE_PORT}"
        ))
    } else {
        Ok(())
    }
}

fn ntp_port(port: Option<u16>) -> Result<(), String> {
    if port == Some(0) {
        Err("port 0 is not a port".to_owned())
    } else {
        Ok(())
    }
}

/// A secret that changes faster than clients ask is gone before its cookies come back.
fn rotation(rotate: Duration) -> Result<(), String> {
    if rotate >= Duration::from_secs(1) {
        Ok(())
    } else {
        Err("must be at least 1s".to_owned())
    }
}

fn connections(most: u32) -> Result<(), String> {
    if (1..=65_536).contains(&most) {
        Ok(())
    } else {
        Err(format!("{most} is not between 1 and 65536"))
    }
}

fn connections_per_address(most: u32) -> Result<(), String> {
    if most > 0 {
        Ok(())
    } else {
        Err("with 0 nobody could connect; the least is 1".to_owned())
    }
}
