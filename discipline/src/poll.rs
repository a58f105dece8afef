//! How often a source should be asked.
//!
//! Between two polls the oscillator wanders by about w·T^1.5; asking more often than when that is
//! well below the noise of a sample buys little, asking less often costs accuracy (the Allan
//! intercept). Nanoseconds of noise want seconds, microseconds want minutes.

use clockwright_timebase::Poll;

/// Wander between polls as a part of a sample's noise.
const RATIO: f64 = 0.2;
/// Only a wish at least this many octaves from the current interval changes it, so that it does
/// not hop.
const HYSTERESIS: f64 = 0.8;

/// The poll interval that suits samples of RMS noise `noise_s` (s) and an oscillator of `wander`
/// (s/s per √s), one step at most from `current`.
pub(crate) fn suitable(current: Poll, noise_s: f64, wander: f64) -> Poll {
    let ideal = (RATIO * noise_s / wander).log2() * (2.0 / 3.0);
    let octaves = ideal - f64::from(current.log2());
    if octaves > HYSTERESIS {
        current.longer()
    } else if octaves < -HYSTERESIS {
        current.shorter()
    } else {
        current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(noise_s: f64, wander: f64) -> i8 {
        (0..40)
            .fold(Poll::new(6), |poll, _| suitable(poll, noise_s, wander))
            .log2()
    }

    #[test]
    fn seconds_for_hardware_minutes_for_software() {
        assert!((0..=2).contains(&settled(7e-9, 1e-9)));
        assert!((5..=7).contains(&settled(2e-6, 1e-9)));
        assert!((10..=14).contains(&settled(1e-3, 1e-9)));
    }

    #[test]
    fn a_settled_interval_stays() {
        let poll = Poll::new(settled(2e-6, 1e-9));
        assert_eq!(suitable(poll, 2.2e-6, 1e-9), poll);
        assert_eq!(suitable(poll, 1.8e-6, 1e-9), poll);
    }
}
