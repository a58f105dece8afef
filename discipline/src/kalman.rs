//! The two-state clock: phase and frequency of a source against the local oscillator.
//!
//! Model: frequency performs a random walk (random-walk FM) of `wander` w, in s/s per √s; phase
//! integrates it. Over an interval T the process noise is
//!
//! ```text
//! Q = w² · | T³/3  T²/2 |
//!          | T²/2  T    |
//! ```
//!
//! (Galleani & Tavella, "The Kalman filter for clocks", without the white-FM term.) A measurement
//! sees the phase with variance R.

/// Variances and covariance of phase (s²), phase·frequency (s·s/s) and frequency ((s/s)²).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Covariance {
    /// Variance of the phase, s².
    pub phase: f64,
    /// Covariance of phase and frequency, s·s/s.
    pub cross: f64,
    /// Variance of the frequency, (s/s)².
    pub frequency: f64,
}

impl core::ops::AddAssign for Covariance {
    fn add_assign(&mut self, more: Self) {
        self.phase += more.phase;
        self.cross += more.cross;
        self.frequency += more.frequency;
    }
}

impl Covariance {
    /// The covariance `dt` seconds later under oscillator `wander` (s/s per √s).
    #[must_use]
    pub fn after(self, dt: f64, wander: f64) -> Self {
        let q = wander * wander;
        Self {
            phase: self.phase
                + dt * (2.0 * self.cross + dt * self.frequency)
                + q * dt.powi(3).abs() / 3.0,
            cross: self.cross + dt * self.frequency + q * dt * dt.abs() / 2.0,
            frequency: self.frequency + q * dt.abs(),
        }
    }

    /// Kalman gains (phase: dimensionless; frequency: 1/s) and covariance after a measurement of
    /// the phase with variance `r` (s²).
    #[must_use]
    pub fn measured(self, r: f64) -> ((f64, f64), Self) {
        let s = self.phase + r;
        let (k1, k2) = (self.phase / s, self.cross / s);
        let after = Self {
            phase: self.phase * (r / s),
            cross: self.cross * (r / s),
            frequency: self.frequency - k2 * self.cross,
        };
        ((k1, k2), after)
    }
}

/// Phase (s, relative to an origin its owner keeps) and frequency (s/s) with their covariance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kalman {
    /// Phase, s.
    pub phase: f64,
    /// Frequency, s/s.
    pub frequency: f64,
    /// How uncertain both are.
    pub covariance: Covariance,
}

impl Kalman {
    /// The state `dt` seconds later.
    pub fn predict(&mut self, dt: f64, wander: f64) {
        self.phase += dt * self.frequency;
        self.covariance = self.covariance.after(dt, wander);
    }

    /// Takes in a measurement whose innovation (measured minus predicted phase) is known.
    pub fn update(&mut self, innovation: f64, r: f64) {
        let ((k1, k2), after) = self.covariance.measured(r);
        self.phase += k1 * innovation;
        self.frequency += k2 * innovation;
        self.covariance = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Covariance = Covariance {
        phase: 1e-6,
        cross: 0.0,
        frequency: 1e-8,
    };

    #[test]
    fn prediction_composes() {
        let once = START.after(3.0, 1e-9);
        let twice = START.after(1.0, 1e-9).after(2.0, 1e-9);
        for (a, b) in [
            (once.phase, twice.phase),
            (once.cross, twice.cross),
            (once.frequency, twice.frequency),
        ] {
            assert!((a - b).abs() <= 1e-12 * a.abs(), "{once:?} {twice:?}");
        }
    }

    #[test]
    fn two_exact_measurements_give_the_frequency() {
        let mut state = Kalman {
            phase: 0.0,
            frequency: 0.0,
            covariance: START,
        };
        state.update(1e-3, 1e-24);
        state.predict(10.0, 0.0);
        let innovation = 1e-3 + 10.0 * 5e-5 - state.phase;
        state.update(innovation, 1e-24);
        assert!((state.frequency - 5e-5).abs() < 1e-12);
        assert!((state.phase - 1.5e-3).abs() < 1e-12);
    }

    #[test]
    fn measuring_never_makes_it_less_certain() {
        let before = START.after(64.0, 1e-8);
        let (_, after) = before.measured(1e-12);
        assert!(after.phase < before.phase && after.frequency < before.frequency);
        assert!(after.phase > 0.0 && after.frequency > 0.0);
    }
}
