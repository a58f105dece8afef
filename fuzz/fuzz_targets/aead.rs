//! Sealing and opening with any nonce, associated data and text.
#![no_main]

use arbitrary::Arbitrary;
use clockwright_fuzz::session::{algorithm, key, seal};
use clockwright_ntp::nts::Cipher;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    gcm: bool,
    key: u8,
    nonce: &'a [u8],
    /// Instead of a nonce of another length.
    usual: Option<[u8; 16]>,
    associated: &'a [u8],
    text: &'a [u8],
    flip: u16,
}

fuzz_target!(|input: Input<'_>| {
    let algorithm = algorithm(input.gcm);
    let key = key(algorithm, input.key);
    let nonce = match &input.usual {
        Some(usual) => &usual[..algorithm.nonce_length()],
        None => input.nonce,
    };
    let mut cipher = Cipher::new(&key);
    let mut open = |octets: &[u8]| {
        let mut buffer = octets.to_vec();
        let opened = cipher.open(nonce, input.associated, &mut buffer);
        opened.map(<[u8]>::to_vec)
    };
    assert_eq!(open(input.text), None, "sealed by nobody");
    let mut sealed = seal(&key, nonce, input.associated, input.text);
    if sealed.is_empty() {
        return;
    }
    assert_eq!(open(&sealed).as_deref(), Some(input.text));
    let bit = usize::from(input.flip) % (sealed.len() * 8);
    sealed[bit / 8] ^= 1 << (bit % 8);
    assert_eq!(open(&sealed), None, "changed");
});
