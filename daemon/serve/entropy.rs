//! Random numbers for replies.

use chacha20::ChaCha12Rng;
use chacha20::rand_core::{Rng as _, SeedableRng as _};
use clockwright_ntp::Entropy;

use crate::measure::OsEntropy;

/// Octets that come from one seed.
const FROM_A_SEED: usize = 64 * 1024;

/// A generator (`ChaCha12`) that the operating system seeds, and seeds anew again and again.
///
/// All that it is asked for is sent: nonces, and what fills timestamps below their resolution.
/// Nobody must be able to foresee it, but what is past is no secret; so it need not come from the
/// kernel each time, which costs an authentic reply a fiftieth of its time. No key is ever made of it.
#[derive(Debug)]
pub(super) struct ServerEntropy {
    generator: ChaCha12Rng,
    /// Octets until it is seeded anew.
    left: usize,
}

impl ServerEntropy {
    /// One that has just been seeded.
    pub(super) fn new() -> Self {
        let mut seed = [0; 32];
        OsEntropy::new().fill(&mut seed);
        Self {
            generator: ChaCha12Rng::from_seed(seed),
            left: FROM_A_SEED,
        }
    }
}

impl Entropy for ServerEntropy {
    fn fill(&mut self, buf: &mut [u8]) {
        match self.left.checked_sub(buf.len()) {
            Some(left) => self.left = left,
            None => *self = Self::new(),
        }
        self.generator.fill_bytes(buf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn numbers_do_not_repeat_across_seeds_nor_between_generators() {
        let mut seen = HashSet::new();
        let (mut one, mut other) = (ServerEntropy::new(), ServerEntropy::new());
        for _ in 0..FROM_A_SEED / 8 {
            for entropy in [&mut one, &mut other] {
                let mut octets = [0; 12];
                entropy.fill(&mut octets);
                assert!(octets != [0; 12] && seen.insert(octets));
            }
        }
    }

    #[test]
    fn it_is_seeded_anew_in_time() {
        let mut entropy = ServerEntropy::new();
        entropy.fill(&mut vec![0; FROM_A_SEED - 1]);
        assert_eq!(entropy.left, 1);
        entropy.fill(&mut [0; 2]);
        assert_eq!(entropy.left, FROM_A_SEED);
    }
}
