//! Extension fields and MACs after the header: the framing of RFC 7822, strictly.
//!
//! What is not framed exactly as the RFC says is refused as a whole, never cut short: a lenient
//! parser lets two parties disagree about which octets a MAC covers.

pub mod network_correction;
mod writer;

use core::fmt;

use crate::Header;

pub use writer::{WriteError, Writer};

/// A field begins with its type and its length, which counts the whole field.
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

/// Checks that `octets` are fields and nothing else, as those are that an NTS authenticator hides
/// (RFC 8915 section 5.6), and gives them. Their offsets count from the beginning of `octets`.
pub fn sequence(octets: &[u8]) -> Result<Fields<'_>, FramingError> {
    let mut at = 0;
    while let Some(rest) = octets.get(at..).filter(|rest| !rest.is_empty()) {
        at += field_length(rest)?;
    }
    Ok(Fields {
        packet: octets,
        at: 0,
        end: at,
    })
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header of zeros and then `tail`.
    fn packet(tail: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; Header::LEN];
        packet.extend_from_slice(tail);
        packet
    }

    /// A field of `length` octets whose body is `fill`.
    fn field(kind: u16, length: usize, fill: u8) -> Vec<u8> {
        let mut field = vec![fill; length];
        field[..2].copy_from_slice(&kind.to_be_bytes());
        field[2..4].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        field
    }

    fn error(tail: &[u8]) -> FramingError {
        Extensions::parse(&packet(tail)).unwrap_err()
    }

    #[test]
    fn a_bare_header_has_nothing_after_it() {
        let packet = packet(&[]);
        let extensions = Extensions::parse(&packet).unwrap();
        assert_eq!(extensions.fields().count(), 0);
        assert_eq!(extensions.mac(), None);
        assert_eq!(extensions.authenticated(), &packet[..]);
        assert_eq!(
            Extensions::parse(&packet[..47]),
            Err(FramingError::NoHeader)
        );
    }

    #[test]
    fn macs_are_told_by_the_length_that_is_left() {
        // RFC 7822 section 3: 4 (crypto-NAK), 20 or 24 octets at the end are a MAC.
        for digest in [16, 20] {
            let mut tail = field(0x0204, 16, 9);
            tail.extend([0, 0, 1, 2]);
            tail.extend(vec![0xcd; digest]);
            let packet = packet(&tail);
            let extensions = Extensions::parse(&packet).unwrap();
            let mac = extensions.mac().unwrap();
            assert_eq!(mac.key_id, 0x0102);
            assert_eq!(mac.digest, vec![0xcd; digest]);
            assert_eq!(extensions.authenticated(), &packet[..64]);
            assert_eq!(extensions.fields().count(), 1);
        }
        let nak = packet(&[0; 4]);
        let mac = Extensions::parse(&nak).unwrap().mac().unwrap();
        assert_eq!((mac.key_id, mac.digest.len()), (0, 0));
        assert_eq!(
            error(&[0, 0, 0, 4]),
            FramingError::FieldTooShort { length: 4 }
        );
    }

    #[test]
    fn fields_say_where_they_begin() {
        let mut tail = field(0x0104, 36, 1);
        tail.extend(field(0x0404, 40, 2));
        let packet = packet(&tail);
        let fields: Vec<_> = Extensions::parse(&packet).unwrap().fields().collect();
        assert_eq!((fields[0].kind, fields[0].offset), (0x0104, 48));
        assert_eq!((fields[1].kind, fields[1].offset), (0x0404, 84));
        assert_eq!(fields[0].body, [1; 32]);
        assert_eq!(fields[1].body, [2; 36]);
    }

    #[test]
    fn every_bad_frame_is_refused_with_its_reason() {
        assert_eq!(error(&[1]), FramingError::TrailingOctets { count: 1 });
        assert_eq!(error(&[0; 3]), FramingError::TrailingOctets { count: 3 });
        let mut tail = field(1, 28, 0);
        tail.extend([0; 2]);
        assert_eq!(error(&tail), FramingError::TrailingOctets { count: 2 });
        assert_eq!(error(&[0; 32]), FramingError::FieldTooShort { length: 0 });
        assert_eq!(
            error(&field(1, 12, 0)),
            FramingError::FieldTooShort { length: 12 }
        );
        assert_eq!(
            error(&field(1, 30, 0)),
            FramingError::FieldUnaligned { length: 30 }
        );
        let mut tail = field(1, 32, 0);
        tail[3] = 36;
        assert_eq!(
            error(&tail),
            FramingError::FieldOverrun {
                length: 36,
                left: 32
            }
        );
        assert_eq!(
            error(&field(1, 16, 0)),
            FramingError::LastFieldTooShort { length: 16 }
        );
        let mut tail = field(1, 28, 0);
        tail.extend(field(1, 16, 0));
        assert_eq!(error(&tail), FramingError::LastFieldTooShort { length: 16 });
        assert!(Extensions::parse(&packet(&field(1, 28, 0))).is_ok());
    }

    proptest! {
        /// Never panics; what is accepted is covered octet by octet by header, fields and MAC.
        #[test]
        fn accepted_packets_are_covered_without_gaps(
            fields in prop::collection::vec((any::<u16>(), 3usize..20), 0..5),
            noise in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut tail: Vec<u8> =
                fields.iter().flat_map(|&(kind, words)| field(kind, words * 4, 0)).collect();
            tail.extend(noise);
            let packet = packet(&tail);
            if let Ok(extensions) = Extensions::parse(&packet) {
                let mut at = Header::LEN;
                for field in extensions.fields() {
                    prop_assert_eq!(field.offset, at);
                    at += FIELD_HEADER + field.body.len();
                }
                prop_assert_eq!(extensions.authenticated().len(), at);
                at += extensions.mac().map_or(0, |mac| 4 + mac.digest.len());
                prop_assert_eq!(at, packet.len());
            }
        }

        #[test]
        fn a_sequence_is_covered_without_gaps_or_refused(
            fields in prop::collection::vec((any::<u16>(), 3usize..20), 0..5),
            noise in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            let mut octets: Vec<u8> =
                fields.iter().flat_map(|&(kind, words)| field(kind, words * 4, 0)).collect();
            octets.extend(&noise);
            match sequence(&octets) {
                Ok(found) => {
                    let covered: usize = found.map(|f| FIELD_HEADER + f.body.len()).sum();
                    prop_assert_eq!(covered, octets.len());
                }
                Err(_) => prop_assert!(!noise.is_empty() || fields.iter().any(|f| f.1 < 4)),
            }
        }

        #[test]
        fn no_octets_make_it_panic(packet in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(extensions) = Extensions::parse(&packet) {
                let _ = (extensions.fields().count(), extensions.mac());
            }
        }
    }
}
