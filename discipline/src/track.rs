//! What a filter knows of its source from the first sample on, and what it does with a sample that
//! contradicts that.
//!
//! A bank of filters (`bank.rs`), beside it the one-way filter for when no round trip is clean
//! (`congestion.rs`) or the state that fixed gains lead to (`gains.rs`); phases are kept relative to an
//! origin that follows, so that they keep all their digits.

use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::bank::Bank;
use crate::congestion::Congestion;
use crate::filter::{MAX_FREQUENCY, Prior, RUNNING};
use crate::gains::Gains;
use crate::kalman::{Covariance, Kalman};
use crate::leap::is_leap;
use crate::sample::Sample;

/// An innovation beyond this many standard deviations, and beyond what queueing explains, is
/// suspect.
pub(crate) const SUSPECT_SIGMAS: f64 = 5.0;
/// No oscillator changes its frequency by more than this at once, s/s.
const LARGEST_STEP: f64 = 50e-6;

/// What exists from the first sample on.
#[derive(Debug, Clone)]
pub(crate) struct Track {
    /// Phases are relative to this: UTC minus the oscillator, in whole units.
    pub(crate) origin: Duration,
    pub(crate) at: Timestamp<Raw>,
    pub(crate) bank: Bank,
    pub(crate) congestion: Congestion,
    /// The state that fixed gains lead to, and when it last took a sample in.
    fixed: Option<(Kalman, Timestamp<Raw>)>,
    /// Running mean of what a sample tells, 1/s².
    pub(crate) information: f64,
}

/// The round trip of a sample, s.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RoundTrip {
    /// Above the floor that counts.
    pub(crate) excess: f64,
    /// The least that was seen.
    pub(crate) least: f64,
}

/// A suspect sample, and the state as of its instant without it.
#[derive(Debug, Clone)]
pub(crate) struct Aside {
    pub(crate) track: Track,
    pub(crate) sample: Sample,
    pub(crate) trip: RoundTrip,
    /// By how much it contradicts the state, s.
    pub(crate) innovation: f64,
    /// Since the sample before it, s.
    pub(crate) dt: f64,
}

impl Aside {
    /// Could an oscillator have made of both what they are, with the next sample contradicting the
    /// state by `innovation` (s)? A clock that is being set or slewed changes by more.
    pub(crate) fn tells_frequency(&self, next: &Sample, innovation: f64) -> bool {
        self.frequency(next, innovation).abs() <= LARGEST_STEP
    }

    /// By how much the frequency has changed, if that is what happened, s/s.
    pub(crate) fn frequency(&self, next: &Sample, innovation: f64) -> f64 {
        let dt = (next.at - self.sample.at).as_secs_f64();
        (innovation - self.innovation) / dt
    }

    /// The longer one of both round trips, s, and by how much it became longer from this one to the
    /// next, s/s.
    pub(crate) fn delays(&self, next: &Sample) -> (f64, f64) {
        let dt = (next.at - self.sample.at).as_secs_f64();
        let longer = (next.delay - self.sample.delay).as_secs_f64();
        let longest = self.sample.delay.max(next.delay);
        (longest.as_secs_f64(), longer / dt)
    }

    /// The next sample has contradicted the state by `innovation` (s), on the same side, with a round trip
    /// `excess` (s) above the floor: both are right. Together they tell a step of phase from one of
    /// frequency. By how much it has moved each says only within half of what its packets may have waited.
    pub(crate) fn confirmed_by(self, innovation: f64, excess: f64) -> Track {
        let Self {
            mut track,
            sample,
            trip,
            ..
        } = self;
        let moved = [(self.innovation, trip.excess), (innovation, excess)];
        let [at_least, at_most] = [-0.5, 0.5]
            .map(|part| moved.map(|(off, excess): (f64, f64)| off.abs() + part * excess.max(0.0)));
        let most = at_least[0].max(at_least[1]).max(at_most[0].min(at_most[1]));
        track.follow_a_move(most, self.dt, trip.excess);
        track.congestion.follow_a_move(self.innovation, trip.excess);
        track.take(&sample, trip, None);
        track
    }
}

impl Track {
    /// Starts from one sample of RMS noise `noise` (s).
    pub(crate) fn new(first: &Sample, prior: Prior, noise: f64) -> Self {
        let state = Kalman {
            phase: 0.0,
            frequency: prior.frequency,
            covariance: Covariance {
                phase: noise * noise,
                cross: 0.0,
                frequency: prior.frequency_sd * prior.frequency_sd,
            },
        };
        Self {
            origin: first.offset,
            at: first.at,
            bank: Bank::new(noise, prior.wander, state),
            congestion: Congestion::default(),
            fixed: None,
            information: 0.0,
        }
    }

    /// The state that is believed: by fixed gains where there are some.
    pub(crate) fn state(&self) -> Kalman {
        let own = || self.congestion.fused_with(self.bank.state());
        self.fixed.map_or_else(own, |(state, _)| state)
    }

    /// How many times as much as the state was made for the oscillator wanders by what the bank believes,
    /// and how many times as much it may wander, for all that samples say.
    pub(crate) fn more_wander(&self) -> (f64, f64) {
        let believed = self.bank.hypothesis().wander();
        let used = self.congestion.wander_of(self.bank.state(), believed);
        (believed / used, (self.bank.most_wander() / used).max(1.0))
    }

    /// Lets the state drift to `at`; returns the seconds passed.
    pub(crate) fn advance_to(&mut self, at: Timestamp<Raw>) -> f64 {
        let dt = (at - self.at).as_secs_f64();
        self.bank.advance(dt);
        self.congestion.advance(dt, &self.bank);
        if let Some((state, _)) = &mut self.fixed {
            state.predict(dt, self.bank.hypothesis().wander());
        }
        self.at = at;
        dt
    }

    /// Takes in a sample, with `gains` if these are fixed. Returns by how much that moved the phase, s.
    pub(crate) fn take(&mut self, sample: &Sample, trip: RoundTrip, gains: Option<Gains>) -> f64 {
        let RoundTrip { excess, least } = trip;
        let before = self.state().phase;
        let offset = (sample.offset - self.origin).as_secs_f64();
        self.bank.update(offset, excess);
        let delay = sample.delay.as_secs_f64();
        self.congestion
            .take(&self.bank, offset, (delay, excess, least));
        self.fixed = gains.map(|gains| self.steered_by(gains, offset, excess));
        let moved = self.state().phase - before;
        let information = self.bank.hypothesis().variance(excess).recip();
        self.information += if self.information > 0.0 {
            RUNNING * (information - self.information)
        } else {
            information
        };
        self.move_origin();
        moved
    }

    /// Goes on from another state of the same instant.
    pub(crate) fn go_on_from(&mut self, state: Kalman) {
        self.bank.go_on_from(state);
        self.move_origin();
    }

    /// Small phases keep all their digits.
    fn move_origin(&mut self) {
        let phase = Duration::from_secs_f64(self.bank.state().phase);
        self.origin += phase;
        self.bank.shift(phase.as_secs_f64());
        self.congestion.shift(phase.as_secs_f64());
        if let Some((state, _)) = &mut self.fixed {
            state.phase -= phase.as_secs_f64();
        }
    }

    /// What fixed gains make of a sample of this offset (s); the first time, the bank's state.
    fn steered_by(&self, gains: Gains, offset: f64, excess: f64) -> (Kalman, Timestamp<Raw>) {
        let Some((mut state, last)) = self.fixed else {
            return (*self.bank.state(), self.at);
        };
        let dt = (self.at - last).as_secs_f64();
        let r = self.bank.hypothesis().variance(excess);
        let innovation = offset - state.phase;
        gains.update(&mut state, innovation, dt, r);
        (state, self.at)
    }

    /// An innovation (s) of the bank, in its standard deviations.
    pub(crate) fn normalized(&self, innovation: f64, excess: f64) -> f64 {
        let variance = self.bank.state().covariance.phase + self.bank.hypothesis().variance(excess);
        innovation / variance.sqrt()
    }

    /// Do noise and queueing explain an innovation (s)?
    pub(crate) fn explains(&self, innovation: f64, excess: f64) -> bool {
        innovation.abs() <= self.explained_s(excess)
    }

    /// How large an innovation (s) noise and queueing explain.
    fn explained_s(&self, excess: f64) -> f64 {
        let noise = self.bank.hypothesis().noise_s();
        let noise = noise.max(self.congestion.noise_s());
        let clean = self.state().covariance.phase + noise * noise;
        SUSPECT_SIGMAS * clean.sqrt() + excess / 2.0
    }

    /// The state as of a sample that is not taken in, whose offset counts as changed by `change`
    /// (s), and by how much that lies off the state (s).
    pub(crate) fn ahead(&self, sample: &Sample, change: f64) -> (Kalman, f64) {
        let mut state = self.state();
        let dt = (sample.at - self.at).as_secs_f64();
        state.predict(dt, self.bank.hypothesis().wander());
        let offset = (sample.offset - self.origin).as_secs_f64() + change;
        (state, offset - state.phase)
    }

    /// The phase has moved by about `innovation` within `dt` seconds, by a step of phase or of
    /// frequency; the next samples tell which.
    pub(crate) fn follow_a_move(&mut self, innovation: f64, dt: f64, excess: f64) {
        let explained = self.explained_s(excess);
        let frequency = if is_leap(innovation, explained) {
            0.0
        } else {
            (innovation / dt).clamp(-MAX_FREQUENCY, MAX_FREQUENCY)
        };
        let more = Covariance {
            phase: innovation * innovation,
            cross: 0.0,
            frequency: frequency * frequency,
        };
        self.doubt(more);
    }

    /// Makes what is believed as uncertain as said, in addition.
    pub(crate) fn doubt(&mut self, more: Covariance) {
        self.bank.doubt(more);
        self.congestion.doubt(more);
    }
}
