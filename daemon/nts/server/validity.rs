//! The dates between which a certificate is valid, read from its DER (RFC 5280 section 4.1.2.5).
//! The TLS library checks those of others and does not tell our own.

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`, which holds the version where that is not the first.
const VERSION: u8 = 0xa0;

/// From when to when, seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: i64,
    pub(super) not_after: i64,
}

impl Validity {
    /// That of a certificate, if it is one.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (certificate, _) = expect(SEQUENCE, certificate)?;
        let (mut fields, _) = expect(SEQUENCE, certificate)?;
        if let Some((_, rest)) = expect(VERSION, fields) {
            fields = rest;
        }
        // Serial number, signature algorithm, issuer.
        for _ in 0..3 {
            fields = element(fields)?.rest;
        }
        let (dates, _) = expect(SEQUENCE, fields)?;
        let not_before = element(dates)?;
        let not_after = element(not_before.rest)?;
        Some(Self {
            not_before: not_before.time()?,
            not_after: not_after.time()?,
        })
    }
}

/// An element, and what follows it.
struct Element<'d> {
    tag: u8,
    content: &'d [u8],
    rest: &'d [u8],
}

/// The element that `der` begins with.
fn element(der: &[u8]) -> Option<Element<'_>> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x83 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let number = octets
                .iter()
                .fold(0, |n, octet| n << 8 | usize::from(*octet));
            (number, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some(Element {
        tag: *tag,
        content,
        rest,
    })
}

/// The content of the element that `der` begins with, and what follows it, if it has this tag.
fn expect(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let found = element(der)?;
    (found.tag == tag).then_some((found.content, found.rest))
}

impl Element<'_> {
    /// A date: `YYMMDDHHMMSSZ`, or with four digits for the year.
    fn time(&self) -> Option<i64> {
        let (digits, zone) = self
            .content
            .split_at_checked(self.content.len().checked_sub(1)?)?;
        let mut pairs = digits.chunks(2).map(pair);
        let mut next = || pairs.next().flatten();
        let year = match self.tag {
            UTC_TIME => match next()? {
                late @ 50.. => 1900 + late,
                early => 2000 + early,
            },
            GENERALIZED_TIME => next()? * 100 + next()?,
            _ => return None,
        };
        let (month, day) = (next()?, next()?);
        let seconds = next()? * 3600 + next()? * 60 + next()?;
        let valid = zone == b"Z" && pairs.next().is_none();
        let days = days_since_1970(year, month, day)?;
        valid.then_some(days * 86_400 + seconds)
    }
}

/// Two decimal digits.
fn pair(digits: &[u8]) -> Option<i64> {
    let [tens, ones] = digits else {
        return None;
    };
    let digit = |octet: u8| octet.is_ascii_digit().then(|| i64::from(octet - b'0'));
    Some(digit(*tens)? * 10 + digit(*ones)?)
}

/// Days from 1 January 1970 to a day of the Gregorian calendar, whose year is counted from March so
/// that the leap day is its last.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let months_since_march = (month + 9) % 12;
    let years = if month > 2 { year } else { year - 1 };
    let leap_days = years / 4 - years / 100 + years / 400;
    let days_of_months = (153 * months_since_march + 2) / 5;
    // 1 March of the year 0 was 719 468 days before.
    Some(years * 365 + leap_days + days_of_months + day - 1 - 719_468)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(from: (i32, u8, u8), to: (i32, u8, u8)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["ntp.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(to.0, to.1, to.2);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn dates_are_read_from_certificates() {
        // From `date -u -d ... +%s`; from 2050 on, years have four digits.
        for (from, to, expected) in [
            ((2026, 2, 28), (2026, 3, 1), (1_772_236_800, 1_772_323_200)),
            (
                (2024, 2, 29),
                (2049, 12, 31),
                (1_709_164_800, 2_524_521_600),
            ),
            ((1999, 12, 31), (2050, 1, 1), (946_598_400, 2_524_608_000)),
            ((1975, 1, 1), (4096, 1, 1), (157_766_400, 67_090_118_400)),
        ] {
            let validity = Validity::of(&certificate(from, to)).unwrap();
            assert_eq!((validity.not_before, validity.not_after), expected);
        }
    }

    #[test]
    fn odd_dates_are_none() {
        let time = |tag, content: &[u8]| {
            let rest = [].as_slice();
            Element { tag, content, rest }.time()
        };
        assert_eq!(time(UTC_TIME, b"700101000001Z"), Some(1));
        assert_eq!(time(UTC_TIME, b"700101000001"), None);
        assert_eq!(time(UTC_TIME, b"700101000001+0000"), None);
        assert_eq!(time(UTC_TIME, b"701301000001Z"), None);
        assert_eq!(time(UTC_TIME, b"70010100000xZ"), None);
        assert_eq!(time(SEQUENCE, b"700101000001Z"), None);
        assert_eq!(time(UTC_TIME, b""), None);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(
            mut octets in prop::collection::vec(any::<u8>(), 0..80),
            flip in 0usize..300, value: u8,
        ) {
            let _ = Validity::of(&octets);
            octets.splice(0..0, [SEQUENCE, 0x82, 0, 70, SEQUENCE, 60]);
            let _ = Validity::of(&octets);
            let mut damaged = certificate((2026, 1, 1), (2027, 1, 1));
            let at = flip % damaged.len();
            damaged[at] = value;
            let _ = Validity::of(&damaged);
        }
    }
}
