//! Time without leap seconds: a leap second is spread over the day around it.
//!
//! From noon UTC before the leap second to noon after it the time served runs slower, or for a
//! second that is left out faster, by a constant rate, so that all of these hours last 86 401 (or
//! 86 399) seconds and nothing is repeated or skipped. Google's and Amazon's public servers do the
//! same, so that a client may have these and ours as sources at once, but none that serves UTC.
//!
//! With `u` the UTC that the clock shows and `s` the time served, `e` the seconds that have really
//! gone by since the noon before, and `n` those of the whole smear, `s = noon + e 86 400 / n`. That
//! is, with the correction `c = s - u`:
//!
//! | | before the leap second | after it |
//! |---|---|---|
//! | inserted, `n = 86 401` | `c = -e/n`, `e = u - noon` | `c = 1 - e/n`, `e = u - noon + 1` |
//! | left out, `n = 86 399` | `c = e/n`, `e = u - noon` | `c = e/n - 1`, `e = u - noon - 1` |

use clockwright_ntp::ReferenceId;
use clockwright_timebase::{Duration, Timestamp, Utc};

/// From noon to midnight.
const HALF_DAY: Duration = Duration::from_secs(43_200);
/// So long before and after the leap second nothing is said. A clock repeats a second, or leaves
/// one out, at some instant of the second before or after the end of the day, each kernel in its
/// own way, and a reading from there does not tell on which side it is: the correction could be
/// wrong by 1 s. Half a second more is for clocks that are not quite right. Clients ask again.
const SILENCE: Duration = Duration::from_millis(1_500);
/// Seconds in a day.
const DAY: i64 = 86_400;

/// What happens to the last second of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeapKind {
    /// Another one comes after it.
    Insert,
    /// There is none.
    Delete,
}

/// A leap second, and how it is smeared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Smear {
    /// The end of the day whose last minute has 61 or 59 seconds: 0:00:00 of the next.
    leap_at: Timestamp<Utc>,
    kind: LeapKind,
}

impl Smear {
    /// A leap second at the end of the day that ends at `leap_at`.
    pub(crate) const fn new(leap_at: Timestamp<Utc>, kind: LeapKind) -> Self {
        Self { leap_at, kind }
    }

    /// The instant after the leap second.
    pub(crate) const fn leap_at(&self) -> Timestamp<Utc> {
        self.leap_at
    }

    /// What happens.
    pub(crate) const fn kind(&self) -> LeapKind {
        self.kind
    }

    /// Is all of it past at `now`? Until then it has to be remembered, though the announcement of
    /// the leap second ends at midnight.
    pub(crate) fn is_over(&self, now: Timestamp<Utc>) -> bool {
        now - self.leap_at >= HALF_DAY
    }

    /// What must be *added* to UTC, as the clock shows it, to have the time that is served; zero
    /// before and after the smear. To half a unit of [`Duration`]. `None`: too near to the leap
    /// second to say, and nothing may be answered.
    pub(crate) fn correction(&self, utc: Timestamp<Utc>) -> Option<Duration> {
        let from_leap = utc - self.leap_at;
        if from_leap.abs() < SILENCE {
            return None;
        }
        if from_leap.abs() >= HALF_DAY {
            return Some(Duration::ZERO);
        }
        let second = match self.kind {
            LeapKind::Insert => Duration::from_secs(1),
            LeapKind::Delete => Duration::from_secs(-1),
        };
        // What the clock has repeated, which it does not show.
        let hidden = if from_leap.is_negative() {
            Duration::ZERO
        } else {
            second
        };
        let elapsed = from_leap + HALF_DAY + hidden;
        let seconds = match self.kind {
            LeapKind::Insert => DAY + 1,
            LeapKind::Delete => DAY - 1,
        };
        let spread = divide(elapsed.as_units(), seconds.into());
        Some(match self.kind {
            LeapKind::Insert => hidden - Duration::from_units(spread),
            LeapKind::Delete => hidden + Duration::from_units(spread),
        })
    }
}

/// The quotient, rounded to the nearest. `below` is positive.
const fn divide(above: i128, below: i128) -> i128 {
    (2 * above + below).div_euclid(2 * below)
}

/// The reference id that tells a correction, as ntpd has it: 254, then the seconds as a signed
/// fixed-point number with 2 bits before the point and 22 after it. So whoever knows this convention
/// can take the smear out, and whoever looks at `sources` sees that there is one.
pub(crate) fn reference_id(correction: Duration) -> ReferenceId {
    let second = Duration::from_secs(1).as_units();
    let most = 1 << 23;
    let scaled = correction.as_units().clamp(-2 * second, 2 * second) << 22;
    let fixed = divide(scaled, second).clamp(-most, most - 1);
    let octets = fixed.to_be_bytes();
    let [.., high, middle, low] = octets;
    ReferenceId([254, high, middle, low])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The end of 2016, where the last leap second was.
    const T: i64 = 1_483_228_800;
    const KINDS: [LeapKind; 2] = [LeapKind::Insert, LeapKind::Delete];

    fn smear(kind: LeapKind) -> Smear {
        Smear::new(Timestamp::from_timespec(T, 0), kind)
    }

    /// The correction in units so long after the leap second.
    fn correction(kind: LeapKind, from_leap: Duration) -> Option<i128> {
        let smear = smear(kind);
        let found = smear.correction(smear.leap_at() + from_leap)?;
        Some(found.as_units())
    }

    fn at(kind: LeapKind, secs: i64) -> i128 {
        correction(kind, Duration::from_secs(secs)).unwrap()
    }

    /// `above / below` seconds in units, to the nearest.
    fn ratio(above: i128, below: i128) -> i128 {
        divide(above * Duration::from_secs(1).as_units(), below)
    }

    #[test]
    fn it_goes_from_noon_to_noon() {
        for kind in KINDS {
            for secs in [-90_000, -43_201, -43_200, 43_200, 43_201, 90_000] {
                assert_eq!(at(kind, secs), 0, "{kind:?} {secs}");
            }
        }
    }

    #[test]
    fn a_second_more_is_taken_in_slowly() {
        let at = |secs| at(LeapKind::Insert, secs);
        assert_eq!(at(-43_199), ratio(-1, 86_401));
        assert_eq!(at(-21_600), ratio(-21_600, 86_401));
        assert_eq!(at(-2), ratio(-43_198, 86_401));
        // The clock has repeated a second, and time served has not.
        assert_eq!(at(2), ratio(86_401 - 43_203, 86_401));
        assert_eq!(at(21_600), ratio(86_401 - 64_801, 86_401));
        assert_eq!(at(43_199), ratio(1, 86_401));
    }

    #[test]
    fn a_second_less_is_made_up_for() {
        let at = |secs| at(LeapKind::Delete, secs);
        assert_eq!(at(-43_199), ratio(1, 86_399));
        assert_eq!(at(-21_600), ratio(21_600, 86_399));
        assert_eq!(at(-2), ratio(43_198, 86_399));
        assert_eq!(at(2), ratio(43_201 - 86_399, 86_399));
        assert_eq!(at(21_600), ratio(64_799 - 86_399, 86_399));
        assert_eq!(at(43_199), ratio(-1, 86_399));
    }

    #[test]
    fn nothing_is_said_where_a_clock_cannot_be_told_apart_from_itself() {
        for kind in KINDS {
            for millis in [-1_499, -1_000, -500, -1, 0, 1, 500, 1_000, 1_499] {
                assert_eq!(correction(kind, Duration::from_millis(millis)), None);
            }
            for millis in [-1_500, 1_500] {
                assert!(correction(kind, Duration::from_millis(millis)).is_some());
            }
        }
    }

    #[test]
    fn it_is_over_at_noon() {
        let smear = smear(LeapKind::Insert);
        let is_over = |secs| smear.is_over(Timestamp::from_timespec(T + secs, 0));
        assert!(!is_over(-50_000) && !is_over(43_199) && is_over(43_200));
    }

    #[test]
    fn the_reference_id_is_the_correction() {
        let of = |nanos| reference_id(Duration::from_nanos(nanos)).0;
        assert_eq!(of(0), [254, 0, 0, 0]);
        assert_eq!(of(500_000_000), [254, 0x20, 0, 0]);
        assert_eq!(of(-500_000_000), [254, 0xe0, 0, 0]);
        assert_eq!(of(1_000_000_000), [254, 0x40, 0, 0]);
        // 2^-22 s is 238.4 ns.
        assert_eq!(of(238), [254, 0, 0, 1]);
        assert_eq!(of(-238), [254, 0xff, 0xff, 0xff]);
        assert_eq!(of(i64::MAX), [254, 0x7f, 0xff, 0xff]);
        assert_eq!(of(i64::MIN), [254, 0x80, 0, 0]);
        assert_eq!(reference_id(Duration::MAX).0, [254, 0x7f, 0xff, 0xff]);
    }

    /// What a clock shows `real` seconds after the noon before the leap second, in units: it shows
    /// the last second twice, or not at all.
    fn shown(kind: LeapKind, real: i128) -> Timestamp<Utc> {
        let second = Duration::from_secs(1).as_units();
        let leap = match kind {
            LeapKind::Insert if real >= 43_200 * second => -second,
            LeapKind::Delete if real >= 43_199 * second => second,
            _ => 0,
        };
        smear(kind).leap_at() - HALF_DAY + Duration::from_units(real + leap)
    }

    proptest! {
        /// The time served goes on evenly through the leap second, in which the clock does not:
        /// monotone, continuous and with one slope.
        #[test]
        fn time_served_is_a_straight_line(
            nanos in 0_i64..86_399_000_000_000,
            kind in prop_oneof![Just(LeapKind::Insert), Just(LeapKind::Delete)],
        ) {
            let real = Duration::from_nanos(nanos).as_units();
            let clock = shown(kind, real);
            let smear = smear(kind);
            let seconds = if kind == LeapKind::Insert { 86_401 } else { 86_399 };
            let straight = divide(real * 86_400, seconds);
            match smear.correction(clock) {
                Some(correction) => {
                    let served = clock + correction - (smear.leap_at() - HALF_DAY);
                    prop_assert!((served.as_units() - straight).abs() <= 1);
                }
                // At most 1.5 s and the leap second itself.
                None => prop_assert!((clock - smear.leap_at()).abs() < SILENCE),
            }
        }

        /// Never more than half a second off, whatever time it is.
        #[test]
        fn a_correction_is_less_than_a_second(
            secs in any::<i32>(),
            kind in prop_oneof![Just(LeapKind::Insert), Just(LeapKind::Delete)],
        ) {
            let found = smear(kind).correction(Timestamp::from_timespec(secs.into(), 0));
            if let Some(found) = found {
                prop_assert!(found.abs() <= Duration::from_millis(500));
            }
        }

        /// The reference id gives the correction back to 2^-23 s.
        #[test]
        fn a_reference_id_can_be_read_back(nanos in -1_900_000_000_i64..1_900_000_000) {
            let [mark, high, middle, low] = reference_id(Duration::from_nanos(nanos)).0;
            prop_assert_eq!(mark, 254);
            let fixed = i32::from_be_bytes([high, middle, low, 0]) >> 8;
            let back = f64::from(fixed) / f64::from(1 << 22);
            prop_assert!((back - nanos as f64 * 1e-9).abs() <= 0.5 / f64::from(1 << 22) + 1e-12);
        }
    }
}
