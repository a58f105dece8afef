//! Why a datagram or an exchange was refused.

use core::fmt;

use clockwright_timebase::Duration;

use crate::extension::FramingError;
use crate::nts::field::FieldError;
use crate::over_ptp::NotNtp;
use crate::{Leap, Mode};

/// Why a datagram, or the exchange it completes, was refused.
///
/// When [`handle_datagram`](crate::Client::handle_datagram) returns one of these, nothing has
/// changed but the statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// Came over PTP, but is no NTP packet in a PTP message.
    OverPtp(NotNtp),
    /// Shorter than a header; not NTP, or cut short on the way.
    TooShort {
        /// Octets received.
        length: usize,
    },
    /// Not a version a client of version 4 can read, 1 to 4.
    Version(u8),
    /// Not a server's reply.
    Mode(Mode),
    /// What follows the header is not framed as RFC 7822 says.
    Framing(FramingError),
    /// Authenticated with a key this client does not have.
    UnexpectedMac,
    /// Makes a claim to be authentic that is not made as RFC 8915 says.
    Nts(FieldError),
    /// Its unique identifier is not the latest request's (RFC 8915 section 5.7): forged, or late.
    WrongUniqueId,
    /// A plain reply to an authenticated request (RFC 8915 section 5.7). It is never believed.
    NotAuthenticated,
    /// Not sealed with the server's key, or changed on its way.
    NotAuthentic,
    /// No request is waiting for a reply, or none that was sent that way.
    Unexpected,
    /// The latest request has been answered already, or the packet repeats the last reply's
    /// timestamps (RFC 5905 section 8, test 1): a duplicate or a replay.
    Duplicate,
    /// Not an answer to the latest request: forged, or very late (RFC 5905 section 8, test 2).
    BogusOrigin,
    /// The server's receive or transmit timestamp is zero (RFC 5905 section 8, test 3).
    ZeroTimestamp,
    /// The server says that its clock is not synchronised (RFC 5905 section 8, test 6).
    Unsynchronized {
        /// Its leap indicator.
        leap: Leap,
        /// Its stratum.
        stratum: u8,
    },
    /// Half the root delay plus the root dispersion is 16 s or more (RFC 5905 section 8, test 7).
    RootDistance(Duration),
    /// The server says that it sent before it received, or took more than 4 s to reply.
    Turnaround(Duration),
    /// Request and reply have no stamps of one kind, so the exchange has no beginning that goes
    /// with its end.
    NoCommonStamp,
    /// The reply arrived before the request left: one of the local stamps is wrong.
    StampOrder(Duration),
    /// The round trip is shorter than the time the server took, by more than resolution and
    /// uncertainty explain: a timestamp is wrong.
    NegativeDelay(Duration),
    /// The round trip is longer than the configuration allows.
    DelayTooLong(Duration),
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OverPtp(why) => why.fmt(f),
            Self::TooShort { length } => {
                write!(f, "{length} octets are too short for an NTP packet")
            }
            Self::Version(version) => write!(f, "NTP version {version} is not supported"),
            Self::Mode(mode) => write!(f, "mode {} is not a server's reply", mode.to_bits()),
            Self::Framing(error) => write!(f, "malformed packet: {error}"),
            Self::UnexpectedMac => f.write_str("authenticated with a key that is not configured"),
            Self::Nts(error) => write!(f, "malformed NTS packet: {error}"),
            Self::WrongUniqueId => f.write_str("its unique identifier is not the latest request's"),
            Self::NotAuthenticated => f.write_str("not authenticated, which this server should be"),
            Self::NotAuthentic => {
                f.write_str("not authentic: not the server's, or changed on its way")
            }
            Self::Unexpected => f.write_str("no request is waiting for a reply"),
            Self::Duplicate => f.write_str("duplicate or replayed reply"),
            Self::BogusOrigin => f.write_str("not an answer to the latest request"),
            Self::ZeroTimestamp => f.write_str("a timestamp of the server is zero"),
            Self::Unsynchronized { leap, stratum } => write!(
                f,
                "the server is not synchronised (leap {leap}, stratum {stratum})"
            ),
            Self::RootDistance(distance) => {
                write!(f, "root distance {distance:?} is not below 16 s")
            }
            Self::Turnaround(turnaround) => {
                write!(
                    f,
                    "server turnaround of {turnaround:?} is impossible or above 4 s"
                )
            }
            Self::NoCommonStamp => f.write_str("the request has no timestamp of the reply's kind"),
            Self::StampOrder(elapsed) => {
                write!(f, "the reply is stamped before the request ({elapsed:?})")
            }
            Self::NegativeDelay(delay) => write!(f, "impossible round trip of {delay:?}"),
            Self::DelayTooLong(delay) => write!(f, "round trip of {delay:?} is too long"),
        }
    }
}

impl std::error::Error for Rejection {}
