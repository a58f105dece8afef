//! A server: answers requests, one at a time, without memory of its clients but a bounded table.

use core::fmt;

use clockwright_timebase::{Duration, Timestamp, Utc};

use crate::extension::FramingError;
use crate::{Entropy, Header, Leap, Mode, NtpTimestamp, ReferenceId};

/// How a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerConfig {
    /// How many replies are remembered for interleaved mode (RFC 9769), the oldest being
    /// forgotten first. Zero: only basic replies.
    pub interleaved_capacity: usize,
}

impl Default for ServerConfig {
    /// 4096 replies.
    fn default() -> Self {
        Self {
            interleaved_capacity: 4096,
        }
    }
}

/// What the server says about its clock (RFC 5905 section 11.1, system variables).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemVariables {
    /// Warning of a leap second, or that the clock is not synchronised.
    pub leap: Leap,
    /// 1 to 15; 0, 16 and above: not synchronised.
    pub stratum: u8,
    /// Resolution of the timestamps given out, log2 s. Bits below it are random.
    pub precision: i8,
    /// Delay to the reference clock.
    pub root_delay: Duration,
    /// Dispersion to the reference clock, grown to the present.
    pub root_dispersion: Duration,
    /// What the clock follows.
    pub reference_id: ReferenceId,
    /// When the clock was last corrected. Clients are told an instant up to 1 s earlier.
    pub reference_time: Timestamp<Utc>,
}

/// Answers requests in basic and interleaved mode.
#[derive(Debug)]
pub struct Server {
    statistics: ServerStatistics,
}

impl Server {
    /// A server with an empty table.
    pub fn new(config: ServerConfig) -> Self {
        let _ = config;
        Self {
            statistics: ServerStatistics::default(),
        }
    }

    /// Answers `request`, which arrived at `rx` by the served clock.
    pub fn handle(
        &mut self,
        request: &[u8],
        rx: Timestamp<Utc>,
        system: &SystemVariables,
        entropy: &mut dyn Entropy,
    ) -> Result<Reply, Dropped> {
        let _ = (request, rx, system, entropy);
        Err(Dropped::TooShort)
    }

    /// The kernel or the NIC says when a reply left; the next interleaved reply to the same client
    /// will tell it. Ignored when the reply has been forgotten.
    pub fn transmitted(&mut self, key: TxKey, at: Timestamp<Utc>) {
        let _ = (key, at);
    }

    /// The served clock was stepped: timestamps from before must not be paired with later ones.
    pub fn clock_stepped(&mut self) {}

    /// What the server has seen.
    pub fn statistics(&self) -> &ServerStatistics {
        &self.statistics
    }
}

/// A reply that lacks only its transmit timestamp.
#[derive(Debug, Clone)]
pub struct Reply {
    octets: [u8; Header::LEN],
    tx_key: Option<TxKey>,
}

impl Reply {
    /// The octets to send; `tx_now` is the served clock just before sending. Never longer than
    /// the request.
    pub fn write(&mut self, tx_now: Timestamp<Utc>) -> &[u8] {
        let _ = tx_now;
        &self.octets
    }

    /// Present if the client uses interleaved mode: then the kernel's or the NIC's transmit stamp
    /// of this reply is wanted, by [`Server::transmitted`].
    pub fn tx_stamp_wanted(&self) -> Option<TxKey> {
        self.tx_key
    }
}

/// Which reply a transmit stamp belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TxKey(NtpTimestamp);

/// Counts since the server was made; they wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServerStatistics {
    /// Replies in basic mode.
    pub basic: u64,
    /// Replies in interleaved mode.
    pub interleaved: u64,
    /// Requests left unanswered.
    pub dropped: u64,
}

/// Why a datagram was left unanswered; always the sender's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// Shorter than a header.
    TooShort,
    /// Not version 1 to 4.
    Version(u8),
    /// Not a request: a reply, a broadcast, control or private use.
    Mode(Mode),
    /// What follows the header is not framed as RFC 7822 says.
    Framing(FramingError),
    /// Authenticated with a key this server does not have.
    UnknownKey,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => f.write_str("too short for an NTP packet"),
            Self::Version(version) => write!(f, "NTP version {version} is not supported"),
            Self::Mode(mode) => write!(f, "mode {} is not a request", mode.to_bits()),
            Self::Framing(error) => write!(f, "malformed packet: {error}"),
            Self::UnknownKey => f.write_str("authenticated with a key that is not configured"),
        }
    }
}

impl std::error::Error for Dropped {}
