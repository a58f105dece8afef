//! Sources whose routes have changed, as the others show: see `route.rs`.

use clockwright_timebase::{Duration, Raw, Timestamp};

use super::Discipline;
use crate::combine::{Part, combine};
use crate::estimate::SourceId;
use crate::route::{Look, Route};
use crate::sample::Sample;
use crate::source::Source;

/// A source and what it says, carried to the instant of all.
pub(super) type Believed<'a> = (SourceId, &'a Source, Part);

impl Discipline {
    /// What a source says at `now`; `None` while it has said too little.
    pub(super) fn part(&self, id: SourceId, now: Timestamp<Raw>) -> Option<Believed<'_>> {
        let source = self.sources.get(&id)?;
        let part = Part {
            estimate: source.filter.estimate()?.carried_to(now),
            distance_s: self.believed_distance_s(source, now)?,
        };
        Some((id, source, part))
    }

    /// The sources that make the time.
    pub(super) fn believed(&self, now: Timestamp<Raw>) -> Vec<Believed<'_>> {
        let believed = self.sources.iter().filter(|(_, one)| one.is_believed());
        believed.filter_map(|(id, _)| self.part(*id, now)).collect()
    }

    /// A source has given a sample: compares its route with those of the others.
    pub(super) fn note_route(&mut self, id: SourceId, now: Timestamp<Raw>) {
        if let Some(look) = self.look_at_route(id, now)
            && let Some(source) = self.sources.get_mut(&id)
        {
            source.route.note(look);
        }
    }

    fn look_at_route(&self, id: SourceId, now: Timestamp<Raw>) -> Option<Look> {
        let source = self.sources.get(&id).filter(|one| one.is_believed())?;
        let (last, before) = source.filter.last_two()?;
        let believed = self.believed(now);
        let (_, _, own) = believed.iter().find(|(one, ..)| *one == id)?;
        let others: Vec<&Believed> = believed
            .iter()
            .filter(|(one, source, _)| {
                *one != id && source.has_voice() && source.route.replaced().is_none()
            })
            .collect();
        let delays = delays((last, before));
        let interval = last.at - before.at;
        let is_known = source.route.replaced().is_some();
        let (changed_s, _) = source.route.change_s(delays);
        let witnesses = others.iter().filter(|(_, other, _)| {
            other.filter.last_two().is_some_and(|two| {
                let (_, most_s) = other.route.change_s(self::delays(two));
                // One that has not been asked lately cannot tell that a route has changed.
                let lately = is_known || two.0.at >= before.at - interval;
                lately && Route::is_witness(most_s, changed_s)
            })
        });
        let witnesses = witnesses.count();
        let parts: Vec<Part> = others.iter().map(|one| leaning(one)).collect();
        let together = combine(&parts);
        let apart = together.map(|others| own.estimate.offset - others.offset);
        Some(Look {
            dt: interval.as_secs_f64(),
            apart_s: apart.map(Duration::as_secs_f64),
            delays,
            witnesses,
        })
    }
}

/// What those with a voice would say if their routes were what they usually are.
pub(super) fn on_their_usual_routes(known: &[Believed]) -> Vec<Part> {
    let voices = || known.iter().filter(|(_, source, _)| source.has_voice());
    let usual: Vec<Part> = voices()
        .filter(|(_, source, _)| source.route.replaced().is_none())
        .map(leaning)
        .collect();
    let others = combine(&usual);
    voices()
        .map(|one| {
            let mut part = leaning(one);
            if let (Some(others), Some(usual_s)) = (others, one.1.route.replaced()) {
                part.estimate.offset = others.offset + Duration::from_secs_f64(usual_s);
                part.estimate.frequency = others.frequency;
            }
            part
        })
        .collect()
}

fn leaning((_, source, part): &Believed) -> Part {
    let mut part = *part;
    part.estimate.offset += Duration::from_secs_f64(source.route.lean_s());
    part
}

fn delays((last, before): (&Sample, &Sample)) -> (f64, f64) {
    (last.delay.as_secs_f64(), before.delay.as_secs_f64())
}
