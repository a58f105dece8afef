//! The virtual clock: wrong on purpose, and disciplined without touching the host.

use clockwright_discipline::{ClockReading, VirtualClock};
use clockwright_sys::adjust::{AdjustError, Announcement};
use clockwright_sys::clock;
use clockwright_timebase::{Duration, Raw, Timestamp, Utc};

use super::{Clock, Helm, Pace, Timescale, Window};
use crate::control::{ClockName, Steering};

/// A [`VirtualClock`] on an oscillator that drifts from the host's. The drift is applied where
/// instants enter the process, so that everything behind sees a genuine wrong oscillator.
///
/// Its true error is known: the truth is the host's clock.
#[derive(Debug)]
pub struct Simulated {
    timescale: Timescale,
    clock: VirtualClock,
}

impl Simulated {
    /// A clock that now shows the host's time plus `error`, on an oscillator that is `drift`
    /// (s/s) fast.
    pub fn new(error: Duration, drift: f64) -> Self {
        let bracket = clock::bracket();
        let start = bracket.raw();
        Self {
            timescale: Timescale::drifting(start, drift),
            clock: VirtualClock::new(start, bracket.utc + error),
        }
    }
}

impl Clock for Simulated {
    fn name(&self) -> ClockName {
        ClockName::Virtual
    }

    fn steering(&self) -> Steering {
        Steering::Adjusting
    }

    fn timescale(&self) -> &Timescale {
        &self.timescale
    }

    fn read(&self) -> ClockReading {
        let raw = self.timescale.now();
        ClockReading {
            raw,
            clock: self.clock.read(raw),
        }
    }

    fn now(&self) -> Timestamp<Utc> {
        self.read().clock
    }

    fn time_at(&self, at: Timestamp<Raw>, _: &Window) -> Timestamp<Utc> {
        self.clock.read(at)
    }

    fn rate(&self) -> f64 {
        self.clock.frequency()
    }

    fn true_error(&self) -> Option<Duration> {
        let window = self.timescale.window(Pace::default());
        Some(self.clock.read(window.now()) - window.utc())
    }

    fn stamps_packets(&self) -> bool {
        false
    }

    fn helm(&mut self) -> Option<&mut dyn Helm> {
        Some(self)
    }
}

impl Helm for Simulated {
    fn set_frequency(&mut self, frequency: f64) -> Result<(), AdjustError> {
        self.clock.set_frequency(self.timescale.now(), frequency);
        Ok(())
    }

    fn step(&mut self, by: Duration) -> Result<(), AdjustError> {
        self.clock.step(by);
        Ok(())
    }

    fn announce(&mut self, _: &Announcement) -> Result<(), AdjustError> {
        // The kernel speaks of the system clock only.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_s(clock: &Simulated) -> f64 {
        clock.true_error().unwrap().as_secs_f64()
    }

    #[test]
    fn starts_wrong_by_what_it_was_told() {
        let clock = Simulated::new(Duration::from_millis(500), 0.0);
        assert!((error_s(&clock) - 0.5).abs() < 1e-4);
    }

    #[test]
    fn a_fast_oscillator_makes_it_gain_and_steering_holds_it() {
        // However busy this machine is, the clock was made and looked at between these instants.
        let earliest = clock::raw_now();
        let mut clock = Simulated::new(Duration::ZERO, 0.5);
        let start = clock::raw_now();
        while clock::raw_now() - start < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let gained = error_s(&clock);
        let most = (clock::raw_now() - earliest).as_secs_f64() / 2.0;
        assert!((0.01..most + 1e-4).contains(&gained), "{gained} of {most}");

        clock.set_frequency(-1.0 / 3.0).unwrap();
        let before = error_s(&clock);
        let start = clock::raw_now();
        while clock::raw_now() - start < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        assert!((error_s(&clock) - before).abs() < 1e-4);

        clock.step(Duration::from_secs(-1)).unwrap();
        assert!((error_s(&clock) - before + 1.0).abs() < 1e-4);
    }

    #[test]
    fn stamps_are_served_in_its_own_time() {
        let clock = Simulated::new(Duration::from_secs(3), 0.0);
        let stamp = clock::realtime_now();
        let shown = clock.time_of(stamp, &clock.window()).unwrap();
        assert!(((shown - stamp).as_secs_f64() - 3.0).abs() < 1e-4);
    }
}
