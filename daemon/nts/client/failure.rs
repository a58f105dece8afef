//! Why no keys were established, in words an operator can act on.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use clockwright_ntp::nts::ke::client::Refusal;
use rustls::{AlertDescription, Error, InvalidMessage};

use super::establish::DEADLINE;
use super::rejection::Rejection;
use super::trust::TrustError;
use crate::output::printable;

/// How far a connection had got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// TLS was shaking hands.
    Handshake,
    /// The request had been sent.
    Response,
}

impl fmt::Display for Phase {
    /// What was waited for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "the end of the TLS handshake",
            Self::Response => "its answer",
        })
    }
}

/// Why no keys were established.
#[derive(Debug)]
pub enum KeFailure {
    /// This host does not know whom to trust.
    Trust(TrustError),
    /// No certificate can be for this name.
    Name(String),
    /// TLS cannot be used here.
    Setup(Error),
    /// There is no connection.
    Connect(SocketAddr, io::Error),
    /// Nobody says whether there can be one.
    ConnectTimeout(SocketAddr),
    /// The server's certificates are not accepted.
    Certificate(Rejection),
    /// What listens there does not speak TLS.
    NotTls(SocketAddr),
    /// There is no version of TLS that both have, or no algorithm.
    Incompatible(String),
    /// The server did not select NTS-KE by ALPN, or refused to.
    NotNtsKe,
    /// The server ended TLS for this reason.
    Alert(AlertDescription),
    /// TLS failed in another way.
    Tls(Error),
    /// The connection ended.
    Closed(Phase),
    /// The connection broke.
    Lost(Phase, io::Error),
    /// The time was up.
    Timeout(Phase),
    /// The answer is of no use.
    Response(Refusal),
}

impl KeFailure {
    /// Had the server been reached, so that it costs it something to be tried again?
    pub const fn is_tls_started(&self) -> bool {
        match self {
            Self::Trust(_)
            | Self::Name(_)
            | Self::Setup(_)
            | Self::Connect(..)
            | Self::ConnectTimeout(_) => false,
            Self::Certificate(_)
            | Self::NotTls(_)
            | Self::Incompatible(_)
            | Self::NotNtsKe
            | Self::Alert(_)
            | Self::Tls(_)
            | Self::Closed(_)
            | Self::Lost(..)
            | Self::Timeout(_)
            | Self::Response(_) => true,
        }
    }

    /// Did nothing leave this host, for want of a way or of an address to send from? Then it can be
    /// tried again soon: nobody is bothered, and the network may be up by then.
    pub fn is_local(&self) -> bool {
        let Self::Connect(_, error) = self else {
            return false;
        };
        matches!(
            error.kind(),
            ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown | ErrorKind::AddrNotAvailable
        )
    }

    /// What an error of the stream means. TLS's own are wrapped in it. `rejection` is what the
    /// verifier had against the certificates, if anything.
    pub(super) fn of_stream(
        error: io::Error,
        phase: Phase,
        server: SocketAddr,
        rejection: Option<Rejection>,
    ) -> Self {
        if let Some(rejection) = rejection {
            return Self::Certificate(rejection);
        }
        let inner = error.get_ref().and_then(|it| it.downcast_ref::<Error>());
        match (inner, error.kind()) {
            (Some(tls), _) => Self::of_tls(tls, phase, server),
            (None, ErrorKind::UnexpectedEof) => Self::Closed(phase),
            (None, _) => Self::Lost(phase, error),
        }
    }

    fn of_tls(error: &Error, phase: Phase, server: SocketAddr) -> Self {
        match error {
            Error::AlertReceived(AlertDescription::NoApplicationProtocol) => Self::NotNtsKe,
            Error::AlertReceived(
                AlertDescription::ProtocolVersion
                | AlertDescription::HandshakeFailure
                | AlertDescription::InsufficientSecurity,
            )
            | Error::PeerIncompatible(_) => Self::Incompatible(error.to_string()),
            Error::AlertReceived(alert) => Self::Alert(*alert),
            // The first octet that came is of no TLS record.
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) if phase == Phase::Handshake => Self::NotTls(server),
            other => Self::Tls(other.clone()),
        }
    }
}

/// What an error of connecting means, where more can be said than the system does.
fn advice(error: &io::Error) -> Option<&'static str> {
    Some(match error.kind() {
        ErrorKind::ConnectionRefused => {
            "no NTS-KE server listens there, or a firewall rejects the connection"
        }
        ErrorKind::NetworkUnreachable => "this host has no route to it",
        ErrorKind::HostUnreachable => "no router knows the way, or the host is down",
        ErrorKind::PermissionDenied => "a firewall of this host forbids it",
        ErrorKind::AddrNotAvailable => "this host has no address of that family",
        ErrorKind::TimedOut => "the host is down, or a firewall drops TCP packets to that port",
        ErrorKind::ConnectionReset => "it does not let this host in, or is overloaded",
        _ => return None,
    })
}

/// `TCP port 4460 of 192.0.2.1`.
struct At<'a>(&'a SocketAddr);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TCP port {} of {}", self.0.port(), self.0.ip())
    }
}

impl fmt::Display for KeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trust(error) => error.fmt(f),
            Self::Name(name) => write!(
                f,
                "no certificate can be for {}: it is no name that DNS allows",
                printable(name)
            ),
            Self::Setup(error) => write!(f, "TLS cannot be used: {error}"),
            Self::Connect(server, error) => {
                write!(f, "cannot connect to {}: {error}", At(server))?;
                advice(error).map_or(Ok(()), |advice| write!(f, ": {advice}"))
            }
            Self::ConnectTimeout(server) => write!(
                f,
                "cannot connect to {}: no answer: the host is down, or a firewall drops TCP packets \
                 to that port (NTS needs TCP port 4460 and UDP port 123)",
                At(server)
            ),
            Self::Certificate(rejection) => rejection.fmt(f),
            Self::NotTls(server) => write!(
                f,
                "what listens on {} does not speak TLS; keys for NTS are handed out on port 4460 \
                 unless the server's operator says otherwise",
                At(server)
            ),
            Self::Incompatible(why) => write!(
                f,
                "the server has no version or algorithm of TLS in common with this host ({}); NTS \
                 needs TLS 1.3 (RFC 8915 section 3)",
                printable(why)
            ),
            Self::NotNtsKe => f.write_str(
                "the server speaks TLS but not NTS-KE: it did not select ntske/1 by ALPN, which \
                 RFC 8915 section 4 demands. Is it the right port?",
            ),
            Self::Alert(AlertDescription::UnrecognisedName) => {
                f.write_str("the server has no certificate for the name that this host asked for")
            }
            Self::Alert(alert) => write!(f, "the server ended TLS with the alert {alert:?}"),
            Self::Tls(error) => write!(f, "TLS failed: {}", printable(&error.to_string())),
            Self::Closed(phase) => write!(
                f,
                "the server closed the connection before {phase}: it may be overloaded, or not let \
                 this host in"
            ),
            Self::Lost(phase, error) => {
                write!(f, "the connection was lost before {phase}: {error}")?;
                advice(error).map_or(Ok(()), |advice| write!(f, ": {advice}"))
            }
            Self::Timeout(phase) => {
                let limit = DEADLINE.as_secs();
                write!(
                    f,
                    "the server took the connection, and more than {limit} s for {phase}"
                )
            }
            Self::Response(refusal) => refusal.fmt(f),
        }
    }
}

impl std::error::Error for KeFailure {}
