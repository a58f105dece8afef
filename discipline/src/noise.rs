//! How far a measured offset may be off, and how far the oscillator wanders: the parameters that
//! the bank of filters chooses among.

/// A hypothesis of what disturbs the measurements.
///
/// The parameters lie on a grid, so that neighbours can be named: noise in steps of √2, wander in
/// steps of 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hypothesis {
    /// Noise of a clean exchange: 2^(noise/2) ns.
    noise: i8,
    /// Oscillator wander: 2^wander · 1e-12 s/s per √s.
    wander: i8,
    excess: Excess,
    /// The most noise and wander to consider, on the same scales.
    most: (i8, i8),
}

/// How much of a round trip's excess over the floor shows in its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Excess {
    /// Nothing: delay and offset vary independently, as with jitter of the stamps themselves.
    Unrelated,
    /// Both ways are queued alike, so the offset's error is uniform on ± excess/2.
    BothWays,
    /// All of the wait is on one way, so the offset is off by half of it.
    OneWay,
}

impl Excess {
    pub(crate) const ALL: [Self; 3] = [Self::Unrelated, Self::BothWays, Self::OneWay];

    /// RMS of the offset's error as a part of the excess.
    fn weight(self) -> f64 {
        match self {
            Self::Unrelated => 0.0,
            Self::BothWays => 12.0_f64.sqrt().recip(),
            Self::OneWay => 0.5,
        }
    }
}

/// 0.06 ns to 0.2 s.
const NOISE_RANGE: (i8, i8) = (-8, 55);
/// 1e-12 to 1.3e-7.
const WANDER_RANGE: (i8, i8) = (0, 17);
/// 1.7e-5: no oscillator wanders like that, but somebody may be steering it.
const STEERED_MOST: i8 = 24;

/// Steps (noise, wander) to the neighbours: the next ones, to be exact, and far ones, to be there
/// soon. From noise a thousand times too large the next ones alone need hundreds of samples.
const NEIGHBOURS: [(i8, i8); 8] = [
    (1, 0),
    (-1, 0),
    (0, 1),
    (0, -1),
    (6, 0),
    (-6, 0),
    (0, 4),
    (0, -4),
];

impl Hypothesis {
    /// The grid point nearest to a clean exchange's noise (s) and a wander (s/s per √s).
    pub(crate) fn nearest(excess: Excess, noise_s: f64, wander: f64) -> Self {
        Self::within((NOISE_RANGE.1, WANDER_RANGE.1), excess, noise_s, wander)
    }

    /// The same for a clock that somebody else may be steering, so that it may wander by more,
    /// and whose readings cannot be noisier than `most_noise_s`.
    pub(crate) fn of_a_steered_clock(
        excess: Excess,
        (noise_s, most_noise_s): (f64, f64),
        wander: f64,
    ) -> Self {
        let most = Self::nearest(excess, most_noise_s, wander).noise;
        Self::within((most, STEERED_MOST), excess, noise_s, wander)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "clamped to the grid right after; float casts saturate"
    )]
    fn within(most: (i8, i8), excess: Excess, noise_s: f64, wander: f64) -> Self {
        let noise = (2.0 * (noise_s * 1e9).log2()).round() as i8;
        let wander = (wander * 1e12).log2().round() as i8;
        Self {
            noise: noise.clamp(NOISE_RANGE.0, most.0),
            wander: wander.clamp(WANDER_RANGE.0, most.1),
            excess,
            most,
        }
    }

    /// RMS noise of a clean exchange, s.
    pub fn noise_s(self) -> f64 {
        1e-9 * (f64::from(self.noise) / 2.0).exp2()
    }

    /// Oscillator wander, s/s per √s.
    pub fn wander(self) -> f64 {
        1e-12 * f64::from(self.wander).exp2()
    }

    /// Variance (s²) of an offset whose round trip lay `excess_s` above the floor.
    pub fn variance(self, excess_s: f64) -> f64 {
        self.noise_s().powi(2) + (self.excess.weight() * excess_s).powi(2)
    }

    /// The same with another wander (s/s per √s), as far as the grid goes.
    #[must_use]
    pub(crate) fn with_wander(self, wander: f64) -> Self {
        Self {
            noise: self.noise,
            ..Self::within(self.most, self.excess, self.noise_s(), wander)
        }
    }

    /// Do both expect the same noise?
    pub(crate) fn has_noise_of(self, other: Self) -> bool {
        self.noise == other.noise
    }

    /// Does the round trip's excess over the floor say anything about the offset?
    pub(crate) fn looks_at_delay(self) -> bool {
        self.excess != Excess::Unrelated
    }

    /// The grid's neighbours: noise or wander one step off, or far off.
    pub(crate) fn neighbours(self) -> impl Iterator<Item = Self> {
        NEIGHBOURS
            .into_iter()
            .filter_map(move |(noise, wander)| self.step(noise, wander))
    }

    fn step(self, noise: i8, wander: i8) -> Option<Self> {
        let next = Self {
            noise: self.noise + noise,
            wander: self.wander + wander,
            ..self
        };
        let on_grid = (NOISE_RANGE.0..=self.most.0).contains(&next.noise)
            && (WANDER_RANGE.0..=self.most.1).contains(&next.wander);
        on_grid.then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nearest_is_within_half_a_step(noise in -9.0f64..-1.0, wander in -11.9f64..-7.0) {
            let (noise, wander) = (10f64.powf(noise), 10f64.powf(wander));
            let h = Hypothesis::nearest(Excess::BothWays, noise, wander);
            prop_assert!((h.noise_s() / noise).log2().abs() < 0.26);
            prop_assert!((h.wander() / wander).log2().abs() < 0.51);
        }

        #[test]
        fn neighbours_stay_on_the_grid(noise in any::<f64>(), wander in any::<f64>()) {
            let h = Hypothesis::nearest(Excess::BothWays, noise, wander);
            for n in h.neighbours() {
                prop_assert!(n.variance(1e-3) > 0.0 && n != h);
            }
        }
    }

    #[test]
    fn a_wait_on_one_way_shifts_the_offset_by_half_of_it() {
        let one_way = Hypothesis::nearest(Excess::OneWay, 1e-9, 1e-9);
        assert!((one_way.variance(10e-6).sqrt() - 5e-6).abs() < 1e-9);
    }
}
