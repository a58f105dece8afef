//! Which part each source plays: what the discipline feeds the selection with, and what it makes of
//! its verdicts.

use clockwright_timebase::{Duration, Raw, Timestamp};

use super::Discipline;
use crate::estimate::SourceId;
use crate::lead::Lead;
use crate::orphan;
use crate::part::{Reason, State};
use crate::policy::Selection;
use crate::select::{Voter, select};
use crate::smear::{self, Pace};
use crate::source::{Source, Standing};

/// How long the first source waits for the others to contradict it, s.
const WAIT_FOR_OTHERS_S: i64 = 5;

impl Discipline {
    /// Says how sources are selected. It counts at once; what is known of the sources stays.
    pub fn set_selection(&mut self, selection: Selection, now: Timestamp<Raw>) {
        if self.selection != selection {
            self.selection = selection;
            self.judge_sources(now);
        }
    }

    /// Gives all sources that answer their parts anew.
    pub(super) fn judge_sources(&mut self, now: Timestamp<Raw>) {
        let waiting = self.waits_for_others(now);
        let selected = self.reference.map(|reference| reference.selected);
        let held = self.held(now);
        let policy = self.policy();
        let mut common = None;
        let mut candidates = Vec::with_capacity(self.sources.len());
        let mut paces = Vec::with_capacity(self.sources.len());
        for (id, source) in &mut self.sources {
            if !source.reachable {
                continue;
            }
            let estimate = source.filter.estimate().map(|e| e.carried_to(now));
            let distance_s = source.filter.root_distance_s(now);
            let (true, Some(estimate), Some(distance_s)) =
                (source.judge_alone(), estimate, distance_s)
            else {
                continue;
            };
            if let Some(reason) = beyond_strata(source, &policy) {
                (source.state, source.reason) = (State::Unusable, reason);
                continue;
            }
            if waiting {
                (source.state, source.reason) = (State::Waiting, Reason::WaitingForOthers);
                continue;
            }
            let common = *common.get_or_insert(estimate.offset);
            let distance_s = distance_s.max(policy.min_distance_s);
            let offset_s = (estimate.offset - common).as_secs_f64();
            paces.push(Pace {
                voter: voter_of(*id, source, offset_s, distance_s),
                frequency: estimate.frequency,
                frequency_sd: estimate.frequency_sd(),
                reference_id: source.filter.upstream().reference_id,
            });
            candidates.push(source.candidate(*id, distance_s, policy.max_distance_s));
        }
        let excluded = orphan::excluded(&candidates, self.orphan, held);
        paces.retain(|pace| excluded.iter().all(|(id, _)| *id != pace.voter.id));
        let apart = smear::set_apart(&paces);
        paces.retain(|pace| apart.iter().all(|(id, ..)| *id != pace.voter.id));
        let voters: Vec<Voter> = paces.iter().map(|pace| pace.voter).collect();
        let excluded = excluded
            .into_iter()
            .map(|(id, reason)| (id, State::Unusable, reason));
        let verdicts = select(&voters, selected, &policy).into_iter();
        for (id, state, reason) in verdicts.chain(apart).chain(excluded) {
            if let Some(source) = self.sources.get_mut(&id) {
                (source.state, source.reason) = (state, reason);
            }
        }
        self.keep_out_of_circles();
        self.leave_lost_orphan();
    }

    /// What is asked of the selection, and whether one of the sources known is required.
    fn policy(&self) -> Selection {
        let mut sources = self.sources.values();
        Selection {
            required: self.selection.required || sources.any(|source| source.options.role.require),
            ..self.selection
        }
    }

    /// A source's root distance as it counts, s.
    pub(super) fn believed_distance_s(&self, source: &Source, now: Timestamp<Raw>) -> Option<f64> {
        let distance_s = source.filter.root_distance_s(now)?;
        Some(distance_s.max(self.selection.min_distance_s))
    }

    /// A source has given a sample: compares it with the selected one.
    pub(super) fn note_lead(&mut self, id: SourceId, now: Timestamp<Raw>) {
        let Some(selected) = self.reference.map(|reference| reference.selected) else {
            return;
        };
        let score = |source: &Source| {
            let distance_s = self.believed_distance_s(source, now)?;
            let stratum = source.filter.upstream().stratum;
            Some(self.selection.score_s(distance_s, stratum))
        };
        let Some(selected_s) = self.sources.get(&selected).and_then(score) else {
            return;
        };
        let rivals = self.sources.iter().filter(|(rival, source)| {
            **rival != selected && (id == selected || **rival == id) && source.has_enough()
        });
        let scores: Vec<(SourceId, f64)> = rivals
            .filter_map(|(rival, source)| Some((*rival, score(source)?)))
            .collect();
        let handicap_s = self.selection.reselect_distance_s;
        for (rival, score_s) in scores {
            if let Some(source) = self.sources.get_mut(&rival) {
                source.lead.note(score_s + handicap_s, selected_s);
            }
        }
    }

    /// Another source is selected: what the others have gained on the one before is worth nothing.
    pub(super) fn forget_leads(&mut self) {
        for source in self.sources.values_mut() {
            source.lead = Lead::default();
        }
    }

    /// At the start a single voice is no majority: the first source to have given enough samples
    /// waits a little for those that have been asked at the same time.
    fn waits_for_others(&mut self, now: Timestamp<Raw>) -> bool {
        if self.reference.is_some() {
            return false;
        }
        let since = *self.first_enough.get_or_insert(now);
        let mut voices = self.sources.values().filter(|source| source.has_voice());
        if !voices.clone().any(Source::has_enough) {
            self.first_enough = None;
            return false;
        }
        let patience = Duration::from_secs(WAIT_FOR_OTHERS_S);
        now - since < patience
            && voices.any(|source| {
                !source.has_enough() && source.reachable && now - source.added < patience * 4
            })
    }
}

/// Why a source of this stratum is not followed; `None`: it may be.
fn beyond_strata(source: &Source, policy: &Selection) -> Option<Reason> {
    let (min, max) = policy.strata;
    let stratum = source.filter.upstream().stratum;
    (!(min..=max).contains(&stratum)).then_some(Reason::Stratum { stratum, min, max })
}

fn voter_of(id: SourceId, source: &Source, offset_s: f64, distance_s: f64) -> Voter {
    Voter {
        id,
        offset_s,
        distance_s,
        subordinate: source.options.standing == Standing::Subordinate,
        stratum: source.filter.upstream().stratum,
        role: source.options.role,
        takes_over: source.lead.takes_over(),
    }
}
