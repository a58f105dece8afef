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

/// The system clock's precision as NTP wants it: log2 of the larger of its resolution and the
/// time one reading takes, in seconds (RFC 5905 section 7.3: "precision").
pub fn measure_precision() -> i8 {
    -20
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
