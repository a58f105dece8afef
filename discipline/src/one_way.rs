//! Each direction's own floor: telling the time where clean round trips are rare.
//!
//! When nine packets of ten wait in a queue on each way, one exchange of a hundred is clean, but
//! one packet of ten is, each way. An exchange says two things. With θ the offset, h half of the
//! floor of the round trip and waits w ≥ 0,
//!
//! ```text
//! there   T2 − T1 =  θ + h + w₁  =  offset + delay/2
//! back    T4 − T3 = −θ + h + w₂  = −offset + delay/2
//! ```
//!
//! so each way bounds θ from one side, and a packet that did not wait says what θ is. The state
//! is (θ, frequency, h), Gaussian, with the process of `kalman.rs`; h stays. Each way is taken in
//! by itself. Its likelihood, of z = ±θ + h, is a mixture: the packet did not wait (normal, the
//! stamps' noise); it waited (exponential and noise); or its stamp is broken (any value). The
//! posterior is replaced by the Gaussian of the same mean and variance (assumed-density
//! filtering). Its moments are those of a normal distribution cut off by an edge that is itself
//! normal:
//!
//! ```text
//! z ~ N(m, S), cut off by Φ((y − z)/σ):   mean m − S/√v·λ,   variance S − S²/v·λ(λ + a)
//! with v = S + σ²,  a = (y − m)/√v,  λ = φ(a)/Φ(a)
//! ```
//!
//! This does what the convex hull of (Huygens; docs/decisions.md) does: it holds θ between the
//! floors of both ways. But it needs no window in which the oscillator must not bend, and a
//! constant effort. Why it does not run away, as floors do that are tracked one by one with one's
//! own estimate: there is only one h for both ways. If θ is too large by ε, packets back look as
//! if they had waited, but packets there arrive before they could, and that is impossible beyond
//! the noise. What is not seen, as ever, is how unequal both ways are at their floors.

use crate::evidence::Contest;
use crate::kalman::{Covariance, Kalman};
use crate::normal;

/// Part of stamps that are broken, as a likelihood beside that of waits.
const BROKEN: f64 = 1e-4;
/// Weight of the newest packet in what is learnt of a way, once many have been seen.
const LEARNING: f64 = 1.0 / 64.0;
/// The part of clean packets stays within these, so that a change is noticed.
const CLEAN: (f64, f64) = (5e-3, 0.98);
/// Noise of one stamp pair is looked for between these, s.
const NOISE_S: (f64, f64) = (0.5e-9, 1e-3);
/// The first guess of it as a part of the round trip. It had better be too small: that shows soon.
const NOISE_OF_DELAY: f64 = 5e-4;
/// Waits are taken to be of this size at least, s.
const LEAST_WAIT_S: f64 = 10e-9;
/// Floors creep, with temperature for one: variance of h gained in a second, s²/s. A nanosecond
/// in 100 s.
const CREEP: f64 = 1e-20;
/// Packets that none but a broken stamp explains, of the last [`IN`], at which it is the state that
/// is doubted.
const TOO_MANY: u32 = 3;
/// See [`TOO_MANY`]; both ways count.
const IN: u32 = 16;
/// Samples, clean ones before it began included, after which it may be believed: the floor of the
/// round trip has to be known.
const ENOUGH: u32 = 32;
/// Of these it must have taken in so many itself.
const OF_ITS_OWN: u32 = 8;
/// Samples after which its floor is beyond doubt.
const SETTLED: u32 = 128;
/// More than this part of the packets is most of them.
const MOST: f64 = 0.5;
/// When another noise is believed.
const CONTEST: Contest = Contest {
    take_over: 3.0,
    worst: -5.0,
};
/// Factors (there, back) to the noises that are tried beside the one believed.
const NEIGHBOURS: [(f64, f64); 6] = [
    (2.0, 1.0),
    (0.5, 1.0),
    (1.0, 2.0),
    (1.0, 0.5),
    (2.0, 2.0),
    (0.5, 0.5),
];

/// What is known of the waits on one way.
#[derive(Debug, Clone, Copy)]
struct Way {
    /// Part of the packets that do not wait.
    clean: f64,
    /// Mean wait of the others, s.
    wait_s: f64,
    /// RMS noise of what the stamps at both ends say it took, s.
    noise_s: f64,
}

/// A filter for each noise that may be the right one. As with the bank for round trips
/// (`bank.rs`), the one that has predicted best is believed.
#[derive(Debug, Clone)]
pub(crate) struct OneWay {
    middle: Member,
    neighbours: Vec<Member>,
    taken: u32,
    /// Clean round trips before it began.
    quiet: u32,
    /// A bit for each packet, newest lowest: was it unexplained?
    broken: u32,
}

/// A filter with noises of its own.
#[derive(Debug, Clone)]
struct Member {
    kalman: Kalman,
    /// Half of the floor of the round trip, s.
    half: f64,
    half_variance: f64,
    /// Covariance of `half` with phase (s²) and with frequency (s·s/s).
    cross: (f64, f64),
    ways: [Way; 2],
    /// Log-likelihood ratio to the one believed.
    evidence: f64,
}

/// What became of z: how its mean moved and what variance it has.
struct Moments {
    shift: f64,
    variance: f64,
    clean: f64,
    broken: bool,
    log_likelihood: f64,
}

impl OneWay {
    /// Starts from another filter's state, at a floor of the round trip (s) that is too high rather
    /// than too low, by about `excess` (s). `noise_s` is that of a clean exchange's offset.
    pub(crate) fn new(kalman: Kalman, floor: f64, excess: f64, noise_s: f64) -> Self {
        // An offset is half of the difference of what both ways took.
        let noise_s = 2.0_f64.sqrt() * noise_s.min(NOISE_OF_DELAY * floor);
        let way = Way {
            clean: 0.3,
            wait_s: excess.max(LEAST_WAIT_S),
            noise_s: noise_s.clamp(4.0 * NOISE_S.0, NOISE_S.1),
        };
        let middle = Member {
            kalman,
            half: floor / 2.0,
            half_variance: way.noise_s.powi(2) + (excess / 8.0).powi(2),
            cross: (0.0, 0.0),
            ways: [way; 2],
            evidence: 0.0,
        };
        let mut filter = Self {
            middle,
            neighbours: Vec::with_capacity(NEIGHBOURS.len()),
            taken: 0,
            quiet: 0,
            broken: 0,
        };
        filter.surround();
        filter
    }

    /// The same once more, with what has been learnt of the ways.
    pub(crate) fn begin_again(&mut self, kalman: Kalman, floor: f64, excess: f64) {
        let ways = self.middle.ways;
        *self = Self::new(kalman, floor, excess, ways[0].noise_s);
        self.middle.ways = ways;
        self.surround();
    }

    /// Phase and frequency.
    pub(crate) fn state(&self) -> &Kalman {
        &self.middle.kalman
    }

    /// The round trip's floor, s, or somewhat less: by two standard deviations.
    pub(crate) fn floor_s(&self) -> f64 {
        2.0 * (self.middle.half - 2.0 * self.middle.half_variance.sqrt())
    }

    /// The noise of a clean exchange's offset, s.
    pub(crate) fn noise_s(&self) -> f64 {
        let [there, back] = self.middle.ways;
        there.noise_s.hypot(back.noise_s) / 2.0
    }

    /// Has it seen enough to have learnt what the waits are like?
    pub(crate) fn has_learnt(&self) -> bool {
        self.taken >= OF_ITS_OWN && self.taken.saturating_add(self.quiet) >= ENOUGH
    }

    /// Is its floor beyond doubt?
    pub(crate) fn is_settled(&self) -> bool {
        self.taken.saturating_add(self.quiet) >= SETTLED
    }

    /// Can it hold the time against all that the other way says: is its floor beyond doubt, and do
    /// most packets of one way not wait?
    pub(crate) fn holds(&self) -> bool {
        let clean = |way: &Way| way.clean > MOST;
        self.is_settled() && self.middle.ways.iter().any(clean)
    }

    /// So many clean round trips came before: the floor is known by that much better.
    pub(crate) fn begin_after(&mut self, quiet: u32) {
        self.quiet = quiet;
    }

    /// Lets `dt` seconds pass.
    pub(crate) fn advance(&mut self, dt: f64, wander: f64) {
        self.for_each(|member| {
            member.kalman.predict(dt, wander);
            member.cross.0 += dt * member.cross.1;
            member.half_variance += CREEP * dt;
        });
    }

    /// Moves the origin: subtracts `by` (s) from the phase.
    pub(crate) fn shift(&mut self, by: f64) {
        self.for_each(|member| member.kalman.phase -= by);
    }

    /// Makes it as uncertain as said, in addition.
    pub(crate) fn doubt(&mut self, more: Covariance) {
        self.for_each(|member| member.kalman.covariance += more);
    }

    /// Takes in an offset (s, relative to the same origin as the state) and its round trip (s).
    pub(crate) fn update(&mut self, offset: f64, delay: f64) {
        self.taken = self.taken.saturating_add(1);
        let learning = LEARNING.max(f64::from(self.taken + 4).recip());
        let (expected, broken) = self.middle.take(offset, delay, learning);
        for neighbour in &mut self.neighbours {
            let better = neighbour.take(offset, delay, learning).0 - expected;
            neighbour.evidence = CONTEST.note(neighbour.evidence, better);
        }
        if let Some(best) = CONTEST.winner(self.neighbours.iter(), |it| it.evidence) {
            self.middle = best.clone();
            self.surround();
        }
        self.doubt_where_it_breaks(broken, offset);
    }

    /// One packet that came before it could has a broken stamp; when several did, the state is
    /// wrong.
    fn doubt_where_it_breaks(&mut self, broken: u32, offset: f64) {
        self.broken = (self.broken << 1 | u32::from(broken > 0)) & ((1 << IN) - 1);
        if self.broken.count_ones() >= TOO_MANY {
            self.broken = 0;
            let off = offset - self.state().phase;
            self.doubt(Covariance {
                phase: off * off,
                cross: 0.0,
                frequency: 0.0,
            });
        }
    }

    fn surround(&mut self) {
        self.middle.evidence = 0.0;
        let middle = &self.middle;
        let neighbours = NEIGHBOURS.iter().filter_map(|(there, back)| {
            let mut member = middle.clone();
            member.ways[0].noise_s *= there;
            member.ways[1].noise_s *= back;
            let allowed = NOISE_S.0..=NOISE_S.1;
            let fits = member.ways.iter().all(|way| allowed.contains(&way.noise_s));
            fits.then_some(member)
        });
        self.neighbours.clear();
        self.neighbours.extend(neighbours);
    }

    fn for_each(&mut self, mut act: impl FnMut(&mut Member)) {
        act(&mut self.middle);
        self.neighbours.iter_mut().for_each(act);
    }
}

impl Member {
    /// Takes in both ways; returns the log-likelihood (but for a constant) that they had, and how
    /// many of the two have come before they could.
    fn take(&mut self, offset: f64, delay: f64, learning: f64) -> (f64, u32) {
        let there = self.take_one(0, 1.0, delay / 2.0 + offset, learning);
        let back = self.take_one(1, -1.0, delay / 2.0 - offset, learning);
        (there.0 + back.0, u32::from(there.1) + u32::from(back.1))
    }

    /// Takes in what the packet on `way` took by both clocks (s), which sees `sign`·θ.
    fn take_one(&mut self, way: usize, sign: f64, took: f64, learning: f64) -> (f64, bool) {
        let p = self.kalman.covariance;
        // Covariance of z with phase, frequency and half, and its variance.
        let with_phase = sign * p.phase + self.cross.0;
        let with_frequency = sign * p.cross + self.cross.1;
        let with_half = sign * self.cross.0 + self.half_variance;
        let variance = (sign * with_phase + with_half).max(f64::MIN_POSITIVE);
        let ahead = took - sign * self.kalman.phase - self.half;
        let moments = self.ways[way].moments(ahead, variance);
        self.ways[way].learn(ahead, &moments, learning);

        let (k1, k2, k3) = (
            with_phase / variance,
            with_frequency / variance,
            with_half / variance,
        );
        self.kalman.phase += k1 * moments.shift;
        self.kalman.frequency += k2 * moments.shift;
        self.half += k3 * moments.shift;
        let gained = variance - moments.variance;
        self.kalman.covariance = Covariance {
            phase: p.phase - k1 * k1 * gained,
            cross: p.cross - k1 * k2 * gained,
            frequency: p.frequency - k2 * k2 * gained,
        };
        self.half_variance -= k3 * k3 * gained;
        self.cross.0 -= k1 * k3 * gained;
        self.cross.1 -= k2 * k3 * gained;
        (moments.log_likelihood, moments.broken)
    }
}

impl Way {
    /// The posterior moments of z, which has variance `s` and lies `ahead` (s) below what was
    /// measured.
    fn moments(&self, ahead: f64, s: f64) -> Moments {
        let noise = self.noise_s * self.noise_s;
        let v = s + noise;
        let (root, rate) = (v.sqrt(), self.wait_s.recip());
        // It did not wait.
        let ln_clean = self.clean.ln() + normal::ln_density(ahead / root) - root.ln();
        let clean_shift = ahead * s / v;
        let clean_variance = s * noise / v;
        // It waited: the exponential tilts N(m, S) to N(m + S/τ, S), and the edge cuts it off.
        let a = (ahead - v * rate) / root;
        let (ln_below, lambda) = normal::ln_below(a);
        let tilt = -ahead * rate + v * rate * rate / 2.0;
        let ln_waited = (1.0 - self.clean).ln() + rate.ln() + tilt + ln_below;
        let waited_shift = s * rate - s / root * lambda;
        let waited_variance = s - s * s / v * (lambda * (lambda + a)).clamp(0.0, 1.0);
        // Its stamp is broken, or it has waited for so long that it says nothing.
        let ln_broken = (BROKEN * rate).ln();
        let most = ln_clean.max(ln_waited).max(ln_broken);
        let [clean, waited, broken] = [ln_clean, ln_waited, ln_broken].map(|ln| (ln - most).exp());
        let all = clean + waited + broken;
        let (clean, waited, broken) = (clean / all, waited / all, broken / all);
        let shift = clean * clean_shift + waited * waited_shift;
        let square = clean * (clean_variance + clean_shift * clean_shift)
            + waited * (waited_variance + waited_shift * waited_shift)
            + broken * s;
        Moments {
            shift,
            variance: (square - shift * shift).max(f64::MIN_POSITIVE),
            clean,
            broken: broken > 0.5 && ahead < 0.0,
            log_likelihood: most + all.ln(),
        }
    }

    /// Learns from a packet that lay `ahead` (s) behind what was expected without a wait. One that
    /// is far behind says no more than that it is far, so that heavy tails do not count.
    fn learn(&mut self, ahead: f64, moments: &Moments, learning: f64) {
        if moments.broken {
            return;
        }
        self.clean += learning * (moments.clean - self.clean);
        self.clean = self.clean.clamp(CLEAN.0, CLEAN.1);
        // The median of an exponential distribution is its mean times ln 2.
        let longer = ahead > self.wait_s * core::f64::consts::LN_2;
        let step = 2.0 * learning * (1.0 - moments.clean);
        self.wait_s *= if longer { 1.0 + step } else { 1.0 - step };
        self.wait_s = self.wait_s.clamp(LEAST_WAIT_S, 1.0);
    }
}
