//! Which sources tell the truth.
//!
//! Each source says: UTC lies within my root distance of my offset. If a majority of these
//! intervals have a point in common, those that share it are believed (Marzullo; RFC 5905
//! section 11.2.1); the others are falsetickers, and are told by which margin.
//!
//! Where some sources cannot be forged on the way and others can, the latter are *subordinate*:
//! they are not counted, and are believed only within what that majority agrees on.

use crate::estimate::SourceId;
use crate::part::{MAX_DISTANCE_S, Reason, State};

/// A believed source this many times further from UTC than the best adds nothing to it.
const COMBINE_WITHIN: f64 = 3.0;
/// A rival must be this much closer to take the selection over, so that it does not hop.
const RESELECT_BELOW: f64 = 0.5;

/// A source that may be believed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Voter {
    pub(crate) id: SourceId,
    /// Its offset from any point common to all, s.
    pub(crate) offset_s: f64,
    /// Its root distance, s.
    pub(crate) distance_s: f64,
    /// Has it no voice, so that it must agree with those that have?
    pub(crate) subordinate: bool,
}

impl Voter {
    fn low(&self) -> f64 {
        self.offset_s - self.distance_s
    }

    fn high(&self) -> f64 {
        self.offset_s + self.distance_s
    }
}

/// Gives each voter its part. `selected` is the one selected so far.
pub(crate) fn select(
    voters: &[Voter],
    selected: Option<SourceId>,
) -> Vec<(SourceId, State, Reason)> {
    let (believable, too_distant): (Vec<&Voter>, Vec<&Voter>) = voters
        .iter()
        .partition(|voter| voter.distance_s < MAX_DISTANCE_S);
    let mut verdicts: Vec<_> = too_distant
        .iter()
        .map(|voter| {
            let distance_s = voter.distance_s;
            (voter.id, State::Unusable, Reason::TooDistant { distance_s })
        })
        .collect();
    let (subordinate, ordinary): (Vec<&Voter>, Vec<&Voter>) =
        believable.iter().partition(|voter| voter.subordinate);
    let agreement = Agreement::of(&ordinary);
    let of = ordinary.len();
    if agreement.count * 2 <= of {
        let agree = agreement.count;
        let refused =
            |voter: &&Voter| (voter.id, State::Unusable, Reason::NoMajority { agree, of });
        verdicts.extend(ordinary.iter().map(refused));
        let unsupported = |voter: &&Voter| (voter.id, State::Unusable, Reason::Unsupported);
        verdicts.extend(subordinate.iter().map(unsupported));
        return verdicts;
    }
    let (true_ones, false_ones): (Vec<&Voter>, Vec<&Voter>) = ordinary
        .iter()
        .partition(|voter| agreement.missed_by(voter) == 0.0);
    verdicts.extend(false_ones.iter().map(|voter| {
        let (by_s, explained_s) = agreement.beyond(voter);
        let reason = Reason::Outside {
            by_s,
            explained_s,
            agree: agreement.count,
            of,
        };
        (voter.id, State::Falseticker, reason)
    }));
    if let Some(best) = closest(&true_ones, selected) {
        verdicts.extend(true_ones.iter().map(|voter| part_of(voter, best)));
        let part = |voter: &&Voter| subordinate_part(voter, best, &agreement, of);
        verdicts.extend(subordinate.iter().map(part));
    }
    verdicts
}

/// The one with the least distance; the one selected so far stays unless it is clearly beaten.
fn closest<'a>(voters: &[&'a Voter], selected: Option<SourceId>) -> Option<&'a Voter> {
    let best = *voters
        .iter()
        .min_by(|a, b| a.distance_s.total_cmp(&b.distance_s))?;
    let current = voters.iter().find(|voter| Some(voter.id) == selected);
    match current {
        Some(current) if best.distance_s > RESELECT_BELOW * current.distance_s => Some(current),
        _ => Some(best),
    }
}

fn part_of(voter: &Voter, best: &Voter) -> (SourceId, State, Reason) {
    let distance_s = voter.distance_s;
    if voter.id == best.id {
        (voter.id, State::Selected, Reason::Closest { distance_s })
    } else if distance_s <= COMBINE_WITHIN * best.distance_s {
        (voter.id, State::Combined, Reason::Agrees)
    } else {
        let best_s = best.distance_s;
        (
            voter.id,
            State::Candidate,
            Reason::Distant { distance_s, best_s },
        )
    }
}

/// The part of a voter without a voice, beside the `best` of the `of` voters that have one. It may
/// be averaged with them where that cannot take the average out of what they agree on.
fn subordinate_part(
    voter: &Voter,
    best: &Voter,
    agreement: &Agreement,
    of: usize,
) -> (SourceId, State, Reason) {
    if agreement.missed_by(voter) != 0.0 {
        let (by_s, explained_s) = agreement.beyond(voter);
        let reason = Reason::Contradicted {
            by_s,
            explained_s,
            agree: agreement.count,
            of,
        };
        return (voter.id, State::Falseticker, reason);
    }
    let by_s = agreement.missed_from(voter.offset_s, voter.offset_s);
    if by_s == 0.0 {
        part_of(voter, best)
    } else {
        (voter.id, State::Candidate, Reason::Beside { by_s })
    }
}

/// The interval that most voters' intervals share.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Agreement {
    low: f64,
    high: f64,
    count: usize,
}

impl Agreement {
    /// Sweeps over all ends; of several equally shared intervals the first is taken, which only
    /// matters without a majority.
    fn of(voters: &[&Voter]) -> Self {
        let mut ends: Vec<(f64, bool)> = voters
            .iter()
            .flat_map(|voter| [(voter.low(), true), (voter.high(), false)])
            .collect();
        // At the same point intervals begin before others end: touching is sharing.
        ends.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let mut best = Self {
            low: 0.0,
            high: 0.0,
            count: 0,
        };
        let mut depth = 0;
        for (index, (at, begins)) in ends.iter().enumerate() {
            if *begins {
                depth += 1;
                if depth > best.count {
                    let high = ends.get(index + 1).map_or(*at, |next| next.0);
                    best = Self {
                        low: *at,
                        high,
                        count: depth,
                    };
                }
            } else {
                depth -= 1;
            }
        }
        best
    }

    /// Of a voter whose interval misses this one: how far it is from the middle, s, positive if ahead,
    /// and how much of that the widths of both explain, s.
    fn beyond(&self, voter: &Voter) -> (f64, f64) {
        let by_s = voter.offset_s - f64::midpoint(self.low, self.high);
        (by_s, by_s.abs() - self.missed_by(voter).abs())
    }

    /// By how much a voter's interval misses this one, s; 0 if it does not, positive if ahead.
    fn missed_by(&self, voter: &Voter) -> f64 {
        self.missed_from(voter.low(), voter.high())
    }

    /// The same of any interval.
    fn missed_from(&self, low: f64, high: f64) -> f64 {
        if low > self.high {
            low - self.high
        } else if high < self.low {
            high - self.low
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn voter(id: u32, offset_s: f64, distance_s: f64) -> Voter {
        Voter {
            id: SourceId(id),
            offset_s,
            distance_s,
            subordinate: false,
        }
    }

    fn state_of(verdicts: &[(SourceId, State, Reason)], id: u32) -> Option<State> {
        let found = verdicts.iter().find(|v| v.0 == SourceId(id));
        found.map(|v| v.1)
    }

    #[test]
    fn the_one_that_lies_is_named_and_by_how_much() {
        let voters = [
            voter(1, 0.0, 1e-3),
            voter(2, 0.2e-3, 1e-3),
            voter(3, -0.1e-3, 1.2e-3),
            voter(4, 20e-3, 1e-3),
        ];
        let verdicts = select(&voters, None);
        assert_eq!(state_of(&verdicts, 4), Some(State::Falseticker));
        let reason = verdicts.iter().find(|v| v.0 == SourceId(4)).map(|v| v.2);
        let text = reason.map(|r| r.to_string()).unwrap_or_default();
        assert_eq!(
            text,
            "19.9 ms ahead of the 3 of 4 sources that agree; root distances explain only 1.9 ms"
        );
        assert_eq!(state_of(&verdicts, 1), Some(State::Selected));
        assert_eq!(state_of(&verdicts, 2), Some(State::Combined));
    }

    #[test]
    fn two_that_contradict_each_other_are_both_refused() {
        let verdicts = select(&[voter(1, 0.0, 1e-3), voter(2, 1.0, 1e-3)], None);
        assert!(verdicts.iter().all(|v| v.1 == State::Unusable));
    }

    #[test]
    fn half_is_no_majority() {
        let voters = [
            voter(1, 0.0, 1e-3),
            voter(2, 0.0, 1e-3),
            voter(3, 1.0, 1e-3),
            voter(4, 1.0, 1e-3),
        ];
        assert!(select(&voters, None).iter().all(|v| v.1 == State::Unusable));
    }

    #[test]
    fn the_selection_does_not_hop() {
        let voters = [voter(1, 0.0, 1.0e-3), voter(2, 0.0, 0.8e-3)];
        let stays = select(&voters, Some(SourceId(1)));
        assert_eq!(state_of(&stays, 1), Some(State::Selected));
        let voters = [voter(1, 0.0, 1.0e-3), voter(2, 0.0, 0.4e-3)];
        let goes = select(&voters, Some(SourceId(1)));
        assert_eq!(state_of(&goes, 2), Some(State::Selected));
    }

    fn subordinate(id: u32, offset_s: f64, distance_s: f64) -> Voter {
        Voter {
            subordinate: true,
            ..voter(id, offset_s, distance_s)
        }
    }

    fn reason_of(verdicts: &[(SourceId, State, Reason)], id: u32) -> String {
        let found = verdicts.iter().find(|v| v.0 == SourceId(id));
        found.map(|v| v.2.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_majority_without_a_voice_is_contradicted_by_one_that_has_it() {
        let voters = [
            voter(1, 0.0, 10e-3),
            subordinate(2, 50e-3, 1e-3),
            subordinate(3, 50e-3, 1e-3),
            subordinate(4, 2e-3, 1e-3),
            subordinate(5, 3e-3, 40e-3),
        ];
        let verdicts = select(&voters, Some(SourceId(2)));
        assert_eq!(state_of(&verdicts, 1), Some(State::Selected));
        assert_eq!(state_of(&verdicts, 2), Some(State::Falseticker));
        assert_eq!(
            reason_of(&verdicts, 2),
            "50.0 ms ahead of the 1 of 1 authenticated sources that agree; root distances explain \
             only 11.0 ms"
        );
        // Closer to UTC than the selected one, if it is to be believed: averaged, not selected.
        assert_eq!(state_of(&verdicts, 4), Some(State::Combined));
        assert_eq!(state_of(&verdicts, 5), Some(State::Candidate));
    }

    #[test]
    fn one_without_a_voice_does_not_draw_the_average_out_of_what_is_agreed_on() {
        let voters = [voter(1, 0.0, 10e-3), subordinate(2, -12e-3, 3e-3)];
        let verdicts = select(&voters, None);
        assert_eq!(state_of(&verdicts, 2), Some(State::Candidate));
        assert_eq!(
            reason_of(&verdicts, 2),
            "agrees, but lies 2.0 ms behind what the authenticated sources agree on"
        );
    }

    #[test]
    fn without_a_majority_of_those_that_have_a_voice_nobody_is_followed() {
        let others = [subordinate(3, 0.0, 1e-3), subordinate(4, 0.0, 1e-3)];
        let verdicts = select(&others, None);
        assert!(verdicts.iter().all(|v| v.1 == State::Unusable));
        assert!(reason_of(&verdicts, 3).starts_with("no authenticated source can be believed"));

        let two = [voter(1, 0.0, 1e-3), voter(2, 1.0, 1e-3)];
        let verdicts = select(&[two, others].concat(), None);
        assert!(reason_of(&verdicts, 1).starts_with("no majority: at most 1 of 2"));
        assert!(reason_of(&verdicts, 3).contains("not followed alone"));
        // Too distant to be believed is as good as not there.
        let verdicts = select(&[&[voter(1, 0.0, 4.0)], &others[..]].concat(), None);
        assert!(reason_of(&verdicts, 4).contains("not followed alone"));
    }

    proptest! {
        /// Those without a voice change nothing for the others, are never selected, and lie, if
        /// they are averaged, within what all believed ones with a voice say.
        #[test]
        fn voters_without_a_voice_decide_nothing(
            with in prop::collection::vec((-1.0f64..1.0, 1e-3f64..2.0), 0..5),
            without in prop::collection::vec((-1.0f64..1.0, 1e-6f64..2.0), 0..12),
            selected in 0u32..20,
        ) {
            let mut voters: Vec<_> = (0..).zip(&with).map(|(i, (o, d))| voter(i, *o, *d)).collect();
            let selected = Some(SourceId(selected));
            let mut alone = select(&voters, selected);
            voters.extend((10..).zip(&without).map(|(i, (o, d))| subordinate(i, *o, *d)));
            let (others, mut ordinary): (Vec<_>, Vec<_>) =
                select(&voters, selected).into_iter().partition(|v| v.0 >= SourceId(10));
            for verdicts in [&mut alone, &mut ordinary] {
                verdicts.sort_by_key(|v| v.0);
            }
            prop_assert_eq!(&ordinary, &alone);
            prop_assert_eq!(others.len(), without.len());
            let believed = |v: &&(SourceId, State, Reason)| {
                matches!(v.1, State::Selected | State::Combined | State::Candidate)
            };
            let find = |id: SourceId| voters.iter().find(|voter| voter.id == id);
            for (id, state, _) in &others {
                prop_assert_ne!(*state, State::Selected);
                if *state != State::Combined {
                    continue;
                }
                prop_assert!(ordinary.iter().any(|v| v.1 == State::Selected));
                let offset_s = find(*id).map_or(f64::NAN, |voter| voter.offset_s);
                for verdict in ordinary.iter().filter(believed) {
                    let within = find(verdict.0)
                        .is_some_and(|voter| voter.low() <= offset_s && offset_s <= voter.high());
                    prop_assert!(within, "{id:?} of {voters:?}");
                }
            }
        }

        #[test]
        fn each_voter_gets_one_part_and_at_most_one_is_selected(
            raw in prop::collection::vec((-1.0f64..1.0, 1e-6f64..5.0), 0..12),
        ) {
            let voters: Vec<_> = (0..).zip(&raw).map(|(i, (o, d))| voter(i, *o, *d)).collect();
            let verdicts = select(&voters, None);
            prop_assert_eq!(verdicts.len(), voters.len());
            let selected = verdicts.iter().filter(|v| v.1 == State::Selected).count();
            prop_assert!(selected <= 1);
        }

        /// With a majority within their distances of the truth, what is believed is true, too.
        #[test]
        fn a_true_majority_is_believed(
            honest in prop::collection::vec((-1.0f64..1.0, 1e-4f64..1e-1), 3..6),
            liars in prop::collection::vec((1.0f64..2.0, 1e-4f64..1e-1), 0..2),
        ) {
            let mut voters: Vec<_> = (0..)
                .zip(&honest)
                .map(|(i, (part, d))| voter(i, part * d, *d))
                .collect();
            voters.extend((100..).zip(&liars).map(|(i, (o, d))| voter(i, *o, *d)));
            for (id, state, _) in select(&voters, None) {
                let lies = id.0 >= 100;
                prop_assert_eq!(state == State::Falseticker, lies);
            }
        }
    }
}
