//! How often a source should be asked.
//!
//! Model: samples of white noise n on an oscillator of wander w (see `kalman.rs`). Two things limit the
//! interval T:
//!
//! - Between two polls the oscillator wanders by w·T^1.5/√3. Where that comes near n, the wander makes
//!   the error (the Allan intercept, at about (√3·n/w)^(2/3)): nanoseconds of noise want seconds,
//!   microseconds want minutes.
//! - Below that, the error of the best filter still falls with T^(1/4) (`steady.rs`): half as often costs
//!   a fifth. That is worth a server's time only where it can be noticed. Nobody can tell how the
//!   round trip divides into two ways; a thousandth of what it may hide is not noticed.
//!
//! So the interval grows where both allow it, and shrinks again where one does not.

use clockwright_timebase::Poll;

use crate::steady::SteadyState;

/// Wander between polls as a part of a sample's noise.
const RATIO: f64 = 0.2;
/// Only a wish at least this many octaves from the current interval changes it, so that it does
/// not hop.
const HYSTERESIS: f64 = 0.8;
/// An error of this part of half the round trip is not noticed: a path that is longer one way than the
/// other by so little is rare.
const UNNOTICED: f64 = 1e-3;
/// From one interval to the next the error grows by 1.19 at least; at this much above what is not
/// noticed, the interval is shortened.
const TOO_MUCH: f64 = 1.4;

/// What decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    /// RMS noise of a sample, s.
    pub(crate) noise_s: f64,
    /// Of the oscillator, s/s per √s.
    pub(crate) wander: f64,
    /// The least round trip, s.
    pub(crate) round_trip_s: f64,
}

/// The poll interval that suits, one step at most from `current`.
pub(crate) fn suitable(current: Poll, conditions: Conditions) -> Poll {
    let Conditions {
        noise_s,
        wander,
        round_trip_s,
    } = conditions;
    let ideal = (RATIO * noise_s / wander).log2() * (2.0 / 3.0);
    let octaves = ideal - f64::from(current.log2());
    let unnoticed_s = UNNOTICED * round_trip_s / 2.0;
    let error_s = |poll: Poll| SteadyState::new(noise_s, wander, poll.as_secs_f64()).mean_s;
    if octaves > HYSTERESIS && error_s(current.longer()) <= unnoticed_s {
        current.longer()
    } else if octaves < -HYSTERESIS || error_s(current) > TOO_MUCH * unnoticed_s {
        current.shorter()
    } else {
        current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(noise_s: f64, wander: f64, round_trip_s: f64) -> i8 {
        let conditions = Conditions {
            noise_s,
            wander,
            round_trip_s,
        };
        (0..40)
            .fold(Poll::new(6), |poll, _| suitable(poll, conditions))
            .log2()
    }

    /// However far away the source is.
    #[test]
    fn seconds_for_hardware_minutes_for_software() {
        assert!((0..=2).contains(&settled(7e-9, 1e-9, 1.0)));
        assert!((5..=7).contains(&settled(2e-6, 1e-9, 1.0)));
        assert!((10..=14).contains(&settled(1e-3, 1e-9, 10.0)));
    }

    /// A server 20 ms away that is noisy by 0.7 ms: 1024 s would do by its noise, and would double the
    /// error.
    #[test]
    fn the_interval_does_not_grow_where_that_costs_accuracy() {
        assert!(settled(0.7e-3, 1e-9, 40e-3) <= 4);
        assert!((7..=9).contains(&settled(20e-6, 1e-9, 40e-3)));
        // A LAN that is noisy by 2 us.
        assert!(settled(2e-6, 1e-9, 200e-6) <= 0);
    }

    #[test]
    fn a_settled_interval_stays() {
        let conditions = |noise_s| Conditions {
            noise_s,
            wander: 1e-9,
            round_trip_s: 40e-3,
        };
        let poll = Poll::new(settled(20e-6, 1e-9, 40e-3));
        for noise_s in [18e-6, 20e-6, 22e-6] {
            assert_eq!(suitable(poll, conditions(noise_s)), poll);
        }
    }
}
