//! NTP packets with extension fields (RFC 5905 section 7.3, RFC 7822 section 3, RFC 8915 section
//! 5): written with whatever is wrong, read without mercy.

use crate::siv;

/// Octets of a header.
pub(crate) const HEADER: usize = 48;

/// Types of NTS extension fields (RFC 8915 section 7.5).
pub(crate) const UNIQUE_ID: u16 = 0x0104;
pub(crate) const COOKIE: u16 = 0x0204;
pub(crate) const PLACEHOLDER: u16 = 0x0304;
pub(crate) const AUTHENTICATOR: u16 = 0x0404;
/// The field by which a request asks what it has met on its way, and is told (RFC 10030).
pub(crate) const CORRECTION: u16 = 0x010a;
/// A type that no standard knows.
pub(crate) const UNKNOWN: u16 = 0x7fe4;

/// What answers a request names it by: the transmit timestamp of [`Packet::request`].
pub(crate) const TRANSMIT: [u8; 8] = [0xc1, 0x0c, 0x4e, 0x0d, 0xde, 0xad, 0xbe, 0xef];

/// A packet, or a sequence of fields, as far as it is written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Packet(pub(crate) Vec<u8>);

impl Packet {
    /// The header of a client's request in version 4.
    pub(crate) fn request() -> Self {
        Self::of(4, 3)
    }

    /// The header of a request in any version and mode.
    pub(crate) fn of(version: u8, mode: u8) -> Self {
        let mut header = vec![0; HEADER];
        header[0] = version << 3 | mode;
        header[40..].copy_from_slice(&TRANSMIT);
        Self(header)
    }

    /// No header: fields alone, such as an authenticator hides.
    pub(crate) fn fields() -> Self {
        Self::default()
    }

    /// A field with the length that it has, which need not be allowed.
    pub(crate) fn field(self, kind: u16, body: &[u8]) -> Self {
        self.field_of(kind, 4 + body.len(), body)
    }

    /// A field that claims to have `length` octets.
    pub(crate) fn field_of(self, kind: u16, length: usize, body: &[u8]) -> Self {
        let length = u16::try_from(length).unwrap();
        self.raw(&kind.to_be_bytes())
            .raw(&length.to_be_bytes())
            .raw(body)
    }

    /// `count` times the same field.
    pub(crate) fn repeated(self, count: usize, kind: u16, body: &[u8]) -> Self {
        (0..count).fold(self, |packet, _| packet.field(kind, body))
    }

    /// Octets without any order.
    pub(crate) fn raw(mut self, octets: &[u8]) -> Self {
        self.0.extend(octets);
        self
    }

    /// An authenticator field over all that is written so far.
    pub(crate) fn sealed(self, seal: &Seal) -> Self {
        let body = seal.body(&self.0);
        self.field(AUTHENTICATOR, &body)
    }

    /// The first octets of it.
    pub(crate) fn cut(mut self, length: usize) -> Self {
        self.0.truncate(length);
        self
    }
}

/// How an authenticator field is made (RFC 8915 section 5.6).
#[derive(Debug, Clone)]
pub(crate) struct Seal {
    pub(crate) key: [u8; siv::KEY],
    pub(crate) nonce: Vec<u8>,
    /// What is hidden.
    pub(crate) plain: Vec<u8>,
    /// Octets of padding beyond what the two strings need.
    pub(crate) padding: usize,
    /// What all padding is made of.
    pub(crate) filler: u8,
    /// The lengths that are told instead of the true ones.
    pub(crate) told: [Option<u16>; 2],
    /// Octets in place of the ciphertext.
    pub(crate) instead: Option<Vec<u8>>,
}

impl Seal {
    /// A nonce of 16 octets, nothing hidden.
    pub(crate) fn new(key: [u8; siv::KEY]) -> Self {
        Self {
            key,
            nonce: (0xa0..0xb0).collect(),
            plain: Vec::new(),
            padding: 0,
            filler: 0,
            told: [None, None],
            instead: None,
        }
    }

    /// These fields hidden.
    pub(crate) fn hiding(mut self, fields: Packet) -> Self {
        self.plain = fields.0;
        self
    }

    /// Another nonce, followed by so much padding at the field's end.
    pub(crate) fn nonce(mut self, length: usize, padding: usize) -> Self {
        self.nonce = (0..length)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        self.padding = padding;
        self
    }

    /// With lengths of nonce and ciphertext that need not be true.
    pub(crate) fn telling(mut self, nonce: u16, ciphertext: u16) -> Self {
        self.told = [Some(nonce), Some(ciphertext)];
        self
    }

    /// With octets that need not be a ciphertext.
    pub(crate) fn with_ciphertext(mut self, octets: &[u8]) -> Self {
        self.instead = Some(octets.to_vec());
        self
    }

    fn body(&self, covered: &[u8]) -> Vec<u8> {
        let sealed = siv::seal(&self.key, &[covered, &self.nonce], &self.plain);
        let ciphertext = self.instead.as_ref().unwrap_or(&sealed);
        let length = |octets: &[u8], told: Option<u16>| {
            let true_length = u16::try_from(octets.len()).unwrap();
            told.unwrap_or(true_length).to_be_bytes()
        };
        let [nonce_told, ciphertext_told] = self.told;
        let mut body = length(&self.nonce, nonce_told).to_vec();
        body.extend(length(ciphertext, ciphertext_told));
        for octets in [&self.nonce, ciphertext] {
            body.extend(octets);
            body.resize(body.len().next_multiple_of(4), self.filler);
        }
        body.resize(body.len() + self.padding, self.filler);
        body
    }
}

/// A field that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) kind: u16,
    pub(crate) body: Vec<u8>,
    /// Where it begins.
    pub(crate) at: usize,
}

/// The fields from `at` on to the very end; `None` if they do not end there, or if one is shorter
/// than 16 octets or not of whole words.
pub(crate) fn read_fields(octets: &[u8], mut at: usize) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while at < octets.len() {
        let [k0, k1, l0, l1] = *octets[at..].first_chunk()?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if length < 16 || length % 4 != 0 {
            return None;
        }
        fields.push(Field {
            kind: u16::from_be_bytes([k0, k1]),
            body: octets.get(at + 4..at + length)?.to_vec(),
            at,
        });
        at += length;
    }
    Some(fields)
}

/// An authenticator field's body, taken apart.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) nonce: Vec<u8>,
    /// What was hidden.
    pub(crate) plain: Vec<u8>,
    /// All padding.
    pub(crate) padding: Vec<u8>,
}

/// Opens the authenticator `field` of `packet`; `None` if it is malformed or not authentic.
pub(crate) fn open(key: &[u8; siv::KEY], packet: &[u8], field: &Field) -> Option<Opened> {
    let ([n0, n1, c0, c1], rest) = field.body.split_first_chunk()?;
    let nonce_length = usize::from(u16::from_be_bytes([*n0, *n1]));
    let ciphertext_length = usize::from(u16::from_be_bytes([*c0, *c1]));
    let (nonce, rest) = rest.split_at_checked(nonce_length.next_multiple_of(4))?;
    let (ciphertext, rest) = rest.split_at_checked(ciphertext_length.next_multiple_of(4))?;
    let (nonce, nonce_padding) = nonce.split_at(nonce_length);
    let (ciphertext, padding) = ciphertext.split_at(ciphertext_length);
    Some(Opened {
        nonce: nonce.to_vec(),
        plain: siv::open(key, &[&packet[..field.at], nonce], ciphertext)?,
        padding: [nonce_padding, padding, rest].concat(),
    })
}
