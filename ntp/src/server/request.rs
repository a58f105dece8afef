//! Requests: which are answered.

use core::fmt;

use clockwright_timebase::{Duration, Timestamp, Utc};

use super::reply::LONGEST;
use crate::extension::{Extensions, Field, FramingError, network_correction};
use crate::nts::field::{FieldError, NtsFields};
use crate::packet::VERSION;
use crate::{Header, Mode};

/// A well-formed request.
#[derive(Debug)]
pub(super) struct Request<'p> {
    /// All of it.
    pub(super) packet: &'p [u8],
    /// Its header.
    pub(super) header: Header,
    /// What follows that.
    pub(super) extensions: Extensions<'p>,
}

/// Reads a request.
pub(super) fn read(request: &[u8]) -> Result<Request<'_>, Dropped> {
    let header = Header::parse(request).ok_or(Dropped::TooShort)?;
    if !(1..=VERSION).contains(&header.version) {
        return Err(Dropped::Version(header.version));
    }
    // Modes 2, 4 and 5 are answers themselves: two servers could keep each other busy for ever.
    // Modes 6 and 7 are other protocols, well known for their amplification.
    if !matches!(header.mode, Mode::Client | Mode::SymmetricActive) {
        return Err(Dropped::Mode(header.mode));
    }
    let extensions = Extensions::parse(request).map_err(Dropped::Framing)?;
    if extensions.mac().is_some() {
        return Err(Dropped::UnknownKey);
    }
    Ok(Request {
        packet: request,
        header,
        extensions,
    })
}

impl<'p> Request<'p> {
    /// The fields by which it claims to be authenticated, if it does.
    pub(super) fn nts(&self) -> Result<Option<NtsFields<'p>>, Dropped> {
        let Some(fields) = NtsFields::read(&self.extensions).map_err(Dropped::Nts)? else {
            return Ok(None);
        };
        let Header { version, mode, .. } = self.header;
        if version != VERSION {
            Err(Dropped::Version(version))
        } else if mode != Mode::Client {
            Err(Dropped::Mode(mode))
        } else if fields.cookie.is_none() {
            Err(Dropped::Nts(FieldError::NoCookie))
        } else if self.packet.len() > LONGEST {
            Err(Dropped::Nts(FieldError::TooLong))
        } else {
            Ok(Some(fields))
        }
    }

    /// Does it ask for its own network correction (RFC 10030), in a field before `end`?
    pub(super) fn asks_for_correction(&self, end: usize) -> bool {
        let asks = |field: Field<'_>| field.offset < end && network_correction::is_one(&field);
        self.header.version == VERSION && self.extensions.fields().any(asks)
    }
}

/// When a request came, and what it had met on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// When it arrived, by the served clock.
    pub at: Timestamp<Utc>,
    /// How long its way was longer than the wires: what transparent clocks say that they kept it,
    /// and the time its frame took to come off the wire (RFC 10030). Zero if that is not known, as
    /// it is not unless the NIC stamped it.
    pub correction: Duration,
}

impl From<Timestamp<Utc>> for Received {
    /// Nothing is known of its way.
    fn from(at: Timestamp<Utc>) -> Self {
        Self {
            at,
            correction: Duration::ZERO,
        }
    }
}

/// Why a datagram was left unanswered; always the sender's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// Shorter than a header.
    TooShort,
    /// Not version 1 to 4, or authenticated by NTS in another version than 4 (RFC 8915 section 5).
    Version(u8),
    /// Not a request: a reply, a broadcast, control or private use.
    Mode(Mode),
    /// What follows the header is not framed as RFC 7822 says.
    Framing(FramingError),
    /// It claims to be authenticated by NTS, and is not made as RFC 8915 says.
    Nts(FieldError),
    /// Authenticated with a key this server does not have. A crypto-NAK would tell that, but an
    /// answer that nobody can check is of no use to anyone.
    UnknownKey,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => f.write_str("too short for an NTP packet"),
            Self::Version(version) => write!(f, "NTP version {version} is not supported"),
            Self::Mode(mode) => write!(f, "mode {} is not a request", mode.to_bits()),
            Self::Framing(error) => write!(f, "malformed packet: {error}"),
            Self::Nts(error) => write!(f, "malformed NTS request: {error}"),
            Self::UnknownKey => f.write_str("authenticated with a key that is not configured"),
        }
    }
}

impl std::error::Error for Dropped {}
