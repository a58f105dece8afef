//! Which sources tell the truth, and which of them are followed.
//!
//! Each source says: UTC lies within my root distance of my offset. If a majority of these
//! intervals have a point in common, those that share it are believed (Marzullo; RFC 5905
//! section 11.2.1); the others are falsetickers, and are told by which margin. Where some are
//! *trusted*, the majority is one of these, and only where they leave a choice do the others make it.
//!
//! Where some sources cannot be forged on the way and others can, the latter are *subordinate*:
//! they are not counted, and are believed only within what that majority agrees on.
//!
//! Of those believed the closest to UTC is selected, if enough agree and one that is required is
//! among them; preferred ones before all others.

use crate::estimate::SourceId;
use crate::part::{Reason, State};
use crate::policy::{Role, Selection};

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
    pub(crate) stratum: u8,
    pub(crate) role: Role,
    /// Has it been closer than the selected one for long enough to take its place?
    pub(crate) takes_over: bool,
}

impl Voter {
    fn low(&self) -> f64 {
        self.offset_s - self.distance_s
    }

    fn high(&self) -> f64 {
        self.offset_s + self.distance_s
    }

    fn score_s(&self, policy: &Selection) -> f64 {
        policy.score_s(self.distance_s, self.stratum)
    }
}

/// Gives each voter its part. `selected` is the one selected so far.
pub(crate) fn select(
    voters: &[Voter],
    selected: Option<SourceId>,
    policy: &Selection,
) -> Vec<(SourceId, State, Reason)> {
    let (believable, too_distant): (Vec<&Voter>, Vec<&Voter>) = voters
        .iter()
        .partition(|voter| voter.distance_s < policy.max_distance_s);
    let mut verdicts: Vec<_> = too_distant
        .iter()
        .map(|voter| {
            let (distance_s, limit_s) = (voter.distance_s, policy.max_distance_s);
            let reason = Reason::TooDistant {
                distance_s,
                limit_s,
            };
            (voter.id, State::Unusable, reason)
        })
        .collect();
    let (subordinate, ordinary): (Vec<&Voter>, Vec<&Voter>) =
        believable.iter().partition(|voter| voter.subordinate);
    let agreement = Agreement::of(&ordinary);
    if !agreement.is_of_a_majority() {
        let (agree, of, trusted) = agreement.counts();
        let reason = Reason::NoMajority { agree, of, trusted };
        verdicts.extend(all_unusable(&ordinary, reason));
        verdicts.extend(all_unusable(&subordinate, Reason::Unsupported));
        return verdicts;
    }
    let (true_ones, false_ones): (Vec<&Voter>, Vec<&Voter>) = ordinary
        .iter()
        .partition(|voter| agreement.missed_by(voter) == 0.0);
    verdicts.extend(false_ones.iter().map(|voter| outside(voter, &agreement)));
    if let Some(reason) = not_enough(&true_ones, policy) {
        verdicts.extend(all_unusable(&true_ones, reason));
        verdicts.extend(all_unusable(&subordinate, reason));
        return verdicts;
    }
    let any_preferred = true_ones.iter().any(|voter| voter.role.prefer);
    let is_followed = |voter: &&&Voter| voter.role.prefer || !any_preferred;
    let followed: Vec<&Voter> = true_ones.iter().filter(is_followed).copied().collect();
    if let Some(best) = closest(&followed, selected, policy) {
        let not_preferred = any_preferred.then_some(Reason::NotPreferred);
        verdicts.extend(
            true_ones
                .iter()
                .map(|voter| part_of(voter, best, not_preferred, policy)),
        );
        let part = |voter: &&Voter| {
            if agreement.missed_by(voter) != 0.0 {
                return contradicted(voter, &agreement);
            }
            let by_s = agreement.missed_from(voter.offset_s, voter.offset_s);
            if by_s == 0.0 {
                part_of(voter, best, not_preferred, policy)
            } else {
                (voter.id, State::Candidate, Reason::Beside { by_s })
            }
        };
        verdicts.extend(subordinate.iter().map(part));
    }
    verdicts
}

fn all_unusable(
    voters: &[&Voter],
    reason: Reason,
) -> impl Iterator<Item = (SourceId, State, Reason)> {
    voters
        .iter()
        .map(move |voter| (voter.id, State::Unusable, reason))
}

/// Why those that agree are not followed all the same; `None`: they are.
fn not_enough(true_ones: &[&Voter], policy: &Selection) -> Option<Reason> {
    let (have, need) = (true_ones.len(), policy.min_sources);
    if have < need {
        return Some(Reason::TooFew { have, need });
    }
    let has_required = true_ones.iter().any(|voter| voter.role.require);
    (policy.required && !has_required).then_some(Reason::RequiredMissing)
}

/// The one with the least distance; the one selected so far stays unless it is clearly beaten.
fn closest<'a>(
    voters: &[&'a Voter],
    selected: Option<SourceId>,
    policy: &Selection,
) -> Option<&'a Voter> {
    let score = |voter: &&&Voter| voter.score_s(policy);
    let least = |a: &&&Voter, b: &&&Voter| score(a).total_cmp(&score(b));
    let current = voters.iter().find(|voter| Some(voter.id) == selected);
    match current {
        None => voters.iter().min_by(least).copied(),
        Some(current) => {
            let rivals = voters
                .iter()
                .filter(|voter| voter.takes_over && score(voter) < score(&current));
            Some(rivals.min_by(least).unwrap_or(current))
        }
    }
}

/// The part of one that tells the truth, beside the `best` one. `not_preferred` is why it is not
/// followed if it is not preferred, where there is such a one. One without a voice has been found
/// unable to take the average out of what the others agree on.
fn part_of(
    voter: &Voter,
    best: &Voter,
    not_preferred: Option<Reason>,
    policy: &Selection,
) -> (SourceId, State, Reason) {
    let distance_s = voter.distance_s;
    if voter.id == best.id {
        return (voter.id, State::Selected, Reason::Closest { distance_s });
    }
    if let Some(reason) = not_preferred.filter(|_| !voter.role.prefer) {
        return (voter.id, State::Candidate, reason);
    }
    // Those at the best one's stratum are what the weight of a stratum is counted from.
    let more = voter.stratum.saturating_sub(best.stratum);
    if policy.score_s(distance_s, more) <= policy.combine_limit * best.distance_s {
        (voter.id, State::Combined, Reason::Agrees)
    } else {
        let best_s = best.distance_s;
        let reason = Reason::Distant { distance_s, best_s };
        (voter.id, State::Candidate, reason)
    }
}

/// The verdict on a voter whose interval misses what is agreed on.
fn outside(voter: &Voter, agreement: &Agreement) -> (SourceId, State, Reason) {
    let (by_s, explained_s) = agreement.beyond(voter);
    let (agree, of, trusted) = agreement.counts();
    let reason = Reason::Outside {
        by_s,
        explained_s,
        agree,
        of,
        trusted,
    };
    (voter.id, State::Falseticker, reason)
}

/// The same of one without a voice.
fn contradicted(voter: &Voter, agreement: &Agreement) -> (SourceId, State, Reason) {
    let (by_s, explained_s) = agreement.beyond(voter);
    let (agree, of, _) = agreement.counts();
    let reason = Reason::Contradicted {
        by_s,
        explained_s,
        agree,
        of,
    };
    (voter.id, State::Falseticker, reason)
}

/// How many share a point: trusted ones, and all. More trusted ones are more, whatever the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Depth {
    trusted: usize,
    all: usize,
}

impl Depth {
    fn add(&mut self, voter: &Voter) {
        self.all += 1;
        self.trusted += usize::from(voter.role.trust);
    }

    fn remove(&mut self, voter: &Voter) {
        self.all -= 1;
        self.trusted -= usize::from(voter.role.trust);
    }
}

/// The interval that most voters' intervals share.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Agreement {
    low: f64,
    high: f64,
    /// Those that share it.
    depth: Depth,
    /// Of how many.
    of: Depth,
}

impl Agreement {
    /// Sweeps over all ends; of several equally shared intervals the first is taken, which only
    /// matters without a majority.
    fn of(voters: &[&Voter]) -> Self {
        let mut ends: Vec<(f64, bool, &Voter)> = voters
            .iter()
            .flat_map(|voter| [(voter.low(), true, *voter), (voter.high(), false, *voter)])
            .collect();
        // At the same point intervals begin before others end: touching is sharing.
        ends.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let mut best = Self {
            low: 0.0,
            high: 0.0,
            depth: Depth::default(),
            of: Depth::default(),
        };
        let mut depth = Depth::default();
        for (index, (at, begins, voter)) in ends.iter().enumerate() {
            if *begins {
                depth.add(voter);
                best.of.add(voter);
                if depth > best.depth {
                    let high = ends.get(index + 1).map_or(*at, |next| next.0);
                    (best.low, best.high, best.depth) = (*at, high, depth);
                }
            } else {
                depth.remove(voter);
            }
        }
        best
    }

    /// How many of how many agree, of those that are counted; and are these the trusted ones?
    fn counts(&self) -> (usize, usize, bool) {
        if self.of.trusted > 0 {
            (self.depth.trusted, self.of.trusted, true)
        } else {
            (self.depth.all, self.of.all, false)
        }
    }

    fn is_of_a_majority(&self) -> bool {
        let (agree, of, _) = self.counts();
        agree * 2 > of
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
mod tests;
