//! Gains that the user has fixed.
//!
//! The discipline is a PI loop: of an innovation e (sample minus prediction, s) it puts a·e into the
//! offset and b·e/T into the frequency, where T is the time since the last sample (s). The gains that
//! suit noise and wander are found by the filters (`bank.rs`), and vary with both; these do not. The
//! uncertainty is that of a filter with any gains K (Joseph's form, with H = (1, 0)):
//!
//! ```text
//! P' = (I − K·H)·P·(I − K·H)ᵀ + K·R·Kᵀ
//! ```
//!
//! Stable for 0 < a < 2, b > 0, 2a + b < 4: then the roots of z² − (2 − a − b)·z + (1 − a) are within
//! the unit circle.

use crate::kalman::{Covariance, Kalman};

/// Of an innovation, so much goes into offset and frequency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gains {
    /// a, dimensionless.
    proportional: f64,
    /// b, dimensionless: per update.
    integral: f64,
}

impl Gains {
    /// Of the gains a and b. `None` if a loop with them is not stable.
    pub fn new(proportional: f64, integral: f64) -> Option<Self> {
        let (a, b) = (proportional, integral);
        let stable = 0.0 < a && a < 2.0 && b > 0.0 && 2.0 * a + b < 4.0;
        stable.then_some(Self {
            proportional,
            integral,
        })
    }

    /// Takes in a measurement of variance `r` (s²), `dt` seconds after the last one, whose innovation
    /// (s) is known.
    pub(crate) fn update(self, state: &mut Kalman, innovation: f64, dt: f64, r: f64) {
        let (a, k) = (self.proportional, self.integral / dt);
        state.phase += a * innovation;
        state.frequency += k * innovation;
        let Covariance {
            phase,
            cross,
            frequency,
        } = state.covariance;
        state.covariance = Covariance {
            phase: (1.0 - a).powi(2) * phase + a * a * r,
            cross: (1.0 - a) * (cross - k * phase) + a * k * r,
            frequency: frequency - 2.0 * k * cross + k * k * (phase + r),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stable_gains_are_taken() {
        for (a, b) in [(0.7, 0.3), (0.07, 0.03), (1.9, 0.1), (1e-6, 1e-9)] {
            assert!(Gains::new(a, b).is_some(), "{a} {b}");
        }
        for (a, b) in [
            (0.0, 0.1),
            (-0.1, 0.1),
            (2.0, 0.1),
            (0.7, 0.0),
            (0.7, -0.1),
            (1.5, 1.0),
            (f64::NAN, 0.1),
            (0.7, f64::NAN),
            (0.7, f64::INFINITY),
        ] {
            assert!(Gains::new(a, b).is_none(), "{a} {b}");
        }
    }

    #[test]
    fn the_gains_of_a_kalman_filter_make_one() {
        let covariance = Covariance {
            phase: 3e-16,
            cross: 1e-16,
            frequency: 2e-16,
        };
        let start = Kalman {
            phase: 1e-9,
            frequency: 2e-9,
            covariance,
        };
        let (r, dt) = (1e-16, 2.0);
        let ((a, k), _) = covariance.measured(r);
        let (mut ours, mut kalman) = (start, start);
        Gains::new(a, k * dt)
            .unwrap()
            .update(&mut ours, 5e-9, dt, r);
        kalman.update(5e-9, r);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9 * b.abs();
        assert!(close(ours.phase, kalman.phase) && close(ours.frequency, kalman.frequency));
        let (p, q) = (ours.covariance, kalman.covariance);
        assert!(close(p.phase, q.phase), "{p:?} {q:?}");
        assert!(close(p.cross, q.cross), "{p:?} {q:?}");
        assert!(close(p.frequency, q.frequency), "{p:?} {q:?}");
    }
}
