//! `leap-seconds.list`, as IERS and NIST publish it: when TAI - UTC has changed and will change.
//!
//! | line | what |
//! |---|---|
//! | `#$ 3960835200` | when the list was last changed, seconds since 1900 |
//! | `#@ 3991593600` | until when nothing else will happen |
//! | `3692217600 37` | TAI - UTC from this instant on, s |
//! | `#h 49db2447 ...` | SHA-1 of the digits of all of the above, in their order |
//! | `#` and anything else | a comment |
//!
//! The hash keeps out what was cut off or damaged, not what was forged: whoever can write the file
//! can also make its hash. So one that does not fit is refused whole.

use std::fmt;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use clockwright_discipline::{Leap, LeapSecond};
use clockwright_timebase::{Duration, Timestamp, Utc};

/// From 1900-01-01 to 1970-01-01, s.
const NTP_TO_UNIX: i64 = 2_208_988_800;
/// Seconds in a day.
const DAY: i64 = 86_400;
/// No list is longer, octets; one with a leap second twice a year for a thousand years is not.
const LONGEST: usize = 256 * 1024;
/// Words of a SHA-1, 32 bits each.
const WORDS: usize = 5;
/// What TAI - UTC can be, s, whatever happens in the next thousand years.
const POSSIBLE: std::ops::RangeInclusive<i32> = 1..=1_000;

/// Why a list is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListError {
    /// Nothing that is expected there is so long.
    TooLong,
    /// A line cannot be read.
    Line {
        /// Its number, from 1.
        number: usize,
        /// What was expected there.
        expected: &'static str,
    },
    /// There is no such line.
    Missing(&'static str),
    /// The content is not what was hashed.
    Hash,
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "longer than {LONGEST} octets"),
            Self::Line { number, expected } => write!(f, "line {number}: expected {expected}"),
            Self::Missing(what) => write!(f, "there is no line with {what}"),
            Self::Hash => f.write_str(
                "its content does not fit its own hash (#h): it is damaged or was edited",
            ),
        }
    }
}

impl std::error::Error for ListError {}

/// One change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    /// The end of the day with the leap second, or of the first day of the list.
    at: Timestamp<Utc>,
    /// TAI - UTC from then on, s.
    tai_offset_s: i32,
}

/// A list whose hash is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeapList {
    updated: Timestamp<Utc>,
    expires: Timestamp<Utc>,
    /// In their order; at least one.
    changes: Vec<Change>,
}

impl LeapList {
    /// Reads a list.
    ///
    /// # Errors
    /// Anything about it is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, ListError> {
        if text.len() > LONGEST {
            return Err(ListError::TooLong);
        }
        let mut reading = Reading::default();
        for (number, line) in (1..).zip(text.lines()) {
            reading
                .line(line.trim())
                .map_err(|expected| ListError::Line { number, expected })?;
        }
        reading.finish()
    }

    /// When it was last changed.
    pub(crate) const fn updated(&self) -> Timestamp<Utc> {
        self.updated
    }

    /// Until when it is known that there is no other leap second.
    pub(crate) const fn expires(&self) -> Timestamp<Utc> {
        self.expires
    }

    /// Is what it says of `now` true? Not beyond its end, and not before its beginning.
    pub(crate) fn is_valid(&self, now: Timestamp<Utc>) -> bool {
        now < self.expires && self.tai_offset_s(now).is_some()
    }

    /// TAI - UTC at `now`, s; `None` before the first change.
    pub(crate) fn tai_offset_s(&self, now: Timestamp<Utc>) -> Option<i32> {
        let past = self.changes.iter().rev().find(|change| change.at <= now);
        past.map(|change| change.tai_offset_s)
    }

    /// TAI - UTC after all that it knows of, s.
    pub(crate) fn last_tai_offset_s(&self) -> Option<i32> {
        self.changes.last().map(|change| change.tai_offset_s)
    }

    /// The next leap second after `now`.
    pub(crate) fn next(&self, now: Timestamp<Utc>) -> Option<LeapSecond> {
        let pairs = self.changes.iter().zip(self.changes.iter().skip(1));
        let mut later = pairs.filter(|(_, change)| change.at > now);
        let (before, change) = later.next()?;
        let leap = if change.tai_offset_s > before.tai_offset_s {
            Leap::Insert
        } else {
            Leap::Delete
        };
        LeapSecond::new(change.at, leap)
    }

    /// The leap second at the end of the day that `now` is in.
    pub(crate) fn today(&self, now: Timestamp<Utc>) -> Option<LeapSecond> {
        self.next(now)
            .filter(|next| next.day_ends - now <= Duration::from_secs(DAY))
    }
}

/// A list that is being read.
#[derive(Default)]
struct Reading {
    updated: Option<Timestamp<Utc>>,
    expires: Option<Timestamp<Utc>>,
    changes: Vec<Change>,
    hash: Option<[u32; WORDS]>,
    /// What is hashed: digits only.
    hashed: String,
}

impl Reading {
    /// Takes in a line; otherwise what was expected.
    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        if let Some(rest) = line.strip_prefix("#$") {
            self.updated = Some(self.instant(rest.trim())?);
        } else if let Some(rest) = line.strip_prefix("#@") {
            self.expires = Some(self.instant(rest.trim())?);
        } else if let Some(rest) = line.strip_prefix("#h") {
            self.hash = Some(words(rest).ok_or("five words of up to eight hexadecimal digits")?);
        } else if !line.is_empty() && !line.starts_with('#') {
            self.change(line)?;
        }
        Ok(())
    }

    /// Seconds since 1900.
    fn instant(&mut self, text: &str) -> Result<Timestamp<Utc>, &'static str> {
        let expected = "seconds since 1900-01-01, in digits";
        let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
        // Ten digits reach to the year 2216, eleven far beyond; more are no date.
        let seconds: i64 = match text.parse() {
            Ok(seconds) if digits && text.len() <= 11 => seconds,
            _ => return Err(expected),
        };
        self.hashed.push_str(text);
        Ok(Timestamp::from_timespec(seconds - NTP_TO_UNIX, 0))
    }

    fn change(&mut self, line: &str) -> Result<(), &'static str> {
        let content = line.split('#').next().unwrap_or_default();
        let mut fields = content.split_ascii_whitespace();
        let (Some(at), Some(offset), None) = (fields.next(), fields.next(), fields.next()) else {
            return Err("two numbers: seconds since 1900-01-01, and TAI - UTC in seconds");
        };
        let at = self.instant(at)?;
        let tai_offset_s = match offset.parse() {
            Ok(seconds) if POSSIBLE.contains(&seconds) && !offset.starts_with('+') => seconds,
            _ => return Err("TAI - UTC in seconds, from 1 to 1000"),
        };
        self.hashed.push_str(offset);
        if at.since_epoch().as_units() % Duration::from_secs(DAY).as_units() != 0 {
            return Err("the end of a day");
        }
        if let Some(last) = self.changes.last() {
            if at <= last.at {
                return Err("a later date than in the line before");
            }
            if (tai_offset_s - last.tai_offset_s).abs() != 1 {
                return Err("TAI - UTC to change by one second");
            }
        }
        self.changes.push(Change { at, tai_offset_s });
        Ok(())
    }

    fn finish(self) -> Result<LeapList, ListError> {
        let updated = self.updated.ok_or(ListError::Missing("its date (#$)"))?;
        let expires = self.expires.ok_or(ListError::Missing("its end (#@)"))?;
        let hash = self.hash.ok_or(ListError::Missing("its hash (#h)"))?;
        if self.changes.is_empty() {
            return Err(ListError::Missing("a change of TAI - UTC"));
        }
        let found = digest(&SHA1_FOR_LEGACY_USE_ONLY, self.hashed.as_bytes());
        let told = hash.into_iter().flat_map(u32::to_be_bytes);
        if !told.eq(found.as_ref().iter().copied()) {
            return Err(ListError::Hash);
        }
        Ok(LeapList {
            updated,
            expires,
            changes: self.changes,
        })
    }
}

/// Five words; leading zeros may be missing.
fn words(text: &str) -> Option<[u32; WORDS]> {
    let mut words = [0; WORDS];
    let mut fields = text.split_ascii_whitespace();
    for word in &mut words {
        let field = fields.next()?;
        let digits = field.bytes().all(|octet| octet.is_ascii_hexdigit());
        *word = u32::from_str_radix(field, 16).ok().filter(|_| digits)?;
    }
    fields.next().is_none().then_some(words)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2017-01-01, the end of the last leap second so far.
    const LAST: i64 = 1_483_228_800;
    /// As tzdata 2025b has it (changes before 2012 and prose left out, and the hash made anew).
    const LIST: &str = "#\tATOMIC TIME\n#$\t3960835200\n#@\t3991593600\n\
        3550089600\t35\t# 1 Jul 2012\n3644697600      36      # 1 Jul 2015\n\
        3692217600\t37\t# 1 Jan 2017\n#h\tHASH\n";

    /// A list of these lines, hashed.
    pub(crate) fn hashed(text: &str) -> String {
        let mut reading = Reading::default();
        for line in text.lines() {
            let _ = reading.line(&line.replace("HASH", "0 0 0 0 0"));
        }
        let found = digest(&SHA1_FOR_LEGACY_USE_ONLY, reading.hashed.as_bytes());
        let words = found.as_ref().chunks(4).map(|word| {
            // As NIST's own lists, without leading zeros.
            let word = u32::from_be_bytes(word.try_into().unwrap());
            format!("{word:x}")
        });
        text.replace("HASH", &words.collect::<Vec<_>>().join(" "))
    }

    const fn utc(seconds: i64) -> Timestamp<Utc> {
        Timestamp::from_timespec(seconds, 0)
    }

    /// The list of Debian's tzdata 2025b, all that counts of it. Its hash is theirs.
    const DEBIAN: &str = "#$ 3960835200\n#@ 3991593600\n\
        2272060800 10\n2287785600 11\n2303683200 12\n2335219200 13\n2366755200 14\n2398291200 15\n\
        2429913600 16\n2461449600 17\n2492985600 18\n2524521600 19\n2571782400 20\n2603318400 21\n\
        2634854400 22\n2698012800 23\n2776982400 24\n2840140800 25\n2871676800 26\n2918937600 27\n\
        2950473600 28\n2982009600 29\n3029443200 30\n3076704000 31\n3124137600 32\n3345062400 33\n\
        3439756800 34\n3550089600 35\n3644697600 36\n3692217600 37\n\
        #h 49db2447 571e5e1b 2f002a53 9c8da8e4 39b8e49e\n";

    #[test]
    fn a_published_list_is_read_and_its_hash_is_right() {
        let list = LeapList::parse(DEBIAN).unwrap();
        assert_eq!(list.updated(), utc(1_751_846_400));
        assert_eq!(list.expires(), utc(1_782_604_800));
        assert_eq!(list.tai_offset_s(utc(LAST - 1)), Some(36));
        assert_eq!(list.tai_offset_s(utc(LAST)), Some(37));
        // Leap seconds begin in 1972.
        assert_eq!(list.tai_offset_s(utc(63_071_999)), None);
        assert_eq!(list.tai_offset_s(utc(63_072_000)), Some(10));
        assert!(list.is_valid(utc(1_782_604_799)) && !list.is_valid(utc(1_782_604_800)));
        assert_eq!(list.next(utc(LAST)), None);
        let next = LeapSecond::new(utc(LAST), Leap::Insert);
        assert_eq!(list.next(utc(LAST - 1)), next);
        assert_eq!(list.today(utc(LAST - 86_400)), next);
        assert_eq!(list.today(utc(LAST - 86_401)), None);
    }

    #[test]
    fn the_list_of_this_host_is_read_if_it_has_one() {
        if let Ok(text) = std::fs::read_to_string("/usr/share/zoneinfo/leap-seconds.list") {
            let list = LeapList::parse(&text).unwrap();
            assert!(list.last_tai_offset_s().unwrap() >= 37);
        }
    }

    #[test]
    fn a_second_that_is_left_out_is_known() {
        let text = hashed(&LIST.replace("#h", "4102444800 36\n#h"));
        let list = LeapList::parse(&text).unwrap();
        let at = utc(4_102_444_800 - NTP_TO_UNIX);
        assert_eq!(list.next(utc(LAST)), LeapSecond::new(at, Leap::Delete));
        assert_eq!(list.last_tai_offset_s(), Some(36));
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let good = hashed(LIST);
        LeapList::parse(&good).unwrap();
        let refused = |from: &str, to: &str| {
            let text = good.replace(from, to);
            assert_ne!(text, good, "{from}");
            LeapList::parse(&text).unwrap_err()
        };
        assert_eq!(refused("3960835200", "3960835201"), ListError::Hash);
        assert_eq!(refused("3991593600", "4991593600"), ListError::Hash);
        assert_eq!(
            refused(
                "3644697600      36      # 1 Jul 2015\n3692217600\t37",
                "3692217600 36"
            ),
            ListError::Hash
        );
        assert_eq!(
            refused("#@\t3991593600\n", ""),
            ListError::Missing("its end (#@)")
        );
        assert_eq!(
            refused("#$\t3960835200\n", ""),
            ListError::Missing("its date (#$)")
        );
        assert_eq!(refused("#h", "#"), ListError::Missing("its hash (#h)"));
        let line = |number, expected| ListError::Line { number, expected };
        assert_eq!(
            refused("      36", " 36 1"),
            line(
                5,
                "two numbers: seconds since 1900-01-01, and TAI - UTC in seconds"
            )
        );
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_line() {
        let refused = |from: &str, to: &str| {
            let text = hashed(&LIST.replace(from, to));
            LeapList::parse(&text).unwrap_err().to_string()
        };
        assert_eq!(
            refused("3692217600\t37", "3692217600\t38"),
            "line 6: expected TAI - UTC to change by one second"
        );
        assert_eq!(
            refused("3692217600", "3644697600"),
            "line 6: expected a later date than in the line before"
        );
        assert_eq!(
            refused("3692217600", "3692217601"),
            "line 6: expected the end of a day"
        );
        assert_eq!(
            refused("3692217600", "-3692217600"),
            "line 6: expected seconds since 1900-01-01, in digits"
        );
        let huge = "#".repeat(LONGEST + 1);
        assert_eq!(LeapList::parse(&huge), Err(ListError::TooLong));
    }

    proptest! {
        #[test]
        fn anything_may_be_read(text in "(#[$@h]?)?[ 0-9a-f\n#$@h\t]{0,200}") {
            let _ = LeapList::parse(&text);
        }

        /// No single digit can change without being noticed.
        #[test]
        fn a_digit_that_was_changed_is_noticed(place in 0usize..1_000, digit in 0u8..10) {
            let mut text = DEBIAN.as_bytes().to_vec();
            let place = place % text.len();
            let is_digit = text[place].is_ascii_digit();
            let before = text[place];
            text[place] = b'0' + digit;
            if is_digit && before != text[place] {
                prop_assert!(LeapList::parse(std::str::from_utf8(&text).unwrap()).is_err());
            }
        }
    }
}
