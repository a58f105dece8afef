//! Messages of key establishment (RFC 8915 section 4), as neither side should send them.

mod request;
mod response;

use clockwright_ntp::nts::Algorithm;

/// Record types (RFC 8915 section 7.6).
const END: u16 = 0;
const NEXT_PROTOCOL: u16 = 1;
const ERROR: u16 = 2;
const WARNING: u16 = 3;
const AEAD: u16 = 4;
const COOKIE: u16 = 5;
const SERVER: u16 = 6;
const PORT: u16 = 7;
/// A type that no standard knows.
const UNKNOWN: u16 = 0x2fe4;

/// The longest message that is read.
const LONGEST: usize = 16_384;

/// Both sides know these.
const BOTH: &[Algorithm] = &Algorithm::ALL;

/// A message, as far as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Message(Vec<u8>);

impl Message {
    /// Nothing yet.
    fn new() -> Self {
        Self::default()
    }

    /// A record that says how long it is. A body may be anything.
    fn record(self, critical: bool, kind: u16, body: &[u8]) -> Self {
        let length = u16::try_from(body.len()).unwrap();
        self.record_of(critical, kind, length, body)
    }

    /// A record that claims to have a body of `length` octets.
    fn record_of(mut self, critical: bool, kind: u16, length: u16, body: &[u8]) -> Self {
        let kind = u16::from(critical) << 15 | kind;
        self.0.extend(kind.to_be_bytes());
        self.0.extend(length.to_be_bytes());
        self.0.extend(body);
        self
    }

    /// A critical record.
    fn must(self, kind: u16, body: &[u8]) -> Self {
        self.record(true, kind, body)
    }

    /// A record that may be passed over.
    fn may(self, kind: u16, body: &[u8]) -> Self {
        self.record(false, kind, body)
    }

    /// `NTPv4` is the next protocol.
    fn ntpv4(self) -> Self {
        self.must(NEXT_PROTOCOL, &[0, 0])
    }

    /// AES-SIV-CMAC-256 is the algorithm.
    fn siv(self) -> Self {
        self.must(AEAD, &[0, 15])
    }

    /// So many cookies of a length.
    fn cookies(self, count: usize, length: usize) -> Self {
        (0..count).fold(self, |message, _| message.may(COOKIE, &vec![7; length]))
    }

    /// The end that every message has.
    fn end(self) -> Self {
        self.must(END, &[])
    }

    /// Octets without any order.
    fn raw(mut self, octets: &[u8]) -> Self {
        self.0.extend(octets);
        self
    }
}

/// A record that was read: critical, type, body.
type Record = (bool, u16, Vec<u8>);

/// The records of a whole message, the last being its end; `None` if it is not exactly that.
fn read(mut octets: &[u8]) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    loop {
        let ([k0, k1, l0, l1], rest) = octets.split_first_chunk()?;
        let kind = u16::from_be_bytes([*k0, *k1]);
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        let (body, rest) = rest.split_at_checked(length)?;
        octets = rest;
        if kind & 0x7fff == END {
            let whole = kind == 0x8000 && body.is_empty() && rest.is_empty();
            return whole.then_some(records);
        }
        records.push((kind >= 0x8000, kind & 0x7fff, body.to_vec()));
    }
}
