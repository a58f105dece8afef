//! Packets made of pieces.

use arbitrary::{Arbitrary, Result, Unstructured};
use clockwright_ntp::nts::SessionKeys;
use clockwright_ntp::nts::field::{AUTHENTICATOR, COOKIE, PLACEHOLDER, UNIQUE_ID};

use crate::session::{key, seal};

/// The network correction field (RFC 10030).
const CORRECTION: u16 = 0x010a;
/// The longest body made of one octet.
const LONGEST_BODY: u16 = 1500;

/// Something to write behind a header.
#[derive(Debug, Clone, Arbitrary)]
pub enum Piece {
    /// The true unique identifier.
    Id,
    /// Another of this length.
    OtherId(Length),
    /// The true cookie.
    Cookie,
    /// So many placeholders as long as the cookie.
    Placeholders(Few),
    /// A field of any kind and length.
    Field(Kind, Length),
    /// A field that lies about its length.
    Lie(Kind, u16, Length),
    /// A field with content.
    Full(Kind, Vec<u8>),
    /// An authenticator over all that comes before it.
    Sealed(Seal),
    /// Anything.
    Raw(Vec<u8>),
}

/// A number up to 12.
#[derive(Debug, Clone, Copy)]
pub struct Few(pub u8);

impl<'a> Arbitrary<'a> for Few {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        u.int_in_range(0..=12).map(Self)
    }
}

/// Octets of a body.
#[derive(Debug, Clone, Copy)]
pub struct Length(pub u16);

impl<'a> Arbitrary<'a> for Length {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let usual = [0, 12, 16, 24, 28, 32, 64, 68, 100, 104, 256, 260];
        if u.ratio(3, 4)? {
            u.choose(&usual).copied().map(Self)
        } else {
            u.int_in_range(0..=LONGEST_BODY).map(Self)
        }
    }
}

/// A field's type.
#[derive(Debug, Clone, Copy)]
pub struct Kind(pub u16);

impl<'a> Arbitrary<'a> for Kind {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let known = [UNIQUE_ID, COOKIE, PLACEHOLDER, AUTHENTICATOR, CORRECTION];
        if u.ratio(7, 8)? {
            u.choose(&known).copied().map(Self)
        } else {
            u.arbitrary().map(Self)
        }
    }
}

/// Whose key seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
pub enum Whose {
    Client,
    Server,
    Nobody,
}

/// How an authenticator is made.
#[derive(Debug, Clone, Arbitrary)]
pub struct Seal {
    pub whose: Whose,
    /// The nonce's length, if it is not the one that the algorithm wants.
    nonce: Option<Few>,
    /// Octets of padding.
    padding: Length,
    padded: bool,
    hidden: Vec<Hidden>,
    /// Lengths that are told instead of the true ones.
    told: Option<(u16, u16)>,
    /// Octets of the ciphertext that are left.
    cut: Option<u8>,
}

/// Something to hide.
#[derive(Debug, Clone, Arbitrary)]
pub enum Hidden {
    Field(Kind, Length),
    Cookies(Few),
    Lie(Kind, u16, Length),
    Raw(Vec<u8>),
}

/// What is true in a packet.
#[derive(Debug)]
pub struct Truth<'t> {
    pub id: &'t [u8],
    pub cookie: &'t [u8],
    pub keys: &'t SessionKeys,
}

/// Bits to be changed once a packet is complete, and how long it is left.
#[derive(Debug, Clone, Default, Arbitrary)]
pub struct Damage {
    flips: Vec<(u16, u8)>,
    length: Option<u16>,
}

impl Damage {
    /// Is there any?
    pub fn is_none(&self) -> bool {
        self.flips.is_empty() && self.length.is_none()
    }

    /// Does it.
    pub fn apply(&self, packet: &mut Vec<u8>) {
        for (at, bit) in &self.flips {
            if let Some(octet) = packet.get_mut(usize::from(*at)) {
                *octet ^= 1 << (bit % 8);
            }
        }
        if let Some(length) = self.length {
            packet.truncate(length.into());
        }
    }
}

impl Piece {
    /// Appends itself to `packet`.
    pub fn write(&self, packet: &mut Vec<u8>, truth: &Truth<'_>) {
        let cookie_length = truth.cookie.len();
        match self {
            Self::Id => push(packet, UNIQUE_ID, truth.id),
            Self::OtherId(length) => push(packet, UNIQUE_ID, &body(*length, 6)),
            Self::Cookie => push(packet, COOKIE, truth.cookie),
            Self::Placeholders(count) => {
                for _ in 0..count.0 {
                    push(packet, PLACEHOLDER, &vec![0; cookie_length]);
                }
            }
            Self::Field(kind, length) => push(packet, kind.0, &body(*length, 0)),
            Self::Lie(kind, told, length) => lie(packet, kind.0, *told, &body(*length, 0)),
            Self::Full(kind, octets) => push(packet, kind.0, octets),
            Self::Sealed(seal) => seal.write(packet, truth),
            Self::Raw(octets) => packet.extend(octets),
        }
    }
}

impl Seal {
    /// As a server makes it, with so many cookies.
    pub fn of_server(cookies: Few) -> Self {
        Self {
            whose: Whose::Server,
            nonce: None,
            padding: Length(0),
            padded: false,
            hidden: vec![Hidden::Cookies(cookies)],
            told: None,
            cut: None,
        }
    }

    /// Appends itself to `packet`.
    pub fn write(&self, packet: &mut Vec<u8>, truth: &Truth<'_>) {
        let algorithm = truth.keys.algorithm();
        let mut hidden = Vec::new();
        for piece in &self.hidden {
            piece.write(&mut hidden, truth);
        }
        let stranger = key(algorithm, 0x33);
        let key = match self.whose {
            Whose::Client => truth.keys.c2s(),
            Whose::Server => truth.keys.s2c(),
            Whose::Nobody => &stranger,
        };
        let length = self
            .nonce
            .map_or(algorithm.nonce_length(), |few| few.0.into());
        let nonce = vec![5; length];
        let mut ciphertext = seal(key, &nonce, packet, &hidden);
        if let Some(left) = self.cut {
            ciphertext.truncate(left.into());
        }
        let (nonce_told, told) = self
            .told
            .unwrap_or((short(length), short(ciphertext.len())));
        let mut content = [nonce_told.to_be_bytes(), told.to_be_bytes()].concat();
        for octets in [nonce, ciphertext] {
            content.extend(octets);
            content.resize(content.len().next_multiple_of(4), 0);
        }
        if self.padded {
            content.extend(body(self.padding, 0));
        }
        push(packet, AUTHENTICATOR, &content);
    }
}

impl Hidden {
    fn write(&self, hidden: &mut Vec<u8>, truth: &Truth<'_>) {
        match self {
            Self::Field(kind, length) => push(hidden, kind.0, &body(*length, 7)),
            Self::Cookies(count) => {
                for _ in 0..count.0 {
                    push(hidden, COOKIE, truth.cookie);
                }
            }
            Self::Lie(kind, told, length) => lie(hidden, kind.0, *told, &body(*length, 7)),
            Self::Raw(octets) => hidden.extend(octets),
        }
    }
}

fn body(length: Length, fill: u8) -> Vec<u8> {
    vec![fill; length.0.into()]
}

fn short(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// Appends a field.
fn push(packet: &mut Vec<u8>, kind: u16, body: &[u8]) {
    lie(packet, kind, short(4 + body.len()), body);
}

/// Appends a field that says it has `told` octets.
fn lie(packet: &mut Vec<u8>, kind: u16, told: u16, body: &[u8]) {
    packet.extend(kind.to_be_bytes());
    packet.extend(told.to_be_bytes());
    packet.extend(body);
}
