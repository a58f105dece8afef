//! The course of a scenario, thinned out so that a picture of it stays small.

use serde::Serialize;

use crate::host::Look;
use crate::scenario::Scenario;

/// Most changes of the selection that are kept.
const MOST_SELECTIONS: usize = 1000;

/// The least and the largest values in each of many equal parts of the time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// Length of one part, s.
    pub part_s: f64,
    /// The parts that were looked at, in order.
    pub parts: Vec<SeriesPart>,
    /// Which source was selected, and since when.
    pub selections: Vec<Selection>,
}

/// What was seen in one part of the time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SeriesPart {
    /// Its beginning, s.
    pub at_s: f64,
    /// Least true error (clock minus UTC), s.
    pub error_min_s: f64,
    /// Largest true error, s.
    pub error_max_s: f64,
    /// Least published bound, s; null if none was published.
    pub bound_min_s: Option<f64>,
    /// Largest published bound, s.
    pub bound_max_s: Option<f64>,
    /// Least of what chrony's root distance would be, s.
    pub root_distance_min_s: Option<f64>,
}

/// From an instant on, a source is selected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Selection {
    /// When, s.
    pub at_s: f64,
    /// Which, counted from 1; null: none.
    pub source: Option<usize>,
}

impl Series {
    /// A series of a scenario in at most `parts` parts.
    pub(crate) fn new(scenario: &Scenario, parts: u32) -> Self {
        Self {
            part_s: scenario.duration_s / f64::from(parts.max(1)),
            parts: Vec::new(),
            selections: Vec::new(),
        }
    }

    /// Notes a look, no earlier than the one before it.
    pub(crate) fn note(&mut self, at_s: f64, look: &Look, root_distance_s: Option<f64>) {
        let begin_s = (at_s / self.part_s).floor() * self.part_s;
        if self.parts.last().is_none_or(|last| begin_s > last.at_s) {
            self.parts.push(SeriesPart {
                at_s: begin_s,
                error_min_s: look.error_s,
                error_max_s: look.error_s,
                bound_min_s: None,
                bound_max_s: None,
                root_distance_min_s: None,
            });
        }
        if let Some(part) = self.parts.last_mut() {
            part.error_min_s = part.error_min_s.min(look.error_s);
            part.error_max_s = part.error_max_s.max(look.error_s);
            part.bound_min_s = folded(part.bound_min_s, look.bound_s, f64::min);
            part.bound_max_s = folded(part.bound_max_s, look.bound_s, f64::max);
            let least = &mut part.root_distance_min_s;
            *least = folded(*least, root_distance_s, f64::min);
        }
    }

    /// Notes that another source (an index) is selected.
    pub(crate) fn note_selection(&mut self, at_s: f64, source: Option<usize>) {
        if self.selections.len() < MOST_SELECTIONS {
            let source = source.map(|index| index + 1);
            self.selections.push(Selection { at_s, source });
        }
    }
}

fn folded(a: Option<f64>, b: Option<f64>, fold: impl Fn(f64, f64) -> f64) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(fold(a, b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_keeps_its_extremes() {
        let scenario = Scenario {
            duration_s: 100.0,
            ..Scenario::default()
        };
        let mut series = Series::new(&scenario, 10);
        for (at_s, error_s, bound_s) in [
            (1.0, 1e-6, None),
            (2.0, -2e-6, Some(5e-6)),
            (9.9, 0.0, Some(3e-6)),
            (35.0, 7e-6, None),
        ] {
            let look = Look {
                error_s,
                bound_s,
                ..Look::default()
            };
            series.note(at_s, &look, None);
        }
        let [first, second] = series.parts[..] else {
            panic!("{series:?}");
        };
        assert_eq!((first.error_min_s, first.error_max_s), (-2e-6, 1e-6));
        assert_eq!(
            (first.bound_min_s, first.bound_max_s),
            (Some(3e-6), Some(5e-6))
        );
        assert_eq!((second.at_s, second.bound_max_s), (30.0, None));
    }
}
