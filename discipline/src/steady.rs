//! The steady state of the two-state filter: optimal PI gains and the limit of any estimator.
//!
//! Model: offsets measured every T seconds with variance r, of an oscillator whose frequency walks by
//! w (s/s per √s). With λ² = w²T³/r, the fixed point of prediction and measurement has
//!
//! ```text
//! b² = λ²(1 − a)    and    a² + ab − 2b + b²/6 = 0
//! ```
//!
//! for the gains a (phase) and b (frequency, times T). With u = √(1 − a) that is a palindromic
//! equation of fourth degree, and y = u + 1/u solves y² − λy + λ²/6 − 4 = 0.

use crate::kalman::Covariance;

/// What the filter of [`crate::SourceFilter`] settles to for constant noise, wander and poll
/// interval, and what PI gains that is.
///
/// A Kalman filter whose phase and frequency corrections are both carried out on the clock *is* a
/// PI controller: of each innovation e, `a`·e goes into the phase and `b`·e/T into the frequency,
/// so kp = a/T and ki = b/T. It is stable for 0 < a < 2, b > 0, 2a + b < 4.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SteadyState {
    /// Proportional gain a = kp·T, dimensionless.
    pub a: f64,
    /// Integral gain b = ki·T, dimensionless.
    pub b: f64,
    /// RMS error of the phase right after a measurement, s.
    pub after_update_s: f64,
    /// RMS error of the phase right before a measurement, s.
    pub before_update_s: f64,
    /// RMS error of the phase averaged over time, s: no estimator that only sees these
    /// measurements does better.
    pub mean_s: f64,
}

impl SteadyState {
    /// For offsets measured every `interval_s` seconds with RMS error `noise_s` on an oscillator
    /// whose frequency walks by `wander` (s/s per √s). All must be positive.
    pub fn new(noise_s: f64, wander: f64, interval_s: f64) -> Self {
        let (r, t) = (noise_s * noise_s, interval_s);
        let lambda = wander * t.powi(3).sqrt() / noise_s;
        let y = f64::midpoint(lambda, (lambda * lambda / 3.0 + 16.0).sqrt());
        // 1/u − u, without the difference of what is nearly equal.
        let apart = (lambda * (y - lambda / 6.0)).sqrt();
        let u = 2.0 / (y + apart);
        let (a, b) = (u * apart, lambda * u);
        let after = Covariance {
            phase: a * r,
            cross: b * r / t,
            frequency: r / (u * u * t * t) * b * (a - b / 2.0),
        };
        Self {
            a,
            b,
            after_update_s: after.phase.sqrt(),
            before_update_s: after.phase.sqrt() / u,
            mean_s: mean_phase_variance(after, wander, t).sqrt(),
        }
    }

    /// Is the loop with these gains stable?
    pub fn is_stable(&self) -> bool {
        0.0 < self.a && self.a < 2.0 && self.b > 0.0 && 2.0 * self.a + self.b < 4.0
    }
}

/// The time average of the predicted phase variance over one interval of length `t`.
fn mean_phase_variance(after: Covariance, wander: f64, t: f64) -> f64 {
    after.phase
        + t * after.cross
        + t * t * after.frequency / 3.0
        + wander * wander * t.powi(3) / 12.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The column "limit" of the design's table of figures to beat; offset noise is the jitter of
    /// one direction over √2.
    #[test]
    fn limits_of_the_design() {
        for (jitter_s, wander, poll_s, limit_ns) in [
            (10e-9, 1e-9, 1.0, 5.2),
            (10e-9, 1e-10, 1.0, 2.9),
            (50e-9, 1e-9, 1.0, 17.3),
            (50e-9, 1e-10, 1.0, 9.7),
            (10e-9, 1e-9, 1.0 / 16.0, 1.8),
        ] {
            let steady = SteadyState::new(jitter_s / 2_f64.sqrt(), wander, poll_s);
            let ns = steady.mean_s * 1e9;
            assert!((ns - limit_ns).abs() < 0.05, "{ns} is not {limit_ns}");
        }
    }

    proptest! {
        /// One more step of the filter leads back to where it was.
        #[test]
        fn it_is_a_fixed_point(noise in -9.5f64..-2.0, wander in -12.0f64..-7.0, poll in -7i32..=17) {
            let (noise, wander) = (10f64.powf(noise), 10f64.powf(wander));
            let t = f64::from(poll).exp2();
            let steady = SteadyState::new(noise, wander, t);
            let r = noise * noise;
            let after = Covariance {
                phase: steady.after_update_s.powi(2),
                cross: steady.b * r / t,
                frequency: (steady.mean_s.powi(2) - steady.after_update_s.powi(2) - steady.b * r
                    - wander * wander * t.powi(3) / 12.0) * 3.0 / (t * t),
            };
            let before = after.after(t, wander);
            let ((a, k2), next) = before.measured(r);
            let close = |x: f64, y: f64| (x / y - 1.0).abs() < 1e-6;
            prop_assert!(close(a, steady.a), "{a} {steady:?}");
            prop_assert!(close(k2 * t, steady.b), "{} {steady:?}", k2 * t);
            prop_assert!(close(before.phase.sqrt(), steady.before_update_s));
            prop_assert!(close(next.phase, after.phase));
            prop_assert!(close(next.cross, after.cross));
            prop_assert!(close(next.frequency, after.frequency), "{next:?} {after:?}");
        }

        #[test]
        fn gains_are_stable(noise in -9.5f64..-2.0, wander in -12.0f64..-7.0, poll in -7i32..=17) {
            let steady = SteadyState::new(10f64.powf(noise), 10f64.powf(wander), f64::from(poll).exp2());
            prop_assert!(steady.is_stable(), "{steady:?}");
            prop_assert!(steady.after_update_s <= steady.mean_s);
            prop_assert!(steady.mean_s <= steady.before_update_s);
        }
    }
}
