//! Exchanges whose stamps are worse than those before.
//!
//! A NIC's stamp that does not come makes an exchange one of the kernel's stamps, which lie
//! microseconds elsewhere. Among exchanges that are right to nanoseconds a single one would only
//! move the clock away from the truth. Where several come in a row, that is how stamps are now.

use clockwright_timebase::StampKind;

/// Exchanges in a row of a worse kind until they count.
const IN_A_ROW: u8 = 3;

/// The kind of stamps that a source's exchanges have.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usual {
    kind: Option<StampKind>,
    worse: u8,
}

impl Usual {
    /// Does an exchange of this kind count?
    pub(super) fn counts(&mut self, kind: StampKind) -> bool {
        if self.kind.is_some_and(|usual| kind > usual) {
            self.worse += 1;
            if self.worse < IN_A_ROW {
                return false;
            }
        }
        *self = Self {
            kind: Some(kind),
            worse: 0,
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use StampKind::{Hardware, Kernel};

    #[test]
    fn a_single_worse_one_does_not_count_and_three_in_a_row_do() {
        let mut usual = Usual::default();
        let mut counted = |kinds: &[StampKind]| -> Vec<bool> {
            kinds.iter().map(|kind| usual.counts(*kind)).collect()
        };
        assert_eq!(counted(&[Kernel, Hardware]), [true, true]);
        assert_eq!(counted(&[Kernel, Kernel, Hardware]), [false, false, true]);
        let lasting = [Kernel, Kernel, Kernel, Kernel];
        assert_eq!(counted(&lasting), [false, false, true, true]);
        assert_eq!(counted(&[Hardware, Kernel]), [true, false]);
    }
}
