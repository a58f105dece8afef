//! When another source takes the selection over.
//!
//! Root distances are estimates, and grow between samples; of two sources that are about as good
//! now one and now the other is closer. So a rival must have been *clearly* closer for a while. At
//! each sample of either of the two its lead is multiplied by
//!
//! ```text
//! CLEARLY · distance of the selected one / distance of the rival
//! ```
//!
//! never falls below 1, and takes the selection over when above [`TAKES_OVER`]. Equal ones lose a
//! third each time; one that is three times closer needs ten samples, a hundred times closer two.

/// A rival must be closer by this factor to gain anything.
const CLEARLY: f64 = 0.7;
/// The lead by which a rival takes over.
const TAKES_OVER: f64 = 1e3;
/// No lead is longer: what a rival was once is forgotten within some tens of samples.
const LONGEST: f64 = 1e4;

/// How clearly a source has been closer to UTC than the selected one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lead(f64);

impl Default for Lead {
    fn default() -> Self {
        Self(1.0)
    }
}

impl Lead {
    /// One of the two has given a sample; their distances, s.
    pub(crate) fn note(&mut self, own_s: f64, selected_s: f64) {
        let gain = CLEARLY * selected_s / own_s.max(f64::MIN_POSITIVE);
        self.0 = (self.0 * gain).clamp(1.0, LONGEST);
    }

    /// Is it long enough?
    pub(crate) fn takes_over(self) -> bool {
        self.0 > TAKES_OVER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples until a rival this many times closer takes over, of at most 100.
    fn samples(ratio: f64) -> Option<usize> {
        let mut lead = Lead::default();
        (1..=100).find(|_| {
            lead.note(1e-3, ratio * 1e-3);
            lead.takes_over()
        })
    }

    #[test]
    fn the_closer_the_sooner() {
        let found = [100.0, 3.0, 2.0, 1.4, 1.0, 0.5].map(samples);
        assert_eq!(found, [Some(2), Some(10), Some(21), None, None, None]);
    }

    #[test]
    fn two_that_are_closer_in_turn_stay_in_their_places() {
        let mut lead = Lead::default();
        for _ in 0..1000 {
            // Just asked, eight times closer; then the selected one is.
            lead.note(1e-3, 8e-3);
            assert!(!lead.takes_over());
            lead.note(8e-3, 1e-3);
        }
    }
}
