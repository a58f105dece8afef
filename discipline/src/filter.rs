//! The filter of one source: from its samples to an estimate of UTC.
//!
//! A two-state Kalman filter (see `kalman.rs`) whose measurement noise grows with the excess of
//! the round trip over its floor (`delay.rs`), and whose parameters are found online by a bank
//! of such filters (`bank.rs`, all of it in `track.rs`). What remains for this file is the beginning,
//! and telling an outlier from a clock that has moved.

use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::bound::{Believed, Doubt, LEAST_DRIFT, age_s, contradicted_s, counted_delay};
use crate::companion::{Told, supposed};
use crate::delay::DelayFloor;
use crate::estimate::SourceEstimate;
use crate::first_few::{self, FirstFew};
use crate::fresh::Level;
use crate::gains::Gains;
use crate::gauge::Gauge;
use crate::hull::{self, Hull};
use crate::kalman::{Covariance, Kalman};
use crate::sample::{Sample, Upstream};
use crate::track::{Aside, RoundTrip, SUSPECT_SIGMAS, Track};
use crate::whiteness::{self, Whiteness};

mod foresee;
#[cfg(test)]
mod retuning;

/// A frequency this many standard deviations from what was kept of it shows that it is another's.
const MISLED_SIGMAS: f64 = 6.0;
/// Samples before anything is suspect: until then the noise is a guess.
const LEARNING: u32 = 8;
/// Samples until the floor of the round trip is taken to be known.
const SETTLED: u32 = 64;
/// The sample at which the first guess of the noise is replaced by what has been seen so far.
const GUESS_AT: u32 = 4;
/// Weight of the newest sample in the running means that are only reported or steer the poll.
pub(crate) const RUNNING: f64 = 1.0 / 16.0;
/// No oscillator that can be steered is further off than this, s/s (RFC 5905's MAXFREQ).
pub(crate) const MAX_FREQUENCY: f64 = 500e-6;
/// Resolution of the best stamps there are, s.
pub(crate) const RESOLUTION_S: f64 = 1e-9;

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
    /// Gains that the user has fixed.
    pub(crate) gains: Option<Gains>,
}

/// The estimate that has taken in the newest exchange before it is complete.
#[derive(Debug, Clone, Copy)]
struct Ahead {
    /// The instant it is of.
    at: Timestamp<Raw>,
    state: Kalman,
    believed: Believed,
}

/// The filter of one source.
#[derive(Debug, Clone)]
pub struct SourceFilter {
    prior: Prior,
    track: Option<Track>,
    ahead: Option<Ahead>,
    level: Level,
    whiteness: Whiteness,
    floor: DelayFloor,
    suspect: Option<bool>,
    /// The suspect sample, should it be confirmed.
    aside: Option<Aside>,
    /// What to doubt of the frequency once the next sample is taken in, (s/s)²: a move was found, and
    /// two samples alone have told how fast.
    unsettled: f64,
    /// By how much the suspect sample contradicts the estimate; nothing if none is pending.
    doubt: Doubt,
    /// The round trip that the estimate is made of.
    believed: Believed,
    count: u32,
    gauge: Gauge,
    delay_change: f64,
    mean_square_residual: f64,
    last: Option<Sample>,
    told: Told,
    first_few: FirstFew,
    /// Where UTC can be by the latest samples.
    hull: Hull,
    /// What follows from all of this until something else is taken in.
    known: Option<Known>,
}

/// What a filter knows between two samples: much is asked for more often than anything changes.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// The estimate as of the newest sample.
    newest: SourceEstimate,
    /// Of the root distance: the round trips, and what the source says of itself, s.
    apart_s: f64,
    /// Of the root distance: what the samples say against the estimate, s.
    against_s: f64,
    /// By how much more with each second, s/s.
    doubt_rate: f64,
    /// When the newest sample was taken.
    sampled: Timestamp<Raw>,
}

impl SourceFilter {
    /// A filter that has seen nothing.
    pub(crate) fn new(prior: Prior) -> Self {
        Self {
            prior,
            track: None,
            ahead: None,
            level: Level::default(),
            whiteness: Whiteness::default(),
            floor: DelayFloor::default(),
            suspect: None,
            aside: None,
            unsettled: 0.0,
            doubt: Doubt::default(),
            believed: Believed::default(),
            count: 0,
            gauge: Gauge::default(),
            delay_change: 0.0,
            mean_square_residual: 0.0,
            last: None,
            told: Told::default(),
            first_few: FirstFew::default(),
            hull: Hull::default(),
            known: None,
        }
    }

    /// Takes in a sample.
    pub fn update(&mut self, sample: &Sample) -> Verdict {
        let verdict = self.judge_and_take(sample);
        self.take_among_the_first(sample, verdict);
        if verdict != Verdict::OutOfOrder
            && let Some(track) = &self.track
        {
            let delay = self.counted_delay_s(sample);
            self.hull.note(sample, delay, track.state().frequency);
        }
        self.known = self.conclude();
        verdict
    }

    /// Goes on from what the first few samples say together, this one included.
    fn take_among_the_first(&mut self, sample: &Sample, verdict: Verdict) {
        match verdict {
            Verdict::First | Verdict::Accepted => self.first_few.note(sample),
            Verdict::Moved => self.first_few.end(),
            Verdict::Suspect | Verdict::OutOfOrder => return,
        }
        let known = self.known_before();
        if let Some(track) = &mut self.track
            && let Some(state) = self.first_few.state(track.origin, known)
        {
            track.go_on_from(state);
        }
    }

    fn known_before(&self) -> first_few::Known {
        let wander = |track: &Track| track.bank.hypothesis().wander();
        first_few::Known {
            frequency: (self.prior.frequency, self.prior.frequency_sd),
            wander: self.track.as_ref().map_or(self.prior.wander, wander),
        }
    }

    /// What the round trip of a sample counts as, s.
    fn counted_delay_s(&self, sample: &Sample) -> f64 {
        let least = self.floor.floor().unwrap_or(0.0);
        counted_delay(sample.delay.as_secs_f64(), least)
    }

    fn judge_and_take(&mut self, sample: &Sample) -> Verdict {
        let delay = self.counted_delay_s(sample);
        let spread = self.track.as_ref().map_or(f64::INFINITY, |track| {
            4.0 * SUSPECT_SIGMAS * track.bank.hypothesis().noise_s()
        });
        let Some(track) = &mut self.track else {
            self.floor.excess(delay, spread);
            self.believed.begin_again(delay, 0.0);
            let noise = noise_before_comparing(delay);
            self.track = Some(Track::new(sample, self.prior, noise));
            self.note(sample, delay, true);
            return Verdict::First;
        };
        if sample.at <= track.at {
            return Verdict::OutOfOrder;
        }
        self.ahead = None;
        self.floor.excess(delay, spread);
        let least = self.floor.floor().unwrap_or(delay);
        let excess = delay - track.congestion.floor_s(least);
        let trip = RoundTrip { excess, least };
        let dt = track.advance_to(sample.at);
        let innovation = (sample.offset - track.origin).as_secs_f64() - track.state().phase;
        let explained = self.count < LEARNING || track.explains(innovation, excess);
        let verdict = judge(&mut self.suspect, explained, innovation > 0.0);
        self.doubt = Doubt::default();
        let aside = self.aside.take();
        match verdict {
            Verdict::Suspect => {
                self.doubt = Doubt::of(innovation, dt);
                self.aside = Some(Aside {
                    track: track.clone(),
                    sample: *sample,
                    trip,
                    innovation,
                    dt,
                });
            }
            Verdict::Moved => self.follow_a_move(aside, sample, (innovation, dt, excess)),
            _ => self.note_innovation(innovation, excess, dt),
        }
        if verdict != Verdict::Suspect {
            self.take(sample, trip, (delay, dt, innovation));
        }
        self.note(sample, delay, explained);
        verdict
    }

    /// Two samples in a row contradict the state, the second one by `innovation` (s), `dt` seconds after
    /// the first.
    fn follow_a_move(
        &mut self,
        aside: Option<Aside>,
        sample: &Sample,
        (innovation, dt, excess): (f64, f64, f64),
    ) {
        let Some(track) = &mut self.track else { return };
        // What is believed from now on is what these two say, whatever their round trips were.
        let delays = aside.as_ref().map(|aside| aside.delays(sample));
        let (longest, rate) = delays.unwrap_or((sample.delay.as_secs_f64(), 0.0));
        self.believed.begin_again(longest, rate);
        if let Some(aside) = aside.filter(|aside| aside.tells_frequency(sample, innovation)) {
            self.unsettled = aside.frequency(sample, innovation).powi(2);
            *track = aside.confirmed_by(innovation, excess);
            track.advance_to(sample.at);
        } else {
            track.follow_a_move(innovation, dt, excess);
            track.congestion.follow_a_move(innovation, excess);
        }
    }

    /// What an innovation (s) that nothing is wrong with, `dt` seconds after the one before, tells of the
    /// filter itself.
    fn note_innovation(&mut self, innovation: f64, excess: f64, dt: f64) {
        let square = innovation * innovation;
        self.mean_square_residual += RUNNING * (square - self.mean_square_residual);
        // Queues make neighbours alike, too, and a state that is doubted then follows them.
        let track = self.track.as_mut().filter(|_| self.count >= LEARNING);
        let track = track.filter(|track| !track.congestion.is_heard(track.bank.state()));
        if let Some(track) = track
            && self.whiteness.note(track.normalized(innovation, excess))
        {
            track
                .bank
                .doubt(whiteness::lag(self.mean_square_residual, dt / RUNNING));
        }
    }

    /// Takes in a sample that is not suspect, whose round trip counts as `delay` (s), and which lay
    /// `innovation` (s) off the state.
    fn take(&mut self, sample: &Sample, trip: RoundTrip, (delay, dt, innovation): (f64, f64, f64)) {
        let gains = self.prior.gains.filter(|_| self.count >= LEARNING);
        if let Some(track) = &mut self.track {
            let before = track.state().covariance;
            let moved = track.take(sample, trip, gains);
            let after = track.state().covariance;
            let part = (moved / innovation).clamp(0.0, 1.0);
            let believed = track.congestion.believed_delay_s(track.bank.state(), delay);
            let longer = self.gauge.longer(sample);
            self.believed
                .take((believed, longer), dt, (before, after), part);
            track.bank.doubt(Covariance {
                phase: 0.0,
                cross: 0.0,
                frequency: core::mem::take(&mut self.unsettled),
            });
        }
        self.level.note(delay);
    }

    /// Says that the oscillator wanders by at most this, s/s per √s; see `companion.rs`.
    pub(crate) fn set_most_wander(&mut self, most: f64) {
        if !self.told.is_news(most) {
            return;
        }
        let supposed = |now| supposed(most, now, self.prior.frequency_sd);
        if let Some(track) = &mut self.track {
            let now = track.bank.hypothesis().wander();
            if let Some(wander) = supposed(now) {
                track.bank.suppose_wander(wander);
                self.known = self.conclude();
            }
        } else if let Some(wander) = supposed(self.prior.wander) {
            self.prior.wander = wander;
        }
    }

    /// Fixes the gains from now on, or frees them.
    pub(crate) fn set_gains(&mut self, gains: Option<Gains>) {
        self.prior.gains = gains;
    }

    /// The correlation of neighbouring innovations, −1 to 1: 0 where the filter suits what it sees.
    pub fn correlation(&self) -> f64 {
        self.whiteness.correlation()
    }

    /// The estimate as of the newest sample.
    pub fn estimate(&self) -> Option<SourceEstimate> {
        Some(self.known?.newest)
    }

    /// The same while a sample is being taken in.
    fn newest(&self) -> Option<SourceEstimate> {
        let track = self.track.as_ref()?;
        let (at, state) = match &self.ahead {
            Some(ahead) => (ahead.at, ahead.state),
            None => (track.at, track.state()),
        };
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

    /// The newest sample and the one before it.
    pub(crate) fn last_two(&self) -> Option<(&Sample, &Sample)> {
        let mut newest_first = self.gauge.recent().rev();
        Some((newest_first.next()?, newest_first.next()?))
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
        let known = self.known?;
        Some(
            known.apart_s
                + 3.0 * known.newest.carried_to(at).offset_sd_s()
                + known.against_s
                + (LEAST_DRIFT + self.prior.jump + known.doubt_rate) * age_s(at, known.sampled),
        )
    }

    /// How fast the bound grows by what the samples say against the estimate, s/s. A source that was
    /// set while little was known of it has spoilt the frequency, too.
    pub(crate) fn doubt_rate(&self) -> f64 {
        self.known.map_or(self.doubt.rate, |known| known.doubt_rate)
    }

    /// What follows from what has been taken in.
    fn conclude(&self) -> Option<Known> {
        let newest = self.newest()?;
        let last = self.last?;
        let recent = self.floor.recent()?;
        let ahead = self.ahead.and_then(|ahead| ahead.believed.delay_s());
        let believed = self
            .believed
            .delay_s()
            .into_iter()
            .chain(ahead)
            .reduce(f64::max);
        let delay = recent
            .max(believed.unwrap_or(recent))
            .max(self.longest_at_first().unwrap_or(recent));
        let against = self.contradicted_s(&newest, recent);
        let spoilt = || {
            let before = self.gauge.recent().rev().nth(1)?;
            Some(against / age_s(newest.at, before.at).max(RESOLUTION_S))
        };
        let spoilt = self.is_learning().then(spoilt).flatten();
        let apart_s = delay / 2.0
            + last.upstream.root_delay.as_secs_f64() / 2.0
            + last.upstream.root_dispersion.as_secs_f64()
            + last.uncertainty.as_secs_f64();
        let (believed, most) = self.track.as_ref()?.more_wander();
        let allowed = self.hull.farthest_s(&newest, most, self.prior.jump);
        let unsure = 3.0 * newest.frequency_sd() * (hull::wider(believed) - 1.0);
        let beyond = allowed - apart_s - 3.0 * newest.offset_sd_s();
        Some(Known {
            newest,
            apart_s,
            against_s: against.max(self.doubt.by_s).max(beyond),
            doubt_rate: self.doubt.rate.max(spoilt.unwrap_or(0.0))
                + self.asymmetric_rate()
                + unsure,
            sampled: last.at,
        })
    }

    /// By how much the frequency may be wrong because round trips change, s/s: by half of that, since all
    /// of it may be on one way. It goes on to be so when samples cease.
    fn asymmetric_rate(&self) -> f64 {
        self.believed.rate().max(self.gauge.delay_rate().abs()) / 2.0
    }

    /// While little is known of the floor, all of the last round trips may have been waits on one way,
    /// and the longest of them may be what the estimate is made of, s.
    fn longest_at_first(&self) -> Option<f64> {
        let delays = self.gauge.recent().map(|sample| sample.delay);
        let longest = delays.max().filter(|_| self.count < SETTLED);
        longest.map(Duration::as_secs_f64)
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
            let trip = RoundTrip {
                excess: excess(sample),
                least: floor,
            };
            track.take(sample, trip, None);
        }
        self.track = Some(track);
        self.aside = None;
        let longest = self.gauge.recent().map(|sample| sample.delay);
        if let Some(longest) = longest.max() {
            self.believed.begin_again(longest.as_secs_f64(), 0.0);
        }
    }

    /// The first time nothing is known but the prior; later, the frequency found so far, with
    /// some distrust.
    fn prior_for_another_beginning(&self) -> Prior {
        let known = self.newest().filter(|_| self.count > GUESS_AT);
        known.map_or(self.prior, |estimate| Prior {
            frequency: estimate.frequency,
            frequency_sd: (2.0 * estimate.frequency_sd()).min(self.prior.frequency_sd),
            wander: estimate.wander,
            ..self.prior
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
