//! Sources that do not agree about a leap second.
//!
//! A valid list decides, and without one more than half of the sources that have a vote. Either way somebody
//! is wrong where they differ, and will be a second off after midnight: that is to be seen to before.

use clockwright_discipline::{ClockReading, Leap, LeapSecond, SourceId};
use clockwright_timebase::{Duration, Timestamp, Utc};
use tracing::{info, warn};

use super::daemon::Daemon;
use super::leap::{end_of_day, is_leap_day};

/// Servers hear of a leap second from each other, at their polls: so long into its day those that say
/// nothing yet are no reason for concern.
const HEARD_WITHIN: Duration = Duration::from_secs(3_600);
/// Sources named on each side, at most.
const MOST_NAMED: usize = 4;

/// What sources say of the leap second at the end of a day, and what comes of it.
struct Ballot<'a> {
    /// Who says what.
    votes: &'a [(String, Leap)],
    /// What the list has for this day, if a valid one decides, and where it is.
    list: Option<(Leap, String)>,
    /// What most of them say.
    most: Leap,
}

impl Ballot<'_> {
    /// Who is not of one mind, and what is done; `None`: nobody.
    fn disagreement(&self) -> Option<String> {
        let kinds = [
            (Leap::Insert, "one is inserted"),
            (Leap::Delete, "one is left out"),
            (Leap::None, "there is none"),
        ];
        let sides: Vec<String> = kinds
            .into_iter()
            .filter_map(|(leap, what)| Some(format!("{what} according to {}", self.named(leap)?)))
            .collect();
        let first = self.votes.first()?.1;
        let divided = self.votes.iter().any(|(_, leap)| *leap != first);
        // Sources that announce none are not wrong yet: many do it late, or never.
        let contradicted = |list: &(Leap, String)| list.0 != self.most && self.most != Leap::None;
        if !divided && !self.list.as_ref().is_some_and(contradicted) {
            return None;
        }
        let decided = match &self.list {
            Some((leap, path)) => format!("{path} is believed, by which {}", what_comes(*leap)),
            None => format!("most of them decide: {}", what_comes(self.most)),
        };
        Some(format!("{}; {decided}", sides.join(", ")))
    }

    /// The names of those who say this.
    fn named(&self, leap: Leap) -> Option<String> {
        let of_it = self.votes.iter().filter(|(_, said)| *said == leap);
        let names: Vec<&str> = of_it.map(|(name, _)| name.as_str()).collect();
        let shown = names.iter().take(MOST_NAMED).copied().collect::<Vec<_>>();
        let rest = names.len() - shown.len();
        let shown = shown.join(", ");
        match (names.len(), rest) {
            (0, _) => None,
            (_, 0) => Some(shown),
            _ => Some(format!("{shown} and {rest} more")),
        }
    }
}

const fn what_comes(leap: Leap) -> &'static str {
    match leap {
        Leap::None => "there is none",
        Leap::Insert => "one is inserted",
        Leap::Delete => "one is left out",
    }
}

fn kind(second: Option<LeapSecond>) -> Leap {
    match second.map(|second| second.inserted) {
        None => Leap::None,
        Some(true) => Leap::Insert,
        Some(false) => Leap::Delete,
    }
}

/// Is it a day at whose end servers may announce a leap second, and have they all had time to?
fn is_to_be_agreed(now: Timestamp<Utc>) -> bool {
    let begun = Duration::from_secs(86_400) - (end_of_day(now) - now);
    is_leap_day(now) && begun >= HEARD_WITHIN
}

impl Daemon {
    /// Who is not of one mind about a leap second at the end of this day, and what is done.
    pub(super) fn leap_disagreement(&self, reading: ClockReading) -> Option<String> {
        let now = reading.clock;
        if !is_to_be_agreed(now) {
            return None;
        }
        let name = |id: SourceId| self.name_of(id).unwrap_or_else(|| id.0.to_string());
        let votes = self.discipline.leap_votes(reading.raw);
        let votes: Vec<_> = votes.map(|(id, leap)| (name(id), leap)).collect();
        let ballot = Ballot {
            votes: &votes,
            list: self.leap_list.valid(now).map(|list| {
                let path = self.leap_list.path().display().to_string();
                (kind(list.today(now)), path)
            }),
            most: self.discipline.leap(reading.raw),
        };
        ballot.disagreement()
    }

    /// Warns of a disagreement when it begins and when it changes.
    pub(super) fn tell_of_votes(&mut self, reading: ClockReading) {
        let found = self.leap_disagreement(reading);
        if found == self.told_votes {
            return;
        }
        let before = std::mem::replace(&mut self.told_votes, found);
        match &self.told_votes {
            Some(found) => {
                if let Some(leave) = self.limiter.leave("leap", reading.raw) {
                    warn!(
                        "sources disagree about a leap second at the end of this day: {found}{leave}"
                    );
                }
            }
            None if before.is_some() && is_to_be_agreed(reading.clock) => {
                info!("no source disagrees about the leap second any more");
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Leap::{Delete, Insert, None as Nothing};

    fn said(votes: &[(&str, Leap)], most: Leap, list: Option<Leap>) -> Option<String> {
        let votes: Vec<_> = votes
            .iter()
            .map(|(name, leap)| ((*name).to_owned(), *leap))
            .collect();
        Ballot {
            votes: &votes,
            list: list.map(|leap| (leap, "/list".to_owned())),
            most,
        }
        .disagreement()
    }

    #[test]
    fn those_of_one_mind_are_not_told_of() {
        for leap in [Nothing, Insert, Delete] {
            assert_eq!(said(&[("a", leap), ("b", leap)], leap, None), None);
            assert_eq!(said(&[("a", leap)], leap, Some(leap)), None);
        }
        assert_eq!(said(&[], Nothing, None), None);
        // They may announce it late.
        assert_eq!(said(&[("a", Nothing)], Nothing, Some(Insert)), None);
    }

    #[test]
    fn both_sides_are_named_with_the_rule_that_decides() {
        let votes = [("a", Insert), ("b", Nothing), ("c", Insert), ("d", Delete)];
        assert_eq!(
            said(&votes[..3], Insert, None).as_deref(),
            Some(
                "one is inserted according to a, c, there is none according to b; most of them \
                 decide: one is inserted"
            )
        );
        assert_eq!(
            said(&votes, Nothing, Some(Insert)).as_deref(),
            Some(
                "one is inserted according to a, c, one is left out according to d, there is none \
                 according to b; /list is believed, by which one is inserted"
            )
        );
        // All of them against the list.
        assert_eq!(
            said(&[("a", Insert)], Insert, Some(Nothing)).as_deref(),
            Some("one is inserted according to a; /list is believed, by which there is none")
        );
    }

    #[test]
    fn no_more_than_four_are_named() {
        let mut votes = vec![("a", Insert); 7];
        votes.push(("b", Nothing));
        let told = said(&votes, Insert, None);
        let expected =
            "one is inserted according to a, a, a, a and 3 more, there is none according to b; ";
        assert!(told.is_some_and(|told| told.starts_with(expected)));
    }

    #[test]
    fn only_on_the_day_and_not_in_its_first_hour() {
        // 2017-01-01 0:00:00.
        let at = |secs: i64| Timestamp::from_timespec(1_483_228_800 + secs, 0);
        assert!(is_to_be_agreed(at(-1)) && is_to_be_agreed(at(-82_800)));
        assert!(!is_to_be_agreed(at(-82_801)) && !is_to_be_agreed(at(0)));
        assert!(!is_to_be_agreed(at(-86_401)));
    }
}
