//! Replies: everything but the transmit timestamp, which is read last.

use clockwright_timebase::{Timestamp, Utc};

use crate::nts::seal::Unsealed;
use crate::over_ptp::{self, OVERHEAD};
use crate::{Header, NtpTimestamp};

/// The longest request that is answered authentically, octets, and so the longest reply.
pub const LONGEST: usize = 1280;

/// Room for a reply, to be used for one after the other.
#[derive(Debug)]
pub struct ReplyBuffer {
    /// What precedes the packet over PTP, and the packet.
    octets: [u8; OVERHEAD + LONGEST],
    /// Room to open requests in.
    scratch: [u8; LONGEST],
    /// What is to be sealed once the header is complete. It is here and not in the reply because of
    /// its size: plain replies have none, and are not to be slower for it.
    unsealed: Option<Unsealed>,
}

impl ReplyBuffer {
    /// Empty room.
    pub const fn new() -> Self {
        Self {
            octets: [0; OVERHEAD + LONGEST],
            scratch: [0; LONGEST],
            unsealed: None,
        }
    }

    /// The rooms for another reply. One before it that was not written is forgotten.
    pub(super) fn begin(&mut self) -> Rooms<'_> {
        self.unsealed = None;
        Rooms {
            packet: &mut self.octets[OVERHEAD..],
            scratch: &mut self.scratch,
            unsealed: &mut self.unsealed,
        }
    }
}

/// Where the parts of a reply go.
#[derive(Debug)]
pub(super) struct Rooms<'b> {
    /// The packet.
    pub(super) packet: &'b mut [u8],
    /// Requests are opened here.
    pub(super) scratch: &'b mut [u8],
    /// The packet's authenticator, if it has one.
    pub(super) unsealed: &'b mut Option<Unsealed>,
}

impl Default for ReplyBuffer {
    fn default() -> Self {
        Self::new()
    }
}

/// A reply that lacks only its transmit timestamp, and what follows from that.
#[derive(Debug)]
pub struct Reply<'b> {
    header: Header,
    transmit: Transmit,
    tx_key: Option<TxKey>,
    buffer: &'b mut ReplyBuffer,
    /// How long the packet is.
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

impl<'b> Reply<'b> {
    /// A reply with this header, of which all that follows the header is in `buffer` already, and
    /// ends at `length` of the packet.
    pub(super) const fn new(
        header: Header,
        transmit: Transmit,
        tx_key: Option<TxKey>,
        length: usize,
        buffer: &'b mut ReplyBuffer,
    ) -> Self {
        Self {
            header,
            transmit,
            tx_key,
            buffer,
            length,
        }
    }

    /// The octets to send; `tx_now` is the served clock, read as late before sending as can be.
    /// Never longer than the request.
    pub fn write(self, tx_now: Timestamp<Utc>) -> &'b [u8] {
        self.complete(tx_now).get(OVERHEAD..).unwrap_or_default()
    }

    /// The same for a request that came over PTP: the whole message, in this `domain`. `sequence`
    /// should differ from message to message: some NICs match their stamps by it.
    pub fn write_over_ptp(self, tx_now: Timestamp<Utc>, (domain, sequence): (u8, u16)) -> &'b [u8] {
        // A request of this length came over PTP, so its reply can.
        let prefix = over_ptp::prefix(self.length, domain, sequence).unwrap_or([0; OVERHEAD]);
        let message = self.complete(tx_now);
        if let Some(head) = message.first_chunk_mut::<OVERHEAD>() {
            *head = prefix;
        }
        message
    }

    /// Completes the packet, and gives it with the room before it.
    fn complete(mut self, tx_now: Timestamp<Utc>) -> &'b mut [u8] {
        self.header.transmit = match self.transmit {
            Transmit::Now(low_bits) => low_bits.transmit(tx_now.into(), self.header.receive),
            Transmit::Previous(transmit) => transmit,
        };
        let message = &mut self.buffer.octets[..OVERHEAD + self.length.min(LONGEST)];
        let packet = &mut message[OVERHEAD..];
        packet[..Header::LEN].copy_from_slice(&self.header.to_bytes());
        if let Some(unsealed) = &mut self.buffer.unsealed {
            unsealed.seal(packet);
        }
        // Where it is: its key is wiped there.
        self.buffer.unsealed = None;
        message
    }

    /// The header, but for the transmit timestamp.
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
