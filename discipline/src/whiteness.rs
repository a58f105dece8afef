//! Are the innovations white?
//!
//! Model: a filter whose noise and wander are right leaves innovations that say nothing of each other;
//! that is what optimal means (Kailath 1968). Divided by their standard deviations they are numbers ν
//! of variance 1, and the correlation of neighbours,
//!
//! ```text
//! r₁ = ⟨ν_k · ν_{k−1}⟩ / ⟨ν²⟩
//! ```
//!
//! is 0. Above, the filter follows too slowly (the oscillator wanders by more than it is thought to),
//! below, too fast. Over N samples r₁ is known to ± 1/√N. The bank of filters finds either out in any case,
//! and steps from one hypothesis to the next. But while it does, a state that has been followed too slowly
//! lies off by what the innovations show, and every filter of the bank begins from that state and is sure of
//! it. So that is doubted: by the RMS s of the innovations in phase, and by s/T in frequency, T being the time
//! over which they were looked at,
//!
//! ```text
//! P ← P + diag(s², s²/T²)
//! ```
//!
//! What is followed too fast is noisy, and to doubt it makes it noisier: that is left to the bank.

use crate::kalman::Covariance;

/// Weight of the newest product in the running means: as good as 63 samples, so that r₁ of white
/// innovations is within ± 0.13.
const RUNNING: f64 = 1.0 / 32.0;
/// Four times as much is no chance.
const LAGS: f64 = 0.5;
/// Samples before anything is said.
const ENOUGH: u32 = 32;
/// A single outlier is not to make the mean alone, σ.
const MOST: f64 = 3.0;

/// Keeps watch over the innovations of a filter.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Whiteness {
    last: f64,
    product: f64,
    square: f64,
    count: u32,
}

impl Whiteness {
    /// Takes in an innovation, divided by its standard deviation. True: the filter lags, and the watch
    /// begins anew.
    pub(crate) fn note(&mut self, normalized: f64) -> bool {
        let now = normalized.clamp(-MOST, MOST);
        self.product += RUNNING * (now * self.last - self.product);
        self.square += RUNNING * (now * now - self.square);
        self.last = now;
        self.count = self.count.saturating_add(1);
        let lags = self.correlation() > LAGS;
        if lags {
            *self = Self::default();
        }
        lags
    }

    /// r₁; 0 until there are enough samples.
    pub(crate) fn correlation(&self) -> f64 {
        if self.count < ENOUGH || self.square <= 0.0 {
            return 0.0;
        }
        self.product / self.square
    }
}

/// What the state of a filter that lags is to be doubted by: innovations of this mean square (s²) were
/// seen in `time_s` seconds.
pub(crate) fn lag(mean_square: f64, time_s: f64) -> Covariance {
    Covariance {
        phase: mean_square,
        cross: 0.0,
        frequency: mean_square / (time_s * time_s),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::next;

    /// Deterministic numbers without correlation.
    fn white(n: u32) -> impl Iterator<Item = f64> {
        let mut seed = 1_u64;
        (0..n).map(move |_| (next(&mut seed) >> 40) as f64 / f64::from(1 << 23) - 1.0)
    }

    #[test]
    fn white_innovations_raise_no_alarm() {
        let mut whiteness = Whiteness::default();
        assert!(!white(10_000).any(|one| whiteness.note(one)));
        assert!(whiteness.correlation().abs() < 0.4);
    }

    #[test]
    fn a_filter_that_lags_is_found_and_one_that_overshoots_is_only_told_of() {
        for (sign, found) in [(1.0, true), (-1.0, false)] {
            let mut whiteness = Whiteness::default();
            let mut state = 0.0;
            let alarm = white(300).any(|one| {
                state = sign * 0.8 * state + one;
                whiteness.note(state)
            });
            assert_eq!(alarm, found, "{sign}");
            assert!(found || whiteness.correlation() < -0.5);
        }
    }

    #[test]
    fn an_outlier_is_no_correlation() {
        let mut whiteness = Whiteness::default();
        let outliers = white(1000)
            .enumerate()
            .map(|(n, one)| if n % 50 == 40 { 1000.0 } else { one });
        assert!(!outliers.into_iter().any(|one| whiteness.note(one)));
    }
}
