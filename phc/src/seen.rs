//! Has the wander between a clock and the host's oscillator been seen, or only not been ruled out?
//!
//! A bank refutes by its evidence that the wander is a tenth or tenfold of what it believes. By chance,
//! or while it still finds the noise, it does so of a clock that does not wander at all; for long
//! it does not.

use clockwright_discipline::Bank;

/// Readings in a row with which it has to be refuted.
const ENOUGH: u32 = 12;
/// What was seen is forgotten when the bank believes in more or less than that by this factor.
const ANOTHER: f64 = 3.0;

/// The wander as it was last seen.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SeenWander {
    in_a_row: u32,
    wander: Option<f64>,
}

impl SeenWander {
    /// Takes in what the bank makes of one more reading, which was surprising or not.
    pub(crate) fn note(&mut self, bank: &Bank, surprising: bool) {
        let seen = bank.seen_wander().filter(|_| !surprising);
        self.in_a_row = seen.map_or(0, |_| self.in_a_row.saturating_add(1));
        let believed = bank.hypothesis().wander();
        let holds = |wander: &f64| (wander / believed).max(believed / wander) < ANOTHER;
        let before = self.wander.filter(|_| !surprising).filter(holds);
        self.wander = seen.filter(|_| self.in_a_row >= ENOUGH).or(before);
    }

    /// It, s/s per √s.
    pub(crate) fn wander(self) -> Option<f64> {
        self.wander
    }
}
