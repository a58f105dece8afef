//! The packet header (RFC 5905 section 7.3).

mod fields;
mod reference;

pub use fields::{Leap, Mode, STRATUM_UNSYNCHRONIZED, stratum_is_synchronized, stratum_on_wire};
pub use reference::{KissCode, ReferenceId};

use crate::{NtpShort, NtpTimestamp};

/// The only version this crate speaks; earlier ones are answered in kind.
pub const VERSION: u8 = 4;

/// The 48 octets that begin every packet of modes 1 to 5, field by field.
///
/// Any 48 octets are a header and come back unchanged from [`parse`](Self::parse) and
/// [`to_bytes`](Self::to_bytes); whether they make sense is for the client and the server to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Warning of a leap second, or that the clock is not synchronised.
    pub leap: Leap,
    /// Protocol version, 0 to 7.
    pub version: u8,
    /// Association mode.
    pub mode: Mode,
    /// 0 unspecified or kiss code, 1 primary server, 2 to 15 secondary, 16 unsynchronised.
    pub stratum: u8,
    /// Poll interval, log2 s.
    pub poll: i8,
    /// Precision of the sender's clock, log2 s.
    pub precision: i8,
    /// Round-trip delay to the reference clock.
    pub root_delay: NtpShort,
    /// Dispersion to the reference clock.
    pub root_dispersion: NtpShort,
    /// What the sender follows.
    pub reference_id: ReferenceId,
    /// When the sender's clock was last set or corrected.
    pub reference_time: NtpTimestamp,
    /// Says which request a reply answers; see RFC 9769 section 2 for its two meanings.
    pub origin: NtpTimestamp,
    /// When the sender received what this answers.
    pub receive: NtpTimestamp,
    /// When the packet, or in an interleaved reply the previous one, was sent.
    pub transmit: NtpTimestamp,
}

impl Header {
    /// Length on the wire, in octets.
    pub const LEN: usize = 48;

    /// A header of `mode` in version 4 with every other field zero.
    pub const fn zeroed(mode: Mode) -> Self {
        Self {
            leap: Leap::None,
            version: VERSION,
            mode,
            stratum: 0,
            poll: 0,
            precision: 0,
            root_delay: NtpShort::ZERO,
            root_dispersion: NtpShort::ZERO,
            reference_id: ReferenceId::ZERO,
            reference_time: NtpTimestamp::ZERO,
            origin: NtpTimestamp::ZERO,
            receive: NtpTimestamp::ZERO,
            transmit: NtpTimestamp::ZERO,
        }
    }

    /// Reads the header that `packet` begins with; `None` if `packet` is shorter than one.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let octets = packet.first_chunk::<{ Self::LEN }>()?;
        let [flags, stratum, poll, precision, ..] = *octets;
        Some(Self {
            leap: Leap::from_bits(flags >> 6),
            version: flags >> 3 & 7,
            mode: Mode::from_bits(flags),
            stratum,
            poll: poll.cast_signed(),
            precision: precision.cast_signed(),
            root_delay: NtpShort::from_bits(u32::from_be_bytes(array_at::<4, 4>(octets))),
            root_dispersion: NtpShort::from_bits(u32::from_be_bytes(array_at::<8, 4>(octets))),
            reference_id: ReferenceId(array_at::<12, 4>(octets)),
            reference_time: timestamp_at::<16>(octets),
            origin: timestamp_at::<24>(octets),
            receive: timestamp_at::<32>(octets),
            transmit: timestamp_at::<40>(octets),
        })
    }

    /// The header as it goes on the wire. Versions above 7 lose their higher bits.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut octets = [0; Self::LEN];
        octets[0] = self.leap.to_bits() << 6 | (self.version & 7) << 3 | self.mode.to_bits();
        octets[1] = self.stratum;
        octets[2] = self.poll.cast_unsigned();
        octets[3] = self.precision.cast_unsigned();
        octets[4..8].copy_from_slice(&self.root_delay.to_bits().to_be_bytes());
        octets[8..12].copy_from_slice(&self.root_dispersion.to_bits().to_be_bytes());
        octets[12..16].copy_from_slice(&self.reference_id.0);
        octets[16..24].copy_from_slice(&self.reference_time.to_bits().to_be_bytes());
        octets[24..32].copy_from_slice(&self.origin.to_bits().to_be_bytes());
        octets[32..40].copy_from_slice(&self.receive.to_bits().to_be_bytes());
        octets[40..48].copy_from_slice(&self.transmit.to_bits().to_be_bytes());
        octets
    }
}

/// `N` octets from offset `AT`.
fn array_at<const AT: usize, const N: usize>(octets: &[u8; Header::LEN]) -> [u8; N] {
    const { assert!(AT + N <= Header::LEN) };
    core::array::from_fn(|i| octets[AT + i])
}

/// The timestamp at offset `AT`.
fn timestamp_at<const AT: usize>(octets: &[u8; Header::LEN]) -> NtpTimestamp {
    NtpTimestamp::from_bits(u64::from_be_bytes(array_at::<AT, 8>(octets)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_where_rfc_5905_section_7_3_puts_them() {
        let octets: [u8; 48] = core::array::from_fn(|i| u8::try_from(i).unwrap() | 0x40);
        let header = Header::parse(&octets).unwrap();
        // 0x40: leap 1, version 0, mode 0.
        assert_eq!(
            (header.leap, header.version, header.mode),
            (Leap::Insert, 0, Mode::Reserved)
        );
        assert_eq!(
            (header.stratum, header.poll, header.precision),
            (0x41, 0x42, 0x43)
        );
        assert_eq!(header.root_delay.to_bits(), 0x4445_4647);
        assert_eq!(header.root_dispersion.to_bits(), 0x4849_4a4b);
        assert_eq!(header.reference_id, ReferenceId([0x4c, 0x4d, 0x4e, 0x4f]));
        assert_eq!(header.reference_time.to_bits(), 0x5051_5253_5455_5657);
        assert_eq!(header.origin.to_bits(), 0x5859_5a5b_5c5d_5e5f);
        assert_eq!(header.receive.to_bits(), 0x6061_6263_6465_6667);
        assert_eq!(header.transmit.to_bits(), 0x6869_6a6b_6c6d_6e6f);
    }

    #[test]
    fn the_first_octet_and_the_signs() {
        let mut octets = [0; 48];
        octets[..4].copy_from_slice(&[0xe4, 1, 0xfa, 0xe7]);
        let header = Header::parse(&octets).unwrap();
        assert_eq!(header.leap, Leap::Unsynchronized);
        assert_eq!((header.version, header.mode), (4, Mode::Server));
        assert_eq!((header.poll, header.precision), (-6, -25));
        assert_eq!(Header::zeroed(Mode::Client).to_bytes()[0], 0x23);
    }

    #[test]
    fn strata_on_the_wire() {
        // RFC 5905 section 7.3: 16 is mapped to 0; 17 and above are reserved.
        let synchronized: Vec<u8> = (0..=255).filter(|&s| stratum_is_synchronized(s)).collect();
        assert_eq!(synchronized, (1..=15).collect::<Vec<u8>>());
        assert_eq!(stratum_on_wire(15), 15);
        assert_eq!(stratum_on_wire(STRATUM_UNSYNCHRONIZED), 0);
        assert_eq!(stratum_on_wire(200), 0);
    }

    #[test]
    fn reference_ids_show_what_the_stratum_says_they_are() {
        let show = |id, stratum| ReferenceId(id).display(stratum).to_string();
        assert_eq!(show(*b"GPS\0", 1), "GPS");
        assert_eq!(show(*b"RATE", 0), "RATE");
        assert_eq!(show([192, 0, 2, 7], 2), "192.0.2.7");
        assert_eq!(show([0, 0, 0, 0], 1), "00000000");
        assert_eq!(show([b'A', 0, b'B', 0], 1), "41004200");
        assert_eq!(
            show([0x1b, b'[', b'2', b'J'], 1),
            "1B5B324A",
            "no escape reaches a terminal"
        );
        assert_eq!(ReferenceId::from_name("PHC"), Some(ReferenceId(*b"PHC\0")));
        for name in ["", "TOOLONG", "a b", "é"] {
            assert_eq!(ReferenceId::from_name(name), None);
        }
    }

    #[test]
    fn kiss_codes_of_rfc_5905_section_7_4() {
        for (code, kiss) in [
            (*b"DENY", KissCode::Deny),
            (*b"RSTR", KissCode::Restrict),
            (*b"RATE", KissCode::Rate),
            (*b"NTSN", KissCode::NtsNak),
            (*b"INIT", KissCode::Other(ReferenceId(*b"INIT"))),
        ] {
            assert_eq!(KissCode::from_reference_id(ReferenceId(code)), Some(kiss));
            assert_eq!(kiss.reference_id(), ReferenceId(code));
        }
        assert_eq!(KissCode::Rate.to_string(), "RATE");
        assert_eq!(KissCode::from_reference_id(ReferenceId::ZERO), None);
        assert_eq!(
            KissCode::from_reference_id(ReferenceId([10, 0, 0, 1])),
            None
        );
    }

    proptest! {
        #[test]
        fn any_48_octets_are_a_header_and_come_back(
            first: [u8; 32], second: [u8; 16], rest in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let packet = [&first[..], &second[..], &rest[..]].concat();
            let header = Header::parse(&packet).unwrap();
            prop_assert_eq!(&header.to_bytes()[..], &packet[..Header::LEN]);
            prop_assert!(Header::parse(&packet[..Header::LEN - 1]).is_none());
            let _ = header.reference_id.display(header.stratum).to_string();
            let _ = KissCode::from_reference_id(header.reference_id).map(|kiss| kiss.to_string());
        }
    }
}
