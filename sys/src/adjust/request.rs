//! What is written into `struct timex` for each request; pure, so that every bit can be tested
//! without a clock.

use clockwright_timebase::Duration;

use super::rate::Rate;
use super::{AdjustError, Announcement, KernelLeap};
use crate::uapi;

/// The kernel holds maximum and estimated error within 16 s (kernel/time/ntp.c:
/// `NTP_PHASE_LIMIT`).
const ERROR_LIMIT_US: i64 = 16_000_000;
/// The largest TAI − UTC the kernel takes (kernel/time/ntp.c: `MAX_TAI_OFFSET`).
const MAX_TAI_OFFSET: i32 = 100_000;

/// Changes nothing.
pub(super) fn read() -> libc::timex {
    // SAFETY: timex is plain integers, for which all zeros is a value.
    unsafe { std::mem::zeroed() }
}

fn with_modes(modes: u32) -> libc::timex {
    libc::timex { modes, ..read() }
}

/// Tick and fine frequency in one call, so that the clock never runs at a mixture.
pub(super) fn tick_and_frequency(rate: Rate) -> libc::timex {
    libc::timex {
        tick: rate.tick_us,
        freq: rate.fine,
        ..with_modes(uapi::ADJ_TICK | uapi::ADJ_FREQUENCY)
    }
}

/// Fine frequency alone, in units of 2⁻¹⁶ ppm.
pub(super) fn frequency(fine: i64) -> libc::timex {
    libc::timex {
        freq: fine,
        ..with_modes(uapi::ADJ_FREQUENCY)
    }
}

/// A step; the kernel wants 0 ≤ `tv_usec` (here nanoseconds) < 10⁹ also for negative ones.
pub(super) fn step(nanos: i64) -> libc::timex {
    libc::timex {
        time: libc::timeval {
            tv_sec: nanos.div_euclid(1_000_000_000),
            tv_usec: nanos.rem_euclid(1_000_000_000),
        },
        ..with_modes(uapi::ADJ_SETOFFSET | uapi::ADJ_NANO)
    }
}

/// Status, errors, leap second and TAI offset at once.
pub(super) fn announce(announcement: &Announcement) -> Result<libc::timex, AdjustError> {
    let mut status = match announcement.leap {
        KernelLeap::None => 0,
        KernelLeap::Insert => uapi::STA_INS,
        KernelLeap::Delete => uapi::STA_DEL,
    };
    if !announcement.synchronized {
        status |= uapi::STA_UNSYNC;
    }
    let mut timex = libc::timex {
        status: status.cast_signed(),
        maxerror: micros_up(announcement.max_error),
        esterror: micros_up(announcement.est_error),
        ..with_modes(uapi::ADJ_STATUS | uapi::ADJ_MAXERROR | uapi::ADJ_ESTERROR)
    };
    if let Some(tai) = announcement.tai_offset {
        if !(1..=MAX_TAI_OFFSET).contains(&tai) {
            return Err(AdjustError::TaiOffsetOutOfRange(tai));
        }
        timex.modes |= uapi::ADJ_TAI;
        timex.constant = i64::from(tai);
    }
    Ok(timex)
}

/// What ends the loops of a clock that is as `now` says; requests to be made in order. The phase still
/// to be corrected can only be cleared while the PLL is on, because the kernel ignores `ADJ_OFFSET`
/// otherwise but goes on working the old phase off; then all loops are switched off, then what an
/// `adjtime` has left over.
///
/// Where nothing of the sort goes on, nothing is switched: with its PLL the kernel switches its leap
/// second off too, however near that is (kernel/time/ntp.c, `process_adj_status`).
pub(super) fn take_over(now: &libc::timex) -> Vec<libc::timex> {
    let loops = (uapi::STA_PLL | uapi::STA_FLL | uapi::STA_PPSFREQ | uapi::STA_PPSTIME)
        | uapi::STA_FREQHOLD;
    let status = now.status & !loops.cast_signed();
    let mut requests = Vec::new();
    if status != now.status || now.offset != 0 {
        requests.push(libc::timex {
            status: status | uapi::STA_PLL.cast_signed(),
            ..with_modes(uapi::ADJ_STATUS | uapi::ADJ_OFFSET)
        });
        requests.push(libc::timex {
            status,
            ..with_modes(uapi::ADJ_STATUS)
        });
    }
    requests.push(with_modes(uapi::ADJ_OFFSET_SINGLESHOT));
    requests
}

/// In microseconds, rounded up (an error bound must not shrink), within the kernel's limits.
fn micros_up(error: Duration) -> i64 {
    let micro = Duration::from_micros(1).as_units();
    // Units are i128, whose `div_ceil` is not stable yet; the negative of a floor is the same.
    let micros = -(-error.as_units().max(0)).div_euclid(micro);
    i64::try_from(micros).map_or(ERROR_LIMIT_US, |us| us.min(ERROR_LIMIT_US))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal() -> Announcement {
        Announcement {
            synchronized: true,
            leap: KernelLeap::None,
            max_error: Duration::from_micros(150),
            est_error: Duration::from_micros(10),
            tai_offset: None,
        }
    }

    #[test]
    fn reading_has_no_modes() {
        assert_eq!(read().modes, 0);
    }

    #[test]
    fn a_negative_step_is_normalised() {
        let timex = step(-1);
        assert_eq!(timex.modes, 0x2100);
        assert_eq!((timex.time.tv_sec, timex.time.tv_usec), (-1, 999_999_999));
        let timex = step(-2_000_000_000);
        assert_eq!((timex.time.tv_sec, timex.time.tv_usec), (-2, 0));
        let timex = step(1_500_000_000);
        assert_eq!((timex.time.tv_sec, timex.time.tv_usec), (1, 500_000_000));
    }

    #[test]
    fn tick_and_frequency_go_in_one_call() {
        let timex = tick_and_frequency(Rate {
            tick_us: 10_003,
            fine: -7,
        });
        assert_eq!((timex.modes, timex.tick, timex.freq), (0x4002, 10_003, -7));
        assert_eq!(frequency(5).modes, 0x2);
    }

    #[test]
    fn errors_are_rounded_up_and_held_in_the_kernels_range() {
        let timex = announce(&Announcement {
            max_error: Duration::from_nanos(1),
            est_error: Duration::from_secs(100),
            ..normal()
        })
        .unwrap();
        assert_eq!((timex.maxerror, timex.esterror), (1, 16_000_000));
        assert_eq!(micros_up(Duration::from_nanos(-5)), 0);
        assert_eq!(micros_up(Duration::from_micros(7)), 7);
        assert_eq!(micros_up(Duration::MAX), 16_000_000);
    }

    #[test]
    fn the_announcement_says_leap_synchronisation_and_tai() {
        let timex = announce(&normal()).unwrap();
        assert_eq!((timex.modes, timex.status), (0x1c, 0));
        let timex = announce(&Announcement {
            synchronized: false,
            leap: KernelLeap::Insert,
            tai_offset: Some(37),
            ..normal()
        })
        .unwrap();
        assert_eq!(
            (timex.modes, timex.status, timex.constant),
            (0x9c, 0x50, 37)
        );
        for tai in [0, -1, 100_001] {
            let wrong = Announcement {
                tai_offset: Some(tai),
                ..normal()
            };
            assert!(matches!(
                announce(&wrong),
                Err(AdjustError::TaiOffsetOutOfRange(t)) if t == tai
            ));
        }
    }

    #[test]
    fn taking_over_clears_the_phase_then_all_loops_and_keeps_the_rest() {
        let now = |status, offset| libc::timex {
            status,
            offset,
            ..read()
        };
        for busy in [now(0x1 | 0x8 | 0x6 | 0x40 | 0x10, 0), now(0x40 | 0x10, 7)] {
            let requests = take_over(&busy);
            let [clear, off, adjtime] = &requests[..] else {
                panic!("{} requests", requests.len());
            };
            assert_eq!((clear.modes, clear.status, clear.offset), (0x11, 0x51, 0));
            assert_eq!((off.modes, off.status), (0x10, 0x50));
            assert_eq!((adjtime.modes, adjtime.offset), (0x8001, 0));
        }
        let idle = take_over(&now(0x40 | 0x10, 0));
        assert_eq!(
            idle.iter().map(|one| one.modes).collect::<Vec<_>>(),
            [0x8001]
        );
    }
}
