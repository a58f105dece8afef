//! Quantities with units: `64s`, `62.5ms`, `1/16s`, `50ppm`.

use std::fmt;
use std::str::FromStr;

use clockwright_timebase::{Duration, Poll};

/// Units of duration, the longest first, in nanoseconds.
const UNITS: [(&str, i64); 8] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];

/// What is said where a unit is missing or unknown.
const UNIT_HINT: &str = "the units are ns, us, ms, s, min, h and d";

/// Digits accepted before and after the decimal point: more than any setting needs.
const MAX_DIGITS: usize = 18;

/// Splits `12.5ms` into the number and its unit.
fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '/' | '-' | '+')))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

/// A decimal as an exact fraction: numerator and power of ten below it.
fn decimal(text: &str) -> Option<(i128, u32)> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits =
        |s: &str| !s.is_empty() && s.len() <= MAX_DIGITS && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return None;
    }
    let numerator = format!("{whole}{part}").parse().ok()?;
    Some((numerator, u32::try_from(part.len()).ok()?))
}

/// Reads a duration: a decimal number, or a fraction of whole numbers, and a unit. A sign may
/// stand in front. Exact to a unit of [`Duration`].
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text.trim());
    if number.is_empty() {
        return Err(format!("`{text}` does not begin with a number"));
    }
    let Some((_, nanos)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(if unit.is_empty() {
            format!("`{text}` has no unit; {UNIT_HINT}")
        } else {
            format!("`{unit}` is not a unit of time; {UNIT_HINT}")
        });
    };
    let (negative, magnitude) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let unit = Duration::from_nanos(*nanos).as_units();
    let units = match magnitude.split_once('/') {
        Some((above, below)) => fraction(above, below, unit),
        None => decimal(magnitude)
            .and_then(|(above, power)| Some(divide(above.checked_mul(unit)?, 10_i128.pow(power)))),
    };
    let units = units
        .ok_or_else(|| format!("`{number}` is not a number of at most {MAX_DIGITS} digits"))?;
    Ok(Duration::from_units(if negative { -units } else { units }))
}

/// `above`/`below` of `unit`, where both are whole numbers.
fn fraction(above: &str, below: &str, unit: i128) -> Option<i128> {
    let whole = |text: &str| {
        let (numerator, power) = decimal(text).filter(|_| !text.contains('.'))?;
        Some(numerator / 10_i128.pow(power))
    };
    let below = whole(below).filter(|below| *below > 0)?;
    Some(divide(whole(above)?.checked_mul(unit)?, below))
}

/// The quotient of non-negative numbers, rounded to the nearest.
const fn divide(above: i128, below: i128) -> i128 {
    (above + below / 2) / below
}

/// Writes a duration in the longest unit that needs no more than three decimals, so that
/// [`parse_duration`] reads the same back. Exact for whole picoseconds.
pub fn show_duration(duration: Duration) -> String {
    let sign = if duration.is_negative() { "-" } else { "" };
    let units = duration.as_units().unsigned_abs();
    if units == 0 {
        return "0s".to_owned();
    }
    let in_units = |nanos: i64| Duration::from_nanos(nanos).as_units().unsigned_abs();
    let (name, nanos) = UNITS
        .into_iter()
        .find(|(_, nanos)| {
            let unit = in_units(*nanos);
            units >= unit && units.saturating_mul(1000).is_multiple_of(unit)
        })
        .unwrap_or(("ns", 1));
    let unit = in_units(nanos);
    let thousandths = (units.saturating_mul(1000) + unit / 2) / unit;
    let (whole, rest) = (thousandths / 1000, thousandths % 1000);
    let decimals = format!(".{rest:03}");
    let decimals = decimals.trim_end_matches('0').trim_end_matches('.');
    format!("{sign}{whole}{decimals}{name}")
}

/// Reads a poll interval: a duration that is a power of two of seconds in [`Poll`]'s range.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_poll(text: &str) -> Result<Poll, String> {
    let interval = parse_duration(text)?;
    let polls = || (Poll::MIN.log2()..=Poll::MAX.log2()).map(Poll::new);
    if let Some(poll) = polls().find(|poll| poll.interval() == interval) {
        return Ok(poll);
    }
    if interval < Poll::MIN.interval() || interval > Poll::MAX.interval() {
        return Err(format!(
            "a poll interval goes from {} to {}",
            Poll::MIN,
            Poll::MAX
        ));
    }
    let below = polls().filter(|poll| poll.interval() < interval).max();
    let near = below.unwrap_or(Poll::MIN);
    Err(format!(
        "a poll interval is a power of two of seconds; near it are {near} and {}",
        near.longer()
    ))
}

/// A frequency relative to nominal: positive is fast.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Frequency(f64);

impl Frequency {
    /// From parts per million.
    pub const fn from_ppm(ppm: f64) -> Self {
        Self(ppm)
    }

    /// In parts per million.
    pub const fn as_ppm(self) -> f64 {
        self.0
    }

    /// In seconds per second.
    pub fn as_ratio(self) -> f64 {
        self.0 * 1e-6
    }
}

impl FromStr for Frequency {
    type Err = String;

    /// `50ppm`, `0.2ppm`, `80ppb`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split(text.trim());
        let scale = match unit {
            "ppm" => 1.0,
            "ppb" => 1e-3,
            _ => {
                return Err(format!(
                    "`{text}` has no unit of frequency; the units are ppm and ppb"
                ));
            }
        };
        number
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite())
            .map(|number| Self(number * scale))
            .ok_or_else(|| format!("`{number}` is not a number"))
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ppm", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_as_people_write_them() {
        for (text, nanos) in [
            ("64s", 64_000_000_000),
            ("1ms", 1_000_000),
            ("100us", 100_000),
            ("100µs", 100_000),
            ("1.5 ms", 1_500_000),
            ("1/16s", 62_500_000),
            ("-25ms", -25_000_000),
            ("+2min", 120_000_000_000),
            ("1d", 86_400_000_000_000),
            ("0s", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_nanos(nanos)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_duration_says_why() {
        for (text, why) in [
            ("64", "no unit"),
            ("64 seconds", "`seconds` is not a unit"),
            ("s", "does not begin with a number"),
            ("", "does not begin with a number"),
            ("1.2.3s", "`1.2.3` is not a number"),
            ("1/0s", "`1/0` is not a number"),
            ("1.5/2s", "`1.5/2` is not a number"),
            (
                "1234567890123456789s",
                "is not a number of at most 18 digits",
            ),
            ("--1s", "`--1` is not a number"),
            (".s", "`.` is not a number"),
        ] {
            let refusal = parse_duration(text).unwrap_err();
            assert!(refusal.contains(why), "{text}: {refusal}");
        }
    }

    #[test]
    fn durations_are_shown_in_the_unit_that_suits() {
        for text in [
            "100ms", "64s", "62.5ms", "-1.5us", "3min", "0s", "7d", "1ns", "0.5ns",
        ] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn polls_are_powers_of_two() {
        assert_eq!(parse_poll("64s"), Ok(Poll::new(6)));
        assert_eq!(parse_poll("250ms"), Ok(Poll::new(-2)));
        assert_eq!(parse_poll("62.5ms"), Ok(Poll::new(-4)));
        assert_eq!(parse_poll("1/16s"), Ok(Poll::new(-4)));
        assert_eq!(parse_poll("7.8125ms"), Ok(Poll::MIN));
        let refusal = parse_poll("60s").unwrap_err();
        assert!(refusal.ends_with("near it are 32s and 64s"), "{refusal}");
        assert!(
            parse_poll("3.9ms")
                .unwrap_err()
                .contains("from 1/128s to 131072s")
        );
    }

    #[test]
    fn frequencies_need_their_unit() {
        assert_eq!("50ppm".parse(), Ok(Frequency::from_ppm(50.0)));
        assert_eq!("-80 ppb".parse(), Ok(Frequency::from_ppm(-0.08)));
        assert!(
            "50".parse::<Frequency>()
                .unwrap_err()
                .contains("ppm and ppb")
        );
        assert!("ppm".parse::<Frequency>().is_err());
    }

    proptest! {
        #[test]
        fn durations_round_trip(nanos in -999_999_999_000_000_000_i64..=999_999_999_000_000_000) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }

        #[test]
        fn polls_round_trip(log2 in -7_i8..=17) {
            let poll = Poll::new(log2);
            prop_assert_eq!(parse_poll(&poll.to_string()), Ok(poll));
        }

        #[test]
        fn frequencies_round_trip(ppm in -1e6f64..1e6) {
            let frequency = Frequency::from_ppm(ppm);
            prop_assert_eq!(frequency.to_string().parse(), Ok(frequency));
        }

        #[test]
        fn arbitrary_text_never_panics(text in any::<String>(), number in "[0-9./+-]{0,40}(d|s|ns|ppm)") {
            let _ = (parse_duration(&text), parse_poll(&text), text.parse::<Frequency>());
            let _ = (parse_duration(&number), parse_poll(&number), number.parse::<Frequency>());
        }
    }
}
