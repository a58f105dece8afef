//! The discipline at a leap second.

use clockwright_timebase::{Raw, Timestamp};

use super::{Action, ClockReading, Discipline, SourceId};
use crate::estimate::SourceEstimate;
use crate::leap::{LeapManner, LeapSecond, smears};
use crate::part::State;
use crate::sample::{Leap, Sample};
use crate::source::Source;

impl Discipline {
    /// Says which leap second comes, and how the clock gets over it; `None`: none that is known. May
    /// be called as often as one likes. Counts only while the clock is set from somewhere, and not
    /// for one that has passed.
    pub fn expect_leap(&mut self, next: Option<(LeapSecond, LeapManner)>, now: Timestamp<Raw>) {
        let utc = self.utc();
        self.leaps.expect(next, utc.as_ref(), now);
    }

    /// Says that the kernel has made this leap second at `at` while it was not [in hand](Self::leap_in_hand):
    /// the clock was not known to be right yet. [`Self::restart`] goes before; it does not come again.
    pub fn leap_was_made(&mut self, second: LeapSecond, at: Timestamp<Raw>) {
        self.leaps.made(second, at);
    }

    /// The leap second that the clock is to make: the one expected, and up to 2 s after its instant
    /// still that one, since the clock may be late.
    pub fn leap_in_hand(&self, now: Timestamp<Raw>) -> Option<LeapSecond> {
        self.leaps.in_hand(now)
    }

    /// The last leap second that has passed since the start.
    pub fn leap_passed(&self) -> Option<LeapSecond> {
        self.leaps.passed()
    }

    /// The leap second at the end of the month that most of the usable sources with a voice
    /// announce. Those that smear have no vote; and for a day after one, whoever still announces it
    /// has not noticed.
    pub fn leap(&self, now: Timestamp<Raw>) -> Leap {
        let votes: Vec<Leap> = self.leap_votes(now).map(|(_, leap)| leap).collect();
        [Leap::Insert, Leap::Delete]
            .into_iter()
            .find(|leap| 2 * votes.iter().filter(|said| *said == leap).count() > votes.len())
            .unwrap_or(Leap::None)
    }

    /// What each source says of that that has a vote.
    pub fn leap_votes(&self, now: Timestamp<Raw>) -> impl Iterator<Item = (SourceId, Leap)> {
        let has_vote = |source: &Source| {
            let usable = matches!(
                source.state,
                State::Selected | State::Combined | State::Candidate
            );
            usable && source.has_voice() && !smears(source.filter.upstream().reference_id)
        };
        let sources = self.sources.iter().filter(move |(_, it)| has_vote(it));
        let votes = sources.map(|(id, source)| (*id, source.filter.upstream().leap));
        votes.filter(move |_| !self.leaps.is_recent(now))
    }

    /// Lets a leap second pass whose time has come.
    pub(super) fn pass_leap(&mut self, now: Timestamp<Raw>) {
        let Some(utc) = self.utc() else {
            return;
        };
        let Some((second, manner)) = self.leaps.pass(now, &utc) else {
            return;
        };
        if manner == LeapManner::Slew {
            self.correct(now, second.shift().as_secs_f64(), utc.frequency);
        }
        let step = manner == LeapManner::Step;
        self.actions.push_back(Action::Leap { second, step });
    }

    /// When a leap second wants something.
    pub(super) fn leap_timeout(&self) -> Option<Timestamp<Raw>> {
        self.leaps.next_timeout(self.utc().as_ref(), self.leap_seen)
    }

    /// A sample and a reading without leap seconds.
    pub(super) fn without_leaps(
        &self,
        sample: &Sample,
        reading: ClockReading,
    ) -> (Sample, ClockReading) {
        let utc = self.utc();
        let sample = self.leaps.sample(sample, utc.as_ref());
        (sample, self.leaps.reading(reading, utc.as_ref()))
    }

    /// A reading without leap seconds.
    pub(super) fn reading_without_leaps(&self, reading: ClockReading) -> ClockReading {
        self.leaps.reading(reading, self.utc().as_ref())
    }

    fn utc(&self) -> Option<SourceEstimate> {
        self.reference.map(|reference| reference.estimate)
    }
}
