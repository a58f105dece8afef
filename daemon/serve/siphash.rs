//! SipHash (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012) of eight octets: a
//! hash that nobody who does not know the key can find collisions of.

/// A round.
#[inline]
const fn round([mut a, mut b, mut c, mut d]: [u64; 4]) -> [u64; 4] {
    a = a.wrapping_add(b);
    b = b.rotate_left(13) ^ a;
    a = a.rotate_left(32);
    c = c.wrapping_add(d);
    d = d.rotate_left(16) ^ c;
    a = a.wrapping_add(d);
    d = d.rotate_left(21) ^ a;
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    [a, b, c, d]
}

/// So many rounds.
#[inline]
fn rounds(number: usize, state: [u64; 4]) -> [u64; 4] {
    (0..number).fold(state, |state, _| round(state))
}

/// Takes in a word: rounds between adding it to the last word and to the first.
#[inline]
fn absorb(number: usize, [a, b, c, d]: [u64; 4], word: u64) -> [u64; 4] {
    let [a, b, c, d] = rounds(number, [a, b, c, d ^ word]);
    [a ^ word, b, c, d]
}

/// With `C` rounds for a word and `D` at the end.
#[inline]
fn siphash<const C: usize, const D: usize>([k0, k1]: [u64; 2], message: u64) -> u64 {
    // "somepseudorandomlygeneratedbytes", as the definition has it.
    let start = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    // The last word has the length, 8, in its top octet.
    let [a, b, c, d] = absorb(C, absorb(C, start, message), 8 << 56);
    let [a, b, c, d] = rounds(D, [a, b, c ^ 0xff, d]);
    a ^ b ^ c ^ d
}

/// SipHash-1-3 of the eight octets of `message` in little-endian order: what hash tables use.
#[inline]
pub(crate) fn siphash13(key: [u64; 2], message: u64) -> u64 {
    siphash::<1, 3>(key, message)
}

#[cfg(test)]
mod tests {
    #![expect(deprecated, reason = "the only SipHash in std that takes a key")]

    use std::hash::{DefaultHasher, Hasher, SipHasher};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// With the rounds that the standard library has with a key, and with those that it has
        /// without one.
        #[test]
        fn it_is_the_one_of_the_standard_library(key in any::<[u64; 2]>(), message in any::<u64>()) {
            let mut hasher = SipHasher::new_with_keys(key[0], key[1]);
            hasher.write(&message.to_le_bytes());
            prop_assert_eq!(siphash::<2, 4>(key, message), hasher.finish());
            let mut hasher = DefaultHasher::new();
            hasher.write(&message.to_le_bytes());
            prop_assert_eq!(siphash13([0, 0], message), hasher.finish());
        }
    }
}
