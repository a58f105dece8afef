//! A PTP hardware clock, disciplined instead of the system's.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use clockwright_discipline::ClockReading;
use clockwright_phc::{PhcError, Steered, Taken, Tracked};
use clockwright_sys::adjust::{self, AdjustError, Announcement};
use clockwright_sys::clock;
use clockwright_timebase::{Duration, Raw, Timestamp, Utc};
use tracing::{info, warn};

use super::tai::ahead_of_utc;
use super::{Clock, Helm, Timescale, Window};
use crate::config::{self, PhcName};
use crate::control::{ClockName, Steering};
use crate::output::si::signed;

/// A reading younger than this serves for what the clock shows now.
const FRESH: Duration = Duration::from_millis(20);
/// One as old as this serves for what it showed when a packet came or went.
const RECENT: Duration = Duration::from_secs(1);
/// One as old as this serves those who only serve it.
const SERVED: Duration = Duration::from_millis(250);
/// Trouble with it is logged at most this often.
const SILENCE: Duration = Duration::from_secs(60);
/// How far apart the readings are by which its frequency is known before anything is steered.
const APART: std::time::Duration = std::time::Duration::from_millis(20);

/// A PTP hardware clock that shows TAI or UTC, read through its tracker and steered by its driver.
/// The system clock is not touched.
#[derive(Debug)]
pub struct Hardware {
    timescale: Timescale,
    steered: RefCell<Steered>,
    shows: config::Timescale,
    steering: Steering,
    /// When trouble with it was last logged.
    told: Cell<Option<Timestamp<Raw>>>,
}

impl Hardware {
    /// Opens the clock; with `no_adjust` it is only watched.
    ///
    /// # Errors
    /// There is no such clock, or it cannot be read.
    pub fn open(
        name: &PhcName,
        shows: config::Timescale,
        no_adjust: bool,
    ) -> Result<Self, PhcError> {
        let (mut tracked, mut steering) = open(name, no_adjust)?;
        let Some(id) = tracked.clock().id() else {
            return Err(PhcError::NotAClock(tracked.path().to_owned()));
        };
        let adjustment = adjust::read(id).map_or(0.0, |state| state.rate);
        if steering == Steering::Adjusting
            && matches!(
                adjust::set_frequency(id, adjustment),
                Err(AdjustError::NotPermitted)
            )
        {
            steering = Steering::NotPermitted;
        }
        read_twice(&mut tracked)?;
        Ok(Self {
            timescale: Timescale::host(),
            steered: RefCell::new(Steered::new(tracked, id, adjustment)?),
            shows,
            steering,
            told: Cell::new(None),
        })
    }

    /// Reads the clock where its last reading is older than `max_age`. One that cannot be read for
    /// a moment is extrapolated.
    fn refresh(&self, max_age: Duration) {
        let now = clock::raw_now();
        let refreshed = self
            .steered
            .borrow_mut()
            .tracked_mut()
            .refresh(now, max_age);
        let trouble = match refreshed {
            Ok(Some(Taken::Jumped { by })) => format!(
                "{}: another program has set this clock by {}. Two programs must not steer one \
                 clock: look for ptp4l, phc2sys or ts2phc",
                self.steered.borrow().tracked().path().display(),
                signed(by.as_secs_f64())
            ),
            Ok(_) => return,
            Err(error) => error.to_string(),
        };
        // It is read many times a second.
        if self.told.get().is_none_or(|last| now - last > SILENCE) {
            self.told.set(Some(now));
            warn!("{trouble}");
        }
    }

    fn shown_at(&self, at: Timestamp<Raw>) -> Timestamp<Utc> {
        let shown = self.steered.borrow().tracked().tracker().time_at(at);
        // There is one: it was read when it was opened.
        let (shown, _) = shown.unwrap_or((Timestamp::EPOCH, Duration::ZERO));
        shown.shifted_to(-ahead_of_utc(self.shows))
    }
}

/// Opens the clock for steering, or for reading where that is all that is allowed.
fn open(name: &PhcName, no_adjust: bool) -> Result<(Tracked, Steering), PhcError> {
    let selector = name.selector();
    if no_adjust {
        return Tracked::open(&selector).map(|tracked| (tracked, Steering::Disabled));
    }
    match Tracked::open_to_change(&selector) {
        Ok(tracked) => Ok((tracked, Steering::Adjusting)),
        Err(PhcError::NotPermitted(_)) => {
            Tracked::open(&selector).map(|tracked| (tracked, Steering::NotPermitted))
        }
        Err(error) => Err(error),
    }
}

/// Reads a clock until its frequency is known.
fn read_twice(tracked: &mut Tracked) -> Result<(), PhcError> {
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);
    let began = Instant::now();
    while tracked.tracker().status().readings < 3 {
        tracked.refresh(clock::raw_now(), Duration::ZERO)?;
        if began.elapsed() > PATIENCE {
            return Err(PhcError::NoReading(tracked.path().to_owned()));
        }
        std::thread::sleep(APART);
    }
    info!(
        "{}: {:+.3} ppm against the host's oscillator",
        tracked.path().display(),
        tracked.tracker().status().frequency_ppm
    );
    Ok(())
}

impl Clock for Hardware {
    fn name(&self) -> ClockName {
        ClockName::Phc(self.steered.borrow().tracked().path().display().to_string())
    }

    fn steering(&self) -> Steering {
        self.steering
    }

    fn timescale(&self) -> &Timescale {
        &self.timescale
    }

    fn read(&self) -> ClockReading {
        self.refresh(FRESH);
        let raw = clock::raw_now();
        ClockReading {
            raw,
            clock: self.shown_at(raw),
        }
    }

    fn now(&self) -> Timestamp<Utc> {
        self.refresh(RECENT);
        self.shown_at(clock::raw_now())
    }

    fn time_at(&self, at: Timestamp<Raw>, _: &Window) -> Timestamp<Utc> {
        self.refresh(RECENT);
        self.shown_at(at)
    }

    fn shown_for(&self) -> Option<Duration> {
        Some(SERVED)
    }

    fn rate(&self) -> f64 {
        self.steered.borrow().rate()
    }

    fn restart(&mut self) {
        // One that cannot be read now says so with the next reading.
        let _ = self.steered.borrow_mut().tracked_mut().restart();
    }

    fn stamps_packets(&self) -> bool {
        // The kernel stamps by the system clock, and the stamps of the NIC pass through a tracker
        // that knows when its clock was set.
        false
    }

    fn helm(&mut self) -> Option<&mut dyn Helm> {
        (self.steering == Steering::Adjusting).then_some(self)
    }
}

impl Helm for Hardware {
    fn set_frequency(&mut self, frequency: f64) -> Result<(), AdjustError> {
        self.refresh(FRESH);
        self.steered.borrow_mut().set_rate(frequency)
    }

    fn step(&mut self, by: Duration) -> Result<(), AdjustError> {
        self.steered.borrow_mut().step(by)
    }

    fn announce(&mut self, _: &Announcement) -> Result<(), AdjustError> {
        // The kernel speaks of the system clock only.
        Ok(())
    }
}
