//! Time on the wire: the timestamp and short formats of RFC 5905 section 6.

use core::fmt;

use clockwright_timebase::{Duration, Timestamp, Utc};

/// From 1900-01-01 (NTP era 0) to 1970-01-01: 70 years with 17 leap days, RFC 5905 figure 4.
const NTP_TO_UNIX: Duration = Duration::from_secs(2_208_988_800);

/// A 64-bit NTP timestamp: 32 bits of seconds since 1900-01-01, 32 bits of fraction.
///
/// The seconds wrap every 136 years (the first time on 2036-02-07T06:28:16Z); which era is meant
/// is not on the wire. So there is no order between timestamps, only [differences](Self::since),
/// and an instant only [near a known one](Self::to_utc). All zeros means "unknown".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NtpTimestamp(u64);

impl NtpTimestamp {
    /// The value that means "unknown" (RFC 5905 section 6).
    pub const ZERO: Self = Self(0);

    /// From the 64 bits of the wire, most significant first: seconds, then fraction.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The 64 bits of the wire.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// Is it the value that means "unknown"?
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// How much later than `earlier` this is, in NTP fractions (2⁻³² s), wrapping.
    ///
    /// Right whenever the two are less than 68 years apart, whatever their eras.
    pub const fn fractions_since(self, earlier: Self) -> i64 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }

    /// How much later than `earlier` this is. Exact; right whenever the two are less than
    /// 68 years apart, whatever their eras.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_ntp_fractions(self.fractions_since(earlier))
    }

    /// The instant this timestamp means, in the era that puts it within 2³¹ s (68 years) of
    /// `pivot`.
    ///
    /// `pivot` is any instant that is surely that near: the local clock, or where that is not to
    /// be trusted, the time the program was built. Exact.
    pub fn to_utc(self, pivot: Timestamp<Utc>) -> Timestamp<Utc> {
        // Only the pivot is rounded to the wire's grid; the result is on the grid.
        let pivot_fractions = (pivot.since_epoch() + NTP_TO_UNIX).as_ntp_fractions();
        let distance = self.fractions_since(Self::wrapped(pivot_fractions));
        let fractions = pivot_fractions + i128::from(distance);
        Timestamp::from_epoch(Duration::from_units(fractions * 1_000_000_000) - NTP_TO_UNIX)
    }

    /// The low 64 bits of a count of NTP fractions since 1900.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "losing the era is what the wire format does"
    )]
    const fn wrapped(fractions: i128) -> Self {
        Self(fractions as u64)
    }
}

impl From<Timestamp<Utc>> for NtpTimestamp {
    /// Rounds to the nearest 2⁻³² s and drops the era.
    fn from(instant: Timestamp<Utc>) -> Self {
        Self::wrapped((instant.since_epoch() + NTP_TO_UNIX).as_ntp_fractions())
    }
}

impl fmt::Debug for NtpTimestamp {
    /// Seconds and fraction in hexadecimal, as packet dumps show them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}.{:08x}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

/// A 32-bit NTP short: 16 bits of seconds, 16 bits of fraction, unsigned.
///
/// Root delay and root dispersion travel in it: 15 µs steps up to 18 hours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NtpShort(u32);

impl NtpShort {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The largest value, just below 65 536 s.
    pub const MAX: Self = Self(u32::MAX);

    /// From the 32 bits of the wire.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The 32 bits of the wire.
    pub const fn to_bits(self) -> u32 {
        self.0
    }

    /// As a duration; exact, not negative.
    pub const fn to_duration(self) -> Duration {
        Duration::from_ntp_fractions((self.0 as i64) << 16)
    }

    /// The smallest value that is not below `duration`, so that an error bound never shrinks on
    /// its way through a packet. Saturates; negative durations become zero.
    pub fn round_up(duration: Duration) -> Self {
        /// 2⁻¹⁶ s in units of 2⁻³² ns.
        const STEP: i128 = 65_536 * 1_000_000_000;
        let units = duration.as_units();
        if units <= 0 {
            return Self::ZERO;
        }
        let steps = units / STEP + i128::from(units % STEP != 0);
        u32::try_from(steps).map_or(Self::MAX, Self)
    }
}

impl fmt::Debug for NtpShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_duration())
    }
}
