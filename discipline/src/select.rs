//! Which sources tell the truth.
//!
//! Each source says: UTC lies within my root distance of my offset. If a majority of these
//! intervals have a point in common, those that share it are believed (Marzullo; RFC 5905
//! section 11.2.1); the others are falsetickers, and are told by which margin.

use core::fmt;

use crate::estimate::SourceId;

/// A believed source this many times further from UTC than the best adds nothing to it.
const COMBINE_WITHIN: f64 = 3.0;
/// A rival must be this much closer to take the selection over, so that it does not hop.
const RESELECT_BELOW: f64 = 0.5;
/// Nothing is believed that may be further off than this, s (chrony's maxdistance).
const MAX_DISTANCE_S: f64 = 3.0;

/// What part a source plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its stratum and root distance are ours.
    Selected,
    /// It tells the truth and is averaged with the selected one.
    Combined,
    /// It tells the truth and is not needed.
    Candidate,
    /// It contradicts the majority.
    Falseticker,
    /// Too little is known of it yet.
    Waiting,
    /// It can't be believed, or no majority agrees.
    Unusable,
    /// It does not answer.
    Unreachable,
}

impl State {
    /// The name used in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Selected => "selected",
            Self::Combined => "combined",
            Self::Candidate => "candidate",
            Self::Falseticker => "falseticker",
            Self::Waiting => "waiting",
            Self::Unusable => "unusable",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Why a source is in its state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reason {
    /// The smallest root distance of those that agree, s.
    Closest {
        /// Its root distance, s.
        distance_s: f64,
    },
    /// It agrees with the majority, and its root distance is near the selected one's.
    Agrees,
    /// It agrees, but its root distance is several times the selected one's.
    Distant {
        /// Its root distance, s.
        distance_s: f64,
        /// The selected one's, s.
        best_s: f64,
    },
    /// Its interval misses what the majority agrees on.
    Outside {
        /// How far it is from the middle of that, s; positive: it is ahead of the others.
        by_s: f64,
        /// How much of that the root distances explain, s.
        explained_s: f64,
        /// How many sources agree.
        agree: usize,
        /// Of how many.
        of: usize,
    },
    /// No majority agrees.
    NoMajority {
        /// The largest number that agrees.
        agree: usize,
        /// Of how many.
        of: usize,
    },
    /// It may be further off than can be believed.
    TooDistant {
        /// Its root distance, s.
        distance_s: f64,
    },
    /// It has given too few samples.
    FewSamples {
        /// How many it has given.
        have: u32,
        /// How many are needed.
        need: u32,
    },
    /// The other sources have not had their chance to contradict it yet.
    WaitingForOthers,
    /// The last eight requests went unanswered.
    NoAnswer,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Closest { distance_s } => {
                write!(f, "closest to UTC: root distance {}", Si(distance_s))
            }
            Self::Agrees => write!(f, "agrees with the selected source"),
            Self::Distant { distance_s, best_s } => write!(
                f,
                "agrees, but its root distance of {} is too far from the best one's {}",
                Si(distance_s),
                Si(best_s)
            ),
            Self::Outside {
                by_s,
                explained_s,
                agree,
                of,
            } => write!(
                f,
                "{} {} the {agree} of {of} sources that agree; root distances explain only {}",
                Si(by_s.abs()),
                if by_s > 0.0 { "ahead of" } else { "behind" },
                Si(explained_s),
            ),
            Self::NoMajority { agree, of } => write!(
                f,
                "no majority: at most {agree} of {of} sources agree with each other"
            ),
            Self::TooDistant { distance_s } => write!(
                f,
                "root distance {} is above {}",
                Si(distance_s),
                Si(MAX_DISTANCE_S)
            ),
            Self::FewSamples { have, need } => write!(f, "{have} of {need} samples"),
            Self::WaitingForOthers => write!(f, "waiting for the other sources"),
            Self::NoAnswer => write!(f, "does not answer"),
        }
    }
}

/// Seconds, shown with the unit that suits.
struct Si(f64);

impl fmt::Display for Si {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0.abs() {
            s if s >= 1.0 => (self.0, "s"),
            s if s >= 1e-3 => (self.0 * 1e3, "ms"),
            s if s >= 1e-6 => (self.0 * 1e6, "us"),
            _ => (self.0 * 1e9, "ns"),
        };
        write!(f, "{value:.1} {unit}")
    }
}

/// A source that may be believed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Voter {
    pub(crate) id: SourceId,
    /// Its offset from any point common to all, s.
    pub(crate) offset_s: f64,
    /// Its root distance, s.
    pub(crate) distance_s: f64,
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
    let agreement = Agreement::of(&believable);
    let of = believable.len();
    if agreement.count * 2 <= of {
        let agree = agreement.count;
        verdicts.extend(
            believable
                .iter()
                .map(|voter| (voter.id, State::Unusable, Reason::NoMajority { agree, of })),
        );
        return verdicts;
    }
    let (true_ones, false_ones): (Vec<&Voter>, Vec<&Voter>) = believable
        .iter()
        .partition(|voter| agreement.missed_by(voter) == 0.0);
    verdicts.extend(false_ones.iter().map(|voter| {
        let by_s = voter.offset_s - f64::midpoint(agreement.low, agreement.high);
        let reason = Reason::Outside {
            by_s,
            explained_s: by_s.abs() - agreement.missed_by(voter).abs(),
            agree: agreement.count,
            of,
        };
        (voter.id, State::Falseticker, reason)
    }));
    let best = closest(&true_ones, selected);
    verdicts.extend(
        true_ones
            .iter()
            .filter_map(|voter| Some(part_of(voter, best?))),
    );
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

    /// By how much a voter's interval misses this one, s; 0 if it does not, positive if ahead.
    fn missed_by(&self, voter: &Voter) -> f64 {
        if voter.low() > self.high {
            voter.low() - self.high
        } else if voter.high() < self.low {
            voter.high() - self.low
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

    proptest! {
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
