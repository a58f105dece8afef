//! A packet's header, extension fields, MAC and NTS fields.
#![no_main]

use clockwright_ntp::Header;
use clockwright_ntp::extension::{Extensions, network_correction, sequence};
use clockwright_ntp::nts::field::{NtsFields, unique_id};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|packet: &[u8]| {
    if let Some(header) = Header::parse(packet) {
        assert_eq!(header.to_bytes(), packet[..Header::LEN]);
    }
    match Extensions::parse(packet) {
        Ok(extensions) => check(packet, &extensions),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(fields) = sequence(packet) {
        let covered: usize = fields.map(|field| 4 + field.body.len()).sum();
        assert_eq!(covered, packet.len());
    }
});

/// Header, fields and MAC cover a packet without gaps.
fn check(packet: &[u8], extensions: &Extensions<'_>) {
    let mut at = Header::LEN;
    for field in extensions.fields() {
        assert_eq!(field.offset, at);
        assert_eq!(&packet[at + 4..at + 4 + field.body.len()], field.body);
        let _ = network_correction::read(&field);
        at += 4 + field.body.len();
    }
    assert_eq!(extensions.authenticated(), &packet[..at]);
    at += extensions.mac().map_or(0, |mac| 4 + mac.digest.len());
    assert_eq!(at, packet.len());
    let _ = unique_id(extensions);
    match NtsFields::read(extensions) {
        Ok(Some(fields)) => {
            let seal = fields.authenticator;
            assert!(fields.unique_id.len() >= 32);
            assert!(seal.offset + seal.nonce.len() + seal.ciphertext.len() < packet.len());
        }
        Ok(None) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
