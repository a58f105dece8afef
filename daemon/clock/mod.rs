//! The clock that is disciplined: the system's, a PTP hardware clock, or a virtual one.
//!
//! A clock is read against a [`Timescale`], and steered, where that is possible, by frequency
//! (relative to that timescale) and by steps.

mod lower_bound;
mod observed;
mod phc;
mod shown;
mod simulated;
mod steady;
mod system;
mod tai;
mod timescale;

pub use lower_bound::{BUILT, lower_bound};
pub use observed::Observed;
pub use phc::Hardware;
pub use shown::Shown;
pub use simulated::Simulated;
pub use system::System;
pub use tai::{
    LEAST_TAI_OFFSET_S, ahead_of_utc, guess_tai_offset, hold_tai_offset, know_tai_offset,
    leap_tai_offset,
};
pub use timescale::{Implausible, Pace, Timescale, Window};

use std::fmt;
use std::io;

use clockwright_discipline::ClockReading;
use clockwright_sys::adjust::{self, AdjustError, Announcement};
use clockwright_timebase::{Duration, Raw, Timestamp, Utc};

use crate::config::{ClockConfig, ClockKind};
use crate::control::{ClockName, Steering};

/// No clock that is right shows less: 2026-01-01. Where the host's does (a dead battery), NTP's
/// eras are told apart from here (RFC 5905 section 6).
pub const EARLIEST: Timestamp<Utc> = Timestamp::from_timespec(1_767_225_600, 0);

/// The clock that is measured, served and, if it can be, steered.
pub trait Clock {
    /// Which clock it is.
    fn name(&self) -> ClockName;

    /// Whether it is steered, and why not.
    fn steering(&self) -> Steering;

    /// The oscillator that it is measured against.
    fn timescale(&self) -> &Timescale;

    /// What it shows now. Always what it really shows, whatever was asked of it.
    fn read(&self) -> ClockReading;

    /// What it shows now but for the kernel's dither: what steering is to go by. A clock that is set
    /// or slewed by somebody is where it is read.
    fn read_steady(&mut self) -> ClockReading {
        self.read()
    }

    /// What it shows now, where nothing but that is needed: the cheapest way to read it.
    fn now(&self) -> Timestamp<Utc>;

    /// How the system clock runs now.
    fn pace(&self) -> Pace {
        // Whoever steers the system clock may have changed its rate since the last time.
        Pace::steady(kernel_rate())
    }

    /// The system clock against the timescale, now: for converting the kernel's stamps.
    fn window(&self) -> Window {
        self.timescale().window(self.pace())
    }

    /// How it runs now, for those who only serve it.
    fn shown(&self) -> Shown {
        Shown::Line {
            reading: self.read(),
            rate: self.rate(),
        }
    }

    /// How long it runs as [`Clock::shown`] says though nobody steers it; `None`: until somebody
    /// does.
    fn shown_for(&self) -> Option<Duration> {
        None
    }

    /// What this clock showed when the system clock showed `stamp`, a kernel stamp of the moments
    /// before `window`.
    ///
    /// # Errors
    /// The stamp is not plausible.
    fn time_of(
        &self,
        stamp: Timestamp<Utc>,
        window: &Window,
    ) -> Result<Timestamp<Utc>, Implausible> {
        let instant = window.instant_of(stamp)?;
        Ok(self.time_at(instant, window))
    }

    /// What this clock showed at `at`, by the timescale, in the moments before `window`.
    fn time_at(&self, at: Timestamp<Raw>, window: &Window) -> Timestamp<Utc>;

    /// Rate of the clock minus rate of the timescale at present, s/s.
    fn rate(&self) -> f64;

    /// Rate of the kernel's timers (`CLOCK_MONOTONIC`) minus the host oscillator's, s/s, where this
    /// process bends them: they run with the system clock.
    fn timer_rate(&self) -> f64 {
        0.0
    }

    /// The host's oscillator has lost count of time, as it does in sleep: a clock with an oscillator of
    /// its own is compared with it anew.
    fn restart(&mut self) {}

    /// What it shows minus the truth, where the truth is known.
    fn true_error(&self) -> Option<Duration> {
        None
    }

    /// Do the kernel's packet stamps come from this clock, so that stepping it tears those in
    /// flight from their time?
    fn stamps_packets(&self) -> bool;

    /// The means to steer it; `None` if it is only watched.
    fn helm(&mut self) -> Option<&mut dyn Helm>;
}

/// What turns a clock.
pub trait Helm {
    /// Lets the clock run faster than the timescale by `frequency` (s/s).
    ///
    /// # Errors
    /// The clock refuses.
    fn set_frequency(&mut self, frequency: f64) -> Result<(), AdjustError>;

    /// Adds `by` at once.
    ///
    /// # Errors
    /// The clock refuses.
    fn step(&mut self, by: Duration) -> Result<(), AdjustError>;

    /// Tells applications how good the clock is.
    ///
    /// # Errors
    /// The clock refuses.
    fn announce(&mut self, announcement: &Announcement) -> Result<(), AdjustError>;

    /// What somebody else was found to have done to the clock when something was announced; told
    /// once. Of a clock that nobody else can steer: nothing.
    fn interference(&mut self) -> Option<Interference> {
        None
    }
}

/// What another program has done to the clock: it runs at another rate than was set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interference {
    /// As it was set, s/s.
    pub set: f64,
    /// As it was found, s/s.
    pub found: f64,
}

impl fmt::Display for Interference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (set, found) = (self.set * 1e6, self.found * 1e6);
        write!(f, "it runs at {found:+.4} ppm instead of {set:+.4} ppm")
    }
}

/// Opens the configured clock. `no_adjust` keeps the host's clock from being touched; a virtual
/// clock is steered all the same, since it is the process's own.
///
/// # Errors
/// The system clock can be steered, but the kernel refuses to hand it over; or there is no such
/// PTP hardware clock.
pub fn open(config: &ClockConfig, no_adjust: bool) -> Result<Box<dyn Clock>, AdjustError> {
    match &config.kind {
        ClockKind::Virtual => {
            let wrong = &config.virtual_clock;
            let drift = wrong.drift.as_ppm() * 1e-6;
            Ok(Box::new(Simulated::new(wrong.error, drift)))
        }
        ClockKind::Phc(name) => match Hardware::open(name, config.timescale, no_adjust) {
            Ok(clock) => Ok(Box::new(clock)),
            Err(error) => Err(AdjustError::Kernel(io::Error::other(error))),
        },
        ClockKind::System if no_adjust => Ok(Box::new(Observed::new(Steering::Disabled))),
        ClockKind::System => match adjust::can_steer() {
            Ok(()) => Ok(Box::new(System::take_over()?)),
            Err(AdjustError::NotPermitted) => Ok(Box::new(Observed::new(Steering::NotPermitted))),
            Err(error) => Err(error),
        },
    }
}

/// The frequency at which the system clock runs, s/s; zero where the kernel does not say.
fn kernel_rate() -> f64 {
    adjust::read(clockwright_sys::clock::ClockId::REALTIME).map_or(0.0, |state| state.rate)
}

/// A reading of the system clock, from a window.
fn reading_of(window: &Window) -> ClockReading {
    ClockReading {
        raw: window.now(),
        clock: window.utc(),
    }
}

/// What a clock showed at `at`, not far from `reading`, when it runs at `rate` (s/s).
pub fn shown_at(reading: ClockReading, rate: f64, at: Timestamp<Raw>) -> Timestamp<Utc> {
    let elapsed = at - reading.raw;
    reading.clock + elapsed + elapsed.scaled(rate)
}
