//! What becomes of the clock when other sources make its time: nothing at once. See `seam`.

use clockwright_timebase::Duration;

use super::routes::{Believed, on_their_usual_routes};
use super::{Discipline, Reference};
use crate::combine::combine;
use crate::estimate::SourceId;
use crate::part::State;
use crate::seam::Seam;
use crate::source::Source;

/// Updates until a change of sources is one of a clock that is right already.
const SETTLED: u32 = 16;
/// The time before is kept to only if it was known this well, against how well the new one is.
const AS_WELL: f64 = 2.0;

impl Discipline {
    /// A new estimate of the clock, joined to the one before without a jump.
    pub(super) fn joined(&mut self, new: Reference) -> Reference {
        let now = new.estimate.at;
        let believed = self.sources.iter().filter(|(_, one)| one.is_believed());
        let members: Vec<SourceId> = believed.map(|(id, _)| *id).collect();
        let before = self.reference;
        if before.is_some_and(|before| before.selected != new.selected) {
            self.forget_leads();
        }
        if members != self.members {
            let before = before.filter(|before| {
                let (old_s, new_s) = (before.distance_at(now), new.distance_s);
                self.updates >= SETTLED && old_s <= AS_WELL * new_s
            });
            let difference_s = before.map_or(0.0, |before| self.gap_s(&before, &new));
            // What lies outside of all that is believed now is no truth to keep to.
            if difference_s.abs() < new.distance_s {
                self.seam.open(difference_s, now);
            } else {
                self.seam = Seam::default();
            }
            self.parted = std::mem::replace(&mut self.members, members);
        }
        // One that begins to lie is often doubted first, and leaves for that.
        if self.parted.iter().any(|id| self.has_lied(*id)) {
            self.seam = Seam::default();
        }
        let left_s = self.seam.left_s(now);
        let mut joined = new;
        joined.estimate.offset += Duration::from_secs_f64(left_s);
        joined.distance_s += left_s.abs();
        joined
    }

    /// How far the time that the sources of before make now, and the rest of an earlier seam, lie from
    /// what those of now make, s. Only the change of sources counts, not what they have said since:
    /// else nothing would be learnt where one comes and goes at each sample.
    fn gap_s(&mut self, before: &Reference, new: &Reference) -> f64 {
        let now = new.estimate.at;
        let members = self.members.iter();
        let known: Vec<Believed> = members.filter_map(|id| self.part(*id, now)).collect();
        let parts = on_their_usual_routes(&known);
        let all_known = parts.len() == self.members.len();
        let made = combine(&parts).filter(|_| all_known);
        let (offset, left_s) = match made {
            Some(made) => (made.offset, self.seam.left_s(now)),
            // One has been removed: what was known with it has the seam in it.
            None => (before.estimate.carried_to(now).offset, 0.0),
        };
        (offset - new.estimate.offset).as_secs_f64() + left_s
    }

    /// The clock starts afresh: there is nothing to join to.
    pub(super) fn leave_seam(&mut self) {
        self.seam = Seam::default();
        self.members.clear();
        self.parted.clear();
    }

    fn has_lied(&self, id: SourceId) -> bool {
        let lies = |source: &Source| source.state == State::Falseticker;
        self.sources.get(&id).is_some_and(lies)
    }
}
