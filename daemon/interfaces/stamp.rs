//! Packets and their stamps, on the way in and out.

use clockwright_ntp::{Arrival, Transport};
use clockwright_timebase::{Phc, Raw, Timestamp};

use super::fallback::Fallback;
use crate::clock::{Implausible, Timescale};

/// A stamp taken by a NIC, before it is converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardwareStamp {
    /// What the NIC's clock showed.
    pub at: Timestamp<Phc>,
    /// The NIC: the interface's index.
    pub interface: u32,
}

/// What carries an NTP packet, as far as it matters to stamping and to the length of its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Medium {
    /// Plain, or in a PTP message.
    pub transport: Transport,
    /// Is the packet one of IPv6?
    pub ipv6: bool,
}

impl Medium {
    /// The length of the Ethernet frame that carries `payload` octets of UDP, as far as that can be
    /// told without having seen it: no VLAN tag, no IP option.
    pub(super) fn frame_length(self, payload: usize) -> u32 {
        const ETHERNET: u32 = 14;
        const UDP: u32 = 8;
        let ip = if self.ipv6 { 40 } else { 20 };
        u32::try_from(payload).unwrap_or(u32::MAX / 2) + ETHERNET + ip + UDP
    }
}

/// A packet that has arrived.
#[derive(Debug, Clone, Copy)]
pub struct Arrived {
    /// Its stamps, on the process's timescale, and how it came.
    pub arrival: Arrival,
    /// The interface that took it in, where that is known.
    pub interface: Option<u32>,
    /// Why the hardware's stamp is of no use, if it gave one.
    pub fallback: Option<Fallback>,
    /// Why the kernel's stamp is of no use, if it gave one.
    pub kernel: Option<Implausible>,
}

/// A packet that was sent, as far as needed to judge its transmit stamps.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// Just before it was given to the kernel.
    pub earliest: Timestamp<Raw>,
    /// The same on the host's oscillator, where the process's timescale is another.
    pub host: Timestamp<Raw>,
}

impl Sent {
    /// A packet that is about to be sent, at `host` by the host's oscillator.
    pub fn at(host: Timestamp<Raw>, timescale: &Timescale) -> Self {
        Self {
            earliest: timescale.at_host(host),
            host,
        }
    }
}
