//! Is it the clock that has moved, or one source's route?
//!
//! A route that becomes longer by Δ on one way shifts what its source says by Δ/2, and the source
//! alone cannot tell that from a clock that has moved. Others whose round trips are what they were can: they
//! still agree with each other. So what a source says is compared with what the *other* sources make together:
//!
//! ```text
//! d = offset − offset of the others,   usually u ± σ
//! ```
//!
//! The route has changed if d is far from u, the round trips of this source alone are longer or shorter than they
//! were, and that explains it: |d − u| ≤ Δ/2. From then on the source counts as if it said what the others say, and
//! u: it neither steps nor bends the clock. It is believed again when d is u again, or, with what
//! its new route makes it say taken off, when the filter has had the time to find that out.
//!
//! This changes only how offsets are weighed. The bound is made of what each source really said.

/// Weight of the newest sample in what is usual, once many have been seen.
const RUNNING: f64 = 1.0 / 64.0;
/// Samples until it is known what is usual.
const ENOUGH: u32 = 32;
/// So many standard deviations from what is usual show a change.
const SIGMAS: f64 = 5.0;
/// What a deviation is taken to be at least, s.
const LEAST_S: f64 = 1e-9;
/// Another source's round trips have stayed as they were if they have changed by less than this part of
/// what the one looked at has.
const STEADY: f64 = 0.25;
/// What a change of the round trip explains of the offset: half of it, and waits and noise are in both.
const EXPLAINED: f64 = 0.75;
/// Others that must agree. Of two, nobody could say which is right.
const WITNESSES: usize = 2;
/// A filter follows a new route within an hour (`congestion.rs`), s; and takes so many samples
/// then to know it.
const SETTLED_S: f64 = 3600.0;
/// So long its round trips are remembered, s: a filter may resist a new route at first, and the
/// change must be known still when it follows.
const FORGOTTEN_S: f64 = 4.0 * SETTLED_S;

/// What is usual of a source against the others, and what is said of its route now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Route {
    samples: u32,
    /// Its round trips, s.
    delay_s: f64,
    /// Its offset less that of the others, s, and the variance of that, s².
    usual_s: f64,
    variance: f64,
    /// What is to be added to its offset, s: for a changed route that is known by now.
    lean_s: f64,
    changed: Option<Changed>,
}

/// A route that is another than usual.
#[derive(Debug, Clone, Copy)]
struct Changed {
    /// For how long, s, and how many samples.
    for_s: f64,
    samples: u32,
    /// What it makes the source say more than the others, s.
    apart_s: f64,
}

/// A sample of a source, against the others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Seconds since the last one.
    pub(crate) dt: f64,
    /// What it says less what the others make together, s; `None` where there are no others.
    pub(crate) apart_s: Option<f64>,
    /// Its last two round trips, s.
    pub(crate) delays: (f64, f64),
    /// How many others have had steady round trips meanwhile: see [`Route::is_witness`].
    pub(crate) witnesses: usize,
}

impl Route {
    /// What is to be added to the source's offset, s.
    pub(crate) fn lean_s(&self) -> f64 {
        self.lean_s
    }

    /// What the source is taken to say more than the others, s, while its route is another.
    pub(crate) fn replaced(&self) -> Option<f64> {
        self.changed.map(|_| self.usual_s)
    }

    /// By how much the newer one of two round trips (s) differs from what is usual, and the farther
    /// one, s. The newer one alone may have moved the estimate.
    pub(crate) fn change_s(&self, (last, before): (f64, f64)) -> (f64, f64) {
        let off = |delay: f64| (delay - self.delay_s).abs();
        (off(last), off(last).max(off(before)))
    }

    /// Would another source, whose round trips have changed by up to `change_s` (s), be steady
    /// enough to say that the route of this one has changed by `own_s`?
    pub(crate) fn is_witness(change_s: f64, own_s: f64) -> bool {
        change_s < STEADY * own_s
    }

    /// Takes in a sample.
    pub(crate) fn note(&mut self, look: Look) {
        let Some(apart_s) = look.apart_s.map(|apart_s| apart_s + self.lean_s) else {
            self.settle(look);
            return;
        };
        let off_s = apart_s - self.usual_s;
        let most_s = SIGMAS * self.variance.sqrt().max(LEAST_S);
        let is_off = off_s.abs() > most_s && self.samples >= ENOUGH;
        let (own_s, _) = self.change_s(look.delays);
        let attested = look.witnesses >= WITNESSES;
        match &mut self.changed {
            None if is_off && attested && off_s.abs() <= EXPLAINED * own_s + most_s => {
                self.changed = Some(Changed {
                    for_s: 0.0,
                    samples: 0,
                    apart_s,
                });
            }
            None => self.learn(apart_s, most_s, look),
            // What it says is as it was.
            Some(_) if !is_off => self.changed = None,
            Some(changed) => {
                changed.for_s += look.dt;
                changed.samples = changed.samples.saturating_add(1);
                changed.apart_s = apart_s;
                // It is known by now, or nobody can say any more.
                let is_known = changed.for_s > SETTLED_S && changed.samples > ENOUGH;
                if is_known || !attested {
                    self.settle(look);
                }
            }
        }
    }

    /// What it says now is usual from now on, and the clock is not moved by that.
    fn settle(&mut self, look: Look) {
        if let Some(changed) = self.changed.take() {
            self.lean_s += self.usual_s - changed.apart_s;
            self.delay_s = look.delays.0;
        }
    }

    fn learn(&mut self, apart_s: f64, most_s: f64, look: Look) {
        self.samples = self.samples.saturating_add(1);
        let part = RUNNING.max(f64::from(self.samples).recip());
        let delay_part = (look.dt / FORGOTTEN_S).max(f64::from(self.samples).recip());
        self.delay_s += delay_part.min(1.0) * (look.delays.0 - self.delay_s);
        let most_s = if self.samples > ENOUGH {
            most_s
        } else {
            f64::INFINITY
        };
        let off_s = (apart_s - self.usual_s).clamp(-most_s, most_s);
        if self.samples > 1 {
            self.variance += part * (off_s * off_s - self.variance);
        }
        self.usual_s += part * off_s;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A route whose round trips take 1 ms, after a hundred samples; it says 1 us more than the
    /// others, give or take 100 ns.
    fn known() -> Route {
        let mut route = Route::default();
        for i in 0..100 {
            let noise_s = if i % 2 == 0 { 0.1e-6 } else { -0.1e-6 };
            route.note(look(1e-6 + noise_s, 1e-3, 2));
        }
        assert_eq!(route.replaced(), None);
        route
    }

    fn look(apart_s: f64, delay_s: f64, witnesses: usize) -> Look {
        Look {
            dt: 64.0,
            apart_s: Some(apart_s),
            delays: (delay_s, delay_s),
            witnesses,
        }
    }

    #[test]
    fn a_route_that_others_attest_to_have_changed_says_what_it_usually_does() {
        let mut route = known();
        route.note(look(101e-6, 1.2e-3, 2));
        let usual_s = route.replaced().expect("changed");
        assert!((usual_s - 1e-6).abs() < 0.1e-6, "{usual_s}");
        route.note(look(1e-6, 1e-3, 2));
        assert_eq!((route.replaced(), route.lean_s()), (None, 0.0));
    }

    #[test]
    fn one_that_has_moved_without_its_route_or_without_witnesses_is_followed() {
        for (delay_s, witnesses) in [(1e-3, 2), (1.2e-3, 1)] {
            let mut route = known();
            route.note(look(101e-6, delay_s, witnesses));
            assert_eq!(route.replaced(), None, "{delay_s} {witnesses}");
        }
    }

    #[test]
    fn after_long_the_new_route_is_the_usual_one_and_its_asymmetry_known() {
        let mut route = known();
        for _ in 0..100 {
            route.note(look(101e-6, 1.2e-3, 2));
        }
        assert_eq!(route.replaced(), None);
        assert!((route.lean_s() + 100e-6).abs() < 0.2e-6, "{route:?}");
    }

    #[test]
    fn a_change_leaves_no_jump_where_the_witnesses_are_lost() {
        for apart_s in [Some(101e-6), None] {
            let mut route = known();
            route.note(look(101e-6, 1.2e-3, 2));
            route.note(Look {
                apart_s,
                ..look(0.0, 1.2e-3, 0)
            });
            assert_eq!(route.replaced(), None);
            assert!((route.lean_s() + 100e-6).abs() < 0.2e-6, "{route:?}");
        }
    }
}
