//! What kept a request from its server, in words an operator can act on.

use std::fmt;
use std::io::{self, ErrorKind};

use clockwright_sys::socket::{ErrorOrigin, NetworkError};

/// A request did not reach its server, as far as this host knows.
#[derive(Debug)]
pub enum Failure {
    /// No socket could be opened.
    Open(io::Error),
    /// The port for NTP over PTP cannot be had.
    PtpPort(io::Error),
    /// The kernel did not take the request.
    Send(io::Error),
    /// The network reported an error later. Anybody can forge that.
    Network(NetworkError),
}

impl Failure {
    fn error(&self) -> &io::Error {
        match self {
            Self::Open(error) | Self::PtpPort(error) | Self::Send(error) => error,
            Self::Network(reported) => &reported.error,
        }
    }

    /// What the error means here, where more can be said than the system does.
    fn advice(&self) -> Option<&'static str> {
        if let Self::PtpPort(error) = self {
            return Some(match error.kind() {
                ErrorKind::AddrInUse => {
                    "it is in use, probably by ptp4l (`ss -lunp sport = :319` shows by whom), so \
                     UDP port 123 is used and its packets get the timestamps that this NIC gives \
                     them. ptp4l leaves the port alone with `-2` (PTP over Ethernet)"
                }
                ErrorKind::PermissionDenied => {
                    "ports below 1024 need CAP_NET_BIND_SERVICE; start as root, or with \
                     AmbientCapabilities=CAP_NET_BIND_SERVICE"
                }
                _ => return None,
            });
        }
        Some(match self.error().kind() {
            ErrorKind::ConnectionRefused => {
                "no NTP server listens on that port there, or a firewall rejects the request"
            }
            ErrorKind::NetworkUnreachable => "this host has no route to it",
            ErrorKind::HostUnreachable => "no router knows the way, or the host is down",
            ErrorKind::PermissionDenied => "a firewall of this host forbids sending",
            ErrorKind::AddrNotAvailable => "this host has no address of that family",
            _ => return None,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => write!(f, "cannot open a socket: {error}")?,
            Self::PtpPort(error) => {
                write!(f, "cannot open UDP port 319 for NTP over PTP: {error}")?;
            }
            Self::Send(error) => write!(f, "cannot send: {error}")?,
            Self::Network(reported) => {
                write!(f, "{}", reported.error)?;
                match (&reported.origin, reported.reporter) {
                    (ErrorOrigin::Icmp { .. }, Some(reporter)) => {
                        write!(f, ", says {reporter}")?;
                    }
                    (ErrorOrigin::Local, _) => write!(f, ", says this host")?,
                    _ => {}
                }
            }
        }
        match self.advice() {
            Some(advice) => write!(f, ": {advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_to_look_at() {
        let refused = Failure::Network(NetworkError {
            error: io::Error::from_raw_os_error(111),
            origin: ErrorOrigin::Icmp { kind: 3, code: 3 },
            reporter: "192.0.2.1".parse().ok(),
            destination: None,
        });
        let text = refused.to_string();
        assert!(
            text.contains("192.0.2.1") && text.contains("no NTP server"),
            "{text}"
        );
        let taken = Failure::PtpPort(ErrorKind::AddrInUse.into()).to_string();
        assert!(taken.contains("319") && taken.contains("ptp4l"), "{taken}");
        let unreachable = Failure::Send(io::Error::from_raw_os_error(101)).to_string();
        assert!(unreachable.contains("no route"), "{unreachable}");
    }
}
