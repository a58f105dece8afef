//! A rate as the kernel takes it: whole microseconds a tick, and a fine frequency.
//!
//! The kernel adds both: a second of the clock lasts `tick · USER_HZ` microseconds plus
//! `freq` ppm. The fine part alone reaches ±500 ppm in steps of 2⁻¹⁶ ppm
//! (kernel/time/ntp.c: `MAXFREQ`); the tick reaches ±10 % in steps of `USER_HZ` ppm.

/// Units of the kernel's frequency in a ppm.
const PER_PPM: f64 = 65_536.0;
/// The largest fine frequency, in ppm; the kernel clamps silently beyond.
const MAX_FINE_PPM: f64 = 500.0;
/// Up to here the tick stays alone, so that an ordinary oscillator's correction is one number
/// whatever its history.
const TICK_FROM_PPM: f64 = 400.0;

/// A rate in the kernel's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    /// Microseconds a tick (`timex.tick`).
    pub(super) tick_us: i64,
    /// Units of 2⁻¹⁶ ppm (`timex.freq`).
    pub(super) fine: i64,
}

impl Rate {
    /// Splits `rate` (s/s) for a kernel that ticks `user_hz` times a second; `None` when it is
    /// beyond what tick and frequency reach, or not a number.
    pub(super) fn split(rate: f64, user_hz: i64) -> Option<Self> {
        let ppm = rate * 1e6;
        let step = user_hz as f64;
        let nominal = 1_000_000 / user_hz;
        let ticks = if ppm.abs() <= TICK_FROM_PPM {
            0.0
        } else {
            (ppm / step).round()
        };
        let fine_ppm = ppm - ticks * step;
        let limit = nominal as f64 / 10.0;
        // Written so that not-a-number fails.
        let possible = ticks.abs() <= limit.floor() && fine_ppm.abs() <= MAX_FINE_PPM;
        possible.then(|| Self {
            tick_us: nominal + whole(ticks),
            fine: whole((fine_ppm * PER_PPM).round()),
        })
    }

    /// The rate as fine frequency alone, for clocks without a tick (PHCs); `None` when it is not
    /// a number or absurd. The driver checks its own limit.
    pub(super) fn fine_only(rate: f64) -> Option<i64> {
        let ppm = rate * 1e6;
        (ppm.abs() < 1e6).then(|| whole((ppm * PER_PPM).round()))
    }

    /// The rate both make together, in s/s.
    pub(super) fn joined(self, user_hz: i64) -> f64 {
        let tick_ppm = (self.tick_us * user_hz - 1_000_000) as f64;
        (tick_ppm + fine_to_ppm(self.fine)) * 1e-6
    }
}

/// Units of 2⁻¹⁶ ppm to ppm.
pub(super) fn fine_to_ppm(fine: i64) -> f64 {
    fine as f64 / PER_PPM
}

/// A float without fraction, far inside i64, as an integer.
#[expect(
    clippy::cast_possible_truncation,
    reason = "callers checked the range, which is far inside"
)]
fn whole(value: f64) -> i64 {
    value as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HZ: i64 = 100;

    #[test]
    fn small_rates_leave_the_tick_alone() {
        let rate = Rate::split(12.5e-6, HZ).unwrap();
        assert_eq!((rate.tick_us, rate.fine), (10_000, 819_200));
        let rate = Rate::split(-400e-6, HZ).unwrap();
        assert_eq!((rate.tick_us, rate.fine), (10_000, -26_214_400));
    }

    #[test]
    fn large_rates_use_whole_ticks_and_a_small_rest() {
        let rate = Rate::split(1_234e-6, HZ).unwrap();
        assert_eq!((rate.tick_us, rate.fine), (10_012, 34 * 65_536));
        let rate = Rate::split(-0.1, HZ).unwrap();
        assert_eq!((rate.tick_us, rate.fine), (9_000, 0));
    }

    #[test]
    fn what_the_kernel_would_refuse_or_clamp_is_refused() {
        assert_eq!(Rate::split(0.1001, HZ), None);
        assert_eq!(Rate::split(-0.2, HZ), None);
        assert_eq!(Rate::split(f64::NAN, HZ), None);
        assert_eq!(Rate::split(f64::INFINITY, HZ), None);
        // Alpha ticks 1024 times: half a step is 512 ppm, more than the fine part can do.
        assert_eq!(Rate::split(1.535_5e-3, 1024), None);
        assert_eq!(Rate::fine_only(f64::NAN), None);
        assert_eq!(Rate::fine_only(2.0), None);
        assert_eq!(Rate::fine_only(-1e-6), Some(-65_536));
    }

    proptest! {
        #[test]
        fn splitting_rounds_to_half_a_unit(rate in -0.1f64..0.1) {
            let split = Rate::split(rate, HZ).unwrap();
            prop_assert!((9_000..=11_000).contains(&split.tick_us));
            prop_assert!(split.fine.abs() <= 500 * 65_536);
            let error = (split.joined(HZ) - rate).abs();
            prop_assert!(error <= 0.5 / 65_536.0 * 1e-6 * 1.001, "{error}");
        }
    }
}
