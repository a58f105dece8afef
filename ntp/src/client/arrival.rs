//! How a datagram came.

use clockwright_timebase::{Duration, Raw, Stamp};

use super::Stamps;

/// What carries NTP packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Transport {
    /// UDP, as RFC 5905 has it.
    #[default]
    Udp,
    /// PTP messages over UDP (RFC 10030), for NICs that stamp nothing else.
    Ptp,
}

impl Transport {
    /// The name used in every output: `udp` or `ptp`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Ptp => "ptp",
        }
    }
}

impl core::fmt::Display for Transport {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}

/// How and when a datagram came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When, by everybody who stamped it.
    pub stamps: Stamps,
    /// What carried it.
    pub transport: Transport,
    /// How long the frame took to come off the wire, by which the hardware's stamp was moved from
    /// the frame's beginning to its end; zero if that is not known, or there is no such stamp.
    pub frame: Duration,
}

impl Arrival {
    /// A datagram that came by plain UDP, with one stamp. (A process's own reading of the clock is
    /// added by [`handle_datagram`](crate::Client::handle_datagram).)
    pub fn udp(stamp: Stamp<Raw>) -> Self {
        let mut stamps = Stamps::default();
        stamps.note(stamp);
        Self {
            stamps,
            transport: Transport::Udp,
            frame: Duration::ZERO,
        }
    }
}
