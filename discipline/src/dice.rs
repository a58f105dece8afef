//! Numbers that look random and are the same in each run, for tests.

/// The next state of a linear congruential generator (Knuth's MMIX).
pub(crate) fn next(seed: &mut u64) -> u64 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *seed
}

/// Uniform on (0, 1].
pub(crate) fn uniform(seed: &mut u64) -> f64 {
    ((next(seed) >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

/// Noise of unit variance: a sum of twelve uniform numbers (Irwin–Hall).
pub(crate) fn gauss(seed: &mut u64) -> f64 {
    (0..12).fold(-6.0, |sum, _| sum + uniform(seed))
}
