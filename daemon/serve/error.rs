//! Why an address cannot be served on.

use std::net::SocketAddr;
use std::{fmt, io};

/// No port could be opened to serve on, or no thread be started.
#[derive(Debug)]
pub(crate) struct ListenError {
    /// Where.
    pub(crate) address: SocketAddr,
    /// What the kernel says.
    pub(crate) error: io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, error } = self;
        write!(f, "cannot serve on {address}: ")?;
        match error.kind() {
            io::ErrorKind::AddrInUse => write!(
                f,
                "the port is in use, probably by another NTP server such as chronyd, ntpd or \
                 ntpd-rs (`ss -lunp sport = :{port}` shows which). Stop it (`systemctl disable \
                 --now chronyd`), or take the address out of server.listen",
                port = address.port()
            ),
            io::ErrorKind::PermissionDenied => f.write_str(
                "ports below 1024 need CAP_NET_BIND_SERVICE; start as root, or with \
                 AmbientCapabilities=CAP_NET_BIND_SERVICE",
            ),
            _ => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for ListenError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_says_what_to_do() {
        let error = ListenError {
            address: SocketAddr::from(([0, 0, 0, 0], 123)),
            error: io::ErrorKind::AddrInUse.into(),
        };
        let text = error.to_string();
        assert!(
            text.contains("0.0.0.0:123") && text.contains("chronyd"),
            "{text}"
        );
    }
}
