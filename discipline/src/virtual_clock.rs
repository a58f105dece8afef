//! A clock that is only a number: a + b × the local oscillator.

use clockwright_timebase::{Duration, Raw, Timestamp, Utc};

/// A clock that is steered like the system's and harms no one. The simulator disciplines it, and
/// the daemon where it may not or should not touch the host's clock.
#[derive(Debug, Clone, Copy)]
pub struct VirtualClock {
    /// The instant of the last change.
    since: Timestamp<Raw>,
    /// What the clock showed then.
    shown: Timestamp<Utc>,
    frequency: f64,
}

impl VirtualClock {
    /// A clock that shows `shown` at `now` and then runs as the oscillator does.
    pub fn new(now: Timestamp<Raw>, shown: Timestamp<Utc>) -> Self {
        Self {
            since: now,
            shown,
            frequency: 0.0,
        }
    }

    /// What it shows at an instant no earlier than the last change; exact to 2⁻⁵³ of the steered
    /// part.
    pub fn read(&self, at: Timestamp<Raw>) -> Timestamp<Utc> {
        let elapsed = at - self.since;
        self.shown + elapsed + elapsed.scaled(self.frequency)
    }

    /// From `now` on runs faster than the oscillator by `frequency` (s/s).
    pub fn set_frequency(&mut self, now: Timestamp<Raw>, frequency: f64) {
        self.shown = self.read(now);
        self.since = now;
        self.frequency = frequency;
    }

    /// Adds `by` at once.
    pub fn step(&mut self, by: Duration) {
        self.shown += by;
    }

    /// Rate of the clock minus rate of the oscillator, s/s.
    pub fn frequency(&self) -> f64 {
        self.frequency
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_steps_as_told() {
        let start = Timestamp::from_timespec(1_000, 0);
        let mut clock = VirtualClock::new(start, Timestamp::from_timespec(1_800_000_000, 0));
        clock.set_frequency(start, 50e-6);
        let later = start + Duration::from_secs(10);
        let gained = clock.read(later) - Timestamp::from_timespec(1_800_000_010, 0);
        assert_eq!(gained, Duration::from_micros(500));
        clock.set_frequency(later, 0.0);
        clock.step(Duration::from_micros(-500));
        let shown = clock.read(later + Duration::from_secs(1));
        assert_eq!(shown, Timestamp::from_timespec(1_800_000_011, 0));
    }
}
