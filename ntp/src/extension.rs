//! Extension fields and MACs after the header: the framing of RFC 7822, strictly.
//!
//! What is not framed exactly as the RFC says is refused as a whole, never cut short: a lenient
//! parser lets two parties disagree about which octets a MAC covers.

use core::fmt;

use crate::Header;

/// The type, length and padding rules that every field obeys.
const FIELD_HEADER: usize = 4;
/// The shortest field, header included (RFC 7822 section 3).
const SHORTEST: usize = 16;
/// The shortest field that may end a packet without a MAC: shorter ones could be taken for one.
const SHORTEST_LAST: usize = 28;
/// A crypto-NAK: a key identifier of zero and no digest (RFC 5905 section 7.3).
const CRYPTO_NAK: usize = 4;

/// Lengths of a MAC with a digest: a key identifier and 16 (MD5, AES-CMAC) or 20 octets (SHA-1).
const fn is_mac_length(length: usize) -> bool {
    length == 20 || length == 24
}

/// What follows a header, checked to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extensions<'p> {
    packet: &'p [u8],
    /// Where the fields end.
    fields_end: usize,
}

impl<'p> Extensions<'p> {
    /// Checks all that follows the header of `packet`, which must hold a whole header.
    pub fn parse(packet: &'p [u8]) -> Result<Self, FramingError> {
        let mut at = Header::LEN;
        let mut last = None;
        loop {
            let rest = packet.get(at..).ok_or(FramingError::NoHeader)?;
            if rest.is_empty() {
                return match last {
                    Some(length) if length < SHORTEST_LAST => {
                        Err(FramingError::LastFieldTooShort { length })
                    }
                    _ => Ok(Self {
                        packet,
                        fields_end: at,
                    }),
                };
            }
            if is_mac_length(rest.len()) || rest == [0; CRYPTO_NAK] {
                return Ok(Self {
                    packet,
                    fields_end: at,
                });
            }
            let length = field_length(rest)?;
            at += length;
            last = Some(length);
        }
    }

    /// The fields, in order.
    pub fn fields(&self) -> Fields<'p> {
        Fields {
            packet: self.packet,
            at: Header::LEN,
            end: self.fields_end,
        }
    }

    /// The MAC, if there is one.
    pub fn mac(&self) -> Option<Mac<'p>> {
        let octets = self.packet.get(self.fields_end..)?;
        let (key_id, digest) = octets.split_first_chunk()?;
        Some(Mac {
            key_id: u32::from_be_bytes(*key_id),
            digest,
        })
    }

    /// What a MAC covers: the header and all fields.
    pub fn authenticated(&self) -> &'p [u8] {
        self.packet.get(..self.fields_end).unwrap_or_default()
    }
}

/// The length of the field that `rest` begins with; `rest` is neither empty nor a MAC.
fn field_length(rest: &[u8]) -> Result<usize, FramingError> {
    let [_, _, high, low, ..] = *rest else {
        return Err(FramingError::TrailingOctets { count: rest.len() });
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length < SHORTEST {
        Err(FramingError::FieldTooShort { length })
    } else if !length.is_multiple_of(4) {
        Err(FramingError::FieldUnaligned { length })
    } else if length > rest.len() {
        Err(FramingError::FieldOverrun {
            length,
            left: rest.len(),
        })
    } else {
        Ok(length)
    }
}

/// One extension field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'p> {
    /// Its type (IANA registry "NTP Extension Field Types").
    pub kind: u16,
    /// Its value with the padding; only the field's own definition can tell them apart.
    pub body: &'p [u8],
    /// Where the field begins in the packet. `packet[..offset]` is what an authenticator field
    /// covers (RFC 8915 section 5.6).
    pub offset: usize,
}

/// The fields of a packet; from [`Extensions::fields`].
#[derive(Debug, Clone)]
pub struct Fields<'p> {
    packet: &'p [u8],
    at: usize,
    end: usize,
}

impl<'p> Iterator for Fields<'p> {
    type Item = Field<'p>;

    fn next(&mut self) -> Option<Field<'p>> {
        let rest = self.packet.get(self.at..self.end)?;
        let (kind, _) = rest.split_first_chunk()?;
        let length = field_length(rest).ok()?;
        let body = rest.get(FIELD_HEADER..length)?;
        let field = Field {
            kind: u16::from_be_bytes(*kind),
            body,
            offset: self.at,
        };
        self.at += length;
        Some(field)
    }
}

/// The message authentication code at a packet's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mac<'p> {
    /// Which key.
    pub key_id: u32,
    /// 16 or 20 octets, or none: then it is a crypto-NAK.
    pub digest: &'p [u8],
}

/// How what follows a header violates RFC 7822; the sender's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FramingError {
    /// The packet is shorter than a header.
    NoHeader,
    /// One to three octets are left over, or four that are no crypto-NAK's.
    TrailingOctets {
        /// How many.
        count: usize,
    },
    /// A field's length is below 16.
    FieldTooShort {
        /// Its length.
        length: usize,
    },
    /// A field's length is not a multiple of 4.
    FieldUnaligned {
        /// Its length.
        length: usize,
    },
    /// A field reaches beyond the packet's end.
    FieldOverrun {
        /// Its length.
        length: usize,
        /// The octets that are left.
        left: usize,
    },
    /// The last field is shorter than 28 octets and no MAC follows.
    LastFieldTooShort {
        /// Its length.
        length: usize,
    },
}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => f.write_str("no whole header"),
            Self::TrailingOctets { count } => write!(f, "{count} octets after the last field"),
            Self::FieldTooShort { length } => {
                write!(f, "extension field of {length} octets, below {SHORTEST}")
            }
            Self::FieldUnaligned { length } => {
                write!(f, "extension field of {length} octets, not a multiple of 4")
            }
            Self::FieldOverrun { length, left } => {
                write!(
                    f,
                    "extension field of {length} octets where {left} are left"
                )
            }
            Self::LastFieldTooShort { length } => write!(
                f,
                "last extension field of {length} octets, below {SHORTEST_LAST} without a MAC"
            ),
        }
    }
}

impl std::error::Error for FramingError {}
