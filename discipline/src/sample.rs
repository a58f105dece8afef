//! What one exchange with a source says.

use clockwright_timebase::{Duration, Raw, Timestamp};

/// A leap second announced for the end of the current month (RFC 5905 section 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leap {
    /// None.
    #[default]
    None,
    /// The last minute has 61 seconds.
    Insert,
    /// The last minute has 59 seconds.
    Delete,
}

/// What a source says of its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Upstream {
    /// Its distance from a reference clock, 1 to 15.
    pub stratum: u8,
    /// Its announced leap second.
    pub leap: Leap,
    /// Its total round trip to the reference clock.
    pub root_delay: Duration,
    /// Its total error bound but for the delay.
    pub root_dispersion: Duration,
    /// Four octets that name it as a reference (RFC 5905 section 7.3), for whoever asks us.
    pub reference_id: [u8; 4],
}

/// One measurement of a source against the local oscillator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The local instant that the offset belongs to: the middle of the exchange.
    pub at: Timestamp<Raw>,
    /// UTC as the source has it, minus the local oscillator, at [`Sample::at`].
    pub offset: Duration,
    /// The round trip, without the time that the source took to answer.
    pub delay: Duration,
    /// Bound on the error of converting local stamps to the local oscillator.
    pub uncertainty: Duration,
    /// What the source says of itself.
    pub upstream: Upstream,
}
