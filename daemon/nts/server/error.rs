//! Why keys cannot be established here.

use std::net::SocketAddr;
use std::{fmt, io};

use super::certificates::CertificateError;
use super::shared_keys::SharedKeysError;

/// Why the server for key establishment cannot be what is configured.
#[derive(Debug)]
pub enum KeError {
    /// An address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// A certificate or its key cannot be used.
    Certificate(CertificateError),
    /// Shared cookie keys cannot be used.
    Keys(SharedKeysError),
    /// The TLS library refuses what it is to do.
    Tls(rustls::Error),
}

impl fmt::Display for KeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(address, error) => {
                write!(f, "cannot establish NTS keys on {address}: ")?;
                explain(f, *address, error)
            }
            Self::Certificate(error) => write!(f, "server.nts: {error}"),
            Self::Keys(error) => write!(f, "server.nts.keys: {error}"),
            Self::Tls(error) => write!(f, "server.nts: TLS cannot be used: {error}"),
        }
    }
}

fn explain(f: &mut fmt::Formatter<'_>, address: SocketAddr, error: &io::Error) -> fmt::Result {
    match error.kind() {
        io::ErrorKind::AddrInUse => write!(
            f,
            "the port is in use, probably by another NTP server such as chronyd or ntpd-rs \
             (`ss -ltnp sport = :{port}` shows which). Stop it, or take the address out of \
             server.nts.listen",
            port = address.port()
        ),
        io::ErrorKind::PermissionDenied => f.write_str(
            "ports below 1024 need CAP_NET_BIND_SERVICE; start as root, or with \
             AmbientCapabilities=CAP_NET_BIND_SERVICE",
        ),
        _ => write!(f, "{error}"),
    }
}

impl std::error::Error for KeError {}

impl From<CertificateError> for KeError {
    fn from(error: CertificateError) -> Self {
        Self::Certificate(error)
    }
}

impl From<SharedKeysError> for KeError {
    fn from(error: SharedKeysError) -> Self {
        Self::Keys(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_says_what_to_do() {
        let address = SocketAddr::from(([0, 0, 0, 0], 4460));
        let error = KeError::Listen(address, io::ErrorKind::AddrInUse.into());
        let text = error.to_string();
        assert!(
            text.contains("0.0.0.0:4460") && text.contains("ss -ltnp"),
            "{text}"
        );
    }
}
