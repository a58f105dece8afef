//! A second oscillator beside the host's: what a NIC's clock tells of the wander.
//!
//! Model. A PTP hardware clock counts an oscillator of its own. Read against `CLOCK_MONOTONIC_RAW`,
//! without any network between, the difference of two random walks of the frequency shows, which is
//! a random walk too:
//!
//! ```text
//! W² = w_host² + w_nic²          wanders in s/s per √s, if the oscillators are independent
//! ```
//!
//! So W is the most that the host's own wander can be (Gray and Allan 1974; a third clock would tell
//! them apart). It is known soon: readings are good to some 100 ns whatever the network, and a wander
//! of w shows in readings of noise n every T seconds after some √(n√(3T)/w), a minute for 1e-10, where
//! network samples with microseconds of queues take hours.
//!
//! What it is used for is the beginning only, since innovations tell of the host's wander itself.
//! When W is first told, or has changed, a bank that has no evidence against it goes on from there:
//! downwards always, since more than W cannot be; upwards only while nothing at all is known of the
//! oscillator, when of two unlike oscillators either may be the worse one. Innovations are in charge
//! before and after.
//!
//! What would mislead:
//!
//! - One oscillator that counts both clocks. Then W says nothing of it, and is nil. So W counts
//!   only once it has been *seen*: a sixteenth of it must be refuted by the readings, too
//!   ([`Bank::seen_wander`](crate::Bank::seen_wander)). Rates that are equal within 100 ppb also mean that.
//! - A clock that is kept to UTC, by its card or some program, this one included: its steering could be
//!   made of what the host believes already. Such a clock runs as fast as UTC, where crystals
//!   are off by parts per million: within 100 ppb it does not count.
//! - A clock that was set, or whose rate jumped: the tracker's filters begin anew then, and have seen
//!   nothing.

use std::collections::BTreeMap;

use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::learnt::Learnt;
use crate::noise::Hypothesis;

/// No free oscillator runs as fast as another one to this, but by chance, s/s.
const ALIKE: f64 = 100e-9;
/// For this long an oscillator must have run unlike: a clock that copies the host's does so whenever
/// that is being corrected, for some seconds.
const APART: Duration = Duration::from_secs(120);
/// Standard deviations to which a frequency is trusted in that.
const SIGMAS: f64 = 5.0;
/// A difference of fewer steps of the grid (factors of 2) is no news, and nothing to act on.
const STEPS: u32 = 2;
/// The evidence that the samples may have against more wander for it to be supposed all the same. Too
/// much makes the clock a little worse, too little its bound wrong; so with less wander the samples must
/// agree.
const MOST_AGAINST: f64 = -3.0;

/// What has been found out of another oscillator by comparing it with the host's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Companion {
    /// Which one it is, by the caller's numbers.
    pub id: u32,
    /// Its rate minus that of the host's oscillator (`CLOCK_MONOTONIC_RAW`), s/s.
    pub frequency: f64,
    /// How the difference of rates wanders, s/s per √s, if that has been seen.
    pub wander: Option<f64>,
}

/// The oscillators beside the host's.
#[derive(Debug, Default)]
pub(crate) struct Companions {
    /// When each last ran as fast as UTC or the host's, or may have.
    alike: BTreeMap<u32, Timestamp<Raw>>,
}

impl Companions {
    /// The most that the host's oscillator wanders, by all of these, s/s per √s; `None` if none says
    /// anything of that. `utc` is what is known of UTC's rate against the host's oscillator: it and
    /// its standard deviation, s/s.
    pub(crate) fn most_wander(
        &mut self,
        now: Timestamp<Raw>,
        companions: impl Iterator<Item = Companion>,
        utc: (f64, f64),
    ) -> Option<f64> {
        let before = core::mem::take(&mut self.alike);
        let independent = companions.filter_map(|one| {
            let known = before.get(&one.id).copied().unwrap_or(now);
            let last = if one.is_alike(utc) { now } else { known };
            self.alike.insert(one.id, last);
            one.wander.filter(|_| now - last >= APART)
        });
        independent.reduce(f64::min)
    }
}

impl Companion {
    /// Does it run as fast as UTC or the host's oscillator, or may it?
    fn is_alike(self, utc: (f64, f64)) -> bool {
        let (utc, sd) = utc;
        self.frequency.abs() <= ALIKE || (self.frequency - utc).abs() <= ALIKE + SIGMAS * sd
    }
}

/// What a filter has been told of the most that its oscillator can wander.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    most: Option<f64>,
}

impl Told {
    /// Is it news that the oscillator wanders by at most this, s/s per √s?
    pub(crate) fn is_news(&mut self, most: f64) -> bool {
        let same = |before: f64| steps_between(before, most).unsigned_abs() < STEPS;
        if self.most.is_some_and(same) {
            return false;
        }
        self.most = Some(most);
        true
    }
}

/// The wander to suppose of an oscillator that can wander by `most`, instead of `now`, s/s per √s;
/// `None`: the same. `frequency_sd` is how well its frequency was known at first, s/s.
pub(crate) fn supposed(most: f64, now: f64, frequency_sd: f64) -> Option<f64> {
    let unknown = frequency_sd >= Learnt::default().frequency_sd;
    let steps = steps_between(now, most);
    let is_likelier = steps.unsigned_abs() >= STEPS && (steps < 0 || unknown);
    is_likelier.then_some(most)
}

/// Among rivals with the evidence for each, the one to start from when a wander is supposed, if the
/// samples do not refute it: the nearest on that side of the middle.
pub(crate) fn nearest_on_the_way<R>(
    rivals: impl Iterator<Item = (Hypothesis, f64, R)>,
    middle: Hypothesis,
    wander: f64,
) -> Option<R> {
    let way = steps_between(middle.wander(), wander);
    let on_the_way = |one: Hypothesis| {
        let steps = steps_between(middle.wander(), one.wander());
        one.has_noise_of(middle) && steps.signum() == way.signum()
    };
    let (_, evidence, nearest) = rivals
        .filter(|(one, ..)| on_the_way(*one))
        .min_by_key(|(one, ..)| steps_between(one.wander(), wander).abs())?;
    let least = if way > 0 { MOST_AGAINST } else { 0.0 };
    (evidence >= least).then_some(nearest)
}

/// From one wander to another one, in factors of 2.
#[expect(
    clippy::cast_possible_truncation,
    reason = "float casts saturate, and what is no number is 0"
)]
fn steps_between(from: f64, to: f64) -> i32 {
    (to / from).log2().round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::Bank;
    use crate::dice::gauss;
    use crate::kalman::{Covariance, Kalman};

    const UTC: (f64, f64) = (-30e-6, 1e-9);

    fn at(secs: i64) -> Timestamp<Raw> {
        Timestamp::EPOCH + Duration::from_secs(secs)
    }

    fn clock(id: u32, frequency: f64, wander: f64) -> Companion {
        Companion {
            id,
            frequency,
            wander: (wander > 0.0).then_some(wander),
        }
    }

    /// What counts of these, after they have been so for a while.
    fn counts(utc: (f64, f64), all: &[Companion]) -> Option<f64> {
        let mut companions = Companions::default();
        companions.most_wander(at(0), all.iter().copied(), utc);
        companions.most_wander(at(200), all.iter().copied(), utc)
    }

    #[test]
    fn the_least_of_several_sums_is_the_most_that_the_host_wanders() {
        let both = [clock(1, 5e-6, 3e-10), clock(2, -4e-6, 8e-10)];
        assert_eq!(counts(UTC, &both), Some(3e-10));
        assert_eq!(counts(UTC, &[clock(1, 5e-6, 0.0), both[1]]), Some(8e-10));
        assert_eq!(counts(UTC, &[]), None);
    }

    #[test]
    fn a_clock_that_runs_as_utc_or_as_the_host_does_not_count() {
        for frequency in [0.0, 90e-9, -90e-9, UTC.0, UTC.0 + 90e-9] {
            assert_eq!(
                counts(UTC, &[clock(1, frequency, 3e-10)]),
                None,
                "{frequency}"
            );
        }
        // How fast UTC runs is known to 2 ppm only: it may be one of UTC.
        assert_eq!(counts((-30e-6, 2e-6), &[clock(1, -24e-6, 3e-10)]), None);
        assert_eq!(
            counts((-30e-6, 1e-6), &[clock(1, -24e-6, 3e-10)]),
            Some(3e-10)
        );
        assert_eq!(counts((0.0, f64::INFINITY), &[clock(1, 5e-6, 3e-10)]), None);
    }

    /// A copy of the host's clock runs otherwise while that is being corrected.
    #[test]
    fn a_clock_must_have_run_unlike_for_two_minutes() {
        let mut companions = Companions::default();
        let mut counts = |secs, frequency| {
            let one = [clock(1, frequency, 3e-10)];
            companions
                .most_wander(at(secs), one.into_iter(), UTC)
                .is_some()
        };
        let seen: Vec<bool> = (0..100)
            .map(|n| counts(4 * n, if n % 16 == 0 { UTC.0 + 20e-6 } else { UTC.0 }))
            .collect();
        assert!(!seen.contains(&true));
        assert!(!counts(500, 5e-6) && counts(516, 5e-6));
    }

    #[test]
    fn only_what_differs_by_a_factor_of_4_is_news() {
        let mut told = Told::default();
        let news = [1e-9, 1.9e-9, 5e-10, 4e-10, 2e-10, 1e-10, 1e-10];
        let found = news.map(|most| told.is_news(most));
        assert_eq!(found, [true, false, false, false, true, false, false]);
    }

    #[test]
    fn of_a_known_oscillator_only_less_wander_is_supposed() {
        let known = 1e-8;
        assert_eq!(supposed(1e-10, 1e-9, known), Some(1e-10));
        assert_eq!(supposed(1e-8, 1e-9, known), None);
        assert_eq!(supposed(1e-8, 1e-9, 100e-6), Some(1e-8));
        assert_eq!(supposed(7e-10, 1e-9, 100e-6), None);
    }

    const START: Kalman = Kalman {
        phase: 0.0,
        frequency: 0.0,
        covariance: Covariance {
            phase: 1e-12,
            cross: 0.0,
            frequency: 1e-14,
        },
    };

    /// A bank with the right noise that has seen some samples of an oscillator of this wander.
    fn bank(wander: f64, samples: u32) -> Bank {
        let mut bank = Bank::new(1e-6, 1e-9, START);
        let (mut seed, mut phase, mut frequency) = (7, 0.0, 0.0);
        for _ in 0..samples {
            phase += 64.0 * frequency;
            frequency += wander * 8.0 * gauss(&mut seed);
            bank.advance(64.0);
            bank.update(phase + 1e-6 * gauss(&mut seed), 0.0);
        }
        bank
    }

    #[test]
    fn samples_that_tell_nothing_let_a_bank_suppose_and_those_that_refute_do_not() {
        let mut young = bank(1e-9, 0);
        young.suppose_wander(1e-10);
        assert!((young.hypothesis().wander() / 1e-10).log2().abs() < 0.5);
        young.suppose_wander(2e-8);
        assert!((young.hypothesis().wander() / 2e-8).log2().abs() < 0.5);
        let mut old = bank(1e-9, 400);
        let found = old.hypothesis();
        assert!(old.seen_wander().is_some());
        old.suppose_wander(1e-10);
        old.suppose_wander(2e-8);
        assert_eq!(old.hypothesis(), found);
    }

    #[test]
    fn innovations_soon_override_a_wander_that_was_supposed_wrongly() {
        let mut bank = bank(1e-9, 0);
        bank.suppose_wander(3e-11);
        let (mut seed, mut phase, mut frequency) = (7, 0.0, 0.0);
        for _ in 0..60 {
            phase += 64.0 * frequency;
            frequency += 1e-8 * gauss(&mut seed);
            bank.advance(64.0);
            bank.update(phase + 1e-6 * gauss(&mut seed), 0.0);
        }
        assert!(
            bank.hypothesis().wander() > 3e-10,
            "{:?}",
            bank.hypothesis()
        );
    }

    /// Two clocks of one oscillator: their difference does not wander, and that is not seen as anything.
    #[test]
    fn a_wander_that_is_not_there_is_not_seen() {
        for samples in [10, 100, 1000, 10_000] {
            assert_eq!(bank(0.0, samples).seen_wander(), None, "{samples}");
        }
    }
}
