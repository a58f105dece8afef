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

    /// One unit more, 2^-16 s; the largest value stays.
    #[must_use]
    pub const fn next_up(self) -> Self {
        Self(self.0.saturating_add(1))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2036-02-07T06:28:16Z, where era 0 ends (RFC 5905 section 6).
    const ROLL_OVER: i64 = 2_085_978_496;

    fn utc(secs: i64, nanos: i64) -> Timestamp<Utc> {
        Timestamp::from_timespec(secs, nanos)
    }

    #[test]
    fn dates_of_rfc_5905_figure_4() {
        let seconds = |instant| NtpTimestamp::from(instant).to_bits() >> 32;
        assert_eq!(seconds(utc(-2_208_988_800, 0)), 0, "1900-01-01");
        assert_eq!(seconds(utc(0, 0)), 2_208_988_800, "1970-01-01");
        assert_eq!(seconds(utc(63_072_000, 0)), 2_272_060_800, "1972-01-01");
        assert_eq!(seconds(utc(946_598_400, 0)), 3_155_587_200, "1999-12-31");
        assert_eq!(seconds(utc(ROLL_OVER - 1, 0)), 0xffff_ffff);
        assert_eq!(seconds(utc(ROLL_OVER, 0)), 0);
    }

    #[test]
    fn the_pivot_chooses_the_era() {
        let just_after = NtpTimestamp::from_bits(5 << 32);
        assert_eq!(
            just_after.to_utc(utc(ROLL_OVER - 60, 0)),
            utc(ROLL_OVER + 5, 0)
        );
        assert_eq!(
            just_after.to_utc(utc(ROLL_OVER + 60, 0)),
            utc(ROLL_OVER + 5, 0)
        );
        assert_eq!(
            just_after.to_utc(utc(-2_208_988_800, 0)),
            utc(-2_208_988_795, 0)
        );
        let just_before = NtpTimestamp::from_bits(0xffff_fffb << 32);
        assert_eq!(
            just_before.to_utc(utc(ROLL_OVER + 60, 0)),
            utc(ROLL_OVER - 5, 0)
        );
        // The reach of the pivot: 2^31 s on both sides.
        let half = 1 << 31;
        let pivot = utc(1_800_000_000, 0);
        for distance in [half - 1, -half] {
            let instant = pivot + Duration::from_secs(distance);
            assert_eq!(NtpTimestamp::from(instant).to_utc(pivot), instant);
        }
        let beyond = pivot + Duration::from_secs(half);
        assert_ne!(NtpTimestamp::from(beyond).to_utc(pivot), beyond);
    }

    #[test]
    fn differences_cross_the_roll_over() {
        let before = NtpTimestamp::from(utc(ROLL_OVER - 1, 500_000_000));
        let after = NtpTimestamp::from(utc(ROLL_OVER, 250_000_000));
        assert_eq!(after.since(before), Duration::from_millis(750));
        assert_eq!(before.since(after), Duration::from_millis(-750));
    }

    #[test]
    fn short_times_round_up_and_saturate() {
        assert_eq!(
            NtpShort::from_bits(0x0001_8000).to_duration(),
            Duration::from_millis(1500)
        );
        assert_eq!(NtpShort::round_up(Duration::from_units(1)).to_bits(), 1);
        assert_eq!(
            NtpShort::round_up(Duration::from_secs(1)).to_bits(),
            0x0001_0000
        );
        assert_eq!(NtpShort::round_up(Duration::from_secs(-1)), NtpShort::ZERO);
        assert_eq!(
            NtpShort::round_up(Duration::from_secs(65_536)),
            NtpShort::MAX
        );
        assert_eq!(NtpShort::round_up(Duration::MAX), NtpShort::MAX);
    }

    proptest! {
        #[test]
        fn every_wire_value_survives_the_way_to_utc_and_back(bits: u64, pivot in -1i64 << 40..1 << 40) {
            let pivot = utc(pivot, 123_456_789);
            let timestamp = NtpTimestamp::from_bits(bits);
            let instant = timestamp.to_utc(pivot);
            prop_assert_eq!(NtpTimestamp::from(instant), timestamp);
            prop_assert!((instant - pivot).abs() <= Duration::from_secs(1 << 31));
        }

        #[test]
        fn instants_near_the_pivot_come_back_to_the_fraction(
            secs in -1i64 << 33..1 << 33, nanos in 0i64..1_000_000_000, away in -(1i64 << 31) + 1..(1 << 31) - 1,
        ) {
            let instant = utc(secs, nanos);
            let pivot = instant + Duration::from_secs(away);
            let back = NtpTimestamp::from(instant).to_utc(pivot);
            prop_assert!((back - instant).abs() <= Duration::from_ntp_fractions(1).half());
        }

        #[test]
        fn short_times_never_shrink(nanos in 0i64..60_000_000_000_000) {
            let duration = Duration::from_nanos(nanos);
            let wire = NtpShort::round_up(duration).to_duration();
            prop_assert!(wire >= duration);
            prop_assert!(wire - duration < Duration::from_ntp_fractions(1 << 16));
            prop_assert_eq!(NtpShort::round_up(wire).to_duration(), wire);
        }
    }
}
