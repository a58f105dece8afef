//! What has become of the connections.

use std::fmt;
use std::io;

use clockwright_ntp::nts::ke::server::Refused;

/// Counts since the listener was made; they wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeServerCounts {
    /// Connections that are open now.
    pub open: u32,
    /// Connections that were accepted, whatever became of them.
    pub accepted: u64,
    /// TLS handshakes completed.
    pub handshakes: u64,
    /// Requests that were answered with cookies.
    pub established: u64,
    /// From addresses that are not in `server.allow`.
    pub not_allowed: u64,
    /// Closed unfinished, the oldest first, because there were too many at once.
    pub too_many: u64,
    /// Closed because there were too many from one address.
    pub too_many_from_address: u64,
    /// Closed because its address had connected too often.
    pub too_fast: u64,
    /// Not finished in time.
    pub timeout: u64,
    /// The TLS handshake failed, or what followed was no TLS.
    pub tls: u64,
    /// The client did not offer NTS key establishment by ALPN.
    pub no_alpn: u64,
    /// The request was not as RFC 8915 says, or had an unknown critical record.
    pub bad_request: u64,
    /// The client wanted another protocol, or other algorithms.
    pub unsupported: u64,
    /// The connection was closed or broke before the request was answered.
    pub io: u64,
    /// No keys could be exported, or no cookies made; the client was told so.
    pub internal: u64,
}

impl KeServerCounts {
    /// Connections that came to nothing, by the reason's name.
    pub const fn by_reason(&self) -> [(&'static str, u64); 11] {
        [
            ("not_allowed", self.not_allowed),
            ("too_many", self.too_many),
            ("too_many_from_address", self.too_many_from_address),
            ("too_fast", self.too_fast),
            ("timeout", self.timeout),
            ("tls", self.tls),
            ("no_alpn", self.no_alpn),
            ("bad_request", self.bad_request),
            ("unsupported", self.unsupported),
            ("io", self.io),
            ("internal", self.internal),
        ]
    }

    /// All connections that came to nothing.
    pub fn refused(&self) -> u64 {
        let counts = self.by_reason().map(|(_, count)| count);
        counts.into_iter().fold(0, u64::wrapping_add)
    }

    /// Counts a connection that came to nothing under its reason.
    pub(super) const fn refuse(&mut self, refusal: &Refusal) {
        count(match refusal {
            Refusal::NotAllowed => &mut self.not_allowed,
            Refusal::TooMany => &mut self.too_many,
            Refusal::TooManyFromAddress => &mut self.too_many_from_address,
            Refusal::TooFast => &mut self.too_fast,
            Refusal::Timeout => &mut self.timeout,
            Refusal::Tls(_) => &mut self.tls,
            Refusal::NoAlpn => &mut self.no_alpn,
            Refusal::Request(Refused::UnknownCritical(_) | Refused::BadRequest(_)) => {
                &mut self.bad_request
            }
            Refusal::Request(Refused::NoProtocol | Refused::NoAlgorithm) => &mut self.unsupported,
            Refusal::Io(_) => &mut self.io,
            Refusal::Internal => &mut self.internal,
        });
    }
}

/// One more.
pub(super) const fn count(counter: &mut u64) {
    *counter = counter.wrapping_add(1);
}

/// Why a connection came to nothing; all but the last are the client's doing or the network's.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Its address is not in `server.allow`.
    NotAllowed,
    /// It was the oldest of too many.
    TooMany,
    /// There were enough from its address.
    TooManyFromAddress,
    /// Its address has connected too often.
    TooFast,
    /// It took too long.
    Timeout,
    /// What it sent was no TLS, or none that can be agreed on.
    Tls(io::Error),
    /// It did not offer this protocol.
    NoAlpn,
    /// Its request is not one that can be granted. It was told so.
    Request(Refused),
    /// The connection was closed or broke.
    Io(io::Error),
    /// Something is wrong with this server.
    Internal,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed => f.write_str("not in server.allow"),
            Self::TooMany => f.write_str("too many connections at once; the oldest is closed"),
            Self::TooManyFromAddress => f.write_str("too many connections from its address"),
            Self::TooFast => f.write_str("too many connections from its address in a short time"),
            Self::Timeout => f.write_str("not finished in time"),
            Self::Tls(error) => write!(f, "TLS failed: {error}"),
            Self::NoAlpn => f.write_str("offers no NTS key establishment (ALPN ntske/1)"),
            Self::Request(refused) => refused.fmt(f),
            Self::Io(error) => write!(f, "the connection broke: {error}"),
            Self::Internal => f.write_str("no cookies could be made"),
        }
    }
}

impl From<io::Error> for Refusal {
    /// TLS speaks through the errors of its stream.
    fn from(error: io::Error) -> Self {
        match error.get_ref() {
            Some(inner) if inner.is::<rustls::Error>() => Self::Tls(error),
            _ => Self::Io(error),
        }
    }
}
