//! The system clock, steered.

use clockwright_discipline::ClockReading;
use clockwright_sys::adjust::{self, AdjustError, Announcement};
use clockwright_sys::clock::{self, ClockId};
use clockwright_timebase::{Duration, Raw, Timestamp, Utc};

use super::steady::Aim;
use super::{Clock, Helm, Implausible, Pace, Shown, Timescale, Window, kernel_rate, reading_of};
use crate::control::{ClockName, Steering};

/// `CLOCK_REALTIME`, steered by `clock_adjtime`.
#[derive(Debug)]
pub struct System {
    timescale: Timescale,
    pace: Pace,
    aim: Aim,
}

impl System {
    /// Ends what the kernel itself does to the clock and goes on from the frequency in force.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn take_over() -> Result<Self, AdjustError> {
        adjust::take_over()?;
        Ok(Self {
            timescale: Timescale::host(),
            pace: Pace::steady(kernel_rate()),
            aim: Aim::default(),
        })
    }
}

impl Clock for System {
    fn name(&self) -> ClockName {
        ClockName::System
    }

    fn steering(&self) -> Steering {
        Steering::Adjusting
    }

    fn timescale(&self) -> &Timescale {
        &self.timescale
    }

    fn read(&self) -> ClockReading {
        reading_of(&self.window())
    }

    fn read_steady(&mut self) -> ClockReading {
        let read = self.read();
        self.aim.follow(read, self.pace.rate)
    }

    fn now(&self) -> Timestamp<Utc> {
        clock::realtime_now()
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    fn shown(&self) -> Shown {
        Shown::System
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

    fn rate(&self) -> f64 {
        self.pace.rate
    }

    fn timer_rate(&self) -> f64 {
        self.pace.rate
    }

    fn stamps_packets(&self) -> bool {
        true
    }

    fn helm(&mut self) -> Option<&mut dyn Helm> {
        Some(self)
    }
}

impl Helm for System {
    fn set_frequency(&mut self, frequency: f64) -> Result<(), AdjustError> {
        let applied = adjust::set_frequency(ClockId::REALTIME, frequency)?;
        let now = clock::raw_now();
        self.aim.rate_changes(now, self.pace.rate);
        self.pace = self.pace.changed(now, applied);
        Ok(())
    }

    fn step(&mut self, by: Duration) -> Result<(), AdjustError> {
        self.aim.forget();
        adjust::step(ClockId::REALTIME, by).map(drop)
    }

    fn announce(&mut self, announcement: &Announcement) -> Result<(), AdjustError> {
        adjust::announce(announcement).map(drop)
    }
}
