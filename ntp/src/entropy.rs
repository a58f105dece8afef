//! Random numbers, from outside.

/// A source of random octets that an attacker cannot predict.
///
/// The daemon passes the operating system's generator; a simulation passes a seeded one, and the
/// whole machine becomes repeatable.
pub trait Entropy {
    /// Fills all of `buf`.
    fn fill(&mut self, buf: &mut [u8]);
}

/// 64 random bits.
pub(crate) fn random_u64(entropy: &mut dyn Entropy) -> u64 {
    let mut octets = [0; 8];
    entropy.fill(&mut octets);
    u64::from_ne_bytes(octets)
}
