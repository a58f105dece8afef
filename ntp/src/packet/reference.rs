//! Reference identifiers and kiss codes.

use core::fmt;
use std::net::Ipv4Addr;

/// What a server follows (RFC 5905 section 7.3): four octets whose meaning hangs on the stratum.
///
/// - stratum 0: a [kiss code](KissCode);
/// - stratum 1: the name of the reference clock, ASCII, padded with zeros;
/// - above: the IPv4 address of the server it follows, or the first four octets of the MD5
///   digest of its IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ReferenceId(pub [u8; 4]);

impl ReferenceId {
    /// Nothing is followed.
    pub const ZERO: Self = Self([0; 4]);

    /// The name of a reference clock (stratum 1), up to four printable ASCII characters;
    /// `None` for anything else.
    pub fn from_name(name: &str) -> Option<Self> {
        let printable = name.bytes().all(|octet| octet.is_ascii_graphic());
        if name.is_empty() || name.len() > 4 || !printable {
            return None;
        }
        let mut octets = [0; 4];
        for (octet, character) in octets.iter_mut().zip(name.bytes()) {
            *octet = character;
        }
        Some(Self(octets))
    }

    /// The name it spells: one to four printable ASCII characters followed only by zeros.
    pub fn name(&self) -> Option<&str> {
        let end = self.0.iter().position(|&o| o == 0).unwrap_or(4);
        let (name, padding) = self.0.split_at(end);
        let well_formed = !name.is_empty()
            && name.iter().all(u8::is_ascii_graphic)
            && padding.iter().all(|&octet| octet == 0);
        well_formed
            .then(|| core::str::from_utf8(name).ok())
            .flatten()
    }

    /// For showing it in the way `stratum` calls for: a name at stratum 0 and 1, an address
    /// above, hexadecimal where a name is not printable.
    pub const fn display(self, stratum: u8) -> impl fmt::Display {
        DisplayReference {
            reference_id: self,
            stratum,
        }
    }
}

impl From<Ipv4Addr> for ReferenceId {
    fn from(address: Ipv4Addr) -> Self {
        Self(address.octets())
    }
}

/// [`ReferenceId::display`].
struct DisplayReference {
    reference_id: ReferenceId,
    stratum: u8,
}

impl fmt::Display for DisplayReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.stratum > 1 {
            return Ipv4Addr::from(self.reference_id.0).fmt(f);
        }
        match self.reference_id.name() {
            Some(name) => f.pad(name),
            None => f.pad(&format!("{:08X}", u32::from_be_bytes(self.reference_id.0))),
        }
    }
}

/// Why a server does not give the time (RFC 5905 section 7.4), from the reference identifier of a
/// packet with stratum 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KissCode {
    /// `DENY`: the server denies access; stop asking.
    Deny,
    /// `RSTR`: access denied by local policy; stop asking.
    Restrict,
    /// `RATE`: ask less often.
    Rate,
    /// `NTSN`: the server could not check the request's NTS authentication (RFC 8915 section 5.7).
    NtsNak,
    /// Any other; it has no effect on the protocol (`INIT`, `STEP`, ... , `X...`).
    Other(ReferenceId),
}

impl KissCode {
    /// The code a stratum 0 packet's reference identifier spells; `None` if it spells nothing.
    pub fn from_reference_id(reference_id: ReferenceId) -> Option<Self> {
        reference_id.name()?;
        Some(match &reference_id.0 {
            b"DENY" => Self::Deny,
            b"RSTR" => Self::Restrict,
            b"RATE" => Self::Rate,
            b"NTSN" => Self::NtsNak,
            _ => Self::Other(reference_id),
        })
    }

    /// The reference identifier that spells the code.
    pub const fn reference_id(self) -> ReferenceId {
        match self {
            Self::Deny => ReferenceId(*b"DENY"),
            Self::Restrict => ReferenceId(*b"RSTR"),
            Self::Rate => ReferenceId(*b"RATE"),
            Self::NtsNak => ReferenceId(*b"NTSN"),
            Self::Other(reference_id) => reference_id,
        }
    }
}

impl fmt::Display for KissCode {
    /// The four characters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reference_id().display(0).fmt(f)
    }
}
