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
