//! NTP over PTP (RFC 10030): NTP packets in PTP event messages over UDP, for NICs that stamp
//! nothing else, and for switches that say how long they kept a packet.
//!
//! Requests and replies alike are unicast `Delay_Req` messages (IEEE 1588 section 11.3) with one
//! organisation-specific TLV that holds the NTP packet. Nothing of the message is of any meaning
//! but the packet and the correction field, to which a one-step end-to-end transparent clock adds
//! the time that it kept the message. Neither is authenticated, but for the packet's own MAC or
//! NTS fields.
//!
//! ```text
//!  0  message type   4  domain   8  correction  20  source port      34  origin timestamp
//!  1  version        5  SDO     16  (zero)      30  sequence number  44  TLV: NTP
//!  2  length         6  flags                   32  (zero)           56  the NTP packet
//! ```

use core::fmt;

use clockwright_timebase::Duration;

/// The UDP port of PTP event messages, at both ends: what NICs recognise PTP by.
pub const PORT: u16 = 319;
/// The PTP domain of these messages, unless both ends agree on another.
pub const DEFAULT_DOMAIN: u8 = 123;
/// How much longer a message is than the NTP packet in it, octets.
pub const OVERHEAD: usize = 56;
/// The longest NTP packet that is carried, octets: what fits into one Ethernet frame.
pub const LONGEST_PACKET: usize = 1140;

/// The shortest NTP packet, a bare header.
const SHORTEST_PACKET: usize = crate::Header::LEN;
/// IEEE 1588 annex E has two octets follow a message over IPv6, so that a transparent clock can
/// keep the UDP checksum right.
const IPV6_TRAILER: usize = 2;

/// Message types, in the low half of the first octet (IEEE 1588 table 36). The high half, the
/// major SDO identifier, is zero.
const SYNC: u8 = 0x00;
const DELAY_REQ: u8 = 0x01;
/// `flagField` with unicastFlag alone.
const UNICAST: [u8; 2] = [0x04, 0x00];
/// Where the TLV begins: after header and origin timestamp.
const TLV_AT: usize = 44;
/// Its type `ORGANIZATION_EXTENSION`, and in PTP 2.1 `ORGANIZATION_EXTENSION_DO_NOT_PROPAGATE`.
const TLV_TYPES: [[u8; 2]; 2] = [[0x00, 0x03], [0x80, 0x00]];
/// What of the TLV's length is not the NTP packet: organisation, its subtype and padding.
const TLV_HEAD: usize = 8;
/// IANA's organisation identifier, and the subtype for NTP.
const NTP_TLV: [u8; 6] = [0x00, 0x00, 0x5e, 0x00, 0x00, 0x01];

/// What a PTP message with an NTP packet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'m> {
    /// The NTP packet: 48 to 1140 octets, not looked into.
    pub packet: &'m [u8],
    /// How long transparent clocks on the way kept the message, by their own account.
    pub correction: Duration,
}

/// What goes before an NTP packet of `length` octets.
///
/// `sequence` should differ from message to message: some NICs match their stamps by it. `None`
/// if packets of that length are not carried.
pub fn prefix(length: usize, domain: u8, sequence: u16) -> Option<[u8; OVERHEAD]> {
    if !(SHORTEST_PACKET..=LONGEST_PACKET).contains(&length) {
        return None;
    }
    let message_length = u16::try_from(OVERHEAD + length).ok()?;
    let tlv_length = u16::try_from(TLV_HEAD + length).ok()?;
    let mut octets = [0; OVERHEAD];
    octets[0] = DELAY_REQ;
    octets[1] = 2;
    octets[2..4].copy_from_slice(&message_length.to_be_bytes());
    octets[4] = domain;
    octets[6..8].copy_from_slice(&UNICAST);
    octets[30..32].copy_from_slice(&sequence.to_be_bytes());
    octets[TLV_AT..46].copy_from_slice(&TLV_TYPES[0]);
    octets[46..48].copy_from_slice(&tlv_length.to_be_bytes());
    octets[48..54].copy_from_slice(&NTP_TLV);
    Some(octets)
}

/// `packet` in a message of its own. `None` if packets of that length are not carried.
pub fn wrap(packet: &[u8], domain: u8, sequence: u16) -> Option<Vec<u8>> {
    let prefix = prefix(packet.len(), domain, sequence)?;
    Some([&prefix[..], packet].concat())
}

/// Reads a UDP payload that came to [`PORT`].
pub fn unwrap(payload: &[u8], domain: u8) -> Result<Message<'_>, NotNtp> {
    let head = payload.first_chunk::<OVERHEAD>().ok_or(NotNtp::NotEvent)?;
    let is_event = matches!(head[0], SYNC | DELAY_REQ);
    // Version 2.0, or 2.1, whose minor SDO identifier must be zero too.
    let is_version_2 = head[1] == 0x02 || head[1] == 0x12 && head[5] == 0;
    if !is_event || !is_version_2 || head[6..8] != UNICAST {
        return Err(NotNtp::NotEvent);
    }
    if head[4] != domain {
        return Err(NotNtp::Domain(head[4]));
    }
    let length = number_at(head, 2);
    if payload.len() != length && payload.len() != length + IPV6_TRAILER {
        return Err(NotNtp::Length);
    }
    if !TLV_TYPES.contains(&[head[TLV_AT], head[45]]) || head[48..54] != NTP_TLV {
        return Err(NotNtp::OtherTlv);
    }
    let packet = payload.get(OVERHEAD..length).ok_or(NotNtp::Length)?;
    if number_at(head, 46) != TLV_HEAD + packet.len()
        || !(SHORTEST_PACKET..=LONGEST_PACKET).contains(&packet.len())
    {
        return Err(NotNtp::Length);
    }
    let (_, rest) = head.split_at(8);
    let correction = rest.first_chunk().copied().map_or(0, i64::from_be_bytes);
    Ok(Message {
        packet,
        correction: Duration::from_units(i128::from(correction) << 16),
    })
}

/// The 16-bit number at `at`.
fn number_at(head: &[u8; OVERHEAD], at: usize) -> usize {
    usize::from(u16::from_be_bytes([head[at], head[at + 1]]))
}

/// Why a UDP payload is no NTP packet in a PTP message.
///
/// It need not be anybody's fault: PTP itself uses the same port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotNtp {
    /// No unicast `Sync` or `Delay_Req` message of PTP version 2 that is long enough.
    NotEvent,
    /// Of another PTP domain.
    Domain(u8),
    /// Its lengths contradict each other, or the NTP packet would be too short or too long.
    Length,
    /// Without the TLV for NTP packets.
    OtherTlv,
}

impl fmt::Display for NotNtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEvent => f.write_str("not a unicast PTPv2 event message"),
            Self::Domain(domain) => write!(f, "a PTP message of domain {domain}"),
            Self::Length => f.write_str("a PTP message whose lengths contradict each other"),
            Self::OtherTlv => f.write_str("a PTP message without an NTP packet"),
        }
    }
}

impl std::error::Error for NotNtp {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message with a request of 48 octets as chrony 4.9 sends it.
    fn captured() -> Vec<u8> {
        let mut octets = vec![0x01, 0x02, 0x00, 0x68, 0x7b, 0x00, 0x04, 0x00];
        octets.extend([0; 8 + 4 + 10]);
        octets.extend([0x01, 0x02, 0, 0]);
        octets.extend([0; 10]);
        octets.extend([
            0x00, 0x03, 0x00, 0x38, 0x00, 0x00, 0x5e, 0x00, 0x00, 0x01, 0, 0,
        ]);
        octets.extend([0x23; 48]);
        octets
    }

    #[test]
    fn octets_are_those_of_rfc_10030() {
        let packet = [0x23; 48];
        assert_eq!(wrap(&packet, DEFAULT_DOMAIN, 0x0102).unwrap(), captured());
        let captured = captured();
        let message = unwrap(&captured, DEFAULT_DOMAIN).unwrap();
        assert_eq!(message.packet, packet);
        assert_eq!(message.correction, Duration::ZERO);
    }

    #[test]
    fn what_other_senders_may_do_differently() {
        for (at, octets) in [
            (0, &[SYNC][..]),
            (1, &[0x12]),
            (TLV_AT, &[0x80, 0x00]),
            (20, &[7; 10]),
            (30, &[0xff; 4]),
            (54, &[1, 2]),
        ] {
            let mut message = captured();
            message[at..at + octets.len()].copy_from_slice(octets);
            assert!(unwrap(&message, 123).is_ok(), "{octets:02x?} at {at}");
        }
        let mut over_ipv6 = captured();
        over_ipv6.extend([0; 2]);
        assert_eq!(unwrap(&over_ipv6, 123).unwrap().packet.len(), 48);
    }

    #[test]
    fn corrections_are_signed_and_in_parts_of_a_nanosecond() {
        for (octets, correction) in [
            ([0, 0, 0, 0, 0, 2, 0x80, 0], Duration::from_units(5 << 31)),
            ([0xff; 8], Duration::from_units(-(1 << 16))),
            (
                i64::MAX.to_be_bytes(),
                Duration::from_units(i128::from(i64::MAX) << 16),
            ),
        ] {
            let mut message = captured();
            message[8..16].copy_from_slice(&octets);
            assert_eq!(unwrap(&message, 123).unwrap().correction, correction);
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        let with = |at: usize, octets: &[u8]| {
            let mut message = captured();
            message[at..at + octets.len()].copy_from_slice(octets);
            unwrap(&message, 123).unwrap_err()
        };
        for (at, octets) in [
            (0, &[0x02][..]),   // Pdelay_Req
            (0, &[0x09]),       // Delay_Resp
            (0, &[0x11]),       // another SDO
            (1, &[0x01]),       // PTP version 1
            (6, &[0x00, 0x00]), // multicast
            (6, &[0x06, 0x00]), // two-step
        ] {
            assert_eq!(with(at, octets), NotNtp::NotEvent, "{octets:02x?} at {at}");
        }
        assert_eq!(with(4, &[0]), NotNtp::Domain(0));
        assert_eq!(with(2, &[0, 0x67]), NotNtp::Length);
        assert_eq!(with(46, &[0, 0x37]), NotNtp::Length);
        assert_eq!(with(TLV_AT, &[0, 8]), NotNtp::OtherTlv);
        assert_eq!(with(53, &[2]), NotNtp::OtherTlv);
        assert_eq!(unwrap(&captured()[..55], 123), Err(NotNtp::NotEvent));
        assert_eq!(unwrap(&captured()[..103], 123), Err(NotNtp::Length));
        let mut version_2_1 = captured();
        (version_2_1[1], version_2_1[5]) = (0x12, 1);
        assert_eq!(unwrap(&version_2_1, 123), Err(NotNtp::NotEvent));
        assert_eq!(wrap(&[0; 47], 123, 0), None);
        assert_eq!(wrap(&[0; LONGEST_PACKET + 1], 123, 0), None);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(
            payload in prop::collection::vec(any::<u8>(), 0..200),
            like_one: bool, domain: u8,
        ) {
            let mut payload = payload;
            if like_one && payload.len() > OVERHEAD {
                let length = payload.len() - OVERHEAD;
                if let Some(prefix) = prefix(length, domain, 0) {
                    payload[..8].copy_from_slice(&prefix[..8]);
                    payload[TLV_AT..OVERHEAD].copy_from_slice(&prefix[TLV_AT..]);
                }
            }
            if let Ok(message) = unwrap(&payload, domain) {
                prop_assert!(message.packet.len() + OVERHEAD <= payload.len());
            }
        }

        #[test]
        fn what_is_wrapped_comes_out(
            packet in prop::collection::vec(any::<u8>(), 48..1141),
            domain: u8, sequence: u16, correction: i64,
        ) {
            let mut message = wrap(&packet, domain, sequence).unwrap();
            prop_assert_eq!(message.len(), packet.len() + OVERHEAD);
            message[8..16].copy_from_slice(&correction.to_be_bytes());
            let read = unwrap(&message, domain).unwrap();
            prop_assert_eq!(read.packet, &packet[..]);
            prop_assert_eq!(read.correction.as_units(), i128::from(correction) << 16);
            prop_assert!(unwrap(&message, domain.wrapping_add(1)).is_err());
        }
    }
}
