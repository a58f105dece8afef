//! Reading clocks, alone and bracketed.

use clockwright_timebase::{Duration, Raw, Timestamp, Utc};

/// A kernel clock, by its `clockid_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClockId(libc::clockid_t);

impl ClockId {
    /// The system clock, `CLOCK_REALTIME`.
    pub const REALTIME: Self = Self(libc::CLOCK_REALTIME);

    pub(crate) const fn as_raw(self) -> libc::clockid_t {
        self.0
    }

    /// The dynamic clock behind an open character device such as `/dev/ptp0`
    /// (`FD_TO_CLOCKID`). Valid as long as the descriptor stays open.
    pub(crate) const fn of_descriptor(fd: std::os::fd::RawFd) -> Self {
        Self((!fd << 3) | 3)
    }
}

/// `CLOCK_MONOTONIC_RAW` now: the oscillator nobody steers.
pub fn raw_now() -> Timestamp<Raw> {
    let now = read(libc::CLOCK_MONOTONIC_RAW);
    Timestamp::from_timespec(now.tv_sec, now.tv_nsec)
}

/// `CLOCK_REALTIME` now: what the host believes UTC to be.
pub fn realtime_now() -> Timestamp<Utc> {
    let now = read(libc::CLOCK_REALTIME);
    Timestamp::from_timespec(now.tv_sec, now.tv_nsec)
}

/// How long the host has been suspended since boot: `CLOCK_BOOTTIME` − `CLOCK_MONOTONIC`.
///
/// Both are steered alike and only the first counts suspend, so this grows exactly when the
/// host slept; a caller that sees it grow by more than the reading's own noise (well below a
/// millisecond) starts afresh.
pub fn time_suspended() -> Duration {
    let monotonic = read(libc::CLOCK_MONOTONIC);
    let boot = read(libc::CLOCK_BOOTTIME);
    Timestamp::<Raw>::from_timespec(boot.tv_sec, boot.tv_nsec)
        - Timestamp::from_timespec(monotonic.tv_sec, monotonic.tv_nsec)
}

/// A reading of `CLOCK_REALTIME` between two of `CLOCK_MONOTONIC_RAW`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bracket {
    /// Raw, read just before.
    pub before: Timestamp<Raw>,
    /// What the system clock showed in between.
    pub utc: Timestamp<Utc>,
    /// Raw, read just after.
    pub after: Timestamp<Raw>,
}

impl Bracket {
    /// The most likely raw instant of the UTC reading: the middle.
    pub fn raw(&self) -> Timestamp<Raw> {
        self.before + (self.after - self.before).half()
    }

    /// How far the true raw instant can lie from [`Bracket::raw`].
    pub fn half_width(&self) -> Duration {
        (self.after - self.before).half()
    }

    /// System clock − raw, at the middle.
    pub fn offset(&self) -> Duration {
        self.utc.since_epoch() - self.raw().since_epoch()
    }

    /// The raw instant at which the system clock showed `utc`, within [`Bracket::half_width`]
    /// plus what the system clock's rate differs from raw's over the time between `utc` and the
    /// bracket (`rate` = d(system)/d(raw) − 1, in s/s), provided that nobody stepped the clock
    /// in between.
    pub fn raw_at(&self, utc: Timestamp<Utc>, rate: f64) -> Timestamp<Raw> {
        let elapsed = utc - self.utc;
        self.raw() + elapsed - elapsed.scaled(rate / (1.0 + rate))
    }
}

/// Reads both clocks a few times and returns the narrowest bracket: the one least disturbed by
/// interrupts.
pub fn bracket() -> Bracket {
    const TRIES: usize = 4;
    let mut best = bracket_once();
    for _ in 1..TRIES {
        let next = bracket_once();
        if next.half_width() < best.half_width() {
            best = next;
        }
    }
    best
}

fn bracket_once() -> Bracket {
    Bracket {
        before: raw_now(),
        utc: realtime_now(),
        after: raw_now(),
    }
}

/// Converts an instant of the system clock to raw by interpolating between two brackets, and
/// returns it with the bound of the conversion's error.
///
/// `None` when the system clock was stepped, or ran more than 10 % off (which the kernel does not
/// allow), between the brackets: then no conversion is possible. `utc` should lie between them.
pub fn interpolate(
    earlier: &Bracket,
    later: &Bracket,
    utc: Timestamp<Utc>,
) -> Option<(Timestamp<Raw>, Duration)> {
    /// `ADJ_TICK`'s limit of 10 %, and `ADJ_FREQUENCY`'s on top.
    const MAX_RATE: f64 = 0.1005;
    let half_width = earlier.half_width().max(later.half_width());
    let raw_span = later.raw() - earlier.raw();
    let bend = later.offset() - earlier.offset();
    let noise = earlier.half_width() + later.half_width();
    if bend.abs() > raw_span.abs().scaled(MAX_RATE) + noise {
        return None;
    }
    let utc_span = (later.utc - earlier.utc).as_secs_f64();
    let fraction = if utc_span > 0.0 {
        ((utc - earlier.utc).as_secs_f64() / utc_span).clamp(0.0, 1.0)
    } else {
        0.5
    };
    let offset = earlier.offset() + bend.scaled(fraction);
    let raw = utc.shifted_to(-offset);
    Some((raw, half_width))
}

/// The system clock's precision as NTP wants it: log2, rounded up, of the time in seconds one
/// reading takes, or of the clock's resolution where that is larger (RFC 5905 section 7.3,
/// "precision").
pub fn measure_precision() -> i8 {
    const READINGS: usize = 64;
    let mut smallest = Duration::from_secs(1);
    let mut last = realtime_now();
    for _ in 0..READINGS {
        // A clock coarser than a reading shows the same instant several times.
        let mut next = realtime_now();
        while next == last {
            next = realtime_now();
        }
        if next > last {
            smallest = smallest.min(next - last);
        }
        last = next;
    }
    log2_ceil(smallest)
}

/// log2 in seconds, rounded up, at least −32 (NTP's resolution).
#[expect(clippy::cast_possible_truncation, reason = "clamped to the range")]
fn log2_ceil(duration: Duration) -> i8 {
    duration.as_secs_f64().log2().ceil().clamp(-32.0, 0.0) as i8
}

fn read(clock: libc::clockid_t) -> libc::timespec {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a valid timespec to write to for the whole call.
    // It cannot fail for the fixed ids used here: clock_gettime(2) knows no other error for a
    // valid pointer than an unknown clock, and all are older than any supported kernel.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    now
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bracket_at(raw_ns: i64, width_ns: i64, utc_ns: i64) -> Bracket {
        Bracket {
            before: Timestamp::from_epoch(Duration::from_nanos(raw_ns)),
            utc: Timestamp::from_epoch(Duration::from_nanos(utc_ns)),
            after: Timestamp::from_epoch(Duration::from_nanos(raw_ns + width_ns)),
        }
    }

    #[test]
    fn clocks_advance_and_a_bracket_brackets() {
        let before = raw_now();
        let bracket = bracket();
        let after = raw_now();
        assert!(before <= bracket.before && bracket.before <= bracket.after);
        assert!(bracket.after <= after);
        assert!(bracket.half_width() < Duration::from_millis(100));
        assert!(bracket.utc.since_epoch() > Duration::from_secs(1_600_000_000));
        assert!(!time_suspended().is_negative());
    }

    #[test]
    fn a_bracket_converts_with_the_rate() {
        let bracket = bracket_at(1_000, 100, 5_000_000);
        assert_eq!(bracket.offset(), Duration::from_nanos(5_000_000 - 1_050));
        assert_eq!(bracket.half_width(), Duration::from_nanos(50));
        // 1 ms of a system clock that runs 100 ppm fast is 99.99 ns less of raw.
        let later = bracket.utc + Duration::from_millis(1);
        let raw = bracket.raw_at(later, 1e-4).since_epoch();
        let expected = Duration::from_nanos(1_001_050) - Duration::from_secs_f64(99.990_001e-9);
        assert!((raw - expected).abs() < Duration::from_units(1 << 20));
        assert_eq!(bracket.raw_at(bracket.utc, 1e-4), bracket.raw());
    }

    #[test]
    fn interpolation_follows_the_steered_clock() {
        // The system clock gains 500 ns over 1 ms (500 ppm).
        let early = bracket_at(0, 40, 1_000_020);
        let late = bracket_at(1_000_000, 60, 2_000_530);
        let middle = Timestamp::from_epoch(Duration::from_nanos(1_500_275));
        let (raw, error) = interpolate(&early, &late, middle).unwrap();
        let expected = Duration::from_nanos(500_025);
        assert!(
            (raw.since_epoch() - expected).abs() < Duration::from_nanos(1),
            "{raw:?}"
        );
        assert_eq!(error, Duration::from_nanos(30));
    }

    #[test]
    fn a_step_between_brackets_is_no_conversion() {
        let early = bracket_at(0, 40, 1_000_000);
        let late = bracket_at(1_000_000, 40, 1_000_000 + 1_000_000 + 5_000_000);
        assert_eq!(interpolate(&early, &late, early.utc), None);
    }

    #[test]
    fn the_id_of_a_descriptor_is_that_of_the_kernel_macro() {
        assert_eq!(ClockId::of_descriptor(5).as_raw(), -45);
    }

    #[test]
    fn precision_is_rounded_up_and_plausible() {
        assert_eq!(log2_ceil(Duration::from_nanos(60)), -23);
        assert_eq!(log2_ceil(Duration::ZERO), -32);
        assert_eq!(log2_ceil(Duration::from_secs(9)), 0);
        let measured = measure_precision();
        assert!((-32..=-10).contains(&measured), "{measured}");
    }
}
