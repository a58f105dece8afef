//! The floor of the round trip: what it is when no packet waits anywhere.
//!
//! A packet that waits on one way shifts the offset by half its wait, so the excess of a round
//! trip over the floor says how far its offset may be off. The floor must be remembered long
//! enough to hold several clean exchanges, and forgotten when the route changes.

use std::collections::VecDeque;

/// Samples a block; the floor is the least of the blocks' minima.
const BLOCK: usize = 16;
/// Blocks remembered: 1024 samples.
const BLOCKS: usize = 64;
/// Blocks in a row without any round trip near the floor that mean a longer route.
const MOVED_AFTER: usize = 3;
/// The newest blocks, of which the last may be incomplete, that show what the way is like now.
const RECENT: usize = 2;

/// A sliding minimum of round trips, in seconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct DelayFloor {
    minima: VecDeque<f64>,
    in_newest: usize,
}

impl DelayFloor {
    /// Takes in a round trip (s) and returns its excess over the floor (s, not negative).
    /// `spread` is how far above the floor (s) a clean round trip may lie.
    pub(crate) fn excess(&mut self, delay: f64, spread: f64) -> f64 {
        match self.minima.back_mut() {
            Some(newest) if self.in_newest < BLOCK => *newest = newest.min(delay),
            _ => {
                self.forget_the_old_route(spread);
                if self.minima.len() == BLOCKS {
                    self.minima.pop_front();
                }
                self.minima.push_back(delay);
                self.in_newest = 0;
            }
        }
        self.in_newest += 1;
        delay - self.floor().unwrap_or(delay)
    }

    /// The least round trip remembered, s.
    pub(crate) fn floor(&self) -> Option<f64> {
        self.minima.iter().copied().reduce(f64::min)
    }

    /// The least round trip of the last 16 to 32, s. A way that has become longer by too little to be
    /// told from noise shows here: it may be longer in one direction only.
    pub(crate) fn recent(&self) -> Option<f64> {
        let newest = self.minima.iter().rev().take(RECENT);
        newest.copied().reduce(f64::min)
    }

    /// When the newest full blocks all stay clear of the floor yet agree with each other, the
    /// route has become longer: what was measured on the old one says nothing any more.
    fn forget_the_old_route(&mut self, spread: f64) {
        let (Some(floor), Some(old)) = (self.floor(), self.minima.len().checked_sub(MOVED_AFTER))
        else {
            return;
        };
        let newest = self.minima.iter().skip(old);
        let least = newest.clone().copied().fold(f64::INFINITY, f64::min);
        let most = newest.copied().fold(0.0, f64::max);
        let step = least - floor;
        if step > spread && most - least < step / 4.0 {
            self.minima.drain(..old);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excess_is_over_the_least_remembered() {
        let mut floor = DelayFloor::default();
        assert!(floor.excess(100e-6, 1e-6) < 1e-12);
        assert!((floor.excess(130e-6, 1e-6) - 30e-6).abs() < 1e-12);
        assert!(floor.excess(90e-6, 1e-6).abs() < 1e-12);
        assert!((floor.excess(100e-6, 1e-6) - 10e-6).abs() < 1e-12);
    }

    #[test]
    fn a_longer_route_becomes_the_floor() {
        let mut floor = DelayFloor::default();
        for _ in 0..200 {
            floor.excess(100e-6, 1e-6);
        }
        let last = (0..100).map(|_| floor.excess(150e-6, 1e-6)).last();
        assert!(last.is_some_and(|e| e < 1e-12), "{last:?}");
    }

    #[test]
    fn what_the_way_is_like_now_is_known_though_the_floor_remembers() {
        let mut floor = DelayFloor::default();
        for _ in 0..200 {
            floor.excess(1.8e-6, 1e-6);
        }
        for _ in 0..40 {
            floor.excess(2.0e-6, 1e-6);
        }
        assert!(floor.floor().is_some_and(|f| (f - 1.8e-6).abs() < 1e-12));
        assert!(floor.recent().is_some_and(|f| (f - 2.0e-6).abs() < 1e-12));
    }

    #[test]
    fn congestion_does_not_hide_the_floor() {
        let mut floor = DelayFloor::default();
        for i in 0..1000_u32 {
            let queue = f64::from((i * 7919) % 97) * 1e-6;
            let wait = if i % 50 == 7 { 0.0 } else { 20e-6 + queue };
            floor.excess(100e-6 + wait, 1e-6);
        }
        assert!(floor.floor().is_some_and(|f| f < 101e-6));
    }
}
