//! Keys and cookies that all targets use.

use clockwright_ntp::nts::aead::TAG;
use clockwright_ntp::nts::{
    Algorithm, Cipher, Cookie, CookieJar, CookieKey, CookieKeys, Key, LONGEST_COOKIE, Session,
    SessionKeys,
};

use crate::dice::Dice;

/// The algorithm that one bit chooses.
pub const fn algorithm(gcm: bool) -> Algorithm {
    if gcm {
        Algorithm::Aes128GcmSiv
    } else {
        Algorithm::AesSivCmac256
    }
}

/// A key made of one octet.
pub fn key(algorithm: Algorithm, fill: u8) -> Key {
    Key::new(algorithm, &[fill; 32][..algorithm.key_length()]).unwrap()
}

/// The session's keys.
pub fn keys(algorithm: Algorithm) -> SessionKeys {
    SessionKeys::new(key(algorithm, 0x11), key(algorithm, 0x22)).unwrap()
}

/// The keys that a server makes cookies with.
pub fn cookie_keys() -> CookieKeys {
    let key = |n: u8| CookieKey::new(n.into(), &[n; 32]).unwrap();
    CookieKeys {
        sealing: key(1),
        others: vec![key(2), key(3)],
    }
}

/// A cookie that such a server opens.
pub fn cookie(algorithm: Algorithm, dice: &mut Dice) -> Vec<u8> {
    let mut octets = vec![0; LONGEST_COOKIE];
    let mut jar = CookieJar::new(&cookie_keys());
    let length = jar.make(&keys(algorithm), dice, &mut octets).unwrap();
    octets.truncate(length);
    octets
}

/// What a client has after key establishment: so many cookies.
pub fn session(algorithm: Algorithm, cookies: u8, dice: &mut Dice) -> Session {
    let cookie = |_| Cookie::new(&cookie(algorithm, dice)).unwrap();
    Session {
        keys: keys(algorithm),
        alternative: None,
        cookies: (0..cookies).map(cookie).collect(),
    }
}

/// `plain` sealed; nothing if the nonce is of no use.
pub fn seal(key: &Key, nonce: &[u8], covered: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + TAG, 0);
    match Cipher::new(key).seal(nonce, covered, &mut buffer) {
        Ok(()) => buffer,
        Err(_) => Vec::new(),
    }
}
