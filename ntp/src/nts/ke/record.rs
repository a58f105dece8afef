//! Records, and messages of them (RFC 8915 section 4).
//!
//! ```text
//!  0                   1                   2                   3
//! |C| type (15 bits)            | length of the body            | body ...
//! ```
//!
//! A message is records up to and including End of Message. The critical bit of a record says what
//! to do where its type is not known: refuse the message, or pass over the record. Of the types
//! that are known it says nothing new, so it is not held against a peer that sets it wrongly.

use core::fmt;

use zeroize::Zeroizing;

/// The longest message that is read, octets. A server's answer takes about a thousand; nobody says
/// in advance how long it will be.
pub const LONGEST_MESSAGE: usize = 16_384;

/// End of Message: empty, last, once.
pub const END: u16 = 0;
/// Next Protocol Negotiation: numbers of protocols.
pub const NEXT_PROTOCOL: u16 = 1;
/// Error: a code; only from a server.
pub const ERROR: u16 = 2;
/// Warning: a code; only from a server.
pub const WARNING: u16 = 3;
/// AEAD Algorithm Negotiation: numbers of algorithms.
pub const AEAD: u16 = 4;
/// New Cookie for NTPv4; only from a server.
pub const COOKIE: u16 = 5;
/// `NTPv4` Server Negotiation: a name or an address in ASCII.
pub const SERVER: u16 = 6;
/// `NTPv4` Port Negotiation: a UDP port.
pub const PORT: u16 = 7;
/// Compliant AES-128-GCM-SIV Exporter Context: empty. Who sends it puts the negotiated algorithm in
/// the exporter's context (IANA registry "NTS Key Establishment Record Types").
pub const COMPLIANT_EXPORT: u16 = 1024;

const HEADER: usize = 4;
const CRITICAL: u16 = 0x8000;
/// Room for eight of the longest cookies and all else that a server says: a message of ours grows
/// into its buffer, and never moves and leaves a copy behind.
const ROOM: usize = 2560;

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'m> {
    /// Whoever does not know the type has to refuse the message.
    pub critical: bool,
    /// Its type, 15 bits.
    pub kind: u16,
    /// What it says.
    pub body: &'m [u8],
}

impl<'m> Record<'m> {
    /// The record that `octets` begin with; `None` if they are not all of it.
    fn read(octets: &'m [u8]) -> Option<Self> {
        let (kind, rest) = octets.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let kind = u16::from_be_bytes(*kind);
        Some(Self {
            critical: kind & CRITICAL != 0,
            kind: kind & !CRITICAL,
            body: rest.get(..usize::from(u16::from_be_bytes(*length)))?,
        })
    }

    /// Octets on the wire.
    const fn length(&self) -> usize {
        HEADER + self.body.len()
    }

    /// The body as one number; `None` if it is not two octets long.
    pub fn number(&self) -> Option<u16> {
        self.body.try_into().ok().map(u16::from_be_bytes)
    }

    /// The body as numbers; `None` if they do not fill it.
    pub fn numbers(&self) -> Option<impl Iterator<Item = u16> + use<'m>> {
        let (numbers, rest) = self.body.as_chunks();
        rest.is_empty()
            .then(|| numbers.iter().map(|number| u16::from_be_bytes(*number)))
    }
}

/// The records of a whole message, without the last, which only ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'m>(&'m [u8]);

impl<'m> Message<'m> {
    /// In order.
    pub fn records(&self) -> impl Iterator<Item = Record<'m>> + use<'m> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let record = Record::read(rest)?;
            rest = rest.get(record.length()..).unwrap_or_default();
            Some(record)
        })
    }
}

/// What has come of reading a stream so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress<T> {
    /// No fault yet, and not the end of the message: more has to be received.
    Incomplete,
    /// All of it.
    Complete(T),
}

impl<T> Progress<T> {
    /// What was read, with `f` applied to it.
    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> Progress<U> {
        match self {
            Self::Incomplete => Progress::Incomplete,
            Self::Complete(read) => Progress::Complete(f(read)),
        }
    }
}

/// Finds the end of a message that comes in pieces. Each record is looked at once, however small
/// the pieces.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    /// Where the first record begins that has not been seen whole.
    at: usize,
}

impl Reader {
    /// Looks at all that has been `received` of a stream, from its first octet on. With
    /// [`LONGEST_MESSAGE`] octets at hand it is never incomplete: there is no need to keep more.
    pub fn read<'m>(&mut self, received: &'m [u8]) -> Result<Progress<Message<'m>>, FramingError> {
        loop {
            let rest = received.get(self.at..).unwrap_or_default();
            if self.at + HEADER + announced(rest) > LONGEST_MESSAGE {
                return Err(FramingError::TooLong);
            }
            let Some(record) = Record::read(rest) else {
                return Ok(Progress::Incomplete);
            };
            if record.kind == END {
                if !record.body.is_empty() {
                    return Err(FramingError::EndNotEmpty);
                }
                if rest.len() > record.length() {
                    return Err(FramingError::AfterEnd);
                }
                let records = received.get(..self.at).unwrap_or_default();
                return Ok(Progress::Complete(Message(records)));
            }
            self.at += record.length();
        }
    }
}

/// The length of the body that a record's header announces; 0 where that has not been received.
fn announced(record: &[u8]) -> usize {
    match record {
        [_, _, high, low, ..] => u16::from_be_bytes([*high, *low]).into(),
        _ => 0,
    }
}

/// Why a stream is no message; always the peer's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FramingError {
    /// More than [`LONGEST_MESSAGE`] octets, or a record that announces more.
    TooLong,
    /// End of Message with a body.
    EndNotEmpty,
    /// Something follows End of Message, perhaps another one.
    AfterEnd,
}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the message is longer than {LONGEST_MESSAGE} octets"),
            Self::EndNotEmpty => f.write_str("its End of Message record is not empty"),
            Self::AfterEnd => f.write_str("something follows its End of Message record"),
        }
    }
}

impl std::error::Error for FramingError {}

/// Writes a message. What it is written into is wiped: there may be cookies in it.
pub(super) struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    pub(super) fn new() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(ROOM)))
    }

    /// Without the critical bit. A body longer than a record can hold is cut; none of ours is.
    pub(super) fn optional(self, kind: u16, body: &[u8]) -> Self {
        self.record(kind, body)
    }

    /// With the critical bit.
    pub(super) fn critical(self, kind: u16, body: &[u8]) -> Self {
        self.record(kind | CRITICAL, body)
    }

    /// With the critical bit, and numbers for a body.
    pub(super) fn numbers(self, kind: u16, numbers: impl IntoIterator<Item = u16>) -> Self {
        let octets: Vec<u8> = numbers.into_iter().flat_map(u16::to_be_bytes).collect();
        self.critical(kind, &octets)
    }

    /// The whole message.
    pub(super) fn end(self) -> Zeroizing<Vec<u8>> {
        self.critical(END, &[]).0
    }

    fn record(mut self, kind: u16, body: &[u8]) -> Self {
        let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&kind.to_be_bytes());
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend(body.iter().take(length.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a reader says when it is given all at once.
    fn read(octets: &[u8]) -> Result<Progress<Message<'_>>, FramingError> {
        Reader::default().read(octets)
    }

    /// A record that brings a message to `length` octets before its End.
    fn filler(length: usize) -> Vec<u8> {
        let body = vec![7; length - HEADER];
        Writer::new().optional(99, &body).0.to_vec()
    }

    #[test]
    fn a_record_is_a_bit_a_type_a_length_and_a_body() {
        let message = [0x80, 1, 0, 2, 0xab, 0xcd, 0x7f, 0xff, 0, 0, 0x80, 0, 0, 0];
        let Ok(Progress::Complete(message)) = read(&message) else {
            panic!("not read");
        };
        let records: Vec<_> = message.records().collect();
        let [next, other] = records[..] else {
            panic!("{records:?}");
        };
        assert_eq!((next.critical, next.kind), (true, NEXT_PROTOCOL));
        assert_eq!(next.number(), Some(0xabcd));
        let expected = Record {
            critical: false,
            kind: 0x7fff,
            body: &[],
        };
        assert_eq!(other, expected);
    }

    #[test]
    fn numbers_fill_their_record() {
        let record = |body| Record {
            critical: true,
            kind: AEAD,
            body,
        };
        let numbers = |body| record(body).numbers().map(Iterator::collect::<Vec<_>>);
        assert_eq!(numbers(&[0, 15, 0, 30]), Some(vec![15, 30]));
        assert_eq!(numbers(&[]), Some(vec![]));
        assert_eq!(numbers(&[0, 15, 0]), None);
        assert_eq!(record(&[0, 15, 0]).number(), None);
        assert_eq!(record(&[15]).number(), None);
    }

    #[test]
    fn the_end_is_empty_and_nothing_follows_it() {
        let end = [0x80, 0, 0, 0];
        assert!(matches!(read(&end), Ok(Progress::Complete(_))));
        assert_eq!(
            read(&[end, end].concat()),
            Err(FramingError::AfterEnd),
            "two Ends"
        );
        assert_eq!(read(&[0x80, 0, 0, 0, 0]), Err(FramingError::AfterEnd));
        assert_eq!(read(&[0x80, 0, 0, 1, 0]), Err(FramingError::EndNotEmpty));
    }

    #[test]
    fn a_message_may_be_as_long_as_allowed_and_no_longer() {
        let longest = [filler(LONGEST_MESSAGE - HEADER), vec![0x80, 0, 0, 0]].concat();
        assert_eq!(longest.len(), LONGEST_MESSAGE);
        assert!(matches!(read(&longest), Ok(Progress::Complete(_))));
        // The End would not fit any more, whatever comes.
        for length in LONGEST_MESSAGE - HEADER + 1..LONGEST_MESSAGE + HEADER {
            assert_eq!(read(&filler(length)), Err(FramingError::TooLong));
        }
    }

    #[test]
    fn a_record_that_announces_too_much_is_not_waited_for() {
        assert_eq!(read(&[0, 99, 0xff, 0xff]), Err(FramingError::TooLong));
        assert_eq!(read(&[0, 99, 0xff]), Ok(Progress::Incomplete));
    }

    #[test]
    fn no_message_of_ours_outgrows_its_buffer() {
        let most = 8 * (HEADER + 256) + (HEADER + 253) + 3 * (HEADER + 2) + 2 * HEADER;
        assert!(most <= ROOM, "{most}");
    }

    fn records() -> impl Strategy<Value = Vec<(bool, u16, Vec<u8>)>> {
        let body = prop::collection::vec(any::<u8>(), 0..40);
        prop::collection::vec((any::<bool>(), 1u16..0x8000, body), 0..20)
    }

    fn write(records: &[(bool, u16, Vec<u8>)]) -> Vec<u8> {
        let write = |writer: Writer, (critical, kind, body): &(bool, u16, Vec<u8>)| {
            if *critical {
                writer.critical(*kind, body)
            } else {
                writer.optional(*kind, body)
            }
        };
        records.iter().fold(Writer::new(), write).end().to_vec()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(records in records()) {
            let octets = write(&records);
            let Ok(Progress::Complete(message)) = read(&octets) else {
                return Err(TestCaseError::fail("not read"));
            };
            let read: Vec<_> = message
                .records()
                .map(|record| (record.critical, record.kind, record.body.to_vec()))
                .collect();
            prop_assert_eq!(read, records);
        }

        #[test]
        fn it_does_not_matter_in_what_pieces_a_message_comes(
            records in records(), mut cuts in prop::collection::vec(0usize..900, 0..8),
        ) {
            let octets = write(&records);
            cuts.retain(|cut| *cut < octets.len());
            cuts.sort_unstable();
            let mut reader = Reader::default();
            for cut in cuts {
                prop_assert_eq!(reader.read(&octets[..cut]), Ok(Progress::Incomplete));
            }
            prop_assert_eq!(reader.read(&octets), read(&octets));
        }

        #[test]
        fn any_octets_are_read_alike_in_pieces_and_at_once(
            octets in prop::collection::vec(prop_oneof![Just(0u8), Just(0x80), Just(4), any::<u8>()], 0..200),
        ) {
            let mut reader = Reader::default();
            for length in 0..=octets.len() {
                let piecewise = reader.read(&octets[..length]);
                prop_assert_eq!(&piecewise, &read(&octets[..length]));
                // Once the end or a fault was seen, more octets do not make it better.
                if piecewise != Ok(Progress::Incomplete) {
                    prop_assert!(matches!(
                        (piecewise, read(&octets)),
                        (Ok(_), Ok(_) | Err(FramingError::AfterEnd)) | (Err(_), Err(_))
                    ));
                    break;
                }
            }
        }
    }
}
