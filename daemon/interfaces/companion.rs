//! The NICs' clocks as oscillators beside the host's.

use clockwright_discipline::Companion;
use clockwright_phc::Tracked;
use clockwright_timebase::{Duration, Raw, Timestamp};

use super::clocks::{Clocks, HardwareClock};
use super::table::Interfaces;

impl Interfaces {
    /// Is there a clock that could be read?
    pub fn has_clocks(&self) -> bool {
        self.clocks.all().next().is_some()
    }

    /// What is known of the oscillators of all clocks, against the host's (`CLOCK_MONOTONIC_RAW`), at
    /// `now` (host). Clocks whose last reading is older than `max_age` are read.
    pub fn companions(&mut self, max_age: Duration, now: Timestamp<Raw>) -> Vec<Companion> {
        self.clocks.refresh_all(now, max_age, &mut self.notices);
        companions(&self.clocks)
    }
}

fn companions(clocks: &Clocks) -> Vec<Companion> {
    let readable = clocks.all().filter(|clock| clock.fault().is_none());
    let companion = |clock: &HardwareClock| {
        let status = clock.tracked().map(Tracked::tracker)?.status();
        (status.readings > 0).then_some(Companion {
            id: clock.number,
            frequency: status.frequency_ppm * 1e-6,
            wander: status.seen_wander,
        })
    };
    readable.filter_map(companion).collect()
}
