//! NTP packets in PTP messages.
#![no_main]

use clockwright_ntp::over_ptp::{OVERHEAD, prefix, unwrap, wrap};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (like_one, domain, octets) = input;
    let mut payload = octets.to_vec();
    // With lengths and marks that are right, now and then.
    if let (true, Some(length)) = (like_one % 4 != 0, octets.len().checked_sub(OVERHEAD))
        && let Some(prefix) = prefix(length, domain, 0)
    {
        payload[..8].copy_from_slice(&prefix[..8]);
        payload[44..54].copy_from_slice(&prefix[44..54]);
    }
    match unwrap(&payload, domain) {
        Ok(message) => {
            assert!((48..=1140).contains(&message.packet.len()));
            let end = OVERHEAD + message.packet.len();
            assert_eq!(message.packet, &payload[OVERHEAD..end]);
            assert!(payload.len() - end <= 2);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Some(message) = wrap(octets, domain, 7) {
        assert_eq!(unwrap(&message, domain).unwrap().packet, octets);
    }
});
