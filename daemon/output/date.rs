//! Instants of UTC as people read them.

use clockwright_timebase::{Duration, Timestamp, Utc};

/// `2026-03-01 12:34:56 UTC`, cut to the second.
pub fn date(instant: Timestamp<Utc>) -> String {
    let seconds = instant
        .since_epoch()
        .as_units()
        .div_euclid(Duration::from_secs(1).as_units());
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let (hours, minutes, seconds) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{seconds:02} UTC")
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Years are taken to begin in March, so that a leap day is a year's last; then all 400 years are
/// alike, and the months before any one have 30.6 days on average, rounded.
fn civil(day: i128) -> (i128, i128, i128) {
    const FROM_MARCH_OF_YEAR_0: i128 = 719_468;
    const IN_400_YEARS: i128 = 146_097;
    let day = day + FROM_MARCH_OF_YEAR_0;
    let (cycle, day) = (day.div_euclid(IN_400_YEARS), day.rem_euclid(IN_400_YEARS));
    let leap_days = day / 1460 - day / 36_524 + day / 146_096;
    let year = (day - leap_days) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (400 * cycle + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> String {
        date(Timestamp::from_timespec(seconds, 999_999_999))
    }

    #[test]
    fn known_instants() {
        assert_eq!(at(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(at(-1), "1969-12-31 23:59:59 UTC");
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(at(1_767_225_599), "2025-12-31 23:59:59 UTC");
        assert_eq!(at(2_147_483_648), "2038-01-19 03:14:08 UTC");
        assert_eq!(at(4_107_542_400), "2100-03-01 00:00:00 UTC");
        // The last second that a certificate can name.
        assert_eq!(at(253_402_300_799), "9999-12-31 23:59:59 UTC");
    }

    #[test]
    fn days_follow_each_other_as_in_the_calendar() {
        let leap = |year| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for count in 0..200_000 {
            assert_eq!(civil(count), (year, month, day));
            let last = match month {
                2 if leap(year) => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > last {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }
}
