//! Holdover: nobody tells the time, and the clock goes on by what is known of its oscillator.
//!
//! It begins when no source is believed any more, be it that none answers or that they contradict
//! each other, and ends with the next update. The clock counts as synchronised for as long as its
//! error bound is reasonable; the bound grows.

use clockwright_timebase::{Raw, Timestamp};

use super::{Discipline, Reference};
use crate::memory::Forecast;
use crate::source::Source;

impl Discipline {
    /// Is the clock on its own?
    pub(super) fn is_on_its_own(&self) -> bool {
        self.reference.is_some() && !self.sources.values().any(Source::is_believed)
    }

    /// When the clock is to go on by its long memory: as soon as it is on its own and the last
    /// correction has ended.
    pub(super) fn holdover_due(&self) -> Option<Timestamp<Raw>> {
        let reference = self.reference.filter(|last| !last.held)?;
        let due = self.is_on_its_own() && self.pi.ends().is_none();
        due.then_some(reference.estimate.at)
    }

    /// Goes on by the frequency that the long memory has, as if it had been in force since the last
    /// update.
    pub(super) fn hold_over(&mut self, now: Timestamp<Raw>) {
        let Some(due) = self.holdover_due().filter(|due| *due <= now) else {
            return;
        };
        let Some(reference) = &mut self.reference else {
            return;
        };
        let forecast = self.memory.forecast(&reference.estimate);
        hold(reference, &forecast);
        let change = forecast.frequency - self.pi.frequency();
        if change != 0.0 {
            let age = now - due;
            let missed_s = change * age.as_secs_f64();
            self.correct(now, missed_s, forecast.frequency);
        }
    }
}

/// Makes a reference one to go on from without further updates.
///
/// In the steady state of a filter the variance of its frequency goes with the wander to the power
/// of 1.5, the covariance of frequency and phase with the wander itself; so a filter that has taken
/// the wander for less is made as uncertain as the one that had not.
fn hold(reference: &mut Reference, forecast: &Forecast) {
    reference.held = true;
    let estimate = &mut reference.estimate;
    let stretch = (forecast.wander / estimate.wander).max(1.0);
    estimate.frequency = forecast.frequency;
    estimate.wander *= stretch;
    estimate.covariance.cross *= stretch;
    estimate.covariance.frequency *= stretch.powf(1.5);
}
