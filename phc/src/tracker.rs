//! A clock against the local timescale: where it stood, stands and will stand.
//!
//! The tracker is told readings and answers which raw instant a stamp of the clock belongs to. It
//! never steers: the clock may run freely, be steered every second by another program, or be set.

use std::collections::VecDeque;

use clockwright_timebase::{Duration, Phc, Raw, Timestamp};

use crate::knot::{Knot, Link};
use crate::track::{LARGEST_CHANGE, Track};
use crate::{Method, Reading};

/// Readings remembered, for stamps older than the newest.
const REMEMBERED: usize = 32;
/// What became of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was the first.
    Started,
    /// It moved the estimate.
    Good,
    /// It took so long that it tells nothing that is not known better, or it is older than the
    /// one before it.
    Poor,
    /// Another program has set the clock; what was known of its phase begins anew.
    Jumped {
        /// What was added to the clock, as near as can be told.
        by: Duration,
    },
}

/// A stamp of the clock on the local timescale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Instant {
    /// The instant.
    pub at: Timestamp<Raw>,
    /// How far the true instant can lie from it: what a bus may hide of a reading, five standard
    /// deviations of what was estimated, and whatever the clock may have done between readings.
    pub uncertainty: Duration,
    /// Standard deviation of what was estimated, s; systematic errors of readings not included.
    pub sd_s: f64,
}

/// What a tracker knows of its clock. Numbers are zero before the first reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackerStatus {
    /// Rate of the clock minus rate of `CLOCK_MONOTONIC_RAW`, ppm.
    pub frequency_ppm: f64,
    /// RMS noise of a good reading, s.
    pub noise_s: f64,
    /// How the frequency walks, s/s per √s; another program's steering included.
    pub wander: f64,
    /// The same as readings have shown it since the last surprise: they refute that it is a tenth or
    /// tenfold of that. `None` before they have.
    pub seen_wander: Option<f64>,
    /// How long a good reading takes, s; zero where hardware compares the clocks.
    pub read_delay_s: f64,
    /// How the clock was last read.
    pub method: Option<Method>,
    /// Readings taken in, poor ones included.
    pub readings: u64,
    /// Those that were poor.
    pub poor: u64,
    /// How often the clock was set.
    pub jumps: u64,
}

/// Tracks one clock.
///
/// A two-state filter (phase and frequency) with the house's bank around it, which finds the noise
/// of readings and the wander of the frequency as it goes. Differences of instants are exact
/// integers; floating point is used only for what is left of them.
#[derive(Debug, Clone, Default)]
pub struct Tracker {
    track: Option<Track>,
    /// Newest last.
    knots: VecDeque<Knot>,
    method: Option<Method>,
    last_reading: Option<Timestamp<Raw>>,
    readings: u64,
    poor: u64,
    jumps: u64,
}

impl Tracker {
    /// A tracker that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a reading.
    pub fn take(&mut self, reading: &Reading) -> Taken {
        self.readings += 1;
        let taken = self.judge(reading);
        match taken {
            Taken::Poor => self.poor += 1,
            Taken::Jumped { .. } => self.jumps += 1,
            Taken::Started | Taken::Good => {}
        }
        if taken != Taken::Poor {
            self.method = Some(reading.method);
            self.last_reading = Some(reading.raw);
        }
        taken
    }

    /// This program has changed the clock's frequency at `at`, by `by` (s/s): what is known of it
    /// stays as good as it was.
    pub fn steered(&mut self, at: Timestamp<Raw>, by: f64) {
        self.turned(at, by, Duration::ZERO);
    }

    /// This program has added `by` to the clock at `at`. Drivers do that by reading and writing
    /// the clock, so that the next reading will tell how much it really was.
    pub fn stepped(&mut self, at: Timestamp<Raw>, by: Duration) {
        self.turned(at, 0.0, by);
    }

    fn turned(&mut self, at: Timestamp<Raw>, frequency: f64, by: Duration) {
        let (Some(track), Some(last)) = (&mut self.track, self.knots.back()) else {
            return;
        };
        if at > last.at {
            let knot = track.turned(last, at, frequency, by);
            self.remember(knot);
        }
    }

    /// The local timescale has lost count of time, as an oscillator does while its host sleeps and
    /// the clock goes on: where the clock stands against it is forgotten, and no reading before the
    /// next one counts. How the clock runs and how well it can be read are believed as far as after a
    /// jump.
    pub fn restart(&mut self) {
        self.knots.clear();
        self.last_reading = None;
    }

    /// When a stamp was taken; `None` before the first reading.
    ///
    /// Between two readings, both are used; after the last and before the first one remembered the
    /// estimate is extrapolated, and its uncertainty grows.
    pub fn instant_of(&self, stamp: Timestamp<Phc>) -> Option<Instant> {
        let newest = self.knots.back()?;
        let ahead = Some(newest.place(stamp)).filter(|instant| instant.at >= newest.at);
        if ahead.is_some() && !self.knots.iter().any(Knot::was_set) {
            return ahead;
        }
        let behind = self.look_back(stamp);
        match (ahead, behind) {
            (Some(ahead), Some(behind)) => Some(newest.nearer(ahead, behind)),
            (one, other) => one
                .or(other)
                .or_else(|| self.knots.front().map(|oldest| oldest.place(stamp))),
        }
    }

    /// The latest pair of readings between which a stamp can have been taken places it.
    fn look_back(&self, stamp: Timestamp<Phc>) -> Option<Instant> {
        let newer = self.knots.iter().rev();
        let older = self.knots.iter().rev().skip(1);
        newer
            .zip(older)
            .find_map(|(newer, older)| newer.between(older, stamp))
    }

    /// What the clock shows at `at` and how far off that can be; `None` before the first reading.
    pub fn time_at(&self, at: Timestamp<Raw>) -> Option<(Timestamp<Phc>, Duration)> {
        let mut newer = self.knots.back()?;
        for older in self.knots.iter().rev().skip(1) {
            if at >= newer.at {
                break;
            }
            if at >= older.at {
                return Some(newer.shown_between(older, at));
            }
            newer = older;
        }
        Some(newer.shown(at))
    }

    /// The instant of the newest reading that was not poor.
    pub fn last_reading(&self) -> Option<Timestamp<Raw>> {
        self.last_reading
    }

    /// Does it take another reading to know what the clock is doing: is the newest the first, or
    /// was it a surprise?
    pub fn is_unsettled(&self) -> bool {
        self.knots
            .back()
            .is_some_and(|knot| knot.unsettled >= LARGEST_CHANGE)
    }

    /// What is known of the clock.
    pub fn status(&self) -> TrackerStatus {
        let bank = self.track.as_ref().map(|track| &track.bank);
        let knot = self.knots.back();
        TrackerStatus {
            frequency_ppm: bank.map_or(0.0, |bank| bank.state().frequency * 1e6),
            noise_s: bank.map_or(0.0, |bank| bank.hypothesis().noise_s()),
            wander: bank.map_or(0.0, |bank| bank.hypothesis().wander()),
            seen_wander: self.track.as_ref().and_then(|track| track.seen.wander()),
            read_delay_s: knot.map_or(0.0, |knot| 2.0 * knot.half_width_s),
            method: self.method,
            readings: self.readings,
            poor: self.poor,
            jumps: self.jumps,
        }
    }

    fn judge(&mut self, reading: &Reading) -> Taken {
        let (Some(track), Some(last)) = (&mut self.track, self.knots.back().copied()) else {
            self.begin(reading, None);
            return Taken::Started;
        };
        if reading.raw <= last.at {
            return Taken::Poor;
        }
        let seen = track.look(&last, reading);
        let hidden_s = last.half_width_s + reading.half_width.as_secs_f64();
        if seen.is_surprising
            && seen.by_s.abs() > LARGEST_CHANGE * seen.over_s + hidden_s + seen.expected_s
        {
            let by = Duration::from_secs_f64(seen.by_s);
            self.begin(reading, Some(by));
            return Taken::Jumped { by };
        }
        if seen.tells_nothing() {
            return Taken::Poor;
        }
        let knot = track.follow(&last, reading, &seen);
        let step = track.explain(reading.raw, &seen);
        self.remember(knot);
        let Some(step) = step else {
            return Taken::Good;
        };
        if let Some(knot) = self.knots.iter_mut().find(|knot| knot.at == step.at) {
            knot.link = Link::Set { by: step.by };
        }
        Taken::Jumped { by: step.by }
    }

    /// Starts the state from one reading; `set` is what was added to the clock since the last.
    fn begin(&mut self, reading: &Reading, set: Option<Duration>) {
        let track = Track::begin(reading, self.track.as_ref());
        let knot = Knot {
            at: reading.raw,
            offset: reading.offset(),
            state: *track.bank.state(),
            half_width_s: reading.half_width.as_secs_f64(),
            unsettled: LARGEST_CHANGE,
            link: set.map_or(Link::First, |by| Link::Set { by }),
        };
        self.track = Some(track);
        self.remember(knot);
    }

    fn remember(&mut self, knot: Knot) {
        if self.knots.len() == REMEMBERED {
            self.knots.pop_front();
        }
        self.knots.push_back(knot);
    }
}

#[cfg(test)]
mod tests;
