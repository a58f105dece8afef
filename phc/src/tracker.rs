//! A clock against the local timescale: where it stood, stands and will stand.
//!
//! The tracker is told readings and answers which raw instant a stamp of the clock belongs to. It
//! never steers: the clock may run freely, be steered every second by another program, or be set.

use std::collections::VecDeque;

use clockwright_discipline::{Bank, Covariance, Kalman};
use clockwright_timebase::{Duration, Phc, Raw, Timestamp};

use crate::knot::{Knot, Link, SIGMAS};
use crate::{Method, Reading};

/// Readings remembered, for stamps older than the newest.
const REMEMBERED: usize = 32;
/// A clock's frequency before anything is known of it: crystals are within 100 ppm, and other
/// programs steer by as much again, s/s.
const FIRST_FREQUENCY_SD: f64 = 200e-6;
/// Wander to begin with, s/s per √s.
const FIRST_WANDER: f64 = 1e-9;
/// No clock changes its frequency by more than this from one reading to the next, s/s; what would
/// need more was a step.
const LARGEST_CHANGE: f64 = 1e-3;
/// Resolution of the best clocks, s.
const RESOLUTION_S: f64 = 1e-9;

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
    readings: u64,
    poor: u64,
    jumps: u64,
}

/// What exists from the first reading on.
#[derive(Debug, Clone)]
struct Track {
    bank: Bank,
    /// A surprise that the next readings have to explain.
    surprise: Option<Surprise>,
}

/// The clock was not where it should have been: its frequency has changed, or it was set.
#[derive(Debug, Clone, Copy)]
struct Surprise {
    /// By how much, s.
    by_s: f64,
    /// Over which time, s.
    over_s: f64,
    /// The frequency before, s/s.
    frequency: f64,
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
        }
        taken
    }

    /// When a stamp was taken; `None` before the first reading.
    ///
    /// Between two readings, both are used; after the last and before the first one remembered the
    /// estimate is extrapolated, and its uncertainty grows.
    pub fn instant_of(&self, stamp: Timestamp<Phc>) -> Option<Instant> {
        let mut newer = self.knots.back()?;
        let (at, place) = newer.place(stamp);
        if at >= newer.at {
            return Some(place);
        }
        for older in self.knots.iter().rev().skip(1) {
            if let Some(instant) = newer.between(older, stamp) {
                return Some(instant);
            }
            newer = older;
        }
        Some(newer.place(stamp).1)
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
        self.knots.back().map(|knot| knot.at)
    }

    /// Does it take another reading to know what the clock is doing: is the newest the first, or
    /// was it a surprise?
    pub fn is_unsettled(&self) -> bool {
        self.knots.back().is_some_and(|knot| knot.unsettled > 0.0)
    }

    /// What is known of the clock.
    pub fn status(&self) -> TrackerStatus {
        let bank = self.track.as_ref().map(|track| &track.bank);
        let knot = self.knots.back();
        TrackerStatus {
            frequency_ppm: bank.map_or(0.0, |bank| bank.state().frequency * 1e6),
            noise_s: bank.map_or(0.0, |bank| bank.hypothesis().noise_s()),
            wander: bank.map_or(0.0, |bank| bank.hypothesis().wander()),
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
        let over_s = (reading.raw - last.at).as_secs_f64();
        let excess_s = reading.excess.as_secs_f64();
        let innovation =
            (reading.offset() - last.offset).as_secs_f64() - over_s * track.bank.state().frequency;
        let wander = track.bank.hypothesis().wander();
        let predicted = track.bank.state().covariance.after(over_s, wander);
        let variance = track.bank.hypothesis().variance(excess_s);
        let expected_s = SIGMAS * (predicted.phase + variance).sqrt() + RESOLUTION_S;
        let surprising = innovation.abs() > expected_s;
        let hidden_s = last.half_width_s + reading.half_width.as_secs_f64();
        if surprising && innovation.abs() > LARGEST_CHANGE * over_s + hidden_s + expected_s {
            let by = Duration::from_secs_f64(innovation);
            self.begin(reading, Some(by));
            return Taken::Jumped { by };
        }
        if !surprising && excess_s.powi(2) / 12.0 > 9.0 * predicted.phase {
            return Taken::Poor;
        }
        self.follow(reading, &last, innovation, surprising.then_some(innovation))
    }

    /// Starts the state from one reading; `set` is what was added to the clock since the last.
    fn begin(&mut self, reading: &Reading, set: Option<Duration>) {
        let half_width_s = reading.half_width.as_secs_f64();
        let known = self.track.as_ref().map(|track| {
            let hypothesis = track.bank.hypothesis();
            let frequency = track.bank.state().frequency;
            (hypothesis.noise_s(), hypothesis.wander(), frequency)
        });
        // Until readings have been compared, a tenth of what the bus hides stands for their noise.
        let guess = (half_width_s / 10.0).max(RESOLUTION_S);
        let (noise, wander, frequency) = known.unwrap_or((guess, FIRST_WANDER, 0.0));
        let state = Kalman {
            phase: 0.0,
            frequency,
            covariance: Covariance {
                phase: noise * noise + reading.excess.as_secs_f64().powi(2) / 12.0,
                cross: 0.0,
                frequency: FIRST_FREQUENCY_SD * FIRST_FREQUENCY_SD,
            },
        };
        self.track = Some(Track {
            bank: Bank::new(noise, wander, state),
            surprise: None,
        });
        let link = set.map_or(Link::First, |by| Link::Set { by });
        self.remember(Knot {
            at: reading.raw,
            offset: reading.offset(),
            state,
            half_width_s,
            unsettled: LARGEST_CHANGE,
            link,
        });
    }

    /// Takes a reading into the state; a surprise makes the state follow it.
    fn follow(
        &mut self,
        reading: &Reading,
        last: &Knot,
        innovation: f64,
        surprise: Option<f64>,
    ) -> Taken {
        let Some(track) = &mut self.track else {
            return Taken::Poor;
        };
        let over_s = (reading.raw - last.at).as_secs_f64();
        let excess_s = reading.excess.as_secs_f64();
        let frequency = track.bank.state().frequency;
        let mut wander = track.bank.hypothesis().wander();
        track.bank.advance(over_s);
        if let Some(by_s) = surprise {
            // As if the frequency had changed at a random instant since: that much random walk
            // would have moved the phase as far as it was seen to move.
            let extra = (3.0 * by_s * by_s / over_s.powi(3)).sqrt();
            track.bank.doubt(NOTHING.after(over_s, extra));
            wander = wander.hypot(extra);
        }
        let before = track.bank.state().covariance.phase;
        let gain = before / (before + track.bank.hypothesis().variance(excess_s));
        let measured = over_s * frequency + innovation;
        track.bank.update(measured, excess_s);
        let phase = Duration::from_secs_f64(track.bank.state().phase);
        track.bank.shift(phase.as_secs_f64());
        let half_width_s =
            last.half_width_s + gain * (reading.half_width.as_secs_f64() - last.half_width_s);
        let settled = track.settle(over_s, frequency, surprise);
        let unsettled = if surprise.is_some() {
            LARGEST_CHANGE
        } else {
            0.0
        };
        let knot = Knot {
            at: reading.raw,
            offset: last.offset + phase,
            state: *track.bank.state(),
            half_width_s,
            unsettled,
            link: Link::Ran {
                wander,
                surprise_s: surprise.map_or(0.0, f64::abs),
            },
        };
        if let Some(by) = settled
            && let Some(newest) = self.knots.back_mut()
        {
            newest.link = Link::Set { by };
        }
        self.remember(knot);
        settled.map_or(Taken::Good, |by| Taken::Jumped { by })
    }

    fn remember(&mut self, knot: Knot) {
        if self.knots.len() == REMEMBERED {
            self.knots.pop_front();
        }
        self.knots.push_back(knot);
    }
}

/// No uncertainty.
const NOTHING: Covariance = Covariance {
    phase: 0.0,
    cross: 0.0,
    frequency: 0.0,
};

impl Track {
    /// Notes a surprise, or explains the last one by the reading after it: where the frequency is
    /// what it was before, the clock has been set, by what is returned.
    fn settle(&mut self, over_s: f64, frequency: f64, new: Option<f64>) -> Option<Duration> {
        if let Some(by_s) = new {
            self.surprise = Some(Surprise {
                by_s,
                over_s,
                frequency,
            });
            return None;
        }
        let surprise = self.surprise?;
        let state = self.bank.state();
        let doubt = SIGMAS * state.covariance.frequency.sqrt();
        if doubt > (surprise.by_s / surprise.over_s).abs() / 2.0 {
            return None;
        }
        self.surprise = None;
        let unchanged = (state.frequency - surprise.frequency).abs() <= doubt;
        unchanged.then(|| Duration::from_secs_f64(surprise.by_s))
    }
}
