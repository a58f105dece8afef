//! Steering a clock: `clock_adjtime` with types.
//!
//! Rates are in s/s relative to the unsteered oscillator, positive = the clock runs faster.

use std::{fmt, io};

use clockwright_timebase::Duration;

use crate::clock::ClockId;

/// Why a clock could not be read or steered.
#[derive(Debug)]
#[non_exhaustive]
pub enum AdjustError {
    /// This process may not: it lacks `CAP_SYS_TIME` in the initial user namespace.
    NotPermitted,
    /// The rate (s/s) is beyond what this clock can run at.
    RateOutOfRange(f64),
    /// The kernel refused for another reason.
    Kernel(io::Error),
}

impl fmt::Display for AdjustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPermitted => f.write_str(
                "not permitted to steer the clock: CAP_SYS_TIME is missing (run as root, or give \
                 the service AmbientCapabilities=CAP_SYS_TIME, or use --no-adjust)",
            ),
            Self::RateOutOfRange(rate) => write!(
                f,
                "the clock cannot run {:+.3} ppm off its oscillator",
                rate * 1e6
            ),
            Self::Kernel(error) => write!(f, "clock_adjtime: {error}"),
        }
    }
}

impl std::error::Error for AdjustError {}

/// The leap second the kernel is told to make at the end of the UTC day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KernelLeap {
    /// None.
    #[default]
    None,
    /// Insert 23:59:60 (`STA_INS`).
    Insert,
    /// Delete 23:59:59 (`STA_DEL`).
    Delete,
}

/// Status bits of the kernel clock (`STA_*` of `linux/timex.h`).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Status(pub(crate) i32);

impl Status {
    /// `STA_PLL`: the kernel's own phase-locked loop is on.
    pub const PLL: Self = Self(0x1);
    /// `STA_UNSYNC`: the clock is not synchronised.
    pub const UNSYNC: Self = Self(0x40);

    /// Are all bits of `other` set?
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What the kernel knows about one of its clocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KernelState {
    /// The rate set by frequency and tick together, in s/s; positive = faster.
    pub rate: f64,
    /// The part set by `ADJ_FREQUENCY`, in ppm.
    pub frequency_ppm: f64,
    /// Microseconds a tick (`ADJ_TICK`); 10 000 is nominal at 100 Hz.
    pub tick_us: i64,
    /// Status bits.
    pub status: Status,
    /// The announced leap second.
    pub leap: KernelLeap,
    /// Maximum error, as last announced plus 500 ppm of the time since.
    pub max_error: Duration,
    /// Estimated error, as last announced.
    pub est_error: Duration,
    /// TAI − UTC in whole seconds; 0 = unknown.
    pub tai_offset: i32,
}

/// What the kernel should tell applications about the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// Is the clock synchronised? (`STA_UNSYNC` is the opposite; synchronised also lets the
    /// kernel write the RTC every 11 minutes.)
    pub synchronized: bool,
    /// The coming leap second.
    pub leap: KernelLeap,
    /// Bound of the clock's error: root distance. Rounded up to a microsecond.
    pub max_error: Duration,
    /// Expected error: one standard deviation. Rounded up to a microsecond.
    pub est_error: Duration,
    /// TAI − UTC in seconds where it is known.
    pub tai_offset: Option<i32>,
}

/// Reads the state; needs no privilege and changes nothing.
pub fn read(clock: ClockId) -> Result<KernelState, AdjustError> {
    let _ = clock;
    Err(AdjustError::Kernel(io::ErrorKind::Unsupported.into()))
}

/// Lets the clock run at `rate` (s/s off its oscillator, positive = faster) and returns the rate
/// really applied, after rounding to the kernel's units.
pub fn set_frequency(clock: ClockId, rate: f64) -> Result<f64, AdjustError> {
    let _ = (clock, rate);
    Err(AdjustError::Kernel(io::ErrorKind::Unsupported.into()))
}

/// Steps the clock by `by` (added to the clock), rounded to a nanosecond, and returns the step
/// really made.
pub fn step(clock: ClockId, by: Duration) -> Result<Duration, AdjustError> {
    let _ = (clock, by);
    Err(AdjustError::Kernel(io::ErrorKind::Unsupported.into()))
}

/// Tells the kernel, and through it every application, how good the system clock is.
pub fn announce(announcement: &Announcement) -> Result<KernelState, AdjustError> {
    let _ = announcement;
    Err(AdjustError::Kernel(io::ErrorKind::Unsupported.into()))
}

/// Ends whatever the kernel itself does to the system clock: its PLL and FLL, PPS discipline, and
/// what is left of an earlier `adjtime`. Frequency and tick stay.
pub fn take_over() -> Result<(), AdjustError> {
    Err(AdjustError::Kernel(io::ErrorKind::Unsupported.into()))
}

/// Can this process steer the system clock? Changes nothing.
pub fn can_steer() -> Result<(), AdjustError> {
    Err(AdjustError::NotPermitted)
}
