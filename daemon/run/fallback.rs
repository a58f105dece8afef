//! Exchanges whose stamps are worse than those before.
//!
//! A NIC's stamp that does not come makes an exchange one of the kernel's stamps, which lie
//! microseconds elsewhere. A NIC's clock that somebody has just set or turned is known to
//! microseconds where it was known to nanoseconds, and so are its stamps. Among exchanges that are
//! right to nanoseconds a single such one would only move the clock away from the truth. Where
//! several come in a row, that is how stamps are now.

use clockwright_ntp::Exchange;
use clockwright_timebase::{Duration, StampKind};

/// Exchanges in a row of a worse sort until they count.
const IN_A_ROW: u8 = 3;
/// Stamps this many times less certain than they usually are, are of a worse sort.
const WORSE: i32 = 8;

/// The sort of stamps that a source's exchanges have.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usual {
    sort: Option<Sort>,
    worse: u8,
}

/// How good both of this host's stamps of an exchange are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sort {
    /// The worse kind of both.
    kind: StampKind,
    /// How far their mean can be wrong. Of what is usual: the largest of late, halved with each
    /// exchange since.
    uncertainty: Duration,
}

impl Sort {
    pub(super) fn of(exchange: &Exchange) -> Self {
        Self {
            kind: exchange.worst_kind(),
            uncertainty: (exchange.t1.uncertainty + exchange.t4.uncertainty).half(),
        }
    }

    fn is_less_certain_than(self, usual: Self) -> bool {
        self.uncertainty > usual.uncertainty * WORSE
    }

    /// What is usual when this comes after that.
    fn after(self, usual: Self) -> Self {
        Self {
            uncertainty: self.uncertainty.max(usual.uncertainty.half()),
            ..self
        }
    }
}

impl Usual {
    /// Does an exchange of this sort count?
    pub(super) fn counts(&mut self, sort: Sort) -> bool {
        let usual = self.sort.filter(|usual| usual.kind == sort.kind);
        let is_worse = match (self.sort, usual) {
            (_, Some(usual)) => sort.is_less_certain_than(usual),
            (Some(before), None) => sort.kind > before.kind,
            (None, None) => false,
        };
        if is_worse {
            self.worse += 1;
            if self.worse < IN_A_ROW {
                return false;
            }
        }
        let usual = usual.filter(|_| !is_worse);
        self.sort = Some(usual.map_or(sort, |usual| sort.after(usual)));
        self.worse = 0;
        true
    }

    /// Is it what this source's exchanges usually are? A guess is worth less than what a change of
    /// sort moves.
    pub(super) fn is(&self, sort: Sort) -> bool {
        self.worse == 0
            && self
                .sort
                .is_some_and(|usual| usual.kind == sort.kind && !sort.is_less_certain_than(usual))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use StampKind::{Hardware, Kernel};

    const fn sort(kind: StampKind, nanos: i64) -> Sort {
        Sort {
            kind,
            uncertainty: Duration::from_nanos(nanos),
        }
    }

    #[test]
    fn a_single_worse_one_does_not_count_and_three_in_a_row_do() {
        let mut usual = Usual::default();
        let mut counted = |kinds: &[StampKind]| -> Vec<bool> {
            let sorts = kinds.iter().map(|kind| sort(*kind, 100));
            sorts.map(|sort| usual.counts(sort)).collect()
        };
        assert_eq!(counted(&[Kernel, Hardware]), [true, true]);
        assert_eq!(counted(&[Kernel, Kernel, Hardware]), [false, false, true]);
        let lasting = [Kernel, Kernel, Kernel, Kernel];
        assert_eq!(counted(&lasting), [false, false, true, true]);
        assert_eq!(counted(&[Hardware, Kernel]), [true, false]);
    }

    /// A NIC's clock is set, and the first reading after that does not tell by how much.
    #[test]
    fn stamps_far_less_certain_than_usual_do_not_count_unless_they_last() {
        let mut usual = Usual::default();
        let mut counted = |nanos: &[i64]| -> Vec<bool> {
            let sorts = nanos.iter().map(|nanos| sort(Hardware, *nanos));
            sorts.map(|sort| usual.counts(sort)).collect()
        };
        assert_eq!(counted(&[50_000, 3, 3]), [true, true, true]);
        // What was usual at the start is forgotten by and by.
        assert_eq!(counted(&[3; 16]), [true; 16]);
        assert_eq!(counted(&[165, 160, 3]), [false, false, true]);
        assert_eq!(counted(&[20, 3, 80]), [true; 3]);
        assert_eq!(counted(&[5_000; 4]), [false, false, true, true]);
    }

    #[test]
    fn a_guess_has_to_be_of_the_usual_sort() {
        let mut usual = Usual::default();
        assert!(!usual.is(sort(Hardware, 3)));
        usual.counts(sort(Hardware, 3));
        assert!(usual.is(sort(Hardware, 20)));
        assert!(!usual.is(sort(Hardware, 165)));
        assert!(!usual.is(sort(Kernel, 3)));
        // An exchange of another sort is not followed by guesses.
        usual.counts(sort(Kernel, 100));
        assert!(!usual.is(sort(Hardware, 3)));
        usual.counts(sort(Hardware, 3));
        assert!(usual.is(sort(Hardware, 3)));
    }
}
