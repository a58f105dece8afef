//! Replies: everything but the transmit timestamp, which is read last.

use clockwright_timebase::{Duration, Timestamp, Utc};

use crate::extension::network_correction;
use crate::over_ptp::{self, OVERHEAD};
use crate::{Header, NtpTimestamp};

/// The longest packet: with a Network Correction field.
const LONGEST: usize = Header::LEN + network_correction::LENGTH;

/// A reply that lacks only its transmit timestamp.
#[derive(Debug, Clone)]
pub struct Reply {
    header: Header,
    transmit: Transmit,
    tx_key: Option<TxKey>,
    /// The packet, once written.
    octets: [u8; LONGEST],
    /// Its length.
    length: usize,
}

/// What goes into a reply's transmit field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Transmit {
    /// Basic mode: when this reply is sent, with these random bits below the precision.
    Now(LowBits),
    /// Interleaved mode: when the previous one had left.
    Previous(NtpTimestamp),
}

impl Reply {
    /// The longest message over PTP, octets.
    pub const LONGEST_OVER_PTP: usize = OVERHEAD + LONGEST;

    /// A reply to a request that, where it asked to be told, has collected `correction`.
    pub(super) fn new(
        header: Header,
        transmit: Transmit,
        tx_key: Option<TxKey>,
        correction: Option<Duration>,
    ) -> Self {
        let mut octets = [0; LONGEST];
        let mut length = Header::LEN;
        if let Some(correction) = correction {
            octets[length..].copy_from_slice(&network_correction::field(correction));
            length = LONGEST;
        }
        Self {
            header,
            transmit,
            tx_key,
            octets,
            length,
        }
    }

    /// The octets to send; `tx_now` is the served clock, read as late before sending as can be.
    /// Never longer than the request.
    pub fn write(&mut self, tx_now: Timestamp<Utc>) -> &[u8] {
        self.header.transmit = match self.transmit {
            Transmit::Now(low_bits) => low_bits.transmit(tx_now.into(), self.header.receive),
            Transmit::Previous(transmit) => transmit,
        };
        self.octets[..Header::LEN].copy_from_slice(&self.header.to_bytes());
        &self.octets[..self.length]
    }

    /// The same for a request that came over PTP: the whole message, written into `buffer`, in this
    /// `domain`. `sequence` should differ from message to message: some NICs match their stamps by
    /// it.
    pub fn write_over_ptp<'b>(
        &mut self,
        tx_now: Timestamp<Utc>,
        (domain, sequence): (u8, u16),
        buffer: &'b mut [u8; Self::LONGEST_OVER_PTP],
    ) -> &'b [u8] {
        // Packets of these lengths are carried.
        let prefix = over_ptp::prefix(self.length, domain, sequence).unwrap_or([0; OVERHEAD]);
        buffer[..OVERHEAD].copy_from_slice(&prefix);
        let end = OVERHEAD + self.length;
        buffer[OVERHEAD..end].copy_from_slice(self.write(tx_now));
        &buffer[..end]
    }

    /// The header, but for the transmit timestamp while nothing is written.
    #[cfg(test)]
    pub(super) const fn header(&self) -> &Header {
        &self.header
    }

    /// Is the reply in interleaved mode?
    pub const fn is_interleaved(&self) -> bool {
        matches!(self.transmit, Transmit::Previous(_))
    }

    /// Present if the client uses interleaved mode: then the kernel's or the NIC's transmit stamp
    /// of this reply is wanted, by [`Server::transmitted`](super::Server::transmitted).
    pub const fn tx_stamp_wanted(&self) -> Option<TxKey> {
        self.tx_key
    }
}

/// Which reply a transmit stamp belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TxKey {
    /// The receive timestamp that the reply carries: the key of its entry.
    pub(super) receive: NtpTimestamp,
    /// The same without random bits.
    pub(super) rx: NtpTimestamp,
}

/// Random bits to fill a timestamp with below the clock's resolution (RFC 5905 section 6), so that
/// it can neither be guessed nor be equal to another.
///
/// The precision that a server announces is mostly the time it takes to read its clock (RFC 5905
/// section 7.3). The kernel's and the NIC's stamps are not read; they are better than that, and
/// blurring them to it would be what spoils them. Nobody's stamps are finer than a nanosecond.
///
/// The lowest bit is a marker: always set in receive timestamps and never in transmit timestamps.
/// So the two always differ, and a request whose origin has it comes from a client that uses
/// interleaved mode; all others cost no look-up (RFC 9769 section 2 allows such a flag).
#[derive(Debug, Clone, Copy)]
pub(super) struct LowBits {
    mask: u64,
    random: u64,
}

impl LowBits {
    /// `random` bits below a nanosecond, or below 2^`precision` s where that is less.
    pub(super) fn new(precision: i8, random: u64) -> Self {
        let precision = precision.min(NANOSECOND);
        let bits = u32::try_from(32 + i32::from(precision)).map_or(0, |bits| bits.min(32));
        let mask = (1 << bits) - 1;
        Self { mask, random }
    }

    /// A receive timestamp: odd.
    pub(super) const fn receive(self, instant: NtpTimestamp) -> NtpTimestamp {
        NtpTimestamp::from_bits(self.fill(instant) | MARKER)
    }

    /// A transmit timestamp: even, and not before the `receive` timestamp it goes with.
    pub(super) const fn transmit(
        self,
        instant: NtpTimestamp,
        receive: NtpTimestamp,
    ) -> NtpTimestamp {
        let even = NtpTimestamp::from_bits(self.fill(instant) & !MARKER);
        if even.fractions_since(receive) > 0 {
            even
        } else {
            NtpTimestamp::from_bits(receive.to_bits().wrapping_add(1))
        }
    }

    const fn fill(self, instant: NtpTimestamp) -> u64 {
        instant.to_bits() & !self.mask | self.random & self.mask
    }
}

/// The precision that is nearest to a nanosecond, log2 s: 0.93 ns.
const NANOSECOND: i8 = -30;

/// The lowest bit of a timestamp, 0.23 ns.
const MARKER: u64 = 1;

/// Could `origin` be a receive timestamp that this server handed out?
pub(super) const fn is_marked(origin: NtpTimestamp) -> bool {
    origin.to_bits() & MARKER != 0
}

/// The next receive timestamp after `receive`: still odd.
pub(super) const fn next_marked(receive: NtpTimestamp) -> NtpTimestamp {
    NtpTimestamp::from_bits(receive.to_bits().wrapping_add(MARKER + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// RFC 9769 section 2: receive and transmit are never equal; nothing above the precision
        /// is touched.
        #[test]
        fn only_bits_below_the_precision_change(
            instant: u64, random: u64, precision: i8,
        ) {
            let low_bits = LowBits::new(precision, random);
            let instant = NtpTimestamp::from_bits(instant);
            let receive = low_bits.receive(instant);
            prop_assert!(is_marked(receive));
            prop_assert!(is_marked(next_marked(receive)));
            let mask = low_bits.mask | 1;
            prop_assert_eq!(receive.to_bits() & !mask, instant.to_bits() & !mask);
            let transmit = low_bits.transmit(instant, receive);
            prop_assert!(!is_marked(transmit));
            prop_assert!(transmit.fractions_since(receive) > 0);
            let early = NtpTimestamp::from_bits(receive.to_bits().wrapping_sub(1 << 40));
            let transmit = low_bits.transmit(instant, early);
            prop_assert_eq!(transmit.to_bits() & !mask, instant.to_bits() & !mask);
        }
    }

    #[test]
    fn a_nanosecond_clock_gets_two_random_bits() {
        // 2^-30 s is 0.93 ns: four wire units.
        assert_eq!(LowBits::new(-30, 0).mask, 3);
        assert_eq!(LowBits::new(-32, 0).mask, 0);
        assert_eq!(LowBits::new(-128, 0).mask, 0);
        assert_eq!(
            LowBits::new(-25, 0).mask,
            3,
            "stamps are better than readings"
        );
        assert_eq!(LowBits::new(127, 0).mask, 3);
        let low_bits = LowBits::new(-30, 0b10);
        let instant = NtpTimestamp::from_bits(0x1234_5678_0000_0005);
        assert_eq!(low_bits.receive(instant).to_bits() & 0xf, 0b0111);
    }
}
