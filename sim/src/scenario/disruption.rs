//! What a scenario says of sleep, snapshots and moves to another host.

use clockwright_timebase::{Duration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Trouble, not_negative};
use crate::True;

/// The host stands still, and goes on later, perhaps elsewhere. Its oscillator counts nothing
/// meanwhile, what arrives is lost, and when it goes on it is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Disruption {
    /// When it begins, s.
    pub at_s: f64,
    /// How long it lasts, s.
    pub lasts_s: f64,
    /// Afterwards the clock is further ahead than before by this, s. The kernel adds the time that
    /// the host slept, by a real-time clock that is not exact; what goes on from a snapshot is
    /// behind by as long as it stood still.
    pub clock_gains_s: f64,
    /// By how much the oscillator runs faster afterwards, ppm.
    pub ppm: f64,
    /// Does it go on elsewhere, with another oscillator, so that its old frequency says little?
    pub moved: bool,
}

impl Disruption {
    /// When it ends, s.
    pub(crate) fn ends_s(&self) -> f64 {
        self.at_s + self.lasts_s
    }

    /// When it begins and when it ends.
    pub(crate) fn span(&self) -> (Timestamp<True>, Timestamp<True>) {
        let at = |at_s| Timestamp::from_epoch(Duration::from_secs_f64(at_s));
        (at(self.at_s), at(self.ends_s()))
    }

    fn check(&self) -> Result<(), Trouble> {
        not_negative("disruption.at_s", self.at_s)?;
        not_negative("disruption.lasts_s", self.lasts_s)?;
        if self.lasts_s > 1e6 {
            return Err(Trouble::value("disruption.lasts_s", "at most 1e6"));
        }
        if !(-1e6..=1e6).contains(&self.clock_gains_s) {
            return Err(Trouble::value(
                "disruption.clock_gains_s",
                "between -1e6 and 1e6",
            ));
        }
        if !(-500.0..=500.0).contains(&self.ppm) {
            return Err(Trouble::value("disruption.ppm", "between -500 and 500"));
        }
        Ok(())
    }
}

/// Checks all of a scenario.
pub(super) fn check(disruptions: &[Disruption]) -> Result<(), Trouble> {
    for disruption in disruptions {
        disruption.check()?;
    }
    let in_order = disruptions
        .windows(2)
        .all(|pair| matches!(pair, [before, after] if before.ends_s() <= after.at_s));
    if in_order {
        Ok(())
    } else {
        Err(Trouble::value(
            "disruption.at_s",
            "later than the end of the disruption before",
        ))
    }
}
