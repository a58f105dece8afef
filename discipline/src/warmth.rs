//! Temperature compensation: an oscillator that does not feel the temperature, made of one that does
//! and a sensor.
//!
//! Between one reading of the sensor and the next the compensation takes back what the change of
//! temperature has done to the frequency, by the coefficients that `thermal.rs` has learnt. What it
//! has taken back in all, as a phase, is θ; everything else in this crate sees the compensated
//! oscillator, which is θ ahead. Only *changes* are taken back: coefficients that are learnt better
//! do not move the frequency, and what the temperature has done before it was understood is in the
//! frequency that the filters have found.

use std::collections::VecDeque;

use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::estimate::SourceEstimate;
use crate::thermal::{TemperatureFit, Thermal};

/// A sensor's steps and noise are averaged over about so long, s: a crystal in its case does not
/// follow faster.
const SMOOTHED_S: f64 = 30.0;
/// When the sensor was silent for longer, the filters have followed what it did not show.
const SILENT: Duration = Duration::from_secs(600);
/// Readings remembered, for samples that are as old.
const REMEMBERED: usize = 256;
/// What a temperature may be, °C.
const POSSIBLE_C: core::ops::RangeInclusive<f64> = -100.0..=200.0;

/// What has been taken back until an instant, and at which rate it goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Taken {
    at: Timestamp<Raw>,
    phase_s: f64,
    /// s/s.
    pub(crate) rate: f64,
}

impl Taken {
    /// Nothing, at no rate.
    pub(crate) const NOTHING: Self = Self {
        at: Timestamp::EPOCH,
        phase_s: 0.0,
        rate: 0.0,
    };

    /// θ at an instant.
    pub(crate) fn by(self, at: Timestamp<Raw>) -> Duration {
        Duration::from_secs_f64(self.phase_s + self.rate * (at - self.at).as_secs_f64())
    }
}

/// The temperature now and its integrals.
#[derive(Debug, Clone, Copy)]
struct Felt {
    at: Timestamp<Raw>,
    /// Above the temperature that the coefficients are for, K.
    above_k: f64,
    /// Since the beginning, K·s and K²·s.
    integrals: (f64, f64),
}

impl Felt {
    fn integrals_until(&self, at: Timestamp<Raw>) -> (f64, f64) {
        let dt = (at - self.at).as_secs_f64();
        let (first, second) = self.integrals;
        let above_k = self.above_k;
        (first + dt * above_k, second + dt * above_k * above_k)
    }
}

/// The compensation.
#[derive(Debug, Clone)]
pub(crate) struct Warmth {
    thermal: Thermal,
    known: Option<TemperatureFit>,
    around_c: f64,
    felt: Option<Felt>,
    /// Newest last; never empty.
    taken: VecDeque<Taken>,
}

impl Warmth {
    /// Takes nothing back yet.
    pub(crate) fn new(known: Option<TemperatureFit>) -> Self {
        Self {
            thermal: Thermal::new(known.as_ref()),
            known,
            around_c: known.map_or(0.0, |fit| fit.around_c),
            felt: None,
            taken: VecDeque::from([Taken::NOTHING]),
        }
    }

    /// What has been taken back until now, and at which rate it goes on.
    pub(crate) fn taken(&self) -> Taken {
        self.taken.back().copied().unwrap_or(Taken::NOTHING)
    }

    /// θ at an instant that may be past.
    pub(crate) fn taken_by(&self, at: Timestamp<Raw>) -> Duration {
        let mut newest_first = self.taken.iter().rev();
        let since = newest_first.find(|taken| taken.at <= at);
        let since = since.or_else(|| self.taken.front());
        since.copied().unwrap_or(Taken::NOTHING).by(at)
    }

    /// Takes in a reading of the sensor (°C). `may_jump`: the clock has not been set yet, so that
    /// what the temperature has done since the last run may be taken back at once.
    pub(crate) fn feel(&mut self, now: Timestamp<Raw>, celsius: f64, may_jump: bool) {
        if !POSSIBLE_C.contains(&celsius) {
            return;
        }
        let Some(last) = self.felt else {
            self.feel_first(now, celsius, may_jump);
            return;
        };
        let dt = (now - last.at).as_secs_f64();
        if dt <= 0.0 {
            return;
        }
        let shown_k = celsius - self.around_c;
        let silent = now - last.at > SILENT;
        let above_k = if silent {
            shown_k
        } else {
            last.above_k + (shown_k - last.above_k) * -(-dt / SMOOTHED_S).exp_m1()
        };
        self.felt = Some(Felt {
            at: now,
            above_k,
            integrals: last.integrals_until(now),
        });
        if silent {
            self.thermal.forget_phase();
        } else {
            self.take_back(now, last.above_k, above_k);
        }
    }

    fn feel_first(&mut self, now: Timestamp<Raw>, celsius: f64, may_jump: bool) {
        if self.known.is_none() {
            self.around_c = celsius;
        }
        let above_k = celsius - self.around_c;
        self.felt = Some(Felt {
            at: now,
            above_k,
            integrals: (0.0, 0.0),
        });
        if let Some(known) = self.known.filter(|_| may_jump) {
            self.take_back(now, known.at_c - known.around_c, above_k);
        }
    }

    /// The temperature has gone from one value to another.
    fn take_back(&mut self, now: Timestamp<Raw>, from_k: f64, to_k: f64) {
        if !self.thermal.is_believed() {
            return;
        }
        let (per_k, per_k2) = self.thermal.coefficients();
        let change = (to_k - from_k) * (per_k + per_k2 * (to_k + from_k));
        let taken = self.taken();
        if self.taken.len() == REMEMBERED {
            self.taken.pop_front();
        }
        self.taken.push_back(Taken {
            at: now,
            phase_s: taken.by(now).as_secs_f64(),
            rate: taken.rate + change,
        });
    }

    /// Learns from what the clock was set to, an estimate for the compensated oscillator.
    pub(crate) fn learn(&mut self, estimate: &SourceEstimate) {
        let Some(felt) = self.felt else {
            return;
        };
        let at = estimate.at;
        let offset = estimate.offset + self.taken_by(at);
        let variance = estimate.covariance.phase.max(1e-18);
        self.thermal
            .note(at, offset, variance, felt.integrals_until(at));
    }

    /// The oscillator has lost count of time.
    pub(crate) fn forget_phases(&mut self) {
        self.thermal.forget_phase();
    }

    /// What has been learnt, if that is worth something.
    pub(crate) fn fit(&self) -> Option<TemperatureFit> {
        let felt = self.felt?;
        let (per_k, per_k2) = self.thermal.coefficients();
        self.thermal.is_believed().then(|| TemperatureFit {
            around_c: self.around_c,
            per_k,
            per_k2,
            covariance: self.thermal.covariance(),
            at_c: self.around_c + felt.above_k,
        })
    }

    /// The temperature, smoothed, °C.
    pub(crate) fn celsius(&self) -> Option<f64> {
        self.felt.map(|felt| self.around_c + felt.above_k)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: TemperatureFit = TemperatureFit {
        around_c: 30.0,
        per_k: 1e-7,
        per_k2: 1e-9,
        covariance: [1e-18, 0.0, 1e-20],
        at_c: 32.0,
    };

    fn at(secs: i64) -> Timestamp<Raw> {
        Timestamp::from_epoch(Duration::from_secs(secs))
    }

    #[test]
    fn what_the_temperature_has_done_since_the_last_run_is_taken_back() {
        let mut warmth = Warmth::new(Some(KNOWN));
        warmth.feel(at(0), 36.0, true);
        // 6 K and 36 K² less 2 K and 4 K².
        let expected = 4.0 * 1e-7 + 32.0 * 1e-9;
        assert!((warmth.taken().rate - expected).abs() < 1e-18);
        let mut late = Warmth::new(Some(KNOWN));
        late.feel(at(0), 36.0, false);
        assert!(late.taken().rate.abs() < 1e-18);
    }

    #[test]
    fn the_past_is_as_it_was() {
        let mut warmth = Warmth::new(Some(KNOWN));
        warmth.feel(at(0), 32.0, true);
        for second in 1..=1000 {
            warmth.feel(at(second), 42.0, true);
        }
        assert!(warmth.taken.len() <= REMEMBERED);
        // 12 K and 144 K² less 2 K and 4 K².
        let rate = 10.0 * 1e-7 + 140.0 * 1e-9;
        let gained = warmth.taken_by(at(1000)) - warmth.taken_by(at(900));
        assert!(
            (gained.as_secs_f64() / 100.0 - rate).abs() < 1e-15,
            "{gained:?}"
        );
        let (before, now) = (warmth.taken_by(at(1000)), warmth.taken());
        assert!((before - now.by(at(1000))).abs() < Duration::from_nanos(1));
    }

    #[test]
    fn after_silence_nothing_is_taken_back_twice() {
        let mut warmth = Warmth::new(Some(KNOWN));
        warmth.feel(at(0), 32.0, true);
        warmth.feel(at(3600), 52.0, true);
        assert!(warmth.taken().rate.abs() < 1e-18);
        assert!(warmth.celsius().is_some_and(|c| (c - 52.0).abs() < 1e-9));
        // Nor is nonsense.
        warmth.feel(at(3610), f64::NAN, true);
        warmth.feel(at(3610), 1e6, true);
        assert!(warmth.taken().rate.abs() < 1e-18);
    }
}
