//! Servers that ask each other: what the discipline does about orphans and circles.

use clockwright_timebase::{Raw, Timestamp};

use super::{Discipline, MAX_DISTANCE_S, Reference};
use crate::estimate::SourceId;
use crate::orphan::{Held, Identities};
use crate::part::{Reason, State};
use crate::source::Source;

impl Discipline {
    /// Says at which stratum servers without a source serve their own clocks. Of these *orphans*
    /// only the one with the lowest reference id is followed, if it is below this host's own and
    /// nobody knows better; sources above that stratum are not followed. `None`: no stratum is
    /// treated like that.
    pub fn set_orphan_stratum(&mut self, stratum: Option<u8>, now: Timestamp<Raw>) {
        if self.orphan != stratum {
            self.orphan = stratum;
            self.judge_sources(now);
        }
    }

    /// Says how a source and this host are named as references, as that source sees it; `None`:
    /// that is not known. It counts from the next sample on. A source that names this host as its
    /// reference is not followed.
    pub fn set_identities(&mut self, id: SourceId, identities: Option<Identities>) {
        if let Some(source) = self.sources.get_mut(&id) {
            source.identities = identities;
        }
    }

    /// Is this the clock of a server that has no source?
    pub(super) fn is_orphan(&self, reference: &Reference) -> bool {
        let stratum = reference.upstream.stratum;
        self.orphan.is_some_and(|orphan| stratum >= orphan)
    }

    /// What the clock still knows from a source that was none of the orphans.
    pub(super) fn held(&self, now: Timestamp<Raw>) -> Option<Held> {
        let reference = self.reference.filter(|last| !self.is_orphan(last))?;
        let distance_s = reference.settled_distance_at(now);
        (distance_s < MAX_DISTANCE_S).then_some(Held {
            selected: reference.selected,
            stratum: reference.upstream.stratum.saturating_add(1),
            distance_s,
        })
    }

    /// Servers that ask each other must not average themselves through others. Whoever follows this
    /// host, directly or not, is at least two strata above the source selected here.
    pub(super) fn keep_out_of_circles(&mut self) {
        let is_selected = |source: &&Source| source.state == State::Selected;
        let selected = self.sources.values().find(is_selected);
        let (Some(_), Some(selected)) = (self.orphan, selected) else {
            return;
        };
        let below = selected.filter.upstream().stratum.saturating_add(2);
        for source in self.sources.values_mut() {
            let stratum = source.filter.upstream().stratum;
            if source.state == State::Combined && stratum >= below {
                (source.state, source.reason) = (State::Candidate, Reason::MayFollowUs { stratum });
            }
        }
    }

    /// An orphan's time is worth nothing without the orphan: where it is not followed any more,
    /// the clock counts as unsynchronised, so that the group finds itself another leader. It goes
    /// on at the frequency it has, and the step policy's count of updates stays. One that has just
    /// got another clock is given the time to show it.
    pub(super) fn leave_lost_orphan(&mut self) {
        let Some(reference) = self.reference else {
            return;
        };
        let stays = |source: &Source| source.is_believed() || source.state == State::Waiting;
        let selected = self.sources.get(&reference.selected);
        if self.is_orphan(&reference)
            && !selected.is_some_and(stays)
            && !self.sources.values().any(Source::is_believed)
        {
            self.reference = None;
        }
    }
}
