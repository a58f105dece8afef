//! Sources that smear a leap second among others that do not.
//!
//! A server that smears spreads the second over a day, noon to noon: it runs slower than UTC by
//! 1/86400, 11.57 ppm, by up to half a second behind it before the leap and ahead of it after.
//! Neither it nor UTC is wrong in its own eyes, but the average of both is, and a majority of
//! either is right only about its own kind. Two sources whose frequencies differ by just that much
//! are told apart by this; so is one that says it by its reference id (ntpd: 254 and three octets
//! of its correction; chrony: 127.127.1.255).
//!
//! The kind of the majority is followed, so that a single source cannot, by running a little
//! faster, make smearers of all others. Where neither kind has the majority, nobody is followed
//! but those that remain when the ones that say of themselves that they smear are gone. That a
//! second is taken out has never happened; then the others would run slower.

use crate::estimate::SourceId;
use crate::leap::smears;
use crate::part::{Reason, State};
use crate::select::Voter;

/// How much slower a source runs that smears, s/s.
const RATE: f64 = 1.0 / 86_400.0;
/// A difference of frequencies within this of it is one, s/s.
const TOLERANCE: f64 = 0.35e-6;
/// A frequency counts if this is below that tolerance: three standard deviations.
const SIGMAS: f64 = 3.0;
/// Time of both kinds differs by no more than this, s: ahead or behind for all of the day.
const LARGEST_S: f64 = 1.0;

/// How a source that smears differs from those that do not, or the other way round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Smear {
    /// How far it is ahead of the others, s.
    pub by_s: f64,
    /// How much faster it runs than they do, s/s.
    pub rate: f64,
    /// Does its reference id say that it smears?
    pub said: bool,
}

/// A voter, and what tells its kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    pub(crate) voter: Voter,
    /// UTC's frequency against the oscillator, as it has it, s/s.
    pub(crate) frequency: f64,
    /// Its standard deviation, s/s.
    pub(crate) frequency_sd: f64,
    pub(crate) reference_id: [u8; 4],
}

impl Pace {
    fn says_so(&self) -> bool {
        smears(self.reference_id) && self.voter.stratum > 1
    }

    /// Does it run slower than the other one, by as much as who smears a second?
    fn lags(&self, other: &Self) -> bool {
        let uncertain = SIGMAS * self.frequency_sd.hypot(other.frequency_sd);
        let slower = other.frequency - self.frequency;
        let apart_s = (other.voter.offset_s - self.voter.offset_s).abs();
        let explained_s = self.voter.distance_s + other.voter.distance_s;
        uncertain < TOLERANCE
            && (slower - RATE).abs() < TOLERANCE
            && apart_s < LARGEST_S + explained_s
    }
}

/// Those of one kind that are not to be averaged with the others, and why. Nobody, where all are of
/// the same kind.
pub(crate) fn set_apart(paces: &[Pace]) -> Vec<(SourceId, State, Reason)> {
    let is_smeared = |one: &&Pace| one.says_so() || paces.iter().any(|other| one.lags(other));
    let (smeared, straight): (Vec<&Pace>, Vec<&Pace>) = paces.iter().partition(is_smeared);
    if smeared.is_empty() || straight.is_empty() {
        return Vec::new();
    }
    let any_trusted = paces.iter().any(|one| counts(one) && one.voter.role.trust);
    let voices = |kind: &[&Pace]| {
        let has_voice = |one: &&&Pace| counts(one) && (!any_trusted || one.voter.role.trust);
        kind.iter().filter(has_voice).count()
    };
    let (with, without) = (voices(&smeared), voices(&straight));
    let said = smeared.iter().all(|one| one.says_so());
    let mut apart = Vec::new();
    if without >= with {
        apart.extend(smeared.iter().map(|one| {
            let smear = beside(one, &straight);
            (one.voter.id, State::Falseticker, Reason::Smears(smear))
        }));
    }
    if with > without {
        apart.extend(straight.iter().map(|one| {
            let smear = beside(one, &smeared);
            (
                one.voter.id,
                State::Falseticker,
                Reason::DoesNotSmear(smear),
            )
        }));
    } else if with == without && !said {
        let (agree, of, trusted) = (without, with + without, any_trusted);
        let reason = Reason::NoMajority { agree, of, trusted };
        apart.extend(
            straight
                .iter()
                .map(|one| (one.voter.id, State::Unusable, reason)),
        );
    }
    apart
}

/// Is it one that decides?
fn counts(one: &Pace) -> bool {
    !one.voter.subordinate
}

/// How one differs from those of the other kind: from the middle of them.
fn beside(one: &Pace, others: &[&Pace]) -> Smear {
    let middle = |value: fn(&Pace) -> f64| {
        let mut values: Vec<f64> = others.iter().map(|other| value(other)).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    Smear {
        by_s: one.voter.offset_s - middle(|other| other.voter.offset_s),
        rate: one.frequency - middle(|other| other.frequency),
        said: one.says_so(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Role;
    use proptest::prelude::*;

    fn pace(id: u32, offset_s: f64, slower_ppm: f64) -> Pace {
        Pace {
            voter: Voter {
                id: SourceId(id),
                offset_s,
                distance_s: 10e-3,
                subordinate: false,
                stratum: 2,
                role: Role::default(),
                takes_over: false,
            },
            frequency: 7e-6 - slower_ppm * 1e-6,
            frequency_sd: 1e-8,
            reference_id: [192, 0, 2, 1],
        }
    }

    fn reason(paces: &[Pace], id: u32) -> String {
        let apart = set_apart(paces);
        let found = apart.iter().find(|one| one.0 == SourceId(id));
        found.map(|one| one.2.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_one_that_smears_is_named_before_it_disagrees() {
        // Within the root distances still: it would be averaged.
        let paces = [pace(1, 0.0, 0.0), pace(2, 1e-3, 0.0), pace(3, -8e-3, 11.57)];
        assert_eq!(
            reason(&paces, 3),
            "smears a leap second, and other sources do not: 9.0 ms behind them and 11.6 ppm slower"
        );
        assert_eq!(set_apart(&paces).len(), 1);
    }

    #[test]
    fn a_drift_that_is_another_is_no_smear() {
        for ppm in [5.0, 10.9, 12.3, 40.0] {
            let paces = [pace(1, 0.0, 0.0), pace(2, 0.0, 0.0), pace(3, -8e-3, ppm)];
            assert!(set_apart(&paces).is_empty(), "{ppm}");
        }
        let mut vague = pace(3, -8e-3, 11.57);
        vague.frequency_sd = 1e-6;
        assert!(set_apart(&[pace(1, 0.0, 0.0), vague]).is_empty());
        // More than a leap second ever makes.
        assert!(set_apart(&[pace(1, 0.0, 0.0), pace(2, 1.5, 11.57)]).is_empty());
    }

    #[test]
    fn one_that_runs_faster_does_not_make_smearers_of_all_others() {
        let paces = [pace(1, 0.0, 0.0), pace(2, 0.0, 0.0), pace(3, 0.1, -11.57)];
        let apart = set_apart(&paces);
        assert_eq!(apart.len(), 1);
        assert!(reason(&paces, 3).starts_with("does not smear the leap second that most"));
    }

    #[test]
    fn without_a_majority_of_either_kind_nobody_is_followed() {
        let paces = [pace(1, 0.0, 0.0), pace(2, -0.2, 11.57)];
        assert_eq!(set_apart(&paces).len(), 2);
        assert!(reason(&paces, 1).starts_with("no majority: at most 1 of 2"));
        // Unless it says so of itself.
        let mut said = paces;
        said[1].reference_id = [127, 127, 1, 255];
        assert_eq!(set_apart(&said).len(), 1);
        assert!(reason(&said, 2).ends_with("slower, and its reference id says so"));
        // Or one kind is trusted.
        let mut trusted = paces;
        trusted[0].voter.role.trust = true;
        assert_eq!(set_apart(&trusted).len(), 1);
    }

    proptest! {
        /// Whoever is in the minority cannot, whatever it says, have the majority set apart.
        #[test]
        fn a_minority_sets_nobody_of_an_honest_majority_apart(
            lies in prop::collection::vec((-1.0_f64..1.0, -30.0_f64..30.0, any::<bool>()), 0..3),
        ) {
            let mut paces: Vec<_> = (0..3).map(|id| pace(id, 0.0, 0.0)).collect();
            paces.extend((10..).zip(&lies).map(|(id, (offset, ppm, said))| Pace {
                reference_id: if *said { [254, 0, 0, 1] } else { [192, 0, 2, 1] },
                ..pace(id, *offset, *ppm)
            }));
            let apart = set_apart(&paces);
            prop_assert!(apart.iter().all(|one| one.0 >= SourceId(10)), "{apart:?}");
        }
    }
}
