//! AES-SIV-CMAC-256 (RFC 5297) with the CMAC in it (RFC 4493), written out over the bare block
//! cipher: slow, plain, and nobody else's code.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};

/// Octets of a key: one half authenticates, the other encrypts (RFC 5297 section 2.2).
pub(crate) const KEY: usize = 32;
/// Octets of the synthetic IV, which is the tag as well.
pub(crate) const TAG: usize = 16;

type Block = [u8; 16];

/// Seals `plain`; the strings of `associated` are authenticated with it, one by one. A nonce is the
/// last of them (RFC 5297 section 3).
pub(crate) fn seal(key: &[u8; KEY], associated: &[&[u8]], plain: &[u8]) -> Vec<u8> {
    let (mac, encryption) = halves(key);
    let tag = s2v(&mac, associated, plain);
    [&tag[..], &ctr(&encryption, tag, plain)].concat()
}

/// Opens what [`seal`] gave; `None` if it is something else.
pub(crate) fn open(key: &[u8; KEY], associated: &[&[u8]], sealed: &[u8]) -> Option<Vec<u8>> {
    let (mac, encryption) = halves(key);
    let (tag, text) = sealed.split_first_chunk::<TAG>()?;
    let plain = ctr(&encryption, *tag, text);
    (s2v(&mac, associated, &plain) == *tag).then_some(plain)
}

fn halves(key: &[u8; KEY]) -> (Aes128, Aes128) {
    let (mac, encryption) = key.split_at(KEY / 2);
    let cipher = |half: &[u8]| Aes128::new_from_slice(half).unwrap();
    (cipher(mac), cipher(encryption))
}

/// One vector of strings to one block (RFC 5297 section 2.4).
fn s2v(key: &Aes128, associated: &[&[u8]], plain: &[u8]) -> Block {
    let zero = cmac(key, &[0; 16]);
    let digest = associated.iter().fold(zero, |digest, string| {
        xor(double(digest), cmac(key, string))
    });
    let Some(overlap) = plain.len().checked_sub(16) else {
        return cmac(key, &xor(double(digest), padded(plain)));
    };
    // The digest goes over the end of what is long enough.
    let (begin, end) = plain.split_at(overlap);
    let end = xor(digest, end.try_into().unwrap());
    cmac(key, &[begin, &end].concat())
}

/// Counter mode from the synthetic IV, of which two bits are cleared (RFC 5297 section 2.5).
fn ctr(key: &Aes128, tag: Block, text: &[u8]) -> Vec<u8> {
    let cleared = u128::MAX ^ (1 << 63) ^ (1 << 31);
    let first = u128::from_be_bytes(tag) & cleared;
    let counters = (0..).map(|n| first.wrapping_add(n));
    text.chunks(16)
        .zip(counters)
        .flat_map(|(chunk, counter)| {
            let stream = encrypt(key, counter.to_be_bytes());
            chunk
                .iter()
                .zip(stream)
                .map(|(a, b)| a ^ b)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// RFC 4493 section 2.4.
fn cmac(key: &Aes128, message: &[u8]) -> Block {
    let one = double(encrypt(key, [0; 16]));
    let blocks = message.len().div_ceil(16).max(1);
    let (whole, last) = message.split_at(16 * (blocks - 1));
    let last = match last.try_into() {
        Ok(full) => xor(full, one),
        Err(_) => xor(padded(last), double(one)),
    };
    let chained = whole.chunks(16).fold([0; 16], |state, block| {
        encrypt(key, xor(state, block.try_into().unwrap()))
    });
    encrypt(key, xor(chained, last))
}

fn encrypt(key: &Aes128, block: Block) -> Block {
    let mut block = block.into();
    key.encrypt_block(&mut block);
    block.into()
}

/// Multiplication by x in the field of 2^128 elements (RFC 5297 section 2.3).
fn double(block: Block) -> Block {
    let number = u128::from_be_bytes(block);
    ((number << 1) ^ ((number >> 127) * 0x87)).to_be_bytes()
}

/// A bit that is set, and then none up to the block's end.
fn padded(short: &[u8]) -> Block {
    let mut block = [0; 16];
    block[..short.len()].copy_from_slice(short);
    block[short.len()] = 0x80;
    block
}

fn xor(a: Block, b: Block) -> Block {
    std::array::from_fn(|i| a[i] ^ b[i])
}

/// Octets written in hexadecimal, spaces between them ignored.
fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap())
        .collect()
}

#[test]
fn cmac_is_that_of_rfc_4493_section_4() {
    let key = Aes128::new_from_slice(&octets("2b7e1516 28aed2a6 abf71588 09cf4f3c")).unwrap();
    let message = octets(
        "6bc1bee2 2e409f96 e93d7e11 7393172a ae2d8a57 1e03ac9c 9eb76fac 45af8e51
         30c81c46 a35ce411 e5fbc119 1a0a52ef f69f2445 df4f9b17 ad2b417b e66c3710",
    );
    for (length, mac) in [
        (0, "bb1d6929 e9593728 7fa37d12 9b756746"),
        (16, "070a16b4 6b4d4144 f79bdd9d d04a287c"),
        (40, "dfa66747 de9ae630 30ca3261 1497c827"),
        (64, "51f0bebf 7e3b9d92 fc497417 79363cfe"),
    ] {
        assert_eq!(cmac(&key, &message[..length])[..], octets(mac), "{length}");
    }
}

#[test]
fn siv_is_that_of_rfc_5297_appendix_a() {
    for (key, associated, plain, sealed) in [
        (
            "fffefdfc fbfaf9f8 f7f6f5f4 f3f2f1f0 f0f1f2f3 f4f5f6f7 f8f9fafb fcfdfeff",
            &["10111213 14151617 18191a1b 1c1d1e1f 20212223 24252627"][..],
            "11223344 55667788 99aabbcc ddee",
            "85632d07 c6e8f37f 950acd32 0a2ecc93 40c02b96 90c4dc04 daef7f6a fe5c",
        ),
        (
            "7f7e7d7c 7b7a7978 77767574 73727170 40414243 44454647 48494a4b 4c4d4e4f",
            &[
                "00112233 44556677 8899aabb ccddeeff deaddada deaddada ffeeddcc bbaa9988
                 77665544 33221100",
                "10203040 50607080 90a0",
                "09f91102 9d74e35b d84156c5 635688c0",
            ],
            "74686973 20697320 736f6d65 20706c61 696e7465 78742074 6f20656e 63727970
             74207573 696e6720 5349562d 414553",
            "7bdb6e3b 432667eb 06f4d14b ff2fbd0f cb900f2f ddbe4043 26601965 c889bf17
             dba77ceb 094fa663 b7a3f748 ba8af829 ea64ad54 4a272e9c 485b62a3 fd5c0d",
        ),
    ] {
        let key = octets(key).try_into().unwrap();
        let associated: Vec<Vec<u8>> = associated.iter().map(|hex| octets(hex)).collect();
        let associated: Vec<&[u8]> = associated.iter().map(Vec::as_slice).collect();
        let (plain, sealed) = (octets(plain), octets(sealed));
        assert_eq!(seal(&key, &associated, &plain), sealed);
        assert_eq!(open(&key, &associated, &sealed), Some(plain));
        assert_eq!(open(&key, &associated[1..], &sealed), None);
    }
}
