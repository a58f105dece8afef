//! A clock that this process steers.

use clockwright_sys::adjust::{self, AdjustError};
use clockwright_sys::clock::{ClockId, raw_now};
use clockwright_timebase::Duration;

use crate::{PhcError, Tracked};

/// An open clock with its tracker, which is told of all that is done to the clock.
#[derive(Debug)]
pub struct Steered {
    tracked: Tracked,
    id: ClockId,
    largest: f64,
    /// The adjustment in force, s/s.
    adjustment: f64,
}

impl Steered {
    /// The clock `tracked`, by its id, with the adjustment that is in force (s/s).
    pub fn new(tracked: Tracked, id: ClockId, adjustment: f64) -> Result<Self, PhcError> {
        let capabilities = tracked.clock().capabilities()?;
        Ok(Self {
            tracked,
            id,
            largest: f64::from(capabilities.max_adjustment_ppb) * 1e-9,
            adjustment,
        })
    }

    /// The clock's tracker and its readings.
    pub fn tracked(&self) -> &Tracked {
        &self.tracked
    }

    /// The same, for reading the clock.
    pub fn tracked_mut(&mut self) -> &mut Tracked {
        &mut self.tracked
    }

    /// The largest adjustment its driver takes, s/s; zero where it takes none.
    pub fn largest(&self) -> f64 {
        self.largest
    }

    /// Rate of the clock minus rate of `CLOCK_MONOTONIC_RAW`, as far as known, s/s.
    pub fn rate(&self) -> f64 {
        self.tracked.tracker().status().frequency_ppm * 1e-6
    }

    /// Lets the clock run faster than `CLOCK_MONOTONIC_RAW` by `rate` (s/s), as far as its driver can.
    /// It has an oscillator of its own: what is set is the difference to what it does now.
    pub fn set_rate(&mut self, rate: f64) -> Result<(), AdjustError> {
        let wanted = self.adjustment + (rate - self.rate());
        let applied = adjust::set_frequency(self.id, wanted.clamp(-self.largest, self.largest))?;
        let by = applied - self.adjustment;
        self.adjustment = applied;
        self.tracked.tracker_mut().steered(raw_now(), by);
        Ok(())
    }

    /// Adds `by` to the clock at once.
    pub fn step(&mut self, by: Duration) -> Result<(), AdjustError> {
        let stepped = adjust::step(self.id, by)?;
        self.tracked.tracker_mut().stepped(raw_now(), stepped);
        Ok(())
    }
}
