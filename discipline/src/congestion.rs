//! When to look at each way by itself, and how far to believe it.
//!
//! On a quiet network the bank of Kalman filters (`bank.rs`) is as good as can be. Where clean
//! round trips are rare, [`OneWay`] is better, by orders of magnitude. Which is better now, each
//! says itself by its variance, as of the next sample: a clean exchange makes the bank sure of the phase
//! although it may know little of the frequency. The estimate passes from one to the other by degrees
//! as the ratio of these variances changes, so that it never jumps. While few packets wait, only the
//! bank runs.

use crate::bank::Bank;
use crate::kalman::{Covariance, Kalman};
use crate::one_way::OneWay;

/// Weight of the newest sample in the part of samples that waited.
const RUNNING: f64 = 1.0 / 32.0;
/// A round trip this many times the noise of an offset above the floor has waited: ten standard
/// deviations of a round trip, which has twice an offset's. The floor is the least of a thousand and
/// lies three below the mean, so that less would not do.
const WAITED: f64 = 20.0;
/// Weight of the newest sample in the bank's usual noise (of its logarithm).
const USUAL: f64 = 1.0 / 128.0;
/// By this factor the bank may have taken the jitter of stamps for waits: the mean excess over the
/// floor is then three deviations of a round trip. What it has said for long counts up to that.
const MISTAKEN: f64 = 8.0;
/// Parts of samples that waited from which on both filters run, and below which only the bank. One
/// that waited is enough to begin, for if the route has become longer on one way, the other way is
/// to hold the time before the bank has taken the change for its own.
const BUSY: (f64, f64) = (0.03, 0.005);
/// Ratios of the bank's variance to the one-way filter's: below the first, only the bank is
/// believed, above the second only the other one.
const BETTER: (f64, f64) = (1.5, 4.0);
/// What is kept of the largest excess from one sample to the next.
const STILL_LONGER: f64 = 0.75;
/// Both filters contradict each other where they differ by this many standard deviations. Then a
/// route has become longer on one way, the bank has followed, and the other way still says what it
/// always said; or the bank has been misled by queues.
const APART: f64 = 5.0;
/// How long until the bank is right all the same, s. The estimate passes to it evenly over that
/// time, and the bound has room for both: round trips as they are now are in it.
const ACCEPTED_S: f64 = 3600.0;
/// A one-way filter whose variance is this many times the bank's, and the noise of its own stamps,
/// has lost its way, and begins anew. Not while they contradict each other: the bank may be sure of
/// what misleads it.
const LOST: f64 = 100.0;
/// The same while its floor is not beyond doubt: it may as well be wrong from the beginning.
const LOST_AT_FIRST: f64 = 4.0;

/// The one-way filter while it is needed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Congestion {
    one_way: Option<OneWay>,
    /// Part of the samples that waited.
    busy: f64,
    /// Their mean excess over the floor, s.
    excess_s: f64,
    /// Samples without a wait before the newest one.
    quiet: u32,
    /// How much longer than the floor round trips have lately been, s: the largest excess, forgotten
    /// within a few samples.
    longer_s: f64,
    /// For how long both filters have contradicted each other, s.
    apart_s: f64,
    /// How long the last interval was, s.
    interval_s: f64,
    /// The noise of an offset as the bank has had it for long, before the two began to run side by
    /// side, s; 0 if there is none yet.
    usual_s: f64,
    /// The wander that was known before the two began to run side by side, s/s per √s.
    wander: f64,
}

impl Congestion {
    /// Lets `dt` seconds pass.
    pub(crate) fn advance(&mut self, dt: f64, bank: &Bank) {
        self.interval_s = dt;
        let Some(one_way) = &mut self.one_way else {
            let noise = bank.hypothesis().noise_s();
            self.usual_s = if self.usual_s > 0.0 {
                self.usual_s * (noise / self.usual_s).powf(USUAL)
            } else {
                noise
            };
            self.wander = bank.hypothesis().wander();
            self.apart_s = 0.0;
            return;
        };
        one_way.advance(dt, self.wander);
        let (bank, ways) = (bank.state(), one_way.state());
        let apart = (bank.phase - ways.phase).powi(2);
        let agree = APART * APART * (bank.covariance.phase + ways.covariance.phase);
        // A route that has become longer on one way has misled the bank by half of that.
        let may_be_the_route = apart.sqrt() <= self.longer_s;
        self.apart_s = if apart > agree && may_be_the_route {
            self.apart_s + dt
        } else {
            0.0
        };
    }

    /// Moves the origin: subtracts `by` (s) from the phase.
    pub(crate) fn shift(&mut self, by: f64) {
        if let Some(one_way) = &mut self.one_way {
            one_way.shift(by);
        }
    }

    /// Makes it as uncertain as said, in addition.
    pub(crate) fn doubt(&mut self, more: Covariance) {
        if let Some(one_way) = &mut self.one_way {
            one_way.doubt(more);
        }
    }

    /// The clock has moved, or a route, as a sample shows that was off by `innovation` (s), and whose
    /// round trip lay `excess` (s) above the floor. If it was not a clean one, it may have been the
    /// route; if that was on both ways, nothing that was known of each holds. On one way it is half
    /// of the excess, and then the other way tells.
    pub(crate) fn follow_a_move(&mut self, innovation: f64, excess: f64) {
        let beyond = innovation.abs() - excess / 2.0;
        let other_routes = |ways: &OneWay| excess.min(beyond) > WAITED * ways.noise_s();
        if self.one_way.as_ref().is_some_and(other_routes) {
            self.one_way = None;
        }
    }

    /// The noise of a clean exchange's offset as the one-way filter has it, s; 0 if it does not run.
    pub(crate) fn noise_s(&self) -> f64 {
        let learnt = self.one_way.as_ref().filter(|ways| ways.has_learnt());
        learnt.map_or(0.0, OneWay::noise_s)
    }

    /// The floor of the round trip (s), if `least` is the least one seen: no round trip need have
    /// been clean.
    pub(crate) fn floor_s(&self, least: f64) -> f64 {
        let learnt = self.one_way.as_ref().filter(|ways| ways.has_learnt());
        learnt.map_or(least, |ways| ways.floor_s().clamp(0.0, least))
    }

    /// Takes in an offset (s, relative to the same origin as the bank's state) that the bank has
    /// just taken in; its round trip was `delay`, `excess` above the floor, and the least one
    /// remembered is `least` (s).
    pub(crate) fn take(
        &mut self,
        bank: &Bank,
        offset: f64,
        (delay, excess, least): (f64, f64, f64),
    ) {
        // A bank that has been misled may take waits for noise.
        let noise = match self.noise_s() {
            0.0 => bank.hypothesis().noise_s(),
            learnt => learnt.min(bank.hypothesis().noise_s()),
        };
        self.longer_s = excess.max(STILL_LONGER * self.longer_s);
        let usual = self.usual_s.min(MISTAKEN * noise).max(noise);
        let waited = excess > WAITED * usual;
        self.busy += RUNNING * (f64::from(u8::from(waited)) - self.busy);
        if waited {
            self.excess_s +=
                RUNNING.max(f64::from(u8::from(self.excess_s <= 0.0))) * (excess - self.excess_s);
        }
        let quiet = self.quiet;
        self.quiet = if waited { 0 } else { quiet.saturating_add(1) };
        // While most packets do not wait, the floor is known.
        let unknown_s = self.busy * self.excess_s;
        match &mut self.one_way {
            Some(one_way) if self.busy > BUSY.1 => {
                one_way.update(offset, delay);
                let variance = one_way.state().covariance.phase;
                let surest = bank.state().covariance.phase.max(one_way.noise_s().powi(2));
                let holds = one_way.holds();
                let contradicts = holds && self.apart_s > 0.0 && self.apart_s < ACCEPTED_S;
                let lost = if holds { LOST } else { LOST_AT_FIRST };
                // No packet is faster than the floor: the filter began when no clean one had been
                // seen yet, and takes for a wait on one way what is one on the other.
                let noise = one_way.noise_s();
                let too_high = !one_way.is_settled() && one_way.floor_s() > least + WAITED * noise;
                if (variance > lost * surest && !contradicts) || too_high {
                    one_way.begin_again(*bank.state(), least, unknown_s);
                }
            }
            None if self.busy > BUSY.0 => {
                let mut ways = OneWay::new(*bank.state(), least, unknown_s, noise);
                ways.begin_after(quiet);
                self.one_way = Some(ways);
            }
            _ => self.one_way = None,
        }
    }

    /// The state to believe, given the bank's.
    pub(crate) fn fused_with(&self, bank: &Kalman) -> Kalman {
        match &self.one_way {
            Some(one_way) => mixed(bank, one_way.state(), self.part(bank)),
            None => *bank,
        }
    }

    /// Does the one-way filter have a part in the estimate?
    pub(crate) fn is_heard(&self, bank: &Kalman) -> bool {
        self.part(bank) > 0.0
    }

    /// The wander that the estimate was made with, if the bank believes in `wander`, s/s per √s.
    pub(crate) fn wander_of(&self, bank: &Kalman, wander: f64) -> f64 {
        if self.is_heard(bank) {
            wander.min(self.wander)
        } else {
            wander
        }
    }

    /// What of a round trip (s) matters for the asymmetry that the estimate may have. To the one-way
    /// filter it does not matter how long a packet waited; unequal are only the floors.
    pub(crate) fn believed_delay_s(&self, bank: &Kalman, delay: f64) -> f64 {
        let ways = self.one_way.as_ref().filter(|ways| ways.is_settled());
        let floor = ways.map_or(delay, |_| self.floor_s(delay));
        delay + self.part(bank) * (floor - delay)
    }

    /// The part that the one-way filter has in the estimate.
    fn part(&self, bank: &Kalman) -> f64 {
        let Some(one_way) = self.one_way.as_ref().filter(|ways| ways.has_learnt()) else {
            return 0.0;
        };
        let until_the_next = |of: &Kalman| of.covariance.after(self.interval_s, self.wander).phase;
        let ratio = until_the_next(bank) / until_the_next(one_way.state());
        let better = ((ratio / BETTER.0).ln() / (BETTER.1 / BETTER.0).ln()).clamp(0.0, 1.0);
        if self.apart_s > 0.0 && one_way.holds() {
            better.max(1.0 - self.apart_s / ACCEPTED_S)
        } else {
            better
        }
    }
}

/// `part` of `b` and the rest of `a`, with the covariance of a mixture of both: as uncertain as
/// they are, and as they differ.
fn mixed(a: &Kalman, b: &Kalman, part: f64) -> Kalman {
    let mix = |a: f64, b: f64| a + part * (b - a);
    let apart = part * (1.0 - part);
    let (phase, frequency) = (b.phase - a.phase, b.frequency - a.frequency);
    let (p, q) = (a.covariance, b.covariance);
    Kalman {
        phase: mix(a.phase, b.phase),
        frequency: mix(a.frequency, b.frequency),
        covariance: Covariance {
            phase: mix(p.phase, q.phase) + apart * phase * phase,
            cross: mix(p.cross, q.cross) + apart * phase * frequency,
            frequency: mix(p.frequency, q.frequency) + apart * frequency * frequency,
        },
    }
}
