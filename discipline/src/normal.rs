//! The normal distribution, where a likelihood has an edge.

use core::f64::consts::PI;

/// Logarithm of the standard normal distribution's density at `x`.
pub(crate) fn ln_density(x: f64) -> f64 {
    -0.5 * (x * x + (2.0 * PI).ln())
}

/// Beyond this many deviations the series is slow and the continued fraction fast.
const TAIL: f64 = 3.0;
/// Terms of either that give twelve digits on its side.
const TERMS: u32 = 40;

/// Logarithm of the part of the standard normal distribution below `x`, ln Φ(x), and the density
/// at `x` divided by that part.
///
/// Near the middle Φ(x) = ½ + φ(x)·(x + x³/3 + x⁵/(3·5) + …); in the tail Laplace's continued
/// fraction Φ(−x)/φ(x) = 1/(x + 1/(x + 2/(x + 3/(x + …)))) (Abramowitz & Stegun 26.2.11 and
/// 26.2.14), which keeps the quotient exact where Φ itself is no longer a number.
pub(crate) fn ln_below(x: f64) -> (f64, f64) {
    let at = ln_density(x).exp();
    let below = if x.abs() > TAIL {
        let far = x.abs();
        let fraction = (1..=TERMS)
            .rev()
            .fold(far, |rest, term| far + f64::from(term) / rest);
        if x < 0.0 {
            return (ln_density(x) - fraction.ln(), fraction);
        }
        1.0 - at / fraction
    } else {
        let (mut term, mut sum) = (x, x);
        for n in 1..=TERMS {
            term *= x * x / f64::from(2 * n + 1);
            sum += term;
        }
        0.5 + at * sum
    };
    (below.ln(), at / below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        for (x, expected) in [
            (-8.0, 6.220_960_574_271_785e-16),
            (-3.5, 2.326_290_790_355_250_4e-4),
            (-3.0, 1.349_898_031_630_094_6e-3),
            (-1.0, 0.158_655_253_931_457_05),
            (0.0, 0.5),
            (2.0, 0.977_249_868_051_820_8),
            (5.9, 0.999_999_998_182_492_4),
        ] {
            let found = ln_below(x).0.exp();
            assert!((found / expected - 1.0).abs() < 1e-9, "{x}: {found}");
        }
    }

    #[test]
    fn the_quotient_is_a_number_wherever_one_looks() {
        for x in [-1e6, -50.0, -3.000_001, -2.999_999, 0.0, 40.0, 1e9] {
            let (ln_part, quotient) = ln_below(x);
            assert!(ln_part.is_finite() && ln_part <= 0.0, "{x}: {ln_part}");
            assert!(quotient.is_finite() && quotient >= 0.0, "{x}: {quotient}");
        }
        let (_, far) = ln_below(-50.0);
        assert!((far - 50.02).abs() < 0.01, "{far}");
    }
}
