//! The filter behind a tracker, and what it makes of a surprise.

use std::collections::VecDeque;

use clockwright_discipline::{Bank, Covariance, Kalman};
use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::Reading;
use crate::knot::{Knot, Link, SIGMAS};
use crate::seen::SeenWander;

/// No clock changes its frequency by more than this from one reading to the next, s/s; what would
/// need more was a step.
pub(crate) const LARGEST_CHANGE: f64 = 1e-3;
/// A clock's frequency before anything is known of it: crystals are within 100 ppm, and other
/// programs steer by as much again, s/s.
const FIRST_FREQUENCY_SD: f64 = 200e-6;
/// Wander to begin with, s/s per √s.
const FIRST_WANDER: f64 = 1e-9;
/// Cross-timestamps may be less exact than their zero delay says: PTM allows 50 ns to each
/// clock domain, s.
const MOST_NOISE_S: f64 = 50e-9;
/// A frequency that changed between two readings may have changed late, and then by this many
/// times what it would have taken over the whole time.
const BENDS: f64 = 5.0;
/// How exactly drivers set a clock, s.
const SETTING_SD_S: f64 = 20e-6;
/// How long a call that changes a clock's frequency takes, s.
const CALL_S: f64 = 5e-6;
/// Resolution of the best clocks, s.
const RESOLUTION_S: f64 = 1e-9;
/// Differences over less time than this show the noise of readings, s; longer ones, the clock.
const SHORT_S: f64 = 0.02;
/// Differences remembered of each sort.
const REMEMBERED: usize = 8;
/// Over less time than this, nothing as small as noise is taken for a change of frequency, s.
const CALM_S: f64 = 0.1;
/// Readings until it is known what is usual.
const LEARNING: usize = 4;
/// Surprises among the remembered at which wander and noise are guessed anew.
const TOO_MANY: usize = 3;
/// A step stands out from the usual by this factor.
const STANDS_OUT: f64 = 8.0;

/// No uncertainty.
const NOTHING: Covariance = Covariance {
    phase: 0.0,
    cross: 0.0,
    frequency: 0.0,
};

/// The state, and what was seen lately.
#[derive(Debug, Clone)]
pub(crate) struct Track {
    pub(crate) bank: Bank,
    pub(crate) seen: SeenWander,
    /// A surprise that the next readings have to explain.
    surprise: Option<Surprise>,
    /// What readings soon after another one showed, newest last.
    short: VecDeque<Seen>,
    /// What other readings showed.
    long: VecDeque<Seen>,
}

/// What a reading showed beside what was expected of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// How far the clock was from where it should have been, s.
    pub(crate) by_s: f64,
    /// Over which time, s.
    pub(crate) over_s: f64,
    /// How far it could have been by noise and wander, s.
    pub(crate) expected_s: f64,
    /// Was it farther?
    pub(crate) is_surprising: bool,
    /// The frequency before, s/s.
    frequency: f64,
    /// Variance of where it was expected, s².
    predicted: f64,
    excess_s: f64,
    /// What the bus may hide of this reading and what is known, s.
    hidden_s: f64,
}

impl Seen {
    /// Was so much of the reading spent waiting that it says less than was known without it?
    pub(crate) fn tells_nothing(&self) -> bool {
        !self.is_surprising && self.excess_s * self.excess_s / 12.0 > 9.0 * self.predicted
    }

    fn rate(&self) -> f64 {
        self.by_s / self.over_s
    }

    /// The change of frequency that it may have been, s/s. What the bus can hide may be a reading
    /// unlike the others instead, and over a short time would pass for a wild change.
    fn plausible_rate(&self) -> f64 {
        let over_s = if self.could_be_noise() {
            self.over_s.max(CALM_S)
        } else {
            self.over_s
        };
        self.by_s.abs() / over_s
    }

    fn could_be_noise(&self) -> bool {
        self.by_s.abs() <= self.hidden_s.max(MOST_NOISE_S)
    }
}

/// The clock was not where it should have been: its frequency has changed, or it was set.
#[derive(Debug, Clone, Copy)]
struct Surprise {
    seen: Seen,
    at: Timestamp<Raw>,
}

/// The clock was set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// The first reading after it.
    pub(crate) at: Timestamp<Raw>,
    /// What was added to the clock.
    pub(crate) by: Duration,
}

impl Track {
    /// Starts from one reading, with the noise, wander and frequency of the track before.
    pub(crate) fn begin(reading: &Reading, before: Option<&Self>) -> Self {
        let half_width_s = reading.half_width.as_secs_f64();
        let (noise, wander, frequency) = before.map_or(
            // Until readings have been compared, a tenth of what the bus hides stands for noise.
            ((half_width_s / 10.0).max(RESOLUTION_S), FIRST_WANDER, 0.0),
            |track| {
                let hypothesis = track.bank.hypothesis();
                let frequency = track.bank.state().frequency;
                (hypothesis.noise_s(), hypothesis.wander(), frequency)
            },
        );
        let state = Kalman {
            phase: 0.0,
            frequency,
            covariance: Covariance {
                phase: noise * noise + reading.excess.as_secs_f64().powi(2) / 12.0,
                cross: 0.0,
                frequency: FIRST_FREQUENCY_SD * FIRST_FREQUENCY_SD,
            },
        };
        Self {
            bank: bank(noise, wander, state, half_width_s),
            seen: SeenWander::default(),
            surprise: None,
            short: VecDeque::with_capacity(REMEMBERED),
            long: VecDeque::with_capacity(REMEMBERED),
        }
    }

    /// Compares a reading with what is expected `last` to have led to.
    pub(crate) fn look(&self, last: &Knot, reading: &Reading) -> Seen {
        let over_s = (reading.raw - last.at).as_secs_f64();
        let excess_s = reading.excess.as_secs_f64();
        let (state, hypothesis) = (self.bank.state(), self.bank.hypothesis());
        let by_s = (reading.offset() - last.offset).as_secs_f64() - over_s * state.frequency;
        let predicted = state.covariance.after(over_s, hypothesis.wander()).phase;
        let variance = predicted + hypothesis.variance(excess_s);
        let expected_s = SIGMAS * variance.sqrt() + RESOLUTION_S;
        Seen {
            by_s,
            over_s,
            expected_s,
            is_surprising: by_s.abs() > expected_s,
            frequency: state.frequency,
            predicted,
            excess_s,
            hidden_s: last.half_width_s + reading.half_width.as_secs_f64(),
        }
    }

    /// Takes a reading into the state, which a surprise makes follow it; returns the new state.
    pub(crate) fn follow(&mut self, last: &Knot, reading: &Reading, seen: &Seen) -> Knot {
        let mut wander = self.bank.hypothesis().wander();
        let measured = seen.over_s * seen.frequency + seen.by_s;
        self.bank.advance(seen.over_s);
        if seen.is_surprising {
            // The bank learns from what it did not expect; only then is it told to follow, as if
            // the frequency had changed at a random instant since: that much random walk would
            // have moved the phase as far as it was seen to move.
            self.bank.update(measured, seen.excess_s);
            let rate = seen.plausible_rate();
            self.bank.doubt(Covariance {
                phase: seen.by_s * seen.by_s,
                cross: 1.5 * seen.by_s.abs() * rate,
                frequency: 3.0 * rate * rate,
            });
            wander = wander.hypot(wander_of(seen));
        }
        let before = self.bank.state().covariance.phase;
        let variance = self.bank.hypothesis().variance(seen.excess_s);
        let gain = before / (before + variance);
        self.bank.update(measured, seen.excess_s);
        self.seen.note(&self.bank, seen.is_surprising);
        let phase = Duration::from_secs_f64(self.bank.state().phase);
        self.bank.shift(phase.as_secs_f64());
        let hidden_s = reading.half_width.as_secs_f64();
        let half_width_s = last.half_width_s + gain * (hidden_s - last.half_width_s);
        self.note(seen, half_width_s);
        let unexplained_s = (seen.by_s.abs() - SIGMAS * variance.sqrt()).max(0.0);
        Knot {
            at: reading.raw,
            offset: last.offset + phase,
            state: *self.bank.state(),
            half_width_s,
            unsettled: if seen.is_surprising {
                LARGEST_CHANGE
            } else {
                BENDS * unexplained_s / seen.over_s
            },
            link: Link::Ran {
                wander,
                bend_s: seen.by_s.abs(),
                surprising: seen.is_surprising,
            },
        }
    }

    /// The state after this program changed frequency (s/s) and phase of the clock at `at`.
    pub(crate) fn turned(
        &mut self,
        last: &Knot,
        at: Timestamp<Raw>,
        frequency: f64,
        by: Duration,
    ) -> Knot {
        let over_s = (at - last.at).as_secs_f64();
        let wander = self.bank.hypothesis().wander();
        self.bank.advance(over_s);
        let drifted = Duration::from_secs_f64(self.bank.state().phase);
        self.bank.shift(drifted.as_secs_f64());
        self.bank.steer(frequency);
        let is_set = by != Duration::ZERO;
        if is_set {
            self.bank.doubt(Covariance {
                phase: SETTING_SD_S * SETTING_SD_S,
                ..NOTHING
            });
        } else {
            // The instant is known only as well as the call that changed it was short.
            self.bank.doubt(Covariance {
                phase: (frequency * CALL_S).powi(2),
                ..NOTHING
            });
        }
        Knot {
            at,
            offset: last.offset + drifted + by,
            state: *self.bank.state(),
            half_width_s: last.half_width_s,
            unsettled: last.unsettled,
            link: if is_set {
                Link::Set { by }
            } else {
                Link::Turned { wander }
            },
        }
    }

    /// Explains the last surprise by the readings that followed: where the frequency is what it
    /// was before, the clock was set.
    ///
    /// A clock whose frequency is changed all the time returns to an old one by chance, so that
    /// only what is large beside the usual counts as a step.
    pub(crate) fn explain(&mut self, at: Timestamp<Raw>, seen: &Seen) -> Option<Step> {
        if seen.is_surprising {
            self.surprise = self
                .stands_out(seen)
                .then_some(Surprise { seen: *seen, at });
            return None;
        }
        let surprise = self.surprise?;
        let state = self.bank.state();
        let doubt = SIGMAS * state.covariance.frequency.sqrt();
        if doubt > surprise.seen.rate().abs() / 10.0 {
            return None;
        }
        self.surprise = None;
        let unchanged = (state.frequency - surprise.seen.frequency).abs() <= doubt;
        unchanged.then(|| Step {
            at: surprise.at,
            by: Duration::from_secs_f64(surprise.seen.by_s),
        })
    }

    fn stands_out(&self, seen: &Seen) -> bool {
        // The newest one remembered is this one.
        let usual = self.long.iter().rev().skip(1).map(Seen::rate);
        !seen.could_be_noise()
            && self.long.len() > LEARNING
            && seen.rate().abs() > STANDS_OUT * rms(usual)
    }

    /// Notes what was seen. Where much of it was surprising, noise and wander are far from what
    /// the bank believes and farther than it sees: they are guessed anew, the noise from readings
    /// that followed others so soon that the clock had no time to wander.
    fn note(&mut self, seen: &Seen, half_width_s: f64) {
        let list = if seen.over_s < SHORT_S {
            &mut self.short
        } else {
            &mut self.long
        };
        if list.len() == REMEMBERED {
            list.pop_front();
        }
        list.push_back(*seen);
        let surprises = self.long.iter().filter(|seen| seen.is_surprising).count();
        if surprises < TOO_MANY || self.short.len() < 2 {
            return;
        }
        let noise = rms(self.short.iter().map(|seen| seen.by_s)) / 2_f64.sqrt();
        let noise = noise.clamp(RESOLUTION_S, half_width_s.max(MOST_NOISE_S));
        let wander = rms(self.long.iter().map(wander_of));
        // What noise alone would pass for.
        let apparent = rms(self.long.iter().map(|seen| {
            let by_s = 2.0 * noise;
            wander_of(&Seen { by_s, ..*seen })
        }));
        let wander = (wander * wander - apparent * apparent).max(0.0).sqrt();
        let state = *self.bank.state();
        self.bank = bank(noise, wander.max(FIRST_WANDER), state, half_width_s);
        self.long
            .iter_mut()
            .for_each(|seen| seen.is_surprising = false);
    }
}

/// A bank that may believe in steering, but not in noise that the bus cannot hide.
fn bank(noise: f64, wander: f64, state: Kalman, half_width_s: f64) -> Bank {
    Bank::of_a_steered_clock((noise, half_width_s.max(MOST_NOISE_S)), wander, state)
}

/// The wander (s/s per √s) of which the phase moves as far as was seen.
fn wander_of(seen: &Seen) -> f64 {
    seen.by_s.abs() * (3.0 / seen.over_s.powi(3)).sqrt()
}

fn rms(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    (values.map(|value| value * value).sum::<f64>() / count).sqrt()
}
