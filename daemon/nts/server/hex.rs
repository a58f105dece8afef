//! Secrets as hexadecimal digits.

use zeroize::Zeroizing;

/// Octets of a cookie key.
pub(super) const KEY: usize = 32;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A secret's digits.
pub(super) fn encode(secret: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 * secret.len()));
    for octet in secret {
        for digit in [octet >> 4, octet & 0xf] {
            let digit = DIGITS.get(usize::from(digit)).copied().unwrap_or(b'?');
            text.push(digit.into());
        }
    }
    text
}

/// The key that 64 digits of either case stand for.
pub(super) fn decode(digits: &str) -> Option<Zeroizing<[u8; KEY]>> {
    if digits.len() != 2 * KEY {
        return None;
    }
    let mut key = Zeroizing::new([0; KEY]);
    let (pairs, _) = digits.as_bytes().as_chunks();
    for (octet, [high, low]) in key.iter_mut().zip(pairs) {
        *octet = digit(*high)? << 4 | digit(*low)?;
    }
    Some(key)
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
    fn nothing_else_is_a_key() {
        for bad in [63, 65, 0, 128] {
            assert!(decode(&"0".repeat(bad)).is_none());
        }
        assert!(decode(&format!("{}g", "0".repeat(63))).is_none());
        assert!(decode(&"\u{fc}".repeat(32)).is_none());
        assert!(decode(&format!("{}+1", "0".repeat(62))).is_none());
    }
}
