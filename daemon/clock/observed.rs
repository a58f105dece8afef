//! The system clock, only watched.

use clockwright_discipline::ClockReading;
use clockwright_sys::clock;
use clockwright_timebase::{Raw, Timestamp, Utc};

use super::{Clock, Helm, Implausible, Pace, Shown, Timescale, Window, kernel_rate, reading_of};
use crate::control::{ClockName, Steering};

/// `CLOCK_REALTIME`, which somebody else steers or nobody does: measured and served, not touched.
#[derive(Debug)]
pub struct Observed {
    timescale: Timescale,
    why: Steering,
}

impl Observed {
    /// The system clock, not steered for the reason `why`.
    pub const fn new(why: Steering) -> Self {
        Self {
            timescale: Timescale::host(),
            why,
        }
    }
}

impl Clock for Observed {
    fn name(&self) -> ClockName {
        ClockName::System
    }

    fn steering(&self) -> Steering {
        self.why
    }

    fn timescale(&self) -> &Timescale {
        &self.timescale
    }

    fn read(&self) -> ClockReading {
        // The rate does not matter for the reading itself.
        reading_of(&self.timescale.window(Pace::default()))
    }

    fn now(&self) -> Timestamp<Utc> {
        clock::realtime_now()
    }

    fn time_of(
        &self,
        stamp: Timestamp<Utc>,
        window: &Window,
    ) -> Result<Timestamp<Utc>, Implausible> {
        window.instant_of(stamp).map(|_| stamp)
    }

    fn time_at(&self, at: Timestamp<Raw>, window: &Window) -> Timestamp<Utc> {
        window.utc_at(at)
    }

    fn shown(&self) -> Shown {
        Shown::System
    }

    fn rate(&self) -> f64 {
        kernel_rate()
    }

    fn stamps_packets(&self) -> bool {
        true
    }

    fn helm(&mut self) -> Option<&mut dyn Helm> {
        None
    }
}
