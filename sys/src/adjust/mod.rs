//! Steering a clock: `clock_adjtime` with types.
//!
//! Rates are in s/s relative to the unsteered oscillator, positive = the clock runs faster.

mod rate;
mod request;

use std::{fmt, io};

use clockwright_timebase::Duration;

use crate::clock::ClockId;
use crate::process::{self, Capability};
use crate::uapi;
use rate::Rate;

/// Why a clock could not be read or steered.
#[derive(Debug)]
#[non_exhaustive]
pub enum AdjustError {
    /// This process may not: it lacks `CAP_SYS_TIME` in the initial user namespace.
    NotPermitted,
    /// The rate (s/s) is beyond what this clock can run at.
    RateOutOfRange(f64),
    /// TAI − UTC of so many seconds is not one the kernel takes (1 to 100 000).
    TaiOffsetOutOfRange(i32),
    /// The kernel refused for another reason.
    Kernel(io::Error),
}

impl fmt::Display for AdjustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPermitted => f.write_str(
                "not permitted to steer the clock: CAP_SYS_TIME of the initial user namespace is \
                 missing (run as root, give the service AmbientCapabilities=CAP_SYS_TIME or the \
                 container --cap-add=SYS_TIME, or use --no-adjust)",
            ),
            Self::RateOutOfRange(rate) => write!(
                f,
                "the clock cannot run {:+.3} ppm off its oscillator",
                rate * 1e6
            ),
            Self::TaiOffsetOutOfRange(secs) => write!(
                f,
                "the kernel takes no TAI - UTC offset of {secs} s (1 to 100000 are possible)"
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

/// What `adjtimex` returns: where the clock is with respect to a leap second (`TIME_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeState {
    /// Synchronised, no leap second near.
    Ok,
    /// A second will be inserted at the end of the day.
    InsertPending,
    /// A second will be deleted at the end of the day.
    DeletePending,
    /// The inserted second is now.
    InProgress,
    /// The leap second has been; `STA_INS`/`STA_DEL` are still set.
    Occurred,
    /// Not synchronised.
    Unsynchronized,
}

/// Status bits of the kernel clock (`STA_*` of `linux/timex.h`).
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Status(u32);

impl Status {
    /// The kernel's own phase-locked loop is on.
    pub const PLL: Self = Self(uapi::STA_PLL);
    /// The kernel disciplines the frequency by PPS.
    pub const PPS_FREQUENCY: Self = Self(uapi::STA_PPSFREQ);
    /// The kernel disciplines the time by PPS.
    pub const PPS_TIME: Self = Self(uapi::STA_PPSTIME);
    /// The kernel's loop is in frequency-locked mode.
    pub const FLL: Self = Self(uapi::STA_FLL);
    /// Insert a leap second.
    pub const INSERT: Self = Self(uapi::STA_INS);
    /// Delete a leap second.
    pub const DELETE: Self = Self(uapi::STA_DEL);
    /// Not synchronised.
    pub const UNSYNC: Self = Self(uapi::STA_UNSYNC);
    /// The kernel's loop holds the frequency.
    pub const FREQUENCY_HOLD: Self = Self(uapi::STA_FREQHOLD);
    /// `timex.time` counts nanoseconds, not microseconds.
    pub const NANO: Self = Self(uapi::STA_NANO);

    const NAMES: [(Self, &'static str); 9] = [
        (Self::PLL, "PLL"),
        (Self::PPS_FREQUENCY, "PPSFREQ"),
        (Self::PPS_TIME, "PPSTIME"),
        (Self::FLL, "FLL"),
        (Self::INSERT, "INS"),
        (Self::DELETE, "DEL"),
        (Self::UNSYNC, "UNSYNC"),
        (Self::FREQUENCY_HOLD, "FREQHOLD"),
        (Self::NANO, "NANO"),
    ];

    /// All bits as the kernel gave them.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Are all bits of `other` set?
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Is any bit of `other` set?
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl std::ops::BitOr for Status {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Status {
    /// The kernel's names of the bits, then those without a name here in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut list = f.debug_list();
        for (bit, name) in Self::NAMES {
            if self.contains(bit) {
                list.entry(&format_args!("{name}"));
                rest &= !bit.0;
            }
        }
        if rest != 0 {
            list.entry(&format_args!("{rest:#x}"));
        }
        list.finish()
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
    /// Where the clock is with respect to a leap second.
    pub time_state: TimeState,
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
    let mut timex = request::read();
    let returned = call(clock, &mut timex)?;
    Ok(state(clock, &timex, returned))
}

/// Lets the clock run at `rate` (s/s off its oscillator, positive = faster) and returns the rate
/// really applied, after rounding to the kernel's units.
///
/// The system clock reaches ±10 % (fine frequency up to 400 ppm, whole ticks beyond); a PHC what
/// its driver allows.
pub fn set_frequency(clock: ClockId, rate: f64) -> Result<f64, AdjustError> {
    let out_of_range = AdjustError::RateOutOfRange(rate);
    let request = if clock == ClockId::REALTIME {
        Rate::split(rate, user_hz()).map(request::tick_and_frequency)
    } else {
        Rate::fine_only(rate).map(request::frequency)
    };
    let Some(mut timex) = request else {
        return Err(out_of_range);
    };
    match call(clock, &mut timex) {
        Ok(returned) => Ok(state(clock, &timex, returned).rate),
        Err(AdjustError::Kernel(e)) if e.raw_os_error() == Some(libc::ERANGE) => Err(out_of_range),
        Err(error) => Err(error),
    }
}

/// Steps the clock by `by` (added to the clock), rounded to a nanosecond, and returns the step
/// really made.
pub fn step(clock: ClockId, by: Duration) -> Result<Duration, AdjustError> {
    let nanos = by.as_nanos();
    call(clock, &mut request::step(nanos))?;
    Ok(Duration::from_nanos(nanos))
}

/// Tells the kernel, and through it every application, how good the system clock is.
///
/// Ends the kernel's own PLL, as every daemon that steers by frequency must ([`take_over`] does
/// so at the start).
pub fn announce(announcement: &Announcement) -> Result<KernelState, AdjustError> {
    let mut timex = request::announce(announcement)?;
    let returned = call(ClockId::REALTIME, &mut timex)?;
    Ok(state(ClockId::REALTIME, &timex, returned))
}

/// Ends whatever the kernel itself does to the system clock: its PLL and FLL, PPS discipline, and
/// what is left of an earlier `adjtime`. Frequency and tick stay.
pub fn take_over() -> Result<(), AdjustError> {
    let mut now = request::read();
    call(ClockId::REALTIME, &mut now)?;
    for mut request in request::take_over(&now) {
        call(ClockId::REALTIME, &mut request)?;
    }
    Ok(())
}

/// Can this process steer the system clock? Looks at capabilities only; changes nothing.
///
/// The kernel asks for `CAP_SYS_TIME` in the *initial* user namespace, so root in a container
/// with its own user namespace cannot.
pub fn can_steer() -> Result<(), AdjustError> {
    let able = process::has_capability(Capability::SysTime).map_err(AdjustError::Kernel)?
        && process::in_initial_user_namespace().map_err(AdjustError::Kernel)?;
    if able {
        Ok(())
    } else {
        Err(AdjustError::NotPermitted)
    }
}

/// The one call; returns the kernel's time state (`TIME_*`).
fn call(clock: ClockId, timex: &mut libc::timex) -> Result<i32, AdjustError> {
    // SAFETY: `timex` is a valid structure to read and write for the whole call.
    let returned = unsafe { libc::clock_adjtime(clock.as_raw(), timex) };
    if returned >= 0 {
        return Ok(returned);
    }
    let error = io::Error::last_os_error();
    Err(match error.raw_os_error() {
        Some(libc::EPERM) => AdjustError::NotPermitted,
        _ => AdjustError::Kernel(error),
    })
}

/// What the kernel answered, typed.
fn state(clock: ClockId, timex: &libc::timex, returned: i32) -> KernelState {
    let frequency_ppm = rate::fine_to_ppm(timex.freq);
    let rate = if clock == ClockId::REALTIME {
        let rate = Rate {
            tick_us: timex.tick,
            fine: timex.freq,
        };
        rate.joined(user_hz())
    } else {
        frequency_ppm * 1e-6
    };
    let status = Status(timex.status.cast_unsigned());
    KernelState {
        rate,
        frequency_ppm,
        tick_us: timex.tick,
        status,
        leap: if status.contains(Status::INSERT) {
            KernelLeap::Insert
        } else if status.contains(Status::DELETE) {
            KernelLeap::Delete
        } else {
            KernelLeap::None
        },
        time_state: time_state(returned),
        max_error: Duration::from_micros(timex.maxerror),
        est_error: Duration::from_micros(timex.esterror),
        tai_offset: timex.tai,
    }
}

/// `TIME_*` typed; what is not known is not synchronised.
fn time_state(returned: i32) -> TimeState {
    match returned.cast_unsigned() {
        uapi::TIME_OK => TimeState::Ok,
        uapi::TIME_INS => TimeState::InsertPending,
        uapi::TIME_DEL => TimeState::DeletePending,
        uapi::TIME_OOP => TimeState::InProgress,
        uapi::TIME_WAIT => TimeState::Occurred,
        _ => TimeState::Unsynchronized,
    }
}

/// `USER_HZ`: ticks a second as the kernel's interfaces count them; 100 but on Alpha.
fn user_hz() -> i64 {
    static USER_HZ: std::sync::OnceLock<i64> = std::sync::OnceLock::new();
    *USER_HZ.get_or_init(|| {
        // SAFETY: sysconf takes a number and touches no memory of ours.
        let hz = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
        if hz > 0 { hz } else { 100 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_needs_no_privilege_and_makes_sense() {
        let state = read(ClockId::REALTIME).unwrap();
        assert_eq!(user_hz(), 100);
        assert!((9_000..=11_000).contains(&state.tick_us), "{state:?}");
        assert!(state.frequency_ppm.abs() <= 500.0, "{state:?}");
        let rate = (state.tick_us - 10_000) as f64 * 100e-6 + state.frequency_ppm * 1e-6;
        assert!((state.rate - rate).abs() < 1e-12, "{state:?}");
        assert!(!state.max_error.is_negative());
        assert_eq!(
            state.time_state == TimeState::Unsynchronized,
            state.status.contains(Status::UNSYNC)
        );
    }

    #[test]
    fn a_rate_beyond_the_kernel_is_refused_before_it_is_asked() {
        let error = set_frequency(ClockId::REALTIME, 0.2).unwrap_err();
        assert!(matches!(error, AdjustError::RateOutOfRange(_)));
        assert!(error.to_string().contains("+200000.000 ppm"), "{error}");
    }

    #[test]
    fn the_permission_error_names_the_capability() {
        assert!(
            AdjustError::NotPermitted
                .to_string()
                .contains("CAP_SYS_TIME")
        );
    }

    #[test]
    fn an_unknown_clock_is_the_kernels_error() {
        let closed = ClockId::of_descriptor(1_000_000);
        assert!(matches!(read(closed), Err(AdjustError::Kernel(_))));
    }

    #[test]
    fn status_shows_the_kernels_names() {
        let status = Status::PLL | Status::UNSYNC | Status(0x8000);
        assert_eq!(format!("{status:?}"), "[PLL, UNSYNC, 0x8000]");
        assert!(status.intersects(Status::UNSYNC | Status::NANO));
        assert!(!status.contains(Status::UNSYNC | Status::NANO));
    }
}
