//! Where the sources that make the time change, the time does not.
//!
//! Honest sources differ by what their paths' asymmetries do, within their root distances. When one
//! comes or goes, the combination of the others is another time at once, and the clock would be
//! hurried to it. So the difference at the seam is kept, and taken back slowly. That costs no truth:
//! what was believed a moment ago still lies within the bound, to which the rest is added.

use clockwright_timebase::{Duration, Raw, Timestamp};

/// How fast a difference is taken back at least, s/s.
const SLOWEST: f64 = 1e-6;
/// How long it takes at most, s.
const LONGEST_S: f64 = 300.0;

/// What is left of the differences at seams.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Seam {
    left_s: f64,
    rate: f64,
    at: Option<Timestamp<Raw>>,
}

impl Seam {
    /// The sources have changed, and the time that they make lies this much behind what it was, s.
    pub(crate) fn open(&mut self, difference_s: f64, now: Timestamp<Raw>) {
        *self = Self {
            left_s: difference_s,
            rate: (difference_s.abs() / LONGEST_S).max(SLOWEST),
            at: Some(now),
        };
    }

    /// What must be added to the combined offset now, s.
    pub(crate) fn left_s(&mut self, now: Timestamp<Raw>) -> f64 {
        if let Some(before) = self.at.replace(now) {
            let most = self.rate * (now - before).max(Duration::ZERO).as_secs_f64();
            self.left_s -= self.left_s.clamp(-most, most);
        }
        self.left_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp<Raw> {
        Timestamp::from_timespec(secs, 0)
    }

    #[test]
    fn small_differences_go_at_a_millionth_and_large_ones_within_five_minutes() {
        for (difference, after, left) in [
            (50e-6, 20, 30e-6),
            (-50e-6, 20, -30e-6),
            (50e-6, 60, 0.0),
            (3e-3, 150, 1.5e-3),
            (3e-3, 301, 0.0),
        ] {
            let mut seam = Seam::default();
            seam.open(difference, at(0));
            let found = seam.left_s(at(after));
            assert!((found - left).abs() < 1e-12, "{difference}: {found}");
        }
    }

    #[test]
    fn without_a_seam_nothing_is_added() {
        assert!(Seam::default().left_s(at(5)).abs() < 1e-18);
    }
}
