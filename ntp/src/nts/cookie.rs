//! Cookies as a server makes them: the session's keys, sealed so that only it can open them
//! (RFC 8915 section 6).
//!
//! ```text
//! 0      4                                             68 or 100
//! +------+---------------------------------------------+
//! | id   | sealed: tag 16, random 16, C2S key, S2C key |
//! +------+---------------------------------------------+
//! ```
//!
//! 68 octets for AES-128-GCM-SIV, 100 for AES-SIV-CMAC-256; the lengths tell which it is. The
//! server remembers nothing of its clients. The id says which of its keys sealed the cookie.
//!
//! The random octets make two cookies of one session differ in everything but the id, so that nobody
//! can tell that they belong together. A nonce beside what is sealed would do the same, and so RFC
//! 8915 suggests; but AES-SIV needs none where no text comes twice (RFC 5297 section 1.1), and
//! without it a cookie takes a third less to open and to make.

use super::SessionKeys;
use super::aead::{Algorithm, Cipher, Key, LONGEST_KEY, TAG, Wrap};
use super::secret::Secret;
use crate::Entropy;

/// The algorithm that cookies are sealed with, whatever they hold: its schedule is computed once
/// for a key, not anew for each nonce as GCM-SIV's.
pub const SEALED_WITH: Algorithm = Algorithm::AesSivCmac256;

const ID: usize = 4;
const RANDOM: usize = 16;
/// The longest of what is sealed in a cookie, with its tag.
const LONGEST_SEALED: usize = TAG + RANDOM + 2 * LONGEST_KEY;
/// Keys that a jar opens cookies with at most. What a stranger sends is looked for among these.
pub const MOST_KEYS: usize = 64;

/// A key that cookies are sealed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieKey {
    id: [u8; ID],
    key: Key,
}

impl CookieKey {
    /// A key and the name it goes by in cookies; `None` if it is no key of [`SEALED_WITH`].
    pub fn new(id: u32, octets: &[u8]) -> Option<Self> {
        Some(Self {
            id: id.to_be_bytes(),
            key: Key::new(SEALED_WITH, octets)?,
        })
    }

    /// A key whose name follows from it, so that servers that are given the same key need not be
    /// told a name too. It is what the key makes of a fixed text, of which AES-SIV's tag tells
    /// nothing about the key (RFC 5297 section 1.1: a pseudo-random function).
    pub fn named_by_itself(octets: &[u8]) -> Option<Self> {
        let key = Key::new(SEALED_WITH, octets)?;
        let mut tag = [0; TAG];
        Cipher::new(&key)
            .seal(&[0; 16], b"the name of a clockwright cookie key", &mut tag)
            .ok()?;
        let id = *tag.first_chunk()?;
        Some(Self { id, key })
    }

    /// A new one.
    pub fn random(entropy: &mut dyn Entropy) -> Self {
        let mut id = [0; ID];
        entropy.fill(&mut id);
        let mut octets = Secret::<LONGEST_KEY>::new();
        entropy.fill(octets.as_mut_slice());
        let key = Key::new(SEALED_WITH, octets.as_slice());
        Self {
            id,
            // The array has the length of that algorithm's keys: this is checked below.
            key: key.unwrap_or_else(|| unreachable!("a key of 32 octets")),
        }
    }

    /// Its name.
    pub const fn id(&self) -> u32 {
        u32::from_be_bytes(self.id)
    }

    /// The secret itself.
    pub fn expose(&self) -> &[u8] {
        self.key.expose()
    }
}

/// The keys of a server, as they are kept, shared and passed around.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieKeys {
    /// Cookies are sealed with this one.
    pub sealing: CookieKey,
    /// And opened with these, too: former ones, and the next one, which servers that share them
    /// may use a little sooner.
    pub others: Vec<CookieKey>,
}

/// Makes and opens cookies. The keys' schedules are computed once, here.
#[derive(Debug)]
pub struct CookieJar {
    /// The sealing key is the first.
    keys: Vec<([u8; ID], Wrap)>,
}

/// The length of a cookie that holds keys of `algorithm`.
pub const fn cookie_length(algorithm: Algorithm) -> usize {
    ID + TAG + RANDOM + 2 * algorithm.key_length()
}

impl CookieJar {
    /// A jar with these keys, of which at most [`MOST_KEYS`] are used.
    pub fn new(keys: &CookieKeys) -> Self {
        let all = std::iter::once(&keys.sealing).chain(&keys.others);
        Self {
            keys: all
                .take(MOST_KEYS)
                .filter_map(|key| Some((key.id, Wrap::new(&key.key)?)))
                .collect(),
        }
    }

    /// Makes a cookie that holds `session`, in the first octets of `into`; gives its length, which
    /// is [`cookie_length`]. `None` if there is no room for it.
    pub fn make(
        &mut self,
        session: &SessionKeys,
        entropy: &mut dyn Entropy,
        into: &mut [u8],
    ) -> Option<usize> {
        let (id, wrap) = self.keys.first_mut()?;
        let algorithm = session.algorithm();
        let length = cookie_length(algorithm);
        let (head, sealed) = into.get_mut(..length)?.split_at_mut_checked(ID)?;
        head.copy_from_slice(id);
        let text = sealed.get_mut(TAG..)?;
        let (random, keys) = text.split_at_mut_checked(RANDOM)?;
        entropy.fill(random);
        let (c2s, s2c) = keys.split_at_mut_checked(algorithm.key_length())?;
        c2s.copy_from_slice(session.c2s().expose());
        s2c.copy_from_slice(session.s2c().expose());
        wrap.seal(sealed).ok()?;
        Some(length)
    }

    /// The keys in `cookie`; `None` if none of this jar's keys sealed it.
    pub fn open(&mut self, cookie: &[u8]) -> Option<SessionKeys> {
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|algorithm| cookie_length(*algorithm) == cookie.len())?;
        let (id, rest) = cookie.split_first_chunk::<ID>()?;
        let mut buffer = Secret::<LONGEST_SEALED>::new();
        let buffer = buffer.get_mut(..rest.len())?;
        // A name may belong to two keys, by chance once in four thousand million.
        self.keys
            .iter_mut()
            .filter(|(own, _)| own == id)
            .find_map(|(_, wrap)| {
                buffer.copy_from_slice(rest);
                let keys = wrap.open(buffer)?.get(RANDOM..)?;
                let (c2s, s2c) = keys.split_at_checked(algorithm.key_length())?;
                SessionKeys::new(Key::new(algorithm, c2s)?, Key::new(algorithm, s2c)?)
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entropy::test::Seeded;
    use crate::nts::LONGEST_COOKIE;

    fn session(algorithm: Algorithm, fill: u8) -> SessionKeys {
        let key = |fill| Key::new(algorithm, &vec![fill; algorithm.key_length()]).unwrap();
        SessionKeys::new(key(fill), key(fill ^ 0xff)).unwrap()
    }

    fn keys(sealing: u8, others: &[u8]) -> CookieKeys {
        let key = |n: u8| CookieKey::new(n.into(), &[n; 32]).unwrap();
        CookieKeys {
            sealing: key(sealing),
            others: others.iter().map(|n| key(*n)).collect(),
        }
    }

    fn make(jar: &mut CookieJar, session: &SessionKeys, seed: u64) -> Vec<u8> {
        let mut cookie = vec![0; LONGEST_COOKIE];
        let length = jar.make(session, &mut Seeded::new(seed), &mut cookie);
        cookie.truncate(length.unwrap());
        cookie
    }

    #[test]
    fn a_cookie_is_opened_as_long_as_its_key_is_kept() {
        for (algorithm, length) in [
            (Algorithm::Aes128GcmSiv, 68),
            (Algorithm::AesSivCmac256, 100),
        ] {
            let session = session(algorithm, 7);
            let cookie = make(&mut CookieJar::new(&keys(1, &[])), &session, 0);
            assert_eq!(cookie.len(), length);
            let rotated = CookieJar::new(&keys(2, &[1])).open(&cookie);
            assert_eq!(rotated, Some(session));
            assert_eq!(CookieJar::new(&keys(2, &[3])).open(&cookie), None);
        }
    }

    #[test]
    fn cookies_of_one_session_have_nothing_in_common_but_the_keys_name() {
        let mut jar = CookieJar::new(&keys(1, &[]));
        let session = session(Algorithm::AesSivCmac256, 7);
        let (one, other) = (make(&mut jar, &session, 1), make(&mut jar, &session, 2));
        assert_eq!(one[..4], other[..4]);
        let same = one[4..].iter().zip(&other[4..]).filter(|(a, b)| a == b);
        assert!(same.count() < 6);
    }

    #[test]
    fn a_keys_own_name_is_the_same_everywhere_and_another_keys_is_not() {
        let name = |fill| CookieKey::named_by_itself(&[fill; 32]).unwrap().id();
        assert_eq!(name(1), name(1));
        assert_ne!(name(1), name(2));
        assert!(CookieKey::named_by_itself(&[0; 16]).is_none());
        let mut entropy = Seeded::new(1);
        assert_ne!(
            CookieKey::random(&mut entropy),
            CookieKey::random(&mut entropy)
        );
    }

    #[test]
    fn no_secret_is_shown() {
        let keys = keys(0x5a, &[]);
        let shown = format!("{keys:?} {:?}", session(Algorithm::AesSivCmac256, 0x5a));
        assert!(
            !shown.contains("90, 90") && !shown.contains("5a5a"),
            "{shown}"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_changed_in_a_cookie_it_opens_no_more(
            flip in 0usize..800, seed: u64, fill: u8,
        ) {
            let mut jar = CookieJar::new(&keys(1, &[2]));
            let session = session(Algorithm::AesSivCmac256, fill);
            let mut cookie = make(&mut jar, &session, seed);
            cookie[flip / 8] ^= 1 << (flip % 8);
            prop_assert_eq!(jar.open(&cookie), None);
        }

        #[test]
        fn no_octets_make_it_panic(cookie in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(CookieJar::new(&keys(1, &[2])).open(&cookie), None);
        }
    }
}
