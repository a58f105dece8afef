//! Differences of instants.

use core::fmt;
use core::iter::Sum;
use core::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

/// Units in a nanosecond.
const PER_NANO: i128 = 1 << 32;
/// Units in a second.
const PER_SEC: i128 = 1_000_000_000 * PER_NANO;

/// A signed difference of two instants, in units of 2⁻³² ns.
///
/// The range (±5·10¹⁹ years) is beyond anything that can be received or configured, so sums of
/// wire values cannot overflow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(i128);

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The largest difference that can be expressed.
    pub const MAX: Self = Self(i128::MAX);

    /// From units of 2⁻³² ns.
    pub const fn from_units(units: i128) -> Self {
        Self(units)
    }

    /// From whole nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos as i128 * PER_NANO)
    }

    /// From whole microseconds.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros as i128 * 1_000 * PER_NANO)
    }

    /// From whole milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis as i128 * 1_000_000 * PER_NANO)
    }

    /// From whole seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs as i128 * PER_SEC)
    }

    /// From NTP fractions: units of 2⁻³² s (RFC 5905 section 6). Exact.
    pub const fn from_ntp_fractions(fractions: i64) -> Self {
        Self(fractions as i128 * 1_000_000_000)
    }

    /// From seconds as an estimate. Saturates; not-a-number becomes zero.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "float to integer casts saturate, as documented"
    )]
    pub fn from_secs_f64(secs: f64) -> Self {
        let units = secs * PER_SEC as f64;
        // Up to two seconds, nearly always: 64 bits are converted at once, 128 by a function.
        // From 2^52 on a float is a whole number.
        if units.abs() < (1_u64 << 52) as f64 {
            let whole = units as i64;
            let rest = units - whole as f64;
            let away = i64::from(rest >= 0.5) - i64::from(rest <= -0.5);
            Self(i128::from(whole + away))
        } else if units.abs() < (1_u64 << 62) as f64 {
            Self(i128::from(units as i64))
        } else {
            Self(units as i128)
        }
    }

    /// In units of 2⁻³² ns.
    pub const fn as_units(self) -> i128 {
        self.0
    }

    /// In nanoseconds, rounded to the nearest, saturating at ±292 years.
    pub const fn as_nanos(self) -> i64 {
        let nanos = self.0.saturating_add(PER_NANO / 2).div_euclid(PER_NANO);
        if nanos > i64::MAX as i128 {
            i64::MAX
        } else if nanos < i64::MIN as i128 {
            i64::MIN
        } else {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the range was just checked"
            )]
            {
                nanos as i64
            }
        }
    }

    /// In NTP fractions of 2⁻³² s, rounded to the nearest, wrapping at ±68 years · 2³².
    pub const fn as_ntp_fractions(self) -> i128 {
        self.0.saturating_add(500_000_000).div_euclid(1_000_000_000)
    }

    /// In seconds, as an estimate.
    pub fn as_secs_f64(self) -> f64 {
        // Whole seconds and rest apart, so that a large whole part costs the rest no digits
        // before the final addition.
        let (whole, rest) = if let Ok(nanos) = i64::try_from(self.0 >> 32) {
            // Nearly always: division of 64 bits takes a tenth of the time of 128.
            let below_nano = (self.0 & (PER_NANO - 1)) as i64;
            let nanos_of_rest = nanos.rem_euclid(1_000_000_000);
            // Less than 10⁹ · 2³², which is less than 2⁶²; so is its conversion, of 64 bits.
            let rest = (nanos_of_rest << 32) | below_nano;
            (nanos.div_euclid(1_000_000_000) as f64, rest as f64)
        } else {
            (
                self.0.div_euclid(PER_SEC) as f64,
                self.0.rem_euclid(PER_SEC) as f64,
            )
        };
        whole + rest / PER_SEC as f64
    }

    /// The magnitude.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }

    /// Half of it, rounded down.
    #[must_use]
    pub const fn half(self) -> Self {
        Self(self.0 >> 1)
    }

    /// Is it below zero?
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Scaled by a dimensionless factor (a frequency, say); exact to 2⁻⁵³ of the result.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self::from_secs_f64(self.as_secs_f64() * factor)
    }

    /// As the standard library's duration; negative differences become zero.
    pub fn to_std(self) -> std::time::Duration {
        u64::try_from(self.as_nanos())
            .map_or(std::time::Duration::ZERO, std::time::Duration::from_nanos)
    }
}

impl From<std::time::Duration> for Duration {
    fn from(std: std::time::Duration) -> Self {
        Self(i128::from(std.as_secs()) * PER_SEC + i128::from(std.subsec_nanos()) * PER_NANO)
    }
}

impl Add for Duration {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Duration {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Duration {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl SubAssign for Duration {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Neg for Duration {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Mul<i32> for Duration {
    type Output = Self;
    fn mul(self, factor: i32) -> Self {
        Self(self.0.saturating_mul(i128::from(factor)))
    }
}

impl Div<i32> for Duration {
    type Output = Self;
    /// Rounds toward zero; a zero divisor gives zero rather than a panic.
    fn div(self, divisor: i32) -> Self {
        Self(self.0.checked_div(i128::from(divisor)).unwrap_or(0))
    }
}

impl Sum for Duration {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Debug for Duration {
    /// In seconds, to the picosecond, with the sign.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.0.unsigned_abs();
        let (secs, rest) = (
            units / PER_SEC.unsigned_abs(),
            units % PER_SEC.unsigned_abs(),
        );
        let picos = (rest * 1_000) >> 32;
        let sign = if self.is_negative() { '-' } else { '+' };
        write!(f, "{sign}{secs}.{picos:012}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_wire_units_are_whole_numbers_of_units() {
        assert_eq!(Duration::from_secs(1), Duration::from_nanos(1_000_000_000));
        assert_eq!(
            Duration::from_secs(1),
            Duration::from_ntp_fractions(1 << 32)
        );
        assert_eq!(Duration::from_units(1 << 32), Duration::from_nanos(1));
    }

    #[test]
    fn nothing_a_float_can_say_panics() {
        assert_eq!(Duration::from_secs_f64(f64::NAN), Duration::ZERO);
        assert!(Duration::from_secs_f64(f64::INFINITY) > Duration::from_secs(i64::MAX));
        assert_eq!(Duration::from_secs(7) / 0, Duration::ZERO);
        assert_eq!(Duration::from_secs(-7).to_std(), std::time::Duration::ZERO);
    }

    #[test]
    fn debug_shows_sign_and_picoseconds() {
        let text = format!("{:?}", Duration::from_nanos(-16_500_000_001));
        assert_eq!(text, "-16.500000001000s");
    }

    proptest! {
        #[test]
        fn nanos_round_trip(nanos in any::<i64>()) {
            prop_assert_eq!(Duration::from_nanos(nanos).as_nanos(), nanos);
        }

        #[test]
        fn ntp_fractions_round_trip(fractions in any::<i64>()) {
            let there = Duration::from_ntp_fractions(fractions);
            prop_assert_eq!(there.as_ntp_fractions(), i128::from(fractions));
        }

        #[test]
        fn seconds_are_rounded_to_the_nearest_unit(exponent in -95i32..40, part in -2f64..2.0) {
            let secs = part * f64::from(exponent).exp2();
            let units = Duration::from_secs_f64(secs).as_units();
            prop_assert_eq!((units as f64).to_bits(), (0.0 + (secs * PER_SEC as f64).round()).to_bits());
        }

        #[test]
        fn seconds_are_those_of_exact_division(units in any::<i128>(), shift in 0u32..127) {
            let units = units >> shift;
            let (whole, rest) = (units.div_euclid(PER_SEC), units.rem_euclid(PER_SEC));
            let expected = whole as f64 + rest as f64 / PER_SEC as f64;
            let secs = Duration::from_units(units).as_secs_f64();
            prop_assert_eq!(secs.to_bits(), expected.to_bits());
        }

        #[test]
        fn seconds_keep_fifteen_digits(secs in -1e9f64..1e9) {
            let back = Duration::from_secs_f64(secs).as_secs_f64();
            prop_assert!((back - secs).abs() <= secs.abs() * 1e-15 + 1e-18);
        }
    }
}
