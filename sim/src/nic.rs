//! The clock of the host's NIC, and what the host makes of it: the tracker that the daemon has, too.

use clockwright_discipline::Companion;
use clockwright_phc::{Method, Reading, Tracker};
use clockwright_timebase::{Duration, Raw, Timestamp, Utc};

use crate::True;
use crate::oscillator::Oscillator;
use crate::random::Random;
use crate::scenario::{Counts, NicScenario, OscillatorScenario, TemperatureScenario};

/// It, and when it is read.
#[derive(Debug)]
pub(crate) struct Nic {
    scenario: NicScenario,
    oscillator: Oscillator,
    tracker: Tracker,
    next: Timestamp<Raw>,
    random: Random,
}

impl Nic {
    /// `None`: the host has none that it could read. `random` makes the noise of readings, the other
    /// one its oscillator's.
    pub(crate) fn new(
        scenario: Option<NicScenario>,
        now: Timestamp<Raw>,
        (random, wandering): (Random, Random),
    ) -> Option<Self> {
        let scenario = scenario?;
        let oscillator = OscillatorScenario {
            frequency_ppm: scenario.frequency_ppm,
            wander: scenario.wander,
            white: scenario.white,
            ..OscillatorScenario::default()
        };
        Some(Self {
            scenario,
            oscillator: Oscillator::new(&oscillator, &TemperatureScenario::default(), wandering),
            tracker: Tracker::new(),
            next: now,
            random,
        })
    }

    /// When it is to be read.
    pub(crate) fn next(&self) -> Timestamp<Raw> {
        self.next
    }

    /// Reads it at true time `at`, when the host's oscillator shows `now` and its clock `clock`, and says
    /// what is known of its oscillator; `None` if it is not to be read yet.
    pub(crate) fn read(
        &mut self,
        at: Timestamp<True>,
        now: Timestamp<Raw>,
        clock: Timestamp<Utc>,
    ) -> Option<Companion> {
        if self.next > now {
            return None;
        }
        let of = self.scenario;
        self.next = now + Duration::from_secs_f64(of.every_s);
        self.oscillator.advance_to(at);
        let own = self.oscillator.read().since_epoch();
        let shown = match of.counts {
            Counts::Itself => own,
            Counts::Host => now.since_epoch() + (own - at.since_epoch()),
            Counts::Clock => clock.since_epoch(),
        };
        let error = Duration::from_secs_f64(of.noise_s * self.random.normal());
        self.tracker.take(&Reading {
            phc: Timestamp::from_epoch(shown),
            raw: now + error,
            half_width: Duration::from_secs_f64(of.read_s / 2.0),
            excess: Duration::ZERO,
            method: Method::Extended,
        });
        let status = self.tracker.status();
        Some(Companion {
            id: 0,
            frequency: status.frequency_ppm * 1e-6,
            wander: status.seen_wander,
        })
    }

    /// The host's oscillator has lost count of time.
    pub(crate) fn restart(&mut self) {
        self.tracker.restart();
    }
}
