//! The discipline of an oscillator that has others beside it.

use clockwright_timebase::{Raw, Timestamp};

use super::Discipline;
use crate::companion::Companion;

impl Discipline {
    /// Takes in what is known of all oscillators that the host's has been compared with, such as those
    /// of its NICs' clocks; to be called every some seconds. What they tell of how much the host's
    /// own can wander is what filters without better evidence go by (see `companion.rs`). They count
    /// only while it is known how fast UTC runs.
    pub fn handle_companions(
        &mut self,
        now: Timestamp<Raw>,
        companions: impl IntoIterator<Item = Companion>,
    ) {
        let taken = self.warmth.taken().rate;
        let utc = self.reference.map_or((0.0, f64::INFINITY), |reference| {
            let estimate = reference.estimate;
            (estimate.frequency + taken, estimate.frequency_sd())
        });
        let companions = companions.into_iter();
        if let Some(most) = self.companions.most_wander(now, companions, utc) {
            for source in self.sources.values_mut() {
                source.filter.set_most_wander(most);
            }
        }
    }
}
