//! When an announced leap second may be handed to the kernel.

use clockwright_discipline::Leap;
use clockwright_sys::adjust::KernelLeap;
use clockwright_timebase::{Timestamp, Utc};

const SECONDS_A_DAY: i64 = 86_400;

/// What to tell the kernel at `now`. It makes the leap second at the end of the *day*, while
/// servers announce it for the end of the *month*, some of them for weeks; and leap seconds have
/// only ever been at the ends of June and December (ITU-R TF.460-6 prefers these).
pub(super) fn for_kernel(announced: Leap, now: Timestamp<Utc>) -> KernelLeap {
    if !is_leap_day(now) {
        return KernelLeap::None;
    }
    match announced {
        Leap::None => KernelLeap::None,
        Leap::Insert => KernelLeap::Insert,
        Leap::Delete => KernelLeap::Delete,
    }
}

/// Is it the last day of June or December?
fn is_leap_day(now: Timestamp<Utc>) -> bool {
    let seconds = now.since_epoch().as_nanos().div_euclid(1_000_000_000);
    let (month, day) = month_and_day(seconds.div_euclid(SECONDS_A_DAY));
    matches!((month, day), (6, 30) | (12, 31))
}

/// Month and day of month of a day counted from 1970-01-01 in the Gregorian calendar.
const fn month_and_day(days: i64) -> (i64, i64) {
    // Counted from 0000-03-01, so that the leap day is the last of its year; the calendar repeats
    // every 400 years of 146 097 days.
    let day_of_era = (days + 719_468).rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on follow a pattern of 153 days in five months.
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn utc(secs: i64) -> Timestamp<Utc> {
        Timestamp::from_timespec(secs, 0)
    }

    #[test]
    fn only_on_the_last_day_of_june_and_december() {
        // The leap second of 2016-12-31 23:59:60 came before 1483228800.
        assert_eq!(
            for_kernel(Leap::Insert, utc(1_483_228_799)),
            KernelLeap::Insert
        );
        assert_eq!(
            for_kernel(Leap::Insert, utc(1_483_142_400)),
            KernelLeap::Insert
        );
        assert_eq!(
            for_kernel(Leap::Insert, utc(1_483_142_399)),
            KernelLeap::None
        );
        assert_eq!(
            for_kernel(Leap::Insert, utc(1_483_228_800)),
            KernelLeap::None
        );
        // 2015-06-30.
        assert_eq!(
            for_kernel(Leap::Delete, utc(1_435_708_799)),
            KernelLeap::Delete
        );
        assert_eq!(for_kernel(Leap::None, utc(1_435_708_799)), KernelLeap::None);
    }

    #[test]
    fn the_calendar_is_gregorian() {
        assert_eq!(month_and_day(0), (1, 1));
        assert_eq!(month_and_day(-1), (12, 31));
        assert_eq!(month_and_day(11_016), (2, 29)); // 2000
        assert_eq!(month_and_day(11_017), (3, 1));
        assert_eq!(month_and_day(47_540), (2, 28)); // 2100 has no 29th
        assert_eq!(month_and_day(47_541), (3, 1));
    }
}
