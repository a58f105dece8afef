//! Instants, each on a named time base.

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use core::ops::{Add, AddAssign, Sub};

use crate::Duration;

/// A time base: something instants can be counted on.
pub trait TimeBase {
    /// The name shown in debug output.
    const NAME: &'static str;
}

/// `CLOCK_MONOTONIC_RAW`: the host's oscillator, which no one steers. Zero is boot.
/// Every estimate is made against it. It does not advance in suspend.
#[derive(Debug, Clone, Copy)]
pub enum Raw {}
/// UTC in seconds since 1970-01-01, leap seconds not counted (`CLOCK_REALTIME`'s way).
#[derive(Debug, Clone, Copy)]
pub enum Utc {}
/// A PTP hardware clock's own count. Which clock is known from context.
#[derive(Debug, Clone, Copy)]
pub enum Phc {}

impl TimeBase for Raw {
    const NAME: &'static str = "raw";
}
impl TimeBase for Utc {
    const NAME: &'static str = "utc";
}
impl TimeBase for Phc {
    const NAME: &'static str = "phc";
}

/// An instant on time base `B`.
pub struct Timestamp<B> {
    since_epoch: Duration,
    base: PhantomData<fn() -> B>,
}

impl<B> Timestamp<B> {
    /// The base's zero.
    pub const EPOCH: Self = Self::from_epoch(Duration::ZERO);

    /// The instant that lies `since_epoch` after the base's zero.
    pub const fn from_epoch(since_epoch: Duration) -> Self {
        Self {
            since_epoch,
            base: PhantomData,
        }
    }

    /// From a kernel `timespec`'s two numbers.
    pub const fn from_timespec(secs: i64, nanos: i64) -> Self {
        let units = Duration::from_secs(secs).as_units() + Duration::from_nanos(nanos).as_units();
        Self::from_epoch(Duration::from_units(units))
    }

    /// How far after the base's zero this instant lies.
    pub const fn since_epoch(self) -> Duration {
        self.since_epoch
    }

    /// The same count read on another base: for clocks that are *defined* as another base plus
    /// an offset, given as `offset` = other base − this base.
    #[must_use]
    pub fn shifted_to<C>(self, offset: Duration) -> Timestamp<C> {
        Timestamp::from_epoch(self.since_epoch + offset)
    }
}

impl<B> Clone for Timestamp<B> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<B> Copy for Timestamp<B> {}

impl<B> PartialEq for Timestamp<B> {
    fn eq(&self, other: &Self) -> bool {
        self.since_epoch == other.since_epoch
    }
}
impl<B> Eq for Timestamp<B> {}

impl<B> PartialOrd for Timestamp<B> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<B> Ord for Timestamp<B> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.since_epoch.cmp(&other.since_epoch)
    }
}

impl<B> Hash for Timestamp<B> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.since_epoch.hash(state);
    }
}

impl<B> Sub for Timestamp<B> {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.since_epoch - earlier.since_epoch
    }
}

impl<B> Add<Duration> for Timestamp<B> {
    type Output = Self;
    fn add(self, later: Duration) -> Self {
        Self::from_epoch(self.since_epoch + later)
    }
}

impl<B> AddAssign<Duration> for Timestamp<B> {
    fn add_assign(&mut self, later: Duration) {
        *self = *self + later;
    }
}

impl<B> Sub<Duration> for Timestamp<B> {
    type Output = Self;
    fn sub(self, earlier: Duration) -> Self {
        Self::from_epoch(self.since_epoch - earlier)
    }
}

impl<B: TimeBase> fmt::Debug for Timestamp<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", B::NAME, self.since_epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_signed_and_exact() {
        let early = Timestamp::<Raw>::from_timespec(10, 999_999_999);
        let late = Timestamp::<Raw>::from_timespec(11, 0);
        assert_eq!(late - early, Duration::from_nanos(1));
        assert_eq!(early - late, Duration::from_nanos(-1));
        assert_eq!(early + Duration::from_nanos(1), late);
        assert!(early < late);
    }

    #[test]
    fn a_timespec_before_the_epoch_is_negative() {
        let before = Timestamp::<Utc>::from_timespec(-1, 500_000_000);
        assert_eq!(before.since_epoch(), Duration::from_millis(-500));
    }

    #[test]
    fn debug_names_the_base() {
        assert!(format!("{:?}", Timestamp::<Utc>::EPOCH).starts_with("utc"));
    }
}
