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

#[cfg(test)]
pub(crate) mod test {
    use super::Entropy;

    /// `SplitMix64`: repeatable, and well enough spread for tests.
    #[derive(Debug, Clone)]
    pub(crate) struct Seeded(u64);

    impl Seeded {
        pub(crate) const fn new(seed: u64) -> Self {
            Self(seed)
        }
    }

    impl Entropy for Seeded {
        fn fill(&mut self, buf: &mut [u8]) {
            for chunk in buf.chunks_mut(8) {
                self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = self.0;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^= z >> 31;
                chunk.copy_from_slice(&z.to_le_bytes()[..chunk.len()]);
            }
        }
    }
}
