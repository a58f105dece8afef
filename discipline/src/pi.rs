//! The PI loop: from what the clock lacks to the frequency it is given.
//!
//! The integral part is the frequency of UTC against the oscillator; the proportional part is a
//! temporary frequency that removes the offset within a horizon and then ends. The gains are the
//! filter's: of an innovation e it has put a·e into the offset and b·e/T into the frequency (see
//! [`crate::SteadyState`]), and both are carried out in full, so that the clock is as good as the
//! estimate. With every correction goes its end: when the next sample is lost, the proportional
//! part must not go on and become an error.
//!
//! There is nothing that could wind up while a large offset is removed slowly: the integral part is
//! not summed up from what is left of the offset, but estimated against the unsteered oscillator.

use clockwright_timebase::{Duration, Raw, Timestamp};

/// Part of the update interval in which an offset is removed: soon enough that the clock shows
/// the estimate for most of the interval.
const HORIZON: f64 = 0.25;
/// The kernel changes rate at ticks (1 to 4 ms) and our timer fires late by up to milliseconds;
/// a correction this long makes of both an error of a few percent of itself.
const SHORTEST_S: f64 = 0.05;
/// Corrections need not be rarer than updates, nor so slow that applications see them for long.
const LONGEST_S: f64 = 2.0;
/// A small offset is removed no faster than this, s/s: where many sources are asked, updates come many
/// times a second, and nobody gains by a clock that is hurried for so short ...
const GENTLE: f64 = 40e-6;
/// ... small being what is gone within this then, s. Larger ones are removed at once.
const GENTLE_S: f64 = 1.0;

/// A correction lasts at least this many times as long as its end has lately come late, so that
/// lateness never makes more of an error than it removes.
const TIMES_LATENESS: f64 = 5.0;
/// How much of a lateness is remembered from one correction to the next.
const LATENESS_KEPT: f64 = 0.9;
/// A process that was stopped for an hour need not be careful for hours, s.
const MOST_LATENESS_S: f64 = 20.0;

/// A frequency to set, and until when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correction {
    /// Rate of the clock minus rate of the local oscillator, s/s.
    pub frequency: f64,
    /// When the proportional part has done its work and [`Loop::expire`] is to be called.
    pub until: Option<Timestamp<Raw>>,
}

/// The controller's state.
#[derive(Debug, Clone)]
pub struct Loop {
    /// Largest rate at which an offset is removed, s/s.
    max_slew: f64,
    integral: f64,
    ends: Option<Timestamp<Raw>>,
    lateness_s: f64,
}

impl Loop {
    /// A loop that starts from a known frequency (s/s) and never removes an offset faster than
    /// `max_slew` (s/s).
    pub fn new(frequency: f64, max_slew: f64) -> Self {
        Self {
            max_slew,
            integral: frequency,
            ends: None,
            lateness_s: 0.0,
        }
    }

    /// Changes the fastest removal of an offset, s/s; a running correction keeps its own.
    pub fn set_max_slew(&mut self, max_slew: f64) {
        self.max_slew = max_slew;
    }

    /// The integral part: the clock's frequency when nothing is being corrected, s/s.
    pub fn frequency(&self) -> f64 {
        self.integral
    }

    /// When the running correction ends.
    pub fn ends(&self) -> Option<Timestamp<Raw>> {
        self.ends
    }

    /// The clock lacks `offset_s` at `now`, UTC gains `frequency` (s/s) on the oscillator, and
    /// updates come every `interval_s`.
    pub fn correct(
        &mut self,
        now: Timestamp<Raw>,
        offset_s: f64,
        frequency: f64,
        interval_s: f64,
    ) -> Correction {
        self.integral = frequency;
        let gentle = Some(offset_s.abs() / GENTLE).filter(|s| *s <= GENTLE_S);
        let unhurried = (HORIZON * interval_s).max(gentle.unwrap_or(0.0));
        let unhurried = unhurried.clamp(SHORTEST_S, LONGEST_S);
        let duration = unhurried
            .max(offset_s.abs() / self.max_slew)
            .max(TIMES_LATENESS * self.lateness_s);
        self.ends = Some(now + Duration::from_secs_f64(duration));
        Correction {
            frequency: frequency + offset_s / duration,
            until: self.ends,
        }
    }

    /// Ends the proportional part if its time has come.
    pub fn expire(&mut self, now: Timestamp<Raw>) -> Option<Correction> {
        let late = now - self.ends.filter(|ends| *ends <= now)?;
        self.ends = None;
        self.lateness_s = late
            .as_secs_f64()
            .max(LATENESS_KEPT * self.lateness_s)
            .min(MOST_LATENESS_S);
        Some(Correction {
            frequency: self.integral,
            until: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_removed_exactly_and_then_no_more() {
        let start = Timestamp::EPOCH;
        let mut pi = Loop::new(0.0, 0.05);
        let correction = pi.correct(start, 3e-6, 20e-6, 16.0);
        let Some(end) = correction.until else {
            panic!("a correction without an end");
        };
        let lasts = (end - start).as_secs_f64();
        assert!((lasts - 2.0).abs() < 1e-9);
        assert!(((correction.frequency - 20e-6) * lasts - 3e-6).abs() < 1e-15);
        assert_eq!(pi.expire(end - Duration::from_nanos(1)), None);
        let rest = pi.expire(end).map(|c| c.frequency);
        assert_eq!(rest, Some(20e-6));
        assert_eq!(pi.expire(end + Duration::from_secs(1)), None);
    }

    #[test]
    fn corrections_are_slower_where_their_ends_come_late() {
        let mut pi = Loop::new(0.0, 0.05);
        pi.correct(Timestamp::EPOCH, 1e-3, 0.0, 1.0);
        let now = Timestamp::EPOCH + Duration::from_secs(10);
        assert!(pi.expire(now).is_some());
        let next = pi.correct(now, 1e-3, 0.0, 1.0);
        let lasts = next.until.map(|end| (end - now).as_secs_f64());
        assert!(lasts.is_some_and(|s| s > 39.0), "{lasts:?}");
    }

    #[test]
    fn a_large_offset_takes_as_long_as_the_slew_limit_says() {
        let mut pi = Loop::new(0.0, 0.05);
        let correction = pi.correct(Timestamp::EPOCH, -0.1, 0.0, 1.0);
        assert!((correction.frequency + 0.05).abs() < 1e-12);
        let lasts = correction.until.map(|t| t.since_epoch().as_secs_f64());
        assert!(lasts.is_some_and(|s| (s - 2.0).abs() < 1e-9));
    }
}
