//! Poll intervals.

use core::fmt;

use crate::Duration;

/// A poll interval as its base-2 logarithm in seconds (RFC 5905 section 7.3).
///
/// From −7 (1/128 s) to 17 (36 h); other values are clamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Poll(i8);

impl Poll {
    /// 1/128 s.
    pub const MIN: Self = Self(-7);
    /// 2¹⁷ s, RFC 5905's MAXPOLL.
    pub const MAX: Self = Self(17);

    /// The interval of 2^`log2` seconds, clamped to the range.
    pub const fn new(log2: i8) -> Self {
        if log2 < Self::MIN.0 {
            Self::MIN
        } else if log2 > Self::MAX.0 {
            Self::MAX
        } else {
            Self(log2)
        }
    }

    /// The base-2 logarithm of the interval in seconds.
    pub const fn log2(self) -> i8 {
        self.0
    }

    /// The interval.
    pub fn interval(self) -> Duration {
        let second = Duration::from_secs(1).as_units();
        Duration::from_units(if self.0 < 0 {
            second >> -self.0
        } else {
            second << self.0
        })
    }

    /// The interval in seconds.
    pub fn as_secs_f64(self) -> f64 {
        f64::from(self.0).exp2()
    }

    /// Twice the interval.
    #[must_use]
    pub const fn longer(self) -> Self {
        Self::new(self.0 + 1)
    }

    /// Half the interval.
    #[must_use]
    pub const fn shorter(self) -> Self {
        Self::new(self.0 - 1)
    }
}

impl fmt::Display for Poll {
    /// `64s`, or `1/16s` below a second.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let power = 1_u32 << self.0.unsigned_abs();
        if self.0 < 0 {
            write!(f, "1/{power}s")
        } else {
            write!(f, "{power}s")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_exact_powers_of_two() {
        assert_eq!(Poll::new(6).interval(), Duration::from_secs(64));
        assert_eq!(Poll::new(-2).interval(), Duration::from_millis(250));
        assert_eq!(Poll::new(-7).interval() * 128, Duration::from_secs(1));
    }

    #[test]
    fn out_of_range_is_clamped() {
        assert_eq!(Poll::new(i8::MIN), Poll::MIN);
        assert_eq!(Poll::new(i8::MAX), Poll::MAX);
        assert_eq!(Poll::MAX.longer(), Poll::MAX);
        assert_eq!(Poll::MIN.shorter(), Poll::MIN);
    }

    #[test]
    fn shows_as_seconds() {
        assert_eq!(Poll::new(6).to_string(), "64s");
        assert_eq!(Poll::new(-4).to_string(), "1/16s");
    }
}
