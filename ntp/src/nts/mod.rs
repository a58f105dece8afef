//! Network Time Security (RFC 8915), without I/O: keys, cookies, key establishment messages, and
//! the extension fields that authenticate packets.
//!
//! - [`aead`]: the algorithms, sealing and opening.
//! - [`cookie`]: what a server hides in its cookies, and the keys it does that with.
//! - [`ke`]: the messages of key establishment.
//! - [`field`]: the extension fields that authenticate a packet.

pub mod aead;
pub mod cookie;
pub mod field;
pub mod ke;
pub(crate) mod seal;
mod secret;

use core::fmt;

use zeroize::Zeroizing;

pub use aead::{Algorithm, Cipher, Key};
pub use cookie::{CookieJar, CookieKey, CookieKeys};

/// The longest cookie kept, octets: with eight of them a request still fits every path.
pub const LONGEST_COOKIE: usize = 256;
/// Cookies that a client keeps at most, and that a server gives out at once (RFC 8915 section 4.1.6).
pub const COOKIES: usize = 8;

/// The keys of both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionKeys {
    c2s: Key,
    s2c: Key,
}

impl SessionKeys {
    /// The keys with which requests and replies are sealed; `None` if they are not of one
    /// algorithm.
    pub fn new(c2s: Key, s2c: Key) -> Option<Self> {
        if c2s.algorithm() == s2c.algorithm() {
            Some(Self { c2s, s2c })
        } else {
            None
        }
    }

    /// What they are keys of.
    pub const fn algorithm(&self) -> Algorithm {
        self.c2s.algorithm()
    }

    /// The key of requests.
    pub const fn c2s(&self) -> &Key {
        &self.c2s
    }

    /// The key of replies.
    pub const fn s2c(&self) -> &Key {
        &self.s2c
    }
}

/// A cookie, which a client hands back to the server that made it and otherwise cannot make sense
/// of. Whoever sees it used twice knows that both requests come from one client.
#[derive(Clone, PartialEq, Eq)]
pub struct Cookie(Zeroizing<Box<[u8]>>);

impl Cookie {
    /// `None` unless it has between 16 and [`LONGEST_COOKIE`] octets and a multiple of four: a
    /// field could not carry others unchanged (RFC 7822 section 3).
    pub fn new(octets: &[u8]) -> Option<Self> {
        let length = octets.len();
        ((16..=LONGEST_COOKIE).contains(&length) && length.is_multiple_of(4))
            .then(|| Self(Zeroizing::new(octets.into())))
    }

    /// Its octets.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cookie({} octets)", self.0.len())
    }
}

/// What a client has after a key establishment, and can keep across a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The keys.
    pub keys: SessionKeys,
    /// The same by the other reading of the exporter's context, where the server did not say by
    /// which it goes (chrony before 4.6.1; see `ke`): to be tried when it refuses the first.
    pub alternative: Option<SessionKeys>,
    /// The cookies, each to be used once.
    pub cookies: Vec<Cookie>,
}
