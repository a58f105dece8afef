//! Why a client refuses an answer.

use core::fmt;

use super::record::{self, FramingError};

/// The code in a server's Error record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode(pub u16);

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("unrecognized critical record (error 0)"),
            1 => f.write_str("bad request (error 1)"),
            2 => f.write_str("internal server error (error 2)"),
            other => write!(f, "error {other}, which no standard knows"),
        }
    }
}

/// Why an answer is of no use. All but the last are the server's doing, or whoever's is there
/// instead of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The server answered with an error; `None`: with an Error record that holds no code.
    Server(Option<ErrorCode>),
    /// The server warns. No warning is defined, so none can be heeded (RFC 8915 section 4.1.4).
    Warning(Option<u16>),
    /// A record of this unknown type has the critical bit set.
    UnknownCritical(u16),
    /// A record of this type was needed.
    Missing(u16),
    /// More than one record of this type.
    Duplicate(u16),
    /// A record of this type does not hold what it should.
    Malformed(u16),
    /// The server has no keys for `NTPv4`.
    NoNtpv4,
    /// The server has none of the algorithms offered.
    NoAlgorithm,
    /// The server chose this algorithm, which was not offered.
    NotOffered(u16),
    /// A cookie of so many octets, which no extension field carries unchanged, or too long.
    CookieLength(usize),
    /// The records are not framed as they should be.
    Framing(FramingError),
    /// The connection ended before the message did.
    Truncated,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(Some(code)) => write!(f, "the server answered: {code}"),
            Self::Server(None) => f.write_str("the server answered with an error without a code"),
            Self::Warning(Some(code)) => write!(f, "the server answered with warning {code}"),
            Self::Warning(None) => f.write_str("the server answered with a warning without a code"),
            Self::UnknownCritical(kind) => {
                write!(f, "the answer has an unknown critical record, type {kind}")
            }
            Self::Missing(kind) => write!(f, "the answer has no {} record", Name(*kind)),
            Self::Duplicate(kind) => write!(f, "the answer has two {} records", Name(*kind)),
            Self::Malformed(kind) => write!(f, "the answer has a malformed {} record", Name(*kind)),
            Self::NoNtpv4 => f.write_str("the server has no keys for NTPv4"),
            Self::NoAlgorithm => f.write_str("the server has none of the AEAD algorithms offered"),
            Self::NotOffered(id) => {
                write!(
                    f,
                    "the server chose AEAD algorithm {id}, which was not offered"
                )
            }
            Self::CookieLength(length) => write!(
                f,
                "the answer has a cookie of {length} octets; \
                 a multiple of four from 16 to 256 can be used"
            ),
            Self::Framing(error) => write!(f, "malformed answer: {error}"),
            Self::Truncated => f.write_str("the connection ended before the answer did"),
        }
    }
}

impl std::error::Error for Refusal {}

/// What the RFC calls a type of record.
struct Name(u16);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            record::NEXT_PROTOCOL => "Next Protocol Negotiation",
            record::AEAD => "AEAD Algorithm Negotiation",
            record::COOKIE => "New Cookie",
            record::SERVER => "NTPv4 Server Negotiation",
            record::PORT => "NTPv4 Port Negotiation",
            other => return write!(f, "type {other}"),
        })
    }
}
