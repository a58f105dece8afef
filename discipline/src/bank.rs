//! Moving banks of filters that find noise and wander by likelihood.
//!
//! The right gains follow from the noise of the measurements and the wander of the oscillator.
//! Neither is known beforehand and both change, so a handful of Kalman filters run side by side:
//! one in the middle, and one for each neighbour, near or far, on the grid of [`Hypothesis`]. Each predicts
//! every measurement; the likelihood of what then comes says how well its hypothesis fits. When a
//! neighbour has explained the recent past clearly better than the middle, it becomes the middle.
//!
//! How the delay shows in the offset changes everything else: with queues taken into account the
//! noise of what remains may be a hundred times smaller, and no single step leads from one answer
//! to the other. So there is a bank for each way, and the one that predicts best is believed.
//!
//! The evidence against a rival is bounded, so the banks follow change (`evidence.rs`).

use crate::companion::nearest_on_the_way;
use crate::evidence::{Contest, likelihood};
use crate::kalman::{Covariance, Kalman};
use crate::noise::{Excess, Hypothesis};

/// A rival takes over at odds of 50 to 1.
const CONTEST: Contest = Contest {
    take_over: 4.0,
    worst: -6.0,
};

/// Evidence at which a rival is refuted, at 90 to 1.
const REFUTED: f64 = -4.5;
/// Wanders that far from what is believed show whether it has been seen.
const FAR: f64 = 10.0;

/// One filter and how well it has predicted.
#[derive(Debug, Clone)]
struct Member {
    hypothesis: Hypothesis,
    kalman: Kalman,
    /// Log-likelihood ratio to the middle since the bank last moved.
    evidence: f64,
}

impl Member {
    fn advance(&mut self, dt: f64) {
        self.kalman.predict(dt, self.hypothesis.wander());
    }

    /// Takes in a measurement and returns its log-likelihood (but for a constant).
    fn update(&mut self, offset: f64, excess: f64) -> f64 {
        let innovation = offset - self.kalman.phase;
        let r = self.hypothesis.variance(excess);
        let variance = self.kalman.covariance.phase + r;
        self.kalman.update(innovation, r);
        likelihood(innovation, variance)
    }
}

/// The filters that agree on how the delay shows in the offset.
#[derive(Debug, Clone)]
struct Family {
    middle: Member,
    neighbours: Vec<Member>,
    /// Have innovations last changed the wander to a larger one?
    raised: bool,
    /// Log-likelihood ratio to the believed family.
    evidence: f64,
}

impl Family {
    fn new(hypothesis: Hypothesis, kalman: Kalman) -> Self {
        let middle = Member {
            hypothesis,
            kalman,
            evidence: 0.0,
        };
        let mut family = Self {
            middle,
            neighbours: Vec::with_capacity(8),
            raised: false,
            evidence: 0.0,
        };
        family.surround();
        family
    }

    fn for_each(&mut self, mut act: impl FnMut(&mut Member)) {
        act(&mut self.middle);
        self.neighbours.iter_mut().for_each(act);
    }

    /// Takes in a measurement and returns the log-likelihood that the middle gave it.
    fn update(&mut self, offset: f64, excess: f64) -> f64 {
        let expected = self.middle.update(offset, excess);
        for neighbour in &mut self.neighbours {
            let better = neighbour.update(offset, excess) - expected;
            neighbour.evidence = CONTEST.note(neighbour.evidence, better);
        }
        if let Some(best) = CONTEST.winner(self.neighbours.iter(), |it| it.evidence) {
            let (before, now) = (self.middle.hypothesis.wander(), best.hypothesis.wander());
            self.raised = now > before || (self.raised && now >= before);
            self.middle = best.clone();
            self.surround();
        }
        expected
    }

    /// The wander of the middle, if the samples refute that it is a tenth, or tenfold.
    fn seen_wander(&self) -> Option<f64> {
        let wander = self.middle.hypothesis.wander();
        let refuted = |is_far: &dyn Fn(f64) -> bool| {
            let far = |one: &&Member| is_far(one.hypothesis.wander());
            let one = self.neighbours.iter().find(far);
            one.is_some_and(|one| one.evidence <= REFUTED)
        };
        let seen = refuted(&|one| one < wander / FAR) && refuted(&|one| one > wander * FAR);
        seen.then_some(wander)
    }

    /// The largest wander that the samples do not refute, s/s per √s, as far as it is tried.
    fn most_wander(&self) -> f64 {
        let wander = self.middle.hypothesis.wander();
        let rivals = self.neighbours.iter().filter(|one| one.evidence > REFUTED);
        let wanders = rivals.map(|one| one.hypothesis.wander());
        wanders
            .filter(|one| *one > wander * FAR)
            .fold(wander, f64::max)
    }

    /// Goes on with another wander (s/s per √s), unless the samples speak against it or have just shown
    /// that there is more.
    fn suppose_wander(&mut self, wander: f64) {
        let hypothesis = self.middle.hypothesis;
        if self.raised && wander < hypothesis.wander() {
            return;
        }
        let neighbours = self.neighbours.iter();
        let rivals = neighbours.map(|one| (one.hypothesis, one.evidence, one));
        if let Some(nearest) = nearest_on_the_way(rivals, hypothesis, wander) {
            self.middle = Member {
                hypothesis: hypothesis.with_wander(wander),
                ..nearest.clone()
            };
            self.surround();
        }
    }

    /// Neighbours start from the middle's state and have to earn their difference from there.
    fn surround(&mut self) {
        self.middle.evidence = 0.0;
        let middle = &self.middle;
        self.neighbours.clear();
        self.neighbours
            .extend(middle.hypothesis.neighbours().map(|hypothesis| Member {
                hypothesis,
                ..middle.clone()
            }));
    }
}

/// A family for each way that the delay can show in the offset, and the one that is believed.
#[derive(Debug, Clone)]
pub struct Bank {
    families: [Family; Excess::ALL.len()],
    /// Its index: 1 at first, later as found by enumerating the families.
    believed: usize,
}

impl Bank {
    /// Starts all families from one state, with noise (s) and wander (s/s per √s) as guessed.
    pub fn new(noise_s: f64, wander: f64, kalman: Kalman) -> Self {
        let family = |excess| Family::new(Hypothesis::nearest(excess, noise_s, wander), kalman);
        Self {
            families: Excess::ALL.map(family),
            believed: 1,
        }
    }

    /// The same for a clock that somebody else may be steering, whose readings cannot be noisier
    /// than `most_noise_s`: what goes beyond must be wander, however large.
    pub fn of_a_steered_clock(
        (noise_s, most_noise_s): (f64, f64),
        wander: f64,
        kalman: Kalman,
    ) -> Self {
        let family = |excess| {
            let noise = (noise_s, most_noise_s);
            let hypothesis = Hypothesis::of_a_steered_clock(excess, noise, wander);
            Family::new(hypothesis, kalman)
        };
        Self {
            families: Excess::ALL.map(family),
            believed: 1,
        }
    }

    fn best(&self) -> &Member {
        &self.families[self.believed].middle
    }

    /// The state of the filter that is believed.
    pub fn state(&self) -> &Kalman {
        &self.best().kalman
    }

    /// The hypothesis that explains the recent past best.
    pub fn hypothesis(&self) -> Hypothesis {
        self.best().hypothesis
    }

    /// The wander (s/s per √s) as measurements have shown it: they refute that it is a tenth of that,
    /// or tenfold. `None` while they have not, as where nothing wanders at all.
    pub fn seen_wander(&self) -> Option<f64> {
        self.families[self.believed].seen_wander()
    }

    /// The largest wander that the samples do not refute, s/s per √s: what is believed, or many times as
    /// much.
    pub(crate) fn most_wander(&self) -> f64 {
        self.families[self.believed].most_wander()
    }

    /// Something else than samples suggests this wander, s/s per √s: each family that has no evidence
    /// against it goes on from there.
    pub(crate) fn suppose_wander(&mut self, wander: f64) {
        for family in &mut self.families {
            family.suppose_wander(wander);
        }
    }

    /// Lets `dt` seconds pass.
    pub fn advance(&mut self, dt: f64) {
        self.for_each(|member| member.advance(dt));
    }

    /// Takes in an offset (s, relative to the same origin as the state) whose round trip lay
    /// `excess` (s) above the floor.
    pub fn update(&mut self, offset: f64, excess: f64) {
        let likelihoods = self
            .families
            .each_mut()
            .map(|family| family.update(offset, excess));
        let expected = likelihoods[self.believed];
        for (family, likelihood) in self.families.iter_mut().zip(likelihoods) {
            family.evidence = CONTEST.note(family.evidence, likelihood - expected);
        }
        self.believe_the_best();
    }

    /// Moves the origin: subtracts `by` (s) from every phase.
    pub fn shift(&mut self, by: f64) {
        self.for_each(|member| member.kalman.phase -= by);
    }

    /// The clock was made to run faster by `by` (s/s): adds it to every frequency.
    pub fn steer(&mut self, by: f64) {
        self.for_each(|member| member.kalman.frequency += by);
    }

    /// Goes on from another state of the same instant.
    pub(crate) fn go_on_from(&mut self, state: Kalman) {
        self.for_each(|member| member.kalman = state);
    }

    /// Makes every filter as uncertain as said, in addition: the clock or the path has changed.
    pub fn doubt(&mut self, more: Covariance) {
        self.for_each(|member| member.kalman.covariance += more);
    }

    fn for_each(&mut self, mut act: impl FnMut(&mut Member)) {
        for family in &mut self.families {
            family.for_each(&mut act);
        }
    }

    fn believe_the_best(&mut self) {
        let rivals = (0..).zip(&self.families);
        if let Some((index, _)) = CONTEST.winner(rivals, |(_, family)| family.evidence) {
            self.believed = index;
            for family in &mut self.families {
                family.evidence = 0.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::gauss;

    const START: Kalman = Kalman {
        phase: 0.0,
        frequency: 0.0,
        covariance: Covariance {
            phase: 1e-6,
            cross: 0.0,
            frequency: 1e-8,
        },
    };

    fn learnt(noise: f64, wander: f64, guess: (f64, f64)) -> Hypothesis {
        let mut bank = Bank::new(guess.0, guess.1, START);
        let (mut seed, mut phase, mut frequency) = (7, 0.0, 1e-6);
        for _ in 0..4000 {
            phase += frequency;
            frequency += wander * gauss(&mut seed);
            bank.advance(1.0);
            bank.update(phase + noise * gauss(&mut seed), 0.0);
        }
        bank.hypothesis()
    }

    #[test]
    fn finds_noise_and_wander_from_afar() {
        for (noise, wander) in [(7e-9, 1e-9), (50e-9, 1e-10), (2e-6, 1e-9)] {
            for guess in [(1e-6, 1e-9), (1e-8, 1e-8)] {
                let found = learnt(noise, wander, guess);
                let (n, w) = (found.noise_s() / noise, found.wander() / wander);
                assert!(
                    (0.6..1.7).contains(&n),
                    "noise {noise}: {}",
                    found.noise_s()
                );
                assert!(
                    (0.2..5.0).contains(&w),
                    "wander {wander}: {}",
                    found.wander()
                );
            }
        }
    }

    /// Every third reply waits 128 us on its way back; the others are good to 1 us. A filter that
    /// does not look at the delay would take all of it for noise.
    #[test]
    fn finds_that_the_delay_explains_the_offset() {
        let mut bank = Bank::new(40e-6, 1e-9, START);
        let mut seed = 3;
        for i in 0..300 {
            let wait = if i % 3 == 0 { 128e-6 } else { 0.0 };
            bank.advance(1.0);
            bank.update(1e-6 * gauss(&mut seed) - wait / 2.0, wait);
        }
        let noise = bank.hypothesis().noise_s();
        assert!((0.5e-6..2e-6).contains(&noise), "{noise}");
        assert!(bank.state().phase.abs() < 1e-6, "{:?}", bank.state());
    }
}
