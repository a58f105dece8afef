//! The system clock without the kernel's dither.
//!
//! The kernel lets the clock run at a rate that is a whole number of its smallest unit (about 0.1
//! ppm), and keeps the account of what that lacks of the rate it was told; from tick to tick it
//! runs a unit faster to make up for it. An idle kernel has few ticks, so its clock swings about
//! where it should be by tens of nanoseconds. Whoever takes such a swing for an error and corrects it
//! finds it corrected twice. So the clock that steering sees is the one that the kernel aims at:
//! what it was told, added up, and drawn towards what is read.

use clockwright_discipline::ClockReading;
use clockwright_timebase::{Duration, Raw, Timestamp};

/// How much of the difference between the clock that is aimed at and the one that is read is
/// believed at each reading.
const BELIEVED: f64 = 1.0 / 8.0;
/// The kernel does not dither by more than this. What is further off was set, or slewed at a rate
/// that took effect a tick early or late.
const MOST_DITHER: Duration = Duration::from_nanos(150);

/// The clock that the kernel aims at.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Aim {
    /// What it showed when last looked at; `None` before that, and after a step.
    known: Option<ClockReading>,
}

impl Aim {
    /// What the kernel aims at, as of `read`, the clock having run at `rate` (s/s) since the last
    /// reading or change of rate.
    pub(super) fn follow(&mut self, read: ClockReading, rate: f64) -> ClockReading {
        let aimed = match self.carried_to(read.raw, rate) {
            Some(aimed) if (read.clock - aimed.clock).abs() <= MOST_DITHER => ClockReading {
                raw: read.raw,
                clock: aimed.clock + (read.clock - aimed.clock).scaled(BELIEVED),
            },
            _ => read,
        };
        self.known = Some(aimed);
        aimed
    }

    /// The rate changes at `at`, and was `rate` (s/s) until then.
    pub(super) fn rate_changes(&mut self, at: Timestamp<Raw>, rate: f64) {
        self.known = self.carried_to(at, rate);
    }

    /// The clock was stepped.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    fn carried_to(&self, at: Timestamp<Raw>, rate: f64) -> Option<ClockReading> {
        let known = self.known?;
        let elapsed = at - known.raw;
        Some(ClockReading {
            raw: at,
            clock: known.clock + elapsed + elapsed.scaled(rate),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clockwright_timebase::Utc;

    fn raw(nanos: i64) -> Timestamp<Raw> {
        Timestamp::from_epoch(Duration::from_nanos(nanos))
    }

    fn reading(at: i64, shown: i64) -> ClockReading {
        ClockReading {
            raw: raw(at),
            clock: Timestamp::<Utc>::from_epoch(Duration::from_nanos(shown)),
        }
    }

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn dither_is_averaged_and_what_was_told_is_not() {
        let mut aim = Aim::default();
        aim.follow(reading(0, 0), 0.0);
        // 1 ppm fast in the first half of each second, then as fast as raw; the kernel is 40 ns off
        // to either side in turn.
        for n in 1..=100 {
            aim.rate_changes(raw(n * SECOND - SECOND / 2), 1e-6);
            let ideal = n * SECOND + n * 500;
            let dither = if n % 2 == 0 { 40 } else { -40 };
            let aimed = aim.follow(reading(n * SECOND, ideal + dither), 0.0);
            let off = (aimed.clock - reading(0, ideal).clock).as_nanos();
            assert!(off.abs() <= 6, "{n}: {off}");
            aim.rate_changes(raw(n * SECOND), 0.0);
        }
    }

    #[test]
    fn a_lasting_difference_is_believed_soon() {
        let mut aim = Aim::default();
        aim.follow(reading(0, 0), 0.0);
        let mut off = 100;
        for n in 1..=40 {
            let aimed = aim.follow(reading(n * SECOND, n * SECOND + 100), 0.0);
            off = 100 - (aimed.clock - reading(0, n * SECOND).clock).as_nanos();
        }
        assert!(off.abs() <= 1, "{off}");
    }

    #[test]
    fn a_clock_that_was_set_is_where_it_is_read() {
        let mut aim = Aim::default();
        aim.follow(reading(0, 0), 0.0);
        let set = reading(SECOND, SECOND + 200);
        assert_eq!(aim.follow(set, 0.0), set);
        aim.forget();
        let near = reading(2 * SECOND, 2 * SECOND + 150);
        assert_eq!(aim.follow(near, 0.0), near);
    }
}
