//! Quantiles of many positive numbers without keeping them.

/// Bits of the mantissa that a bucket keeps: quantiles are good to 0.05 %.
const MANTISSA: u32 = 10;
/// The smallest magnitude told from zero, 2⁻⁵⁰ s (0.9 fs), as a biased exponent.
const LEAST_EXPONENT: u64 = 1023 - 50;
/// Octaves, up to 2³⁰ s.
const OCTAVES: usize = 80;

/// How often which magnitude was seen, in buckets that are 0.1 % wide. A run of any length needs
/// the same memory, and nothing is sorted at its end.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: Vec<u32>,
    count: u64,
    least: f64,
    largest: f64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            buckets: vec![0; OCTAVES << MANTISSA],
            count: 0,
            least: f64::INFINITY,
            largest: 0.0,
        }
    }

    /// Counts a value's magnitude.
    pub(crate) fn add(&mut self, value: f64) {
        let magnitude = value.abs();
        let least = LEAST_EXPONENT << MANTISSA;
        let key = (magnitude.to_bits() >> (52 - MANTISSA)).saturating_sub(least);
        let last = self.buckets.len() - 1;
        let index = usize::try_from(key).map_or(last, |key| key.min(last));
        self.buckets[index] += 1;
        self.count += 1;
        self.least = self.least.min(magnitude);
        self.largest = self.largest.max(magnitude);
    }

    /// The largest magnitude; 0 of none.
    pub(crate) fn largest(&self) -> f64 {
        self.largest
    }

    /// The magnitude that the part `q` of all does not exceed.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index below the count, which is far below 2^53"
    )]
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        let last = self.count.checked_sub(1)?;
        let mut rank = (last as f64 * q).round() as u64;
        for (key, seen) in (0_u64..).zip(&self.buckets) {
            if rank < u64::from(*seen) {
                let low = (key + (LEAST_EXPONENT << MANTISSA)) << (52 - MANTISSA);
                let middle = f64::from_bits(low + (1 << (51 - MANTISSA)));
                return Some(middle.clamp(self.least, self.largest));
            }
            rank -= u64::from(*seen);
        }
        Some(self.largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), None);
        histogram.add(-3.0);
        assert_eq!(histogram.quantile(0.99), Some(3.0));
        for n in 1..=10_000 {
            histogram.add(f64::from(n) * 1e-9);
        }
        for q in [0.01, 0.5, 0.99] {
            let found = histogram.quantile(q).expect("there are values");
            let expected = ((1e4 * q).round() + 1.0) * 1e-9;
            assert!((found / expected - 1.0).abs() < 1e-3, "{q} {found}");
        }
        assert!(histogram.largest().to_bits() == 3_f64.to_bits());
    }

    #[test]
    fn nothing_is_too_small_or_too_large() {
        let mut histogram = Histogram::new();
        for value in [0.0, 1e-300, f64::MAX, f64::INFINITY] {
            histogram.add(value);
        }
        assert!(histogram.quantile(0.0).is_some_and(|least| least < 1e-15));
        assert!(histogram.quantile(1.0).is_some_and(|most| most > 1e9));
    }
}
