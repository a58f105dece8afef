//! What another program of this host says that the time is.
//!
//! It has read its clock, and the system clock at the same instant. The difference outlives the
//! system clock's own errors, if that instant is found on the oscillator.

use clockwright_discipline::Leap;
use clockwright_timebase::{Duration, Timestamp, Utc};

use super::median::Point;
use super::pulse::{Pulse, number};
use super::refusal::Refusal;
use super::{Numbering, difference};
use crate::clock::{Clock, EARLIEST, Implausible, Window, ahead_of_utc};
use crate::config::RefclockSettings;

/// Serial receivers take most of a second to tell what time it was, and are heard in turns.
const OLDEST: Duration = Duration::from_secs(4);
/// So long after the system clock was set, samples may be under way that were taken before.
const UNDER_WAY: Duration = Duration::from_secs(2);

/// One sample, as told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Told {
    /// What the system clock showed.
    pub(super) shown: Timestamp<Utc>,
    /// What must be added to it to have the time; of a pulse, but for whole seconds.
    pub(super) ahead: Duration,
    /// Does it only know where in a second that was?
    pub(super) pulse: bool,
    /// The announced leap second.
    pub(super) leap: Leap,
    /// How exact the clock is, where that is said.
    pub(super) precision: Duration,
}

/// The leap second by the number that NTP has for it (RFC 5905 section 7.3).
pub(super) fn leap(number: i32) -> Result<Leap, Refusal> {
    match number {
        0 => Ok(Leap::None),
        1 => Ok(Leap::Insert),
        2 => Ok(Leap::Delete),
        3 => Err(Refusal::Unsynchronized),
        _ => Err(Refusal::NoTime),
    }
}

impl Told {
    /// The reading that it amounts to.
    pub(super) fn point(
        &self,
        settings: &RefclockSettings,
        window: &Window,
        numbering: Numbering<'_>,
    ) -> Result<Point, Refusal> {
        let at =
            window
                .instant_within(self.shown, OLDEST)
                .map_err(|implausible| match implausible {
                    Implausible::Future(by) | Implausible::BeforeSending(by) => Refusal::Future(by),
                    Implausible::Old(age) => Refusal::Old(age),
                })?;
        let half_width = window.half_width();
        if self.pulse {
            // The second began as long ago as the time is past it.
            let past = self.shown.since_epoch() + self.ahead;
            return number(Pulse { at, half_width }, settings.offset + past, numbering);
        }
        let told = self.shown + self.ahead - ahead_of_utc(settings.timescale);
        if told < EARLIEST {
            return Err(Refusal::LongPast);
        }
        Ok(Point {
            at,
            offset: difference(told + settings.offset, at),
            half_width,
            error: settings
                .precision
                .map_or(self.precision, |_| Duration::ZERO),
            leap: self.leap,
        })
    }
}

/// Keeps out what was stamped before the system clock was set: nobody can tell any more when that
/// was.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    begins: bool,
    until: Option<Timestamp<clockwright_timebase::Raw>>,
}

impl Quarantine {
    /// The system clock was set.
    pub(super) fn begin(&mut self) {
        self.begins = true;
    }

    /// Is what comes now to be kept out?
    pub(super) fn holds(&mut self, clock: &dyn Clock) -> bool {
        let now = clock.timescale().now();
        if std::mem::take(&mut self.begins) {
            self.until = Some(now + UNDER_WAY);
        }
        let holds = self.until.is_some_and(|until| now < until);
        if !holds {
            self.until = None;
        }
        holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Observed, Pace, Timescale};
    use crate::config::Timescale as Shows;
    use crate::control::Steering;
    use clockwright_sys::clock::Bracket;

    /// 2027-01-15.
    const NOW: i64 = 1_800_000_000;

    /// Read at raw 5000 s, when the system clock showed 0.25 s past a second and was 3 s behind.
    fn window() -> Window {
        let raw = |nanos| Timestamp::from_timespec(5_000, nanos);
        let bracket = Bracket {
            before: raw(0),
            utc: Timestamp::from_timespec(NOW - 3, 250_000_000),
            after: raw(100),
        };
        Window::new(Timescale::host(), bracket, Pace::default())
    }

    /// Stamped 0.2 s before the window.
    fn told(ahead: Duration, pulse: bool) -> Told {
        Told {
            shown: Timestamp::from_timespec(NOW - 3, 50_000_000),
            ahead,
            pulse,
            leap: Leap::None,
            precision: Duration::from_millis(1),
        }
    }

    const SETTINGS: RefclockSettings = RefclockSettings {
        offset: Duration::ZERO,
        delay: Duration::ZERO,
        timescale: Shows::Utc,
        edge: crate::config::PulseEdge::Assert,
        lock: None,
        refid: None,
        stratum: 0,
        precision: None,
        filter: 8,
        max_dispersion: None,
        group: None,
    };

    /// UTC at raw 4999.8 s + 50 ns, by the sample.
    fn utc(told: Told, settings: &RefclockSettings) -> Result<Duration, Refusal> {
        let point = told.point(settings, &window(), &|_| None)?;
        assert_eq!(
            point.at.since_epoch(),
            Duration::from_nanos(4_999_800_000_050)
        );
        assert_eq!(point.half_width, Duration::from_nanos(50));
        Ok(point.at.since_epoch() + point.offset)
    }

    #[test]
    fn the_time_told_is_that_of_the_instant_and_the_system_clocks_error_is_gone() {
        let right = Duration::from_secs(NOW) + Duration::from_millis(50);
        let sample = told(Duration::from_secs(3), false);
        assert_eq!(utc(sample, &SETTINGS), Ok(right));
        let settings = RefclockSettings {
            offset: Duration::from_millis(-7),
            timescale: Shows::Tai,
            ..SETTINGS
        };
        // A clock that shows TAI is as much ahead as this host knows it to be.
        let sample = told(Duration::from_secs(3) + ahead_of_utc(Shows::Tai), false);
        assert_eq!(utc(sample, &settings), Ok(right - Duration::from_millis(7)));
    }

    #[test]
    fn the_precision_told_counts_unless_one_is_configured() {
        let sample = told(Duration::from_secs(3), false);
        let point = |settings| sample.point(settings, &window(), &|_| None).unwrap();
        assert_eq!(point(&SETTINGS).error, Duration::from_millis(1));
        let settings = RefclockSettings {
            precision: Some(Duration::from_micros(5)),
            ..SETTINGS
        };
        assert_eq!(point(&settings).error, Duration::ZERO);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let of = |shown| Told {
            shown,
            ..told(Duration::ZERO, false)
        };
        let refusal = |told: Told| told.point(&SETTINGS, &window(), &|_| None).unwrap_err();
        let now = window().utc();
        let later = now + Duration::from_micros(1);
        assert_eq!(refusal(of(later)).key(), "future");
        assert_eq!(refusal(of(now - Duration::from_secs(5))).key(), "old");
        // 1024 weeks, after which GPS counts from zero.
        let weeks = Duration::from_secs(-1024 * 7 * 86_400);
        assert_eq!(refusal(told(weeks, false)), Refusal::LongPast);
        assert_eq!(leap(3), Err(Refusal::Unsynchronized));
        assert!(leap(4).is_err() && leap(-1).is_err());
    }

    #[test]
    fn for_a_while_after_the_system_clock_was_set_nothing_is_let_in() {
        let clock = Observed::new(Steering::Disabled);
        let mut quarantine = Quarantine::default();
        assert!(!quarantine.holds(&clock));
        quarantine.begin();
        assert!(quarantine.holds(&clock) && quarantine.holds(&clock));
        quarantine.until = Some(clock.timescale().now());
        assert!(!quarantine.holds(&clock));
    }

    #[test]
    fn a_pulse_says_where_in_the_second_it_was_and_another_which_second() {
        // 50 ms past a second by a clock that was right but for whole seconds.
        let right = Duration::from_secs(NOW) + Duration::from_millis(50);
        let raw = Duration::from_nanos(4_999_800_000_050);
        for (whole, wrong_ms) in [(0, 0), (3, 120), (-5, -190)] {
            let sample = told(Duration::from_secs(whole), true);
            let numbering = right - raw + Duration::from_millis(wrong_ms);
            let point = sample
                .point(&SETTINGS, &window(), &|_| {
                    Some((numbering, Duration::from_millis(20)))
                })
                .unwrap();
            assert_eq!(point.offset, right - raw, "{whole} {wrong_ms}");
        }
        assert_eq!(
            utc(told(Duration::ZERO, true), &SETTINGS),
            Err(Refusal::Unnumbered)
        );
    }
}
