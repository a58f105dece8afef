//! Secrets as hexadecimal digits.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A secret, in files as its digits; wiped when dropped, and never shown.
pub(crate) struct Digits(Zeroizing<String>);

impl Digits {
    /// Of these octets.
    pub(crate) fn of(secret: &[u8]) -> Self {
        Self(encode(secret))
    }

    /// The octets, if these are digits.
    pub(crate) fn octets(&self) -> Option<Zeroizing<Vec<u8>>> {
        decode(&self.0)
    }
}

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|digits| Self(Zeroizing::new(digits)))
    }
}

/// A secret's digits.
pub(crate) fn encode(secret: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 * secret.len()));
    for octet in secret {
        for digit in [octet >> 4, octet & 0xf] {
            let digit = DIGITS.get(usize::from(digit)).copied().unwrap_or(b'?');
            text.push(digit.into());
        }
    }
    text
}

/// The octets that digits of either case stand for.
pub(crate) fn decode(digits: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (pairs, rest) = digits.as_bytes().as_chunks();
    if !rest.is_empty() {
        return None;
    }
    let mut octets = Zeroizing::new(Vec::with_capacity(pairs.len()));
    for [high, low] in pairs {
        octets.push(digit(*high)? << 4 | digit(*low)?);
    }
    Some(octets)
}

fn digit(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_back_as_the_key_they_were() {
        let key: Vec<u8> = (0..32).map(|n| n * 8 + 7).collect();
        let text = encode(&key);
        assert!(text.starts_with("070f171f"), "{}", *text);
        assert_eq!(*decode(&text).unwrap(), *key);
        assert_eq!(*decode(&text.to_uppercase()).unwrap(), *key);
    }

    #[test]
    fn nothing_else_is_a_secret() {
        for bad in ["0", "0g", "+1", "\u{fc}0", "00 0"] {
            assert!(decode(bad).is_none(), "{bad}");
        }
        assert!(decode("").is_some_and(|none| none.is_empty()));
    }
}
