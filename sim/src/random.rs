//! Reproducible random numbers.
//!
//! Figures in docs/benchmarks.md and the bounds in tests belong to seeds, so the generator must
//! never change; that is why it is a page here and not a library, whose next version may draw
//! differently.

use std::sync::LazyLock;

use clockwright_ntp::Entropy;

/// `SplitMix64` (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
    layers: &'static Layers,
}

/// The normal density cut into horizontal layers of equal area (Marsaglia and Tsang 2000, "The
/// ziggurat method", as Doornik 2005 draws it): layer i reaches out to `edge[i]`, where the
/// density is `density[i]`. Nearly every number then costs a multiplication and a comparison; an
/// oscillator draws two at each event, which is most of the numbers that a simulation draws.
#[derive(Debug)]
struct Layers {
    edge: [f64; LAYERS + 1],
    density: [f64; LAYERS + 1],
}

const LAYERS: usize = 256;
/// Where the tail begins, which the lowest layer includes.
const TAIL: f64 = 3.654_152_885_361_009;
/// The area of each layer.
const AREA: f64 = 4.928_673_233_99e-3;

static NORMAL: LazyLock<Layers> = LazyLock::new(Layers::of_the_normal_density);

impl Layers {
    fn of_the_normal_density() -> Self {
        let density = |x: f64| (-0.5 * x * x).exp();
        let mut edge = [0.0; LAYERS + 1];
        edge[0] = AREA / density(TAIL);
        edge[1] = TAIL;
        for layer in 2..LAYERS {
            let below: f64 = edge[layer - 1];
            edge[layer] = (-2.0 * (AREA / below + density(below)).ln()).sqrt();
        }
        Self {
            edge,
            density: edge.map(density),
        }
    }
}

/// 2⁻⁵³.
const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;

impl Random {
    /// A generator of its own for each `stream` of one seed.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self {
            state: seed ^ stream.wrapping_mul(0xd605_bbb5_8c8a_bbfd),
            layers: &NORMAL,
        };
        random.next();
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform on (0, 1].
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 * UNIT
    }

    /// Normal with mean 0 and deviation 1.
    pub(crate) fn normal(&mut self) -> f64 {
        loop {
            let bits = self.next();
            // The lowest bits choose the layer, the upper ones a place in it from −1 to 1.
            let layer = usize::from(bits.to_le_bytes()[0]);
            let place = 2.0 * ((bits >> 11) as f64 * UNIT) - 1.0;
            let x = place * self.layers.edge[layer];
            if x.abs() < self.layers.edge[layer + 1] {
                return x;
            }
            if layer == 0 {
                return self.tail().copysign(x);
            }
            let (low, high) = (self.layers.density[layer], self.layers.density[layer + 1]);
            if low + self.uniform() * (high - low) < (-0.5 * x * x).exp() {
                return x;
            }
        }
    }

    /// Beyond the last edge (Marsaglia 1964).
    fn tail(&mut self) -> f64 {
        loop {
            let beyond = self.exponential() / TAIL;
            if 2.0 * self.exponential() > beyond * beyond {
                return TAIL + beyond;
            }
        }
    }

    /// Exponential with mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }
}

impl Entropy for Random {
    fn fill(&mut self, buf: &mut [u8]) {
        for chunk in buf.chunks_mut(8) {
            let bytes = self.next().to_le_bytes();
            for (to, from) in chunk.iter_mut().zip(bytes) {
                *to = from;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let n = 100_000;
        let values: Vec<f64> = (0..n).map(|_| draw()).collect();
        let mean = values.iter().sum::<f64>() / f64::from(n);
        let square = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / f64::from(n);
        (mean, square.sqrt())
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut random = Random::new(1, 1);
        let (mean, sd) = moments(|| random.normal());
        assert!(mean.abs() < 0.02 && (sd - 1.0).abs() < 0.02, "{mean} {sd}");
        let (mean, sd) = moments(|| random.exponential());
        assert!(
            (mean - 1.0).abs() < 0.02 && (sd - 1.0).abs() < 0.02,
            "{mean} {sd}"
        );
    }

    #[test]
    fn the_normal_distribution_has_its_shape_and_its_tail() {
        let mut random = Random::new(2, 1);
        let n = 2_000_000;
        let mut beyond = [0_u32; 4];
        for _ in 0..n {
            let x = random.normal().abs();
            for (count, limit) in beyond.iter_mut().zip([1.0, 2.0, 3.0, 3.8]) {
                *count += u32::from(x > limit);
            }
        }
        // Two-sided tail probabilities.
        for (count, p) in beyond
            .iter()
            .zip([0.317_311, 0.045_500, 2.699_8e-3, 1.447e-4])
        {
            let (expected, sd) = (p * f64::from(n), (p * f64::from(n)).sqrt());
            assert!(
                (f64::from(*count) - expected).abs() < 4.0 * sd,
                "{beyond:?}"
            );
        }
    }

    #[test]
    fn streams_differ_and_repeat() {
        let draw = |seed, stream| Random::new(seed, stream).next();
        assert_ne!(draw(1, 1), draw(1, 2));
        assert_ne!(draw(1, 1), draw(2, 1));
        assert_eq!(draw(3, 4), draw(3, 4));
    }
}
