//! What a clock shows, for threads that only serve it.

use clockwright_discipline::ClockReading;
use clockwright_sys::clock;
use clockwright_timebase::{Raw, Timestamp, Utc};

use super::{Implausible, Window, shown_at};

/// A clock as it runs at one moment, until it is steered again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shown {
    /// The system clock, which everybody can read.
    System,
    /// One that showed this, and has run faster than the timescale by `rate` (s/s) since.
    Line {
        /// What it showed.
        reading: ClockReading,
        /// Rate of the clock minus rate of the timescale.
        rate: f64,
    },
}

impl Shown {
    /// What it showed at `window`, which was read just now.
    pub fn now(&self, window: &Window) -> Timestamp<Utc> {
        match self {
            Self::System => window.utc(),
            Self::Line { reading, rate } => shown_at(*reading, *rate, window.now()),
        }
    }

    /// What it shows at this very moment.
    pub fn read(&self, window: &Window) -> Timestamp<Utc> {
        match self {
            Self::System => clock::realtime_now(),
            Self::Line { reading, rate } => {
                shown_at(*reading, *rate, window.on_timescale(clock::raw_now()))
            }
        }
    }

    /// What it showed at `at`, by the timescale, in the moments before `window`.
    pub fn time_at(&self, at: Timestamp<Raw>, window: &Window) -> Timestamp<Utc> {
        match self {
            Self::System => window.utc_at(at),
            Self::Line { reading, rate } => shown_at(*reading, *rate, at),
        }
    }

    /// What it showed when the system clock showed `stamp`, a kernel stamp of the moments before
    /// `window`.
    ///
    /// # Errors
    /// The stamp is not plausible.
    pub fn time_of(
        &self,
        stamp: Timestamp<Utc>,
        window: &Window,
    ) -> Result<Timestamp<Utc>, Implausible> {
        match self {
            Self::System => window.check(stamp).map(|()| stamp),
            Self::Line { .. } => window.instant_of(stamp).map(|at| self.time_at(at, window)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Pace, Timescale};
    use super::*;
    use clockwright_sys::clock::Bracket;
    use clockwright_timebase::Duration;

    const fn raw(nanos: i64) -> Timestamp<Raw> {
        Timestamp::from_timespec(5_000, nanos)
    }

    const fn utc(nanos: i64) -> Timestamp<Utc> {
        Timestamp::from_timespec(1_800_000_000, nanos)
    }

    fn window() -> Window {
        let bracket = Bracket {
            before: raw(1_000_000),
            utc: utc(1_000_000),
            after: raw(1_000_000),
        };
        Window::new(Timescale::host(), bracket, Pace::default())
    }

    #[test]
    fn the_system_clocks_stamps_are_served_as_they_are() {
        let window = window();
        assert_eq!(Shown::System.time_of(utc(7), &window), Ok(utc(7)));
        assert_eq!(Shown::System.now(&window), utc(1_000_000));
        let future = utc(1_000_500);
        assert!(Shown::System.time_of(future, &window).is_err());
        let old = utc(0) - Duration::from_secs(2);
        assert!(Shown::System.time_of(old, &window).is_err());
    }

    #[test]
    fn another_clocks_time_of_a_stamp_goes_by_the_oscillator() {
        // An hour ahead, and a tenth fast since raw 5000 s.
        let reading = ClockReading {
            raw: raw(0),
            clock: utc(0) + Duration::from_secs(3_600),
        };
        let shown = Shown::Line { reading, rate: 0.1 };
        let ahead = |nanos| utc(nanos) + Duration::from_secs(3_600);
        assert_eq!(shown.time_of(utc(500_000), &window()), Ok(ahead(550_000)));
        assert_eq!(shown.now(&window()), ahead(1_100_000));
    }
}
