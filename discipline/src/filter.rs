//! The filter of one source: from its samples to an estimate of UTC.
//!
//! A two-state Kalman filter (see `kalman.rs`) whose measurement noise grows with the excess of
//! the round trip over its floor (`delay.rs`), and whose parameters are found online by a bank
//! of such filters (`bank.rs`). What remains for this file is the beginning, and telling an
//! outlier from a clock that has moved.

use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::bank::Bank;
use crate::bound::{Believed, Doubt, LEAST_DRIFT, age_s, contradicted_s, counted_delay};
use crate::congestion::Congestion;
use crate::delay::DelayFloor;
use crate::estimate::SourceEstimate;
use crate::fresh::{Fresh, Level};
use crate::gauge::Gauge;
use crate::kalman::{Covariance, Kalman};
use crate::leap::is_leap;
use crate::sample::{Sample, Upstream};

/// An innovation beyond this many standard deviations, and beyond what queueing explains, is
/// suspect.
const SUSPECT_SIGMAS: f64 = 5.0;
/// A frequency this many standard deviations from what was kept of it shows that it is another's.
const MISLED_SIGMAS: f64 = 6.0;
/// Samples before anything is suspect: until then the noise is a guess.
const LEARNING: u32 = 8;
/// The sample at which the first guess of the noise is replaced by what has been seen so far.
const GUESS_AT: u32 = 4;
/// Weight of the newest sample in the running means that are only reported or steer the poll.
const RUNNING: f64 = 1.0 / 16.0;
/// No oscillator that can be steered is further off than this, s/s (RFC 5905's MAXFREQ).
const MAX_FREQUENCY: f64 = 500e-6;
/// Resolution of the best stamps there are, s.
const RESOLUTION_S: f64 = 1e-9;

/// What became of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was the first.
    First,
    /// It moved the estimate.
    Accepted,
    /// It contradicts the estimate and its delay does not explain that; it is set aside until
    /// the next one confirms or refutes it.
    Suspect,
    /// It confirmed a suspect: the clock or the source has moved, and the estimate follows.
    Moved,
    /// It is not newer than the one before it.
    OutOfOrder,
}

/// What is known of the oscillator before the first sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Prior {
    /// How much faster than the oscillator UTC runs, s/s.
    pub(crate) frequency: f64,
    /// Its standard deviation, s/s.
    pub(crate) frequency_sd: f64,
    /// Wander, s/s per √s.
    pub(crate) wander: f64,
    /// How far its frequency may jump at once, s/s: by so much the bound grows from each sample on.
    pub(crate) jump: f64,
}

/// The filter of one source.
#[derive(Debug, Clone)]
pub struct SourceFilter {
    prior: Prior,
    track: Option<Track>,
    /// The estimate that has taken in the newest exchange before it is complete, and the instant
    /// it is of.
    ahead: Option<(Timestamp<Raw>, Kalman)>,
    level: Level,
    floor: DelayFloor,
    suspect: Option<bool>,
    /// By how much the suspect sample contradicts the estimate; nothing if none is pending.
    doubt: Doubt,
    /// The round trip that the estimate is made of.
    believed: Believed,
    count: u32,
    gauge: Gauge,
    delay_change: f64,
    mean_square_residual: f64,
    last: Option<Sample>,
}

/// What exists from the first sample on.
#[derive(Debug, Clone)]
struct Track {
    /// Phases are relative to this: UTC minus the oscillator, in whole units.
    origin: Duration,
    at: Timestamp<Raw>,
    bank: Bank,
    congestion: Congestion,
    /// Running mean of what a sample tells, 1/s².
    information: f64,
}

impl SourceFilter {
    /// A filter that has seen nothing.
    pub(crate) fn new(prior: Prior) -> Self {
        Self {
            prior,
            track: None,
            ahead: None,
            level: Level::default(),
            floor: DelayFloor::default(),
            suspect: None,
            doubt: Doubt::default(),
            believed: Believed::default(),
            count: 0,
            gauge: Gauge::default(),
            delay_change: 0.0,
            mean_square_residual: 0.0,
            last: None,
        }
    }

    /// Takes in a sample.
    pub fn update(&mut self, sample: &Sample) -> Verdict {
        let least = self.floor.floor().unwrap_or(0.0);
        let delay = counted_delay(sample.delay.as_secs_f64(), least);
        self.ahead = None;
        let spread = self.track.as_ref().map_or(f64::INFINITY, |track| {
            4.0 * SUSPECT_SIGMAS * track.bank.hypothesis().noise_s()
        });
        let Some(track) = &mut self.track else {
            self.floor.excess(delay, spread);
            self.believed.begin_again(delay);
            let noise = noise_before_comparing(delay);
            self.track = Some(Track::new(sample, self.prior, noise));
            self.note(sample, delay, true);
            return Verdict::First;
        };
        if sample.at <= track.at {
            return Verdict::OutOfOrder;
        }
        self.floor.excess(delay, spread);
        let floor = self.floor.floor().unwrap_or(delay);
        let excess = delay - track.congestion.floor_s(floor);
        let dt = track.advance_to(sample.at);
        let before = track.state().covariance;
        let innovation = (sample.offset - track.origin).as_secs_f64() - track.state().phase;
        let explained = self.count < LEARNING || track.explains(innovation, excess);
        let verdict = judge(&mut self.suspect, explained, innovation > 0.0);
        self.doubt = Doubt::default();
        match verdict {
            Verdict::Suspect => self.doubt = Doubt::of(innovation, dt),
            Verdict::Moved => track.follow_a_move(innovation, dt, excess),
            _ => {
                let square = innovation * innovation;
                self.mean_square_residual += RUNNING * (square - self.mean_square_residual);
            }
        }
        if verdict != Verdict::Suspect {
            let moved = track.take(sample, excess, floor);
            let after = track.state().covariance;
            let part = (moved / innovation).clamp(0.0, 1.0);
            let delay = track.congestion.believed_delay_s(track.bank.state(), delay);
            self.believed.take(delay, dt, (before, after), part);
            self.level.note(delay);
        }
        self.note(sample, delay, explained);
        verdict
    }

    /// Takes in the newest exchange before it is complete (see `fresh.rs`), until the next complete
    /// one comes.
    pub(crate) fn foresee(&mut self, fresh: &Fresh) -> Verdict {
        self.ahead = None;
        let Some(track) = self.track.as_ref().filter(|_| self.count >= LEARNING) else {
            return Verdict::First;
        };
        let sample = &fresh.sample;
        let dt = (sample.at - track.at).as_secs_f64();
        if dt <= 0.0 {
            return Verdict::OutOfOrder;
        }
        let hypothesis = track.bank.hypothesis();
        let excess = self
            .floor
            .floor()
            .map_or(0.0, |floor| (sample.delay.as_secs_f64() - floor).max(0.0));
        let Some(weighed) = fresh.weigh(hypothesis, self.level, excess) else {
            return Verdict::First;
        };
        let mut state = track.state();
        state.predict(dt, hypothesis.wander());
        let innovation =
            (sample.offset - track.origin).as_secs_f64() + weighed.change - state.phase;
        let expected = (state.covariance.phase + weighed.variance).sqrt();
        if innovation.abs() > SUSPECT_SIGMAS * expected + excess / 2.0 {
            self.doubt = self.doubt.and(Doubt::of(innovation, dt));
            return Verdict::Suspect;
        }
        state.update(innovation, weighed.variance);
        self.ahead = Some((sample.at, state));
        Verdict::Accepted
    }

    /// The estimate as of the newest sample.
    pub fn estimate(&self) -> Option<SourceEstimate> {
        let track = self.track.as_ref()?;
        let (at, state) = self.ahead.unwrap_or((track.at, track.state()));
        Some(SourceEstimate {
            at,
            offset: track.origin + Duration::from_secs_f64(state.phase),
            frequency: state.frequency.clamp(-MAX_FREQUENCY, MAX_FREQUENCY),
            covariance: state.covariance,
            wander: track.bank.hypothesis().wander(),
        })
    }

    /// Samples taken in, suspects included.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The newest sample.
    pub fn last(&self) -> Option<&Sample> {
        self.last.as_ref()
    }

    /// What the source said of itself with the newest sample.
    pub fn upstream(&self) -> Upstream {
        self.last.map(|sample| sample.upstream).unwrap_or_default()
    }

    /// The least round trip remembered, s.
    pub fn delay_floor_s(&self) -> Option<f64> {
        self.floor.floor()
    }

    /// RMS of recent innovations, s: how far a sample lies from what was expected.
    pub fn jitter_s(&self) -> f64 {
        self.mean_square_residual.sqrt()
    }

    /// The RMS noise of one sample as the filter weighs it (the harmonic mean of variances), s.
    pub fn noise_s(&self) -> Option<f64> {
        let track = self.track.as_ref()?;
        (track.information > 0.0).then(|| track.information.recip().sqrt())
    }

    /// The most that UTC itself may lie from the estimate at `at`, s: half of the round trips to
    /// the reference clock, which may be all on one way, the source's own dispersion, three
    /// standard deviations, and what the samples say against the estimate. See `bound.rs`.
    pub fn root_distance_s(&self, at: Timestamp<Raw>) -> Option<f64> {
        let newest = self.estimate()?;
        let upstream = self.upstream();
        let age = age_s(at, self.last?.at);
        let recent = self.floor.recent()?;
        let delay = recent.max(self.believed.delay_s().unwrap_or(recent));
        let against = self.contradicted_s(&newest, recent);
        Some(
            delay / 2.0
                + upstream.root_delay.as_secs_f64() / 2.0
                + upstream.root_dispersion.as_secs_f64()
                + self.last?.uncertainty.as_secs_f64()
                + 3.0 * newest.carried_to(at).offset_sd_s()
                + against.max(self.doubt.by_s)
                + (LEAST_DRIFT + self.prior.jump + self.doubt_rate()) * age,
        )
    }

    /// How fast the bound grows by what the samples say against the estimate, s/s. A source that was
    /// set while little was known of it has spoilt the frequency, too.
    pub(crate) fn doubt_rate(&self) -> f64 {
        let spoilt = || {
            let newest = self.estimate().filter(|_| self.is_learning())?;
            let against = self.contradicted_s(&newest, self.floor.recent()?);
            let before = self.gauge.recent().rev().nth(1)?;
            Some(against / age_s(newest.at, before.at).max(RESOLUTION_S))
        };
        self.doubt.rate.max(spoilt().unwrap_or(0.0))
    }

    fn is_learning(&self) -> bool {
        self.count < 2 * LEARNING
    }

    fn contradicted_s(&self, newest: &SourceEstimate, floor: f64) -> f64 {
        let samples = self.gauge.recent().copied();
        contradicted_s(samples, newest, floor, self.is_learning())
    }

    /// Says how far the oscillator's frequency may jump at once, s/s.
    pub(crate) fn set_jump(&mut self, jump: f64) {
        self.prior.jump = jump;
    }

    fn note(&mut self, sample: &Sample, delay: f64, explained: bool) {
        self.count = self.count.saturating_add(1);
        self.gauge.note(sample, explained);
        if let Some(last) = self.last.replace(*sample)
            && self.count <= GUESS_AT
        {
            let change = (delay - last.delay.as_secs_f64()).abs();
            self.delay_change += change / f64::from(GUESS_AT - 1);
        }
        // The first reply, in basic mode, lacks what the server took to send it; and anything may
        // have waited. Steering begins before the noise can be guessed, so that must not be found
        // out later.
        let first_had_waited =
            self.count < GUESS_AT && self.count > 1 && delay <= self.floor.floor().unwrap_or(0.0);
        let misled = [GUESS_AT, LEARNING].contains(&self.count) && self.is_misled();
        if self.count == GUESS_AT || first_had_waited || misled || self.gauge.is_overwhelmed() {
            self.begin_again(misled);
        }
    }

    /// Do the first samples show that the frequency was never what it was said to be? A file of
    /// another machine, say. Then it counts for nothing.
    fn is_misled(&mut self) -> bool {
        let Some(line) = self.gauge.line() else {
            return false;
        };
        let noise_s = line.noise_s.max(noise_of_delays(self.delay_change));
        let sd = self.prior.frequency_sd.hypot(noise_s / line.lever_s);
        let off = (line.slope - self.prior.frequency).abs();
        let misled = off > MISLED_SIGMAS * sd;
        if misled {
            self.prior.frequency_sd = off.min(MAX_FREQUENCY);
        }
        misled
    }

    /// Filters the last few samples once more, with the noise that they show: what was taken in
    /// with another noise was believed too much or too little.
    fn begin_again(&mut self, misled: bool) {
        let floor = self.floor.floor().unwrap_or(0.0);
        let noise = match self.gauge.noise_s() {
            Some(noise) => noise.max(noise_of_delays(self.delay_change)),
            None => noise_before_comparing(floor),
        };
        let noise = noise.max(RESOLUTION_S);
        let prior = if misled {
            self.prior
        } else {
            self.prior_for_another_beginning()
        };
        let mut samples = self.gauge.recent();
        let Some(first) = samples.next() else {
            return;
        };
        let excess = |sample: &Sample| (sample.delay.as_secs_f64() - floor).max(0.0);
        let mut track = Track::new(first, prior, noise);
        // Nobody knew yet that the first one had waited.
        track.bank.doubt(Covariance {
            phase: (excess(first) / 2.0).powi(2),
            cross: 0.0,
            frequency: 0.0,
        });
        for sample in samples {
            track.advance_to(sample.at);
            track.take(sample, excess(sample), floor);
        }
        self.track = Some(track);
        let longest = self.gauge.recent().map(|sample| sample.delay);
        if let Some(longest) = longest.max() {
            self.believed.begin_again(longest.as_secs_f64());
        }
    }

    /// The first time nothing is known but the prior; later, the frequency found so far, with
    /// some distrust.
    fn prior_for_another_beginning(&self) -> Prior {
        let known = self.estimate().filter(|_| self.count > GUESS_AT);
        known.map_or(self.prior, |estimate| Prior {
            frequency: estimate.frequency,
            frequency_sd: (2.0 * estimate.frequency_sd()).min(self.prior.frequency_sd),
            wander: estimate.wander,
            jump: self.prior.jump,
        })
    }
}

/// Until samples have been compared, a twentieth of the round trip (s) stands for its noise (s).
fn noise_before_comparing(delay: f64) -> f64 {
    (delay / 20.0).max(10.0 * RESOLUTION_S)
}

/// The noise of offsets (s) by the mean change of successive round trips (s).
///
/// Round trips see the jitter of both ways added, offsets half of their difference; so an
/// offset's deviation is half a round trip's. The mean change between successive values of
/// deviation d is 2d/√π.
fn noise_of_delays(mean_change: f64) -> f64 {
    mean_change * core::f64::consts::PI.sqrt() / 4.0
}

/// What to make of a sample, given whether noise and queueing explain it, and the side that the
/// one before it was suspect on.
///
/// An unexplained one may be a broken stamp, or the first sign that the clock has moved. The next
/// one tells: on the same side again, the clock has moved; on the other side, the noise has grown,
/// and the bank is to learn it.
fn judge(suspect: &mut Option<bool>, explained: bool, ahead: bool) -> Verdict {
    if explained {
        *suspect = None;
        return Verdict::Accepted;
    }
    match suspect.replace(ahead) {
        None => Verdict::Suspect,
        Some(before) if before == ahead => {
            *suspect = None;
            Verdict::Moved
        }
        Some(_) => Verdict::Accepted,
    }
}

impl Track {
    /// Starts from one sample of RMS noise `noise` (s).
    fn new(first: &Sample, prior: Prior, noise: f64) -> Self {
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
            information: 0.0,
        }
    }

    /// Lets the state drift to `at`; returns the seconds passed.
    fn advance_to(&mut self, at: Timestamp<Raw>) -> f64 {
        let dt = (at - self.at).as_secs_f64();
        self.bank.advance(dt);
        self.congestion.advance(dt, &self.bank);
        self.at = at;
        dt
    }

    /// Takes in a sample whose round trip was `excess` above the floor, of which `least` was seen (s).
    /// Returns by how much that moved the phase, s.
    fn take(&mut self, sample: &Sample, excess: f64, least: f64) -> f64 {
        let before = self.state().phase;
        let offset = (sample.offset - self.origin).as_secs_f64();
        self.bank.update(offset, excess);
        let delay = sample.delay.as_secs_f64();
        self.congestion
            .take(&self.bank, offset, (delay, excess, least));
        let moved = self.state().phase - before;
        let information = self.bank.hypothesis().variance(excess).recip();
        self.information += if self.information > 0.0 {
            RUNNING * (information - self.information)
        } else {
            information
        };
        // Small phases keep all their digits.
        let phase = Duration::from_secs_f64(self.bank.state().phase);
        self.origin += phase;
        self.bank.shift(phase.as_secs_f64());
        self.congestion.shift(phase.as_secs_f64());
        moved
    }

    /// The state that is believed.
    fn state(&self) -> Kalman {
        self.congestion.fused_with(self.bank.state())
    }

    /// Do noise and queueing explain an innovation (s)?
    fn explains(&self, innovation: f64, excess: f64) -> bool {
        innovation.abs() <= self.explained_s(excess)
    }

    /// How large an innovation (s) noise and queueing explain.
    fn explained_s(&self, excess: f64) -> f64 {
        let noise = self.bank.hypothesis().noise_s();
        let noise = noise.max(self.congestion.noise_s());
        let clean = self.state().covariance.phase + noise * noise;
        SUSPECT_SIGMAS * clean.sqrt() + excess / 2.0
    }

    /// The phase has moved by about `innovation` within `dt` seconds, by a step of phase or of
    /// frequency; the next samples tell which.
    fn follow_a_move(&mut self, innovation: f64, dt: f64, excess: f64) {
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
        self.bank.doubt(more);
        self.congestion.doubt(more);
    }
}
