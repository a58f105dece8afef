//! What strangers send.

use proptest::prelude::*;

use super::*;

/// A client in the middle of an interleaved conversation, with a request waiting.
fn busy() -> Rig {
    let mut rig = Rig::new(interleaved());
    rig.exchange();
    rig.exchange();
    rig.ask_stamped();
    rig
}

proptest! {
    /// No datagram without the random bits of the latest request changes anything.
    #[test]
    fn random_datagrams_change_nothing(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 1..20),
    ) {
        let mut rig = busy();
        let before = rig.state();
        for datagram in datagrams {
            prop_assert!(rig.deliver_octets(&datagram, rig.now).is_err());
        }
        prop_assert_eq!(rig.state(), before);
    }

    /// Nor does a well-formed reply, whatever it says.
    #[test]
    fn random_replies_change_nothing(octets: [u8; 16], rest: [u8; 32]) {
        let mut rig = busy();
        let before = rig.state();
        let mut datagram = [&octets[..], &rest[..]].concat();
        datagram[0] = 0x24;
        prop_assert!(rig.deliver_octets(&datagram, rig.now).is_err());
        prop_assert_eq!(rig.state(), before);
    }

    /// Whatever the true server says, and however the local stamps err, nothing panics, a refused
    /// packet changes nothing, and an exchange that is given out makes sense.
    #[test]
    fn a_hostile_server_gets_nowhere(
        packets in prop::collection::vec(
            (any::<[u8; 48]>(), 0u8..4, any::<i32>(), any::<bool>()), 1..40),
    ) {
        let mut rig = Rig::new(interleaved());
        let mut latest = rig.ask().header;
        for (octets, origin, rx_error, ask) in packets {
            if ask {
                let (asked, _) = rig.ask_amid();
                latest = asked.header;
                let stamp = asked.at + Duration::from_nanos(i64::from(rx_error >> 8));
                rig.client.stamped(&asked.token, kernel(stamp));
                rig.actions();
            }
            let mut header = Header::parse(&octets).unwrap();
            header.mode = Mode::Server;
            header.version = 4;
            header.origin = match origin {
                0 => latest.transmit,
                1 => latest.receive,
                2 => latest.origin,
                _ => header.origin,
            };
            if octets[0] & 1 == 0 {
                header = Header { origin: header.origin, ..reply(&latest, rig.now) };
                header.transmit = NtpTimestamp::from_bits(
                    header.transmit.to_bits().wrapping_add_signed(i64::from(rx_error)));
            }
            let before = rig.state();
            let at = rig.now + Duration::from_nanos(i64::from(rx_error));
            let result = rig.client.handle_datagram(&header.to_bytes(), Arrival::udp(kernel(at)), rig.now);
            if result.is_err() {
                prop_assert_eq!(rig.state(), before);
            }
            for action in rig.actions() {
                if let Action::Exchange(exchange) = action {
                    let measured = exchange.measure(pivot());
                    prop_assert!(measured.delay <= Duration::from_secs(16));
                    prop_assert!(measured.delay >= -Duration::from_millis(40));
                    prop_assert!((1..16).contains(&exchange.stratum));
                }
            }
        }
    }
}
