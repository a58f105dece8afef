//! The extension fields of NTS (RFC 8915 sections 5.3 to 5.6): what is in a packet.

use core::fmt;

use crate::extension::Extensions;

/// Says which request a reply answers (section 5.3).
pub const UNIQUE_ID: u16 = 0x0104;
/// A cookie (section 5.4).
pub const COOKIE: u16 = 0x0204;
/// Room in a request for another cookie in the reply (section 5.5).
pub const PLACEHOLDER: u16 = 0x0304;
/// Authenticates all that is before it, and hides further fields (section 5.6).
pub const AUTHENTICATOR: u16 = 0x0404;

/// The shortest unique identifier, octets (section 5.3).
pub const SHORTEST_UNIQUE_ID: usize = 32;
/// An authenticator's body begins with the lengths of nonce and ciphertext.
pub(super) const LENGTHS: usize = 4;
/// A field begins with its type and its length.
pub(crate) const FIELD_HEADER: usize = 4;

/// The fields of a packet that claims to be authenticated by NTS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NtsFields<'p> {
    /// The unique identifier.
    pub unique_id: &'p [u8],
    /// The cookie; requests have one.
    pub cookie: Option<&'p [u8]>,
    /// The authenticator.
    pub authenticator: Authenticator<'p>,
}

/// An authenticator field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authenticator<'p> {
    /// The nonce.
    pub nonce: &'p [u8],
    /// The ciphertext with its tag.
    pub ciphertext: &'p [u8],
    /// Octets of the padded nonce and of what follows the padded ciphertext: the room that a
    /// request leaves for the server's own nonce.
    pub room: usize,
    /// Where the field begins in the packet, which is authenticated up to there.
    pub offset: usize,
}

/// How a packet violates RFC 8915; the sender's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldError {
    /// There is no unique identifier where one is needed, or it is shorter than 32 octets.
    UniqueId,
    /// Two fields of a kind of which there may be one.
    Twice {
        /// Its type.
        kind: u16,
    },
    /// A cookie and no authenticator after it.
    NoAuthenticator,
    /// A request with an authenticator and no cookie before it.
    NoCookie,
    /// The lengths in the authenticator do not fit into it.
    Authenticator,
    /// The request leaves no room for the server's nonce (section 5.6).
    NoRoom,
    /// What the authenticator hides is not framed as fields.
    Hidden,
    /// The request is longer than any that is answered, so that its reply might not hold all that
    /// it must.
    TooLong,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UniqueId => f.write_str("no unique identifier of 32 octets or more"),
            Self::Twice { kind } => write!(f, "two fields of type {kind:#06x}"),
            Self::NoAuthenticator => f.write_str("a cookie without authenticator"),
            Self::NoCookie => f.write_str("an authenticator without cookie"),
            Self::Authenticator => f.write_str("the authenticator's lengths do not fit into it"),
            Self::NoRoom => f.write_str("no room for the reply's nonce"),
            Self::Hidden => f.write_str("what the authenticator hides is malformed"),
            Self::TooLong => f.write_str("longer than any request that is answered"),
        }
    }
}

impl std::error::Error for FieldError {}

impl<'p> NtsFields<'p> {
    /// The NTS fields among `extensions`; `None` if the packet has neither cookie nor authenticator,
    /// and so makes no claim to be authenticated.
    ///
    /// What follows the authenticator is authenticated by nobody and ignored (section 5.6), except
    /// that a second authenticator is an error.
    pub fn read(extensions: &Extensions<'p>) -> Result<Option<Self>, FieldError> {
        let mut unique_id = None;
        let mut cookie = None;
        let mut authenticator = None;
        for field in extensions.fields() {
            let kind = field.kind;
            let slot = match kind {
                AUTHENTICATOR if authenticator.is_some() => return Err(FieldError::Twice { kind }),
                AUTHENTICATOR => {
                    authenticator = Some(Authenticator::read(field.body, field.offset)?);
                    continue;
                }
                _ if authenticator.is_some() => continue,
                UNIQUE_ID => &mut unique_id,
                COOKIE => &mut cookie,
                _ => continue,
            };
            if slot.replace(field.body).is_some() {
                return Err(FieldError::Twice { kind });
            }
        }
        let authenticator = match (authenticator, cookie) {
            (Some(authenticator), _) => authenticator,
            (None, Some(_)) => return Err(FieldError::NoAuthenticator),
            (None, None) => return Ok(None),
        };
        let unique_id = unique_id
            .filter(|id| id.len() >= SHORTEST_UNIQUE_ID)
            .ok_or(FieldError::UniqueId)?;
        Ok(Some(Self {
            unique_id,
            cookie,
            authenticator,
        }))
    }
}

impl<'p> Authenticator<'p> {
    /// Reads the body of an authenticator field that begins at `offset`.
    fn read(body: &'p [u8], offset: usize) -> Result<Self, FieldError> {
        let fit = || {
            let (lengths, rest) = body.split_first_chunk::<LENGTHS>()?;
            let [n0, n1, c0, c1] = *lengths;
            let nonce_length = usize::from(u16::from_be_bytes([n0, n1]));
            let cipher_length = usize::from(u16::from_be_bytes([c0, c1]));
            let nonce_padded = nonce_length.next_multiple_of(4);
            let (nonce, rest) = rest.split_at_checked(nonce_padded)?;
            let (ciphertext, more) = rest.split_at_checked(cipher_length.next_multiple_of(4))?;
            Some(Self {
                nonce: nonce.get(..nonce_length)?,
                ciphertext: ciphertext.get(..cipher_length)?,
                room: nonce_padded + more.len(),
                offset,
            })
        };
        fit().ok_or(FieldError::Authenticator)
    }
}

/// The unique identifier of a packet that need not be authenticated: the kiss of a server that
/// cannot open a cookie has nothing else (section 5.7).
pub fn unique_id<'p>(extensions: &Extensions<'p>) -> Result<Option<&'p [u8]>, FieldError> {
    let mut ids = extensions.fields().filter(|field| field.kind == UNIQUE_ID);
    let first = ids.next().map(|field| field.body);
    match ids.next() {
        Some(_) => Err(FieldError::Twice { kind: UNIQUE_ID }),
        None => Ok(first),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Header;

    fn field(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut field = kind.to_be_bytes().to_vec();
        field.extend(u16::try_from(body.len() + 4).unwrap().to_be_bytes());
        field.extend(body);
        field
    }

    fn authenticator(nonce: u16, cipher: u16, body: usize) -> Vec<u8> {
        let mut content = [nonce.to_be_bytes(), cipher.to_be_bytes()].concat();
        content.resize(body, 9);
        field(AUTHENTICATOR, &content)
    }

    /// Length of the unique identifier, length of the cookie, the authenticator's offset and room.
    type Found = Option<(usize, Option<usize>, usize, usize)>;

    fn read(fields: &[Vec<u8>]) -> Result<Found, FieldError> {
        let packet = [vec![0; Header::LEN], fields.concat()].concat();
        let extensions = Extensions::parse(&packet).unwrap();
        Ok(NtsFields::read(&extensions)?.map(|found| {
            (
                found.unique_id.len(),
                found.cookie.map(<[u8]>::len),
                found.authenticator.offset,
                found.authenticator.room,
            )
        }))
    }

    fn id() -> Vec<u8> {
        field(UNIQUE_ID, &[1; 32])
    }

    fn cookie() -> Vec<u8> {
        field(COOKIE, &[2; 100])
    }

    #[test]
    fn a_request_has_all_three() {
        let found = read(&[id(), cookie(), authenticator(16, 16, 36)]);
        assert_eq!(found, Ok(Some((32, Some(100), 48 + 36 + 104, 16))));
        // Padding behind the ciphertext is room, too.
        let found = read(&[id(), cookie(), authenticator(5, 17, 48)]);
        assert_eq!(found, Ok(Some((32, Some(100), 48 + 36 + 104, 8 + 16))));
    }

    #[test]
    fn a_packet_without_cookie_and_authenticator_claims_nothing() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[id()]), Ok(None));
        assert_eq!(read(&[field(0x010a, &[0; 24]), id()]), Ok(None));
    }

    #[test]
    fn what_is_there_twice_or_not_at_all_is_refused() {
        let whole = authenticator(16, 16, 36);
        for (fields, error) in [
            (
                vec![id(), id(), cookie(), whole.clone()],
                FieldError::Twice { kind: UNIQUE_ID },
            ),
            (
                vec![id(), cookie(), cookie(), whole.clone()],
                FieldError::Twice { kind: COOKIE },
            ),
            (
                vec![id(), cookie(), whole.clone(), whole.clone()],
                FieldError::Twice {
                    kind: AUTHENTICATOR,
                },
            ),
            (vec![id(), cookie()], FieldError::NoAuthenticator),
            (vec![cookie(), whole.clone()], FieldError::UniqueId),
            (
                vec![field(UNIQUE_ID, &[1; 28]), whole],
                FieldError::UniqueId,
            ),
        ] {
            assert_eq!(read(&fields), Err(error), "{error}");
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        for (nonce, cipher) in [(0xffff, 0), (0, 0xffff), (16, 17), (13, 20), (33, 0)] {
            let found = read(&[id(), cookie(), authenticator(nonce, cipher, 36)]);
            assert_eq!(found, Err(FieldError::Authenticator), "{nonce} {cipher}");
        }
        let short = field(AUTHENTICATOR, &[0; 24]);
        assert!(
            read(&[id(), short]).is_ok(),
            "nothing sealed: for the AEAD to refuse"
        );
    }

    #[test]
    fn what_follows_the_authenticator_is_ignored() {
        let after = [field(COOKIE, &[3; 64]), id()];
        let whole = authenticator(16, 16, 36);
        let [one, other] = after;
        let found = read(&[id(), cookie(), whole, one, other]);
        assert_eq!(found, Ok(Some((32, Some(100), 48 + 36 + 104, 16))));
        let only_after = read(&[id(), authenticator(16, 16, 36), cookie()]);
        assert_eq!(only_after, Ok(Some((32, None, 48 + 36, 16))));
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(
            kinds in prop::collection::vec((0usize..4, 3usize..30, any::<u8>()), 0..6),
        ) {
            let known = [UNIQUE_ID, COOKIE, PLACEHOLDER, AUTHENTICATOR];
            let fields = kinds.iter().map(|&(kind, words, fill)| {
                field(known[kind], &vec![fill; words * 4])
            });
            let packet = [vec![0; Header::LEN], fields.flatten().collect()].concat();
            if let Ok(extensions) = Extensions::parse(&packet) {
                let _ = (NtsFields::read(&extensions), unique_id(&extensions));
            }
        }
    }
}
