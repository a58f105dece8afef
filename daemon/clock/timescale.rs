//! The local timescale: the oscillator that everything is measured against.
//!
//! The kernel stamps packets on `CLOCK_REALTIME`, which is steered and can be stepped; estimates
//! are made against an oscillator that nobody touches. This module is the edge between the two:
//! behind it, every local instant is a [`Timestamp<Raw>`].

use std::fmt;

use clockwright_sys::clock::{self, Bracket};
use clockwright_timebase::{Duration, Raw, Timestamp, Utc};

/// A stamp older than this when it is read was not taken by the clock that is being read: the
/// clock was stepped in between, or the stamp is not of the packet it came with.
const OLDEST_STAMP: Duration = Duration::from_secs(1);

/// The oscillator of this process: the host's `CLOCK_MONOTONIC_RAW`, or one that differs from it
/// by a constant drift.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timescale {
    /// The host instant at which both showed the same.
    start: Timestamp<Raw>,
    /// Rate of this oscillator minus the host's, s/s.
    drift: f64,
}

impl Timescale {
    /// The host's own oscillator.
    pub const fn host() -> Self {
        Self {
            start: Timestamp::EPOCH,
            drift: 0.0,
        }
    }

    /// An oscillator that shows the same as the host's at `start` (host) and runs faster by
    /// `drift` (s/s) from then on.
    pub const fn drifting(start: Timestamp<Raw>, drift: f64) -> Self {
        Self { start, drift }
    }

    /// Now.
    pub fn now(&self) -> Timestamp<Raw> {
        self.at_host(clock::raw_now())
    }

    /// What this oscillator shows when the host's shows `host`.
    pub fn at_host(&self, host: Timestamp<Raw>) -> Timestamp<Raw> {
        if self.drift == 0.0 {
            return host;
        }
        host + (host - self.start).scaled(self.drift)
    }

    /// What the host's oscillator shows when this one shows `at`.
    pub fn host_at(&self, at: Timestamp<Raw>) -> Timestamp<Raw> {
        if self.drift == 0.0 {
            return at;
        }
        at - (at - self.start).scaled(self.drift / (1.0 + self.drift))
    }

    /// Rate of this oscillator minus the host's, s/s.
    pub const fn drift(&self) -> f64 {
        self.drift
    }

    /// What a timer of the kernel has to count until `deadline`; not positive if it has passed.
    ///
    /// `timer_rate` is the rate of `CLOCK_MONOTONIC` minus the host oscillator's (s/s): a slew of
    /// the system clock bends the kernel's timers, too.
    pub fn until(&self, deadline: Timestamp<Raw>, timer_rate: f64) -> Duration {
        let left = deadline - self.now();
        let on_host = left - left.scaled(self.drift / (1.0 + self.drift));
        on_host + on_host.scaled(timer_rate)
    }

    /// Reads the system clock against this oscillator, for converting stamps; `pace` is how the
    /// system clock has been running.
    pub fn window(&self, pace: Pace) -> Window {
        Window {
            timescale: *self,
            bracket: clock::bracket(),
            pace,
        }
    }
}

/// How the system clock runs against the host's oscillator.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pace {
    /// Rate of the system clock minus the oscillator's, s/s.
    pub rate: f64,
    /// When that rate was set (host), and the rate before; `None` if it has been the same for
    /// longer than any stamp is old.
    pub before: Option<(Timestamp<Raw>, f64)>,
}

impl Pace {
    /// A rate that has long been in force.
    pub const fn steady(rate: f64) -> Self {
        Self { rate, before: None }
    }

    /// The same clock after its rate was set to `rate` at `now` (host).
    #[must_use]
    pub const fn changed(self, now: Timestamp<Raw>, rate: f64) -> Self {
        Self {
            rate,
            before: Some((now, self.rate)),
        }
    }
}

/// A stamp that cannot be what it claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implausible {
    /// It lies in the future by this much.
    Future(Duration),
    /// It is this old.
    Old(Duration),
    /// It says that the packet left this long before it was given to the kernel.
    BeforeSending(Duration),
}

impl fmt::Display for Implausible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Future(by) => write!(f, "{:.9} s in the future", by.as_secs_f64()),
            Self::Old(age) => write!(f, "{:.3} s old", age.as_secs_f64()),
            Self::BeforeSending(by) => {
                write!(f, "{:.9} s before the packet was sent", by.as_secs_f64())
            }
        }
    }
}

impl Implausible {
    /// It in one number, for counters that are shared.
    pub fn to_bits(self) -> u64 {
        let (kind, by) = match self {
            Self::Future(by) => (0, by),
            Self::Old(age) => (1, age),
            Self::BeforeSending(by) => (2, by),
        };
        u64::try_from(by.as_nanos()).unwrap_or(0) << 2 | kind
    }

    /// What [`Implausible::to_bits`] made.
    pub fn from_bits(bits: u64) -> Self {
        let by = Duration::from_nanos(i64::try_from(bits >> 2).unwrap_or(i64::MAX));
        match bits & 3 {
            0 => Self::Future(by),
            1 => Self::Old(by),
            _ => Self::BeforeSending(by),
        }
    }
}

/// The system clock and the oscillator read at one instant: what the kernel's stamps of the
/// moments before it are converted with.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    timescale: Timescale,
    bracket: Bracket,
    pace: Pace,
}

impl Window {
    /// A window made from parts; the daemon uses [`Timescale::window`].
    pub const fn new(timescale: Timescale, bracket: Bracket, pace: Pace) -> Self {
        Self {
            timescale,
            bracket,
            pace,
        }
    }

    /// When the clocks were read.
    pub fn now(&self) -> Timestamp<Raw> {
        self.timescale.at_host(self.bracket.raw())
    }

    /// When the clocks were read, on the host's oscillator.
    pub fn host_now(&self) -> Timestamp<Raw> {
        self.bracket.raw()
    }

    /// An instant of the host's oscillator on the process's timescale.
    pub fn on_timescale(&self, host: Timestamp<Raw>) -> Timestamp<Raw> {
        self.timescale.at_host(host)
    }

    /// What the system clock showed at [`Window::now`].
    pub const fn utc(&self) -> Timestamp<Utc> {
        self.bracket.utc
    }

    /// How far the true instant of the system clock's reading can lie from [`Window::now`].
    pub fn half_width(&self) -> Duration {
        self.bracket.half_width()
    }

    /// The instant at which the system clock showed `stamp`, right within [`Window::half_width`].
    ///
    /// # Errors
    /// The stamp lies after this window, or so long before it that the clock must have been
    /// stepped in between.
    pub fn instant_of(&self, stamp: Timestamp<Utc>) -> Result<Timestamp<Raw>, Implausible> {
        self.instant_within(stamp, OLDEST_STAMP)
    }

    /// The same for a stamp that may be as old as `oldest`: of another program, not of the kernel.
    /// What the rate of the system clock has changed meanwhile adds to the error, but for the last
    /// change.
    ///
    /// # Errors
    /// As [`Window::instant_of`].
    pub fn instant_within(
        &self,
        stamp: Timestamp<Utc>,
        oldest: Duration,
    ) -> Result<Timestamp<Raw>, Implausible> {
        self.check_within(stamp, oldest)?;
        Ok(self.timescale.at_host(self.host_instant_of(stamp)))
    }

    /// Can the system clock have shown `stamp` in the moments before this window?
    ///
    /// # Errors
    /// As [`Window::instant_of`].
    pub fn check(&self, stamp: Timestamp<Utc>) -> Result<(), Implausible> {
        self.check_within(stamp, OLDEST_STAMP)
    }

    fn check_within(&self, stamp: Timestamp<Utc>, oldest: Duration) -> Result<(), Implausible> {
        let age = self.bracket.utc - stamp;
        if age < -self.half_width() {
            Err(Implausible::Future(-age))
        } else if age > oldest {
            Err(Implausible::Old(age))
        } else {
            Ok(())
        }
    }

    /// What the system clock showed at `at`, an instant of the host's oscillator in the moments
    /// before this window.
    pub fn utc_at(&self, at: Timestamp<Raw>) -> Timestamp<Utc> {
        let now = self.bracket.raw();
        let since = |instant: Timestamp<Raw>, rate: f64| {
            let elapsed = instant - at;
            elapsed + elapsed.scaled(rate)
        };
        match self.pace.before {
            Some((changed, earlier_rate)) if at < changed => {
                let after = now - changed;
                let after = after + after.scaled(self.pace.rate);
                self.bracket.utc - after - since(changed, earlier_rate)
            }
            _ => self.bracket.utc - since(now, self.pace.rate),
        }
    }

    /// As [`Window::instant_of`], on the host's oscillator and unchecked.
    fn host_instant_of(&self, stamp: Timestamp<Utc>) -> Timestamp<Raw> {
        let by_this_rate = self.bracket.raw_at(stamp, self.pace.rate);
        let Some((changed, earlier_rate)) = self.pace.before else {
            return by_this_rate;
        };
        if by_this_rate >= changed {
            return by_this_rate;
        }
        // Before the change the same difference of the system clock took another time.
        let before_change = changed - by_this_rate;
        let ratio = (1.0 + self.pace.rate) / (1.0 + earlier_rate);
        changed - before_change - before_change.scaled(ratio - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn raw(nanos: i64) -> Timestamp<Raw> {
        Timestamp::from_timespec(5_000, nanos)
    }

    fn utc(nanos: i64) -> Timestamp<Utc> {
        Timestamp::from_timespec(1_800_000_000, 0) + Duration::from_nanos(nanos)
    }

    /// Read at raw 5000 s + 1 ms ± 50 ns, when the clock showed 1.8e9 s + 1 ms.
    fn window(pace: Pace, timescale: Timescale) -> Window {
        let bracket = Bracket {
            before: raw(999_950),
            utc: utc(1_000_000),
            after: raw(1_000_050),
        };
        Window::new(timescale, bracket, pace)
    }

    fn nanos_after(instant: Timestamp<Raw>, reference: Timestamp<Raw>) -> i64 {
        (instant - reference).as_nanos()
    }

    #[test]
    fn a_stamp_keeps_its_distance_from_the_reading() {
        let window = window(Pace::default(), Timescale::host());
        let instant = window.instant_of(utc(400_000)).unwrap();
        assert_eq!(nanos_after(instant, raw(400_000)), 0);
        assert_eq!(window.half_width(), Duration::from_nanos(50));
    }

    #[test]
    fn a_slewing_clock_is_accounted_for() {
        // The clock runs 5 % fast: its 1.05 ms are 1 ms of the oscillator.
        let window = window(Pace::steady(0.05), Timescale::host());
        let instant = window.instant_of(utc(-50_000)).unwrap();
        assert!(nanos_after(instant, raw(0)).abs() <= 1);
    }

    #[test]
    fn a_stamp_from_before_the_rate_changed_is_converted_in_two_parts() {
        // From 5 % fast to true at 0.5 ms: of the clock's 1.025 ms before the reading, 0.5 ms
        // passed at the new rate, and 0.525 ms at the old rate in 0.5 ms.
        let pace = Pace::steady(0.05).changed(raw(500_000), 0.0);
        let window = window(pace, Timescale::host());
        let instant = window.instant_of(utc(-25_000)).unwrap();
        assert!(nanos_after(instant, raw(0)).abs() <= 1);
        let late = window.instant_of(utc(600_000)).unwrap();
        assert_eq!(nanos_after(late, raw(600_000)), 0);
    }

    #[test]
    fn an_instant_of_the_oscillator_is_what_the_clock_showed_then() {
        // As above, the other way round: before and after the change of rate.
        let pace = Pace::steady(0.05).changed(raw(500_000), 0.0);
        let window = window(pace, Timescale::host());
        for (instant, shown) in [(0, -25_000), (500_000, 500_000), (600_000, 600_000)] {
            let found = window.utc_at(raw(instant));
            assert!((found - utc(shown)).as_nanos().abs() <= 1, "{instant}");
            let back = window.instant_of(found).unwrap();
            assert!(nanos_after(back, raw(instant)).abs() <= 1, "{instant}");
        }
    }

    #[test]
    fn stamps_from_the_future_and_the_far_past_are_refused() {
        let window = window(Pace::default(), Timescale::host());
        assert!(window.instant_of(utc(1_000_040)).is_ok());
        assert_eq!(
            window.instant_of(utc(1_000_100)),
            Err(Implausible::Future(Duration::from_nanos(100)))
        );
        let old = utc(1_000_000) - Duration::from_millis(1_001);
        assert!(matches!(window.instant_of(old), Err(Implausible::Old(_))));
    }

    #[test]
    fn a_drifting_oscillator_counts_more_seconds() {
        let start = Timestamp::from_timespec(100, 0);
        let fast = Timescale::drifting(start, 50e-6);
        assert_eq!(fast.at_host(start), start);
        let later = start + Duration::from_secs(5_000);
        let there_and_back = fast.host_at(fast.at_host(later));
        assert!(nanos_after(there_and_back, later).abs() <= 1);
        let shown = fast.at_host(start + Duration::from_secs(1_000));
        let gained = shown - start - Duration::from_secs(1_000);
        assert!((gained.as_secs_f64() - 0.05).abs() < 1e-12);
        // The stamps follow: 4900 s after the start it is 245 ms ahead.
        let instant = window(Pace::default(), fast).instant_of(utc(0)).unwrap();
        assert!(nanos_after(instant, raw(245_000_000)).abs() <= 1);
    }

    #[test]
    fn waiting_is_on_the_hosts_time() {
        let now = clock::raw_now();
        let twice = Timescale::drifting(now, 1.0);
        let wait = twice.until(now + Duration::from_secs(100), 0.0);
        assert!(wait > Duration::from_secs(49) && wait <= Duration::from_secs(50));
        assert!(twice.until(now - Duration::from_secs(1), 0.0) < Duration::ZERO);
    }

    /// During a slew of -5 % the kernel's timers count only 0.95 s while the oscillator counts one:
    /// a correction that was timed without that would end 5 % late, and overshoot.
    #[test]
    fn a_slewed_timer_is_set_to_what_it_will_count() {
        let host = Timescale::host();
        let wait = host.until(host.now() + Duration::from_secs(100), -0.05);
        assert!((wait - Duration::from_secs(95)).abs() < Duration::from_millis(500));
    }
}
