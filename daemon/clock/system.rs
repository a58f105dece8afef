//! The system clock, steered.

use clockwright_discipline::ClockReading;
use clockwright_sys::adjust::{self, AdjustError, Announcement, KernelState};
use clockwright_sys::clock::{self, ClockId};
use clockwright_timebase::{Duration, Raw, Timestamp, Utc};

use super::steady::Aim;
use super::{
    Clock, Helm, Implausible, Interference, Pace, Shown, Timescale, Window, kernel_rate, reading_of,
};
use crate::control::{ClockName, Steering};

/// `CLOCK_REALTIME`, steered by `clock_adjtime`.
#[derive(Debug)]
pub struct System {
    timescale: Timescale,
    pace: Pace,
    aim: Aim,
    interference: Option<Interference>,
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
            interference: None,
        })
    }

    /// Has somebody else steered the clock, by what the kernel says of it?
    fn note_interference(&mut self, found: &KernelState) {
        if let Some(interference) = interference(self.pace.rate, found) {
            self.interference = Some(interference);
            // Until it is set right again, this is what it does.
            self.pace = self.pace.changed(clock::raw_now(), found.rate);
        }
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
        // What another program has set in the meantime would be gone without a trace.
        let found = adjust::read(ClockId::REALTIME)?;
        self.note_interference(&found);
        let applied = adjust::set_frequency(ClockId::REALTIME, frequency)?;
        let now = clock::raw_now();
        self.aim.rate_changes(now, self.pace.rate);
        self.pace = self.pace.changed(now, applied);
        // That is what it is to be set back to, should it be looked at only now.
        if let Some(interference) = &mut self.interference {
            interference.set = applied;
        }
        Ok(())
    }

    fn step(&mut self, by: Duration) -> Result<(), AdjustError> {
        self.aim.forget();
        adjust::step(ClockId::REALTIME, by).map(drop)
    }

    fn announce(&mut self, announcement: &Announcement) -> Result<(), AdjustError> {
        let found = adjust::announce(announcement)?;
        self.note_interference(&found);
        Ok(())
    }

    fn interference(&mut self) -> Option<Interference> {
        self.interference.take()
    }
}

/// Two rates that differ by less are the same, s/s: a hundredth of the kernel's unit.
const SAME_RATE: f64 = 1e-13;

/// What somebody else has done to a clock that was set to `rate` (s/s), by what the kernel says of it.
///
/// Both rates come from the kernel's own whole numbers. Its loop (`STA_PLL`), which other programs make
/// use of, changes them too.
fn interference(rate: f64, found: &KernelState) -> Option<Interference> {
    let differs = (found.rate - rate).abs() > SAME_RATE;
    differs.then_some(Interference {
        set: rate,
        found: found.rate,
    })
}

#[cfg(test)]
mod tests {
    use clockwright_sys::adjust::{KernelLeap, TimeState};

    use super::*;

    fn found(rate: f64) -> KernelState {
        KernelState {
            rate,
            frequency_ppm: rate * 1e6,
            tick_us: 10_000,
            status: adjust::read(ClockId::REALTIME).unwrap().status,
            leap: KernelLeap::None,
            time_state: TimeState::Ok,
            max_error: Duration::ZERO,
            est_error: Duration::ZERO,
            tai_offset: 0,
        }
    }

    #[test]
    fn a_rate_that_somebody_else_has_set_is_noticed() {
        assert_eq!(interference(12.5e-6, &found(12.5e-6)), None);
        // The kernel's unit is 2^-16 ppm.
        let unit = 1e-6 / 65_536.0;
        let other = interference(12.5e-6, &found(12.5e-6 + unit));
        assert!(other.is_some_and(|it| it.found > it.set), "{other:?}");
        let shown = interference(1e-6, &found(-2e-6)).map(|it| it.to_string());
        let expected = "it runs at -2.0000 ppm instead of +1.0000 ppm";
        assert_eq!(shown.as_deref(), Some(expected));
    }
}
