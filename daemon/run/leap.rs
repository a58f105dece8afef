//! Leap seconds: which one comes today, and what is done about it.
//!
//! A valid list of leap seconds decides, against all sources: it is what their operators have, too, and
//! those that disagree with it were not maintained, or smear. Without one most sources decide, and
//! only for the ends of June and December.

use clockwright_discipline::{ClockReading, LeapManner, LeapSecond};
use clockwright_sys::adjust::KernelLeap;
use clockwright_timebase::{Duration, Timestamp, Utc};
use tracing::{info, warn};

use super::daemon::Daemon;
use super::leap_list::Notice;
use crate::clock::{Clock, guess_tai_offset, hold_tai_offset, leap_tai_offset};
use crate::config::{ClockConfig, ClockKind, LeapMode, Timescale};
use crate::control::{ClockName, LeapListReport, Steering};
use crate::output::date;

const SECONDS_A_DAY: i64 = 86_400;

impl Daemon {
    /// The leap second at the end of this day that is still to come.
    pub(super) fn leap_today(&self, reading: ClockReading) -> Option<LeapSecond> {
        let now = reading.clock;
        let votes = self.discipline.leap(reading.raw);
        let today = match self.leap_list.valid(now) {
            Some(list) => list.today(now),
            None if is_leap_day(now) => LeapSecond::new(end_of_day(now), votes),
            None => None,
        };
        // In the second that is shown twice the day is not over yet.
        let passed = self.discipline.leap_passed();
        today.filter(|today| passed.is_none_or(|passed| passed.day_ends < today.day_ends))
    }

    /// Lets the discipline and the readers of TAI know of the leap second that comes; returns what
    /// the kernel is to make.
    pub(super) fn follow_leap_seconds(&mut self, reading: ClockReading) -> KernelLeap {
        let today = self.leap_today(reading);
        let manner = manner(self.clock.as_ref(), &self.config.clock);
        self.discipline.expect_leap(today.zip(manner), reading.raw);
        if today.is_some() {
            hold_tai_offset();
        }
        self.tell_of_votes(reading);
        self.kernel_leap(reading)
    }

    /// TAI - UTC, s, where a list that is valid says it of a clock that is synchronised.
    pub(super) fn tai_offset_s(&self, reading: ClockReading, synchronized: bool) -> Option<i32> {
        let list = self.leap_list.valid(reading.clock)?;
        let now = self.unambiguous(reading);
        list.tai_offset_s(now).filter(|_| synchronized)
    }

    /// What the clock shows, but on the side of a leap second that UTC is on.
    fn unambiguous(&self, reading: ClockReading) -> Timestamp<Utc> {
        let now = match self.discipline.leap_passed() {
            Some(passed) => reading.clock.max(passed.day_ends),
            None => reading.clock,
        };
        match self.leap_today(reading) {
            Some(today) => now.min(today.day_ends - Duration::from_nanos(1)),
            None => now,
        }
    }

    /// A leap second has come.
    pub(super) fn take_leap_second(&mut self, second: LeapSecond, step: bool) {
        self.tai_after(second, self.reading());
        leap_tai_offset(second.shift());
        info!(
            "a leap second is {} before {}",
            if second.inserted {
                "inserted"
            } else {
                "left out"
            },
            date(second.day_ends)
        );
        if step {
            self.step(second.shift());
        }
        self.post();
    }

    /// Reads the list of leap seconds, be it another or the same.
    pub(super) fn read_leap_list_again(&mut self) {
        self.leap_list.reconfigure(&self.config.clock.leap_list);
        self.look_at_leap_list();
    }

    /// Looks at the list of leap seconds where it is time to.
    pub(super) fn look_at_leap_list(&mut self) {
        let reading = self.reading();
        for notice in self.leap_list.look(reading.raw, reading.clock) {
            match notice {
                Notice::Info(text) => info!("{text}"),
                Notice::Warn(text) => warn!("{text}"),
            }
        }
        if let Some(list) = self.leap_list.list()
            && let Some(offset) = list.last_tai_offset_s()
            && self.leap_list.valid(reading.clock).is_none()
        {
            guess_tai_offset(offset);
        }
    }

    /// What is reported of the list.
    pub(super) fn leap_list_report(&self, reading: ClockReading) -> Option<LeapListReport> {
        let list = self.leap_list.list()?;
        let unix_s = |at: Timestamp<Utc>| at.since_epoch().as_nanos().div_euclid(1_000_000_000);
        Some(LeapListReport {
            path: self.leap_list.path().display().to_string(),
            updated_unix_s: unix_s(list.updated()),
            expires_unix_s: unix_s(list.expires()),
            valid: list.is_valid(reading.clock),
            next_leap_unix_s: list.next(reading.clock).map(|next| unix_s(next.day_ends)),
        })
    }
}

/// How the clock gets over a leap second; `None`: nothing is done about it. A clock in TAI has none:
/// what it shows of UTC jumps with TAI - UTC. One that is only watched is set by somebody else, or not.
fn manner(clock: &dyn Clock, config: &ClockConfig) -> Option<LeapManner> {
    let in_tai = matches!(config.kind, ClockKind::Phc(_)) && config.timescale == Timescale::Tai;
    if in_tai {
        return Some(LeapManner::ByItself);
    }
    let watched = clock.steering() != Steering::Adjusting;
    match config.leap {
        LeapMode::Ignore => None,
        _ if watched => Some(LeapManner::ByItself),
        LeapMode::Kernel if clock.name() == ClockName::System => Some(LeapManner::ByItself),
        LeapMode::Kernel | LeapMode::Step => Some(LeapManner::Step),
        LeapMode::Slew => Some(LeapManner::Slew),
    }
}

/// 0:00:00 of the day after the one that `now` is in.
pub(super) fn end_of_day(now: Timestamp<Utc>) -> Timestamp<Utc> {
    let day = Duration::from_secs(SECONDS_A_DAY).as_units();
    let ended = now.since_epoch().as_units().div_euclid(day);
    Timestamp::from_epoch(Duration::from_units((ended + 1) * day))
}

/// Is it the last day of June or December? Servers announce a leap second for the end of the
/// *month*, some of them for weeks; and leap seconds have only ever been at the ends of these months
/// (ITU-R TF.460-6 prefers them).
pub(super) fn is_leap_day(now: Timestamp<Utc>) -> bool {
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
    use std::path::Path;

    use LeapManner::{ByItself, Slew, Step};

    use crate::clock::{Observed, Simulated};
    use crate::config::Config;

    const fn utc(secs: i64) -> Timestamp<Utc> {
        Timestamp::from_timespec(secs, 0)
    }

    #[test]
    fn only_on_the_last_day_of_june_and_december() {
        // The leap second of 2016-12-31 23:59:60 came before 1483228800.
        let midnight = 1_483_228_800;
        for (second, is) in [(-1, true), (-86_400, true), (-86_401, false), (0, false)] {
            assert_eq!(is_leap_day(utc(midnight + second)), is, "{second}");
        }
        // 2015-06-30.
        assert!(is_leap_day(utc(1_435_708_799)));
        for second in [-1, -86_400] {
            assert_eq!(end_of_day(utc(midnight + second)), utc(midnight));
        }
        assert_eq!(end_of_day(utc(midnight)), utc(midnight + 86_400));
    }

    #[test]
    fn each_clock_gets_over_it_in_its_own_way() {
        let config = |text: &str| {
            let text = format!("[[source]]\nserver = '192.0.2.1'\n[clock]\n{text}");
            Config::from_text(Path::new("test.toml"), &text)
                .unwrap()
                .clock
        };
        let own = Simulated::new(Duration::ZERO, 0.0);
        let watched = Observed::new(Steering::Disabled);
        let on = |text: &str| (manner(&own, &config(text)), manner(&watched, &config(text)));
        assert_eq!(on(""), (Some(Step), Some(ByItself)));
        assert_eq!(on("leap = 'step'"), (Some(Step), Some(ByItself)));
        assert_eq!(on("leap = 'slew'"), (Some(Slew), Some(ByItself)));
        assert_eq!(on("leap = 'ignore'"), (None, None));
        let tai = manner(&own, &config("kind = 'eth0'\nleap = 'ignore'"));
        assert_eq!(tai, Some(ByItself));
        let utc = manner(&own, &config("kind = 'eth0'\ntimescale = 'utc'"));
        assert_eq!(utc, Some(Step));
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
