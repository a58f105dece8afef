//! Random numbers from the operating system.

use clockwright_ntp::Entropy;

/// Octets fetched from the kernel at a time: a system call for a hundred plain packets, or forty
/// authentic ones.
const POOL: usize = 2048;

/// The kernel's generator, read in blocks. What has been given out is not kept.
#[derive(Debug)]
pub struct OsEntropy {
    pool: [u8; POOL],
    /// Octets of `pool` that have been given out.
    used: usize,
}

impl OsEntropy {
    /// An empty pool, filled when first needed.
    pub const fn new() -> Self {
        Self {
            pool: [0; POOL],
            used: POOL,
        }
    }

    #[expect(
        clippy::panic,
        reason = "without unpredictable numbers every reply could be forged; Linux fails here only \
                  when getrandom(2) is forbidden"
    )]
    fn refill(&mut self) {
        if let Err(error) = getrandom::fill(&mut self.pool) {
            panic!("the kernel gives no random numbers: {error}");
        }
        self.used = 0;
    }
}

impl Default for OsEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl Entropy for OsEntropy {
    fn fill(&mut self, mut buf: &mut [u8]) {
        while !buf.is_empty() {
            if self.used == POOL {
                self.refill();
            }
            let fresh = self.pool.get_mut(self.used..).unwrap_or_default();
            let length = buf.len().min(fresh.len());
            let (given, still) = buf.split_at_mut(length);
            let (taken, _) = fresh.split_at_mut(length);
            given.copy_from_slice(taken);
            taken.fill(0);
            self.used += length;
            buf = still;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn more_than_is_fetched_at_a_time_is_all_random() {
        let mut octets = vec![0; 3 * POOL + 7];
        OsEntropy::new().fill(&mut octets);
        assert!(
            octets
                .chunks(16)
                .all(|chunk| chunk.iter().any(|octet| *octet != 0))
        );
    }

    #[test]
    fn what_has_been_given_out_is_not_kept() {
        let mut entropy = OsEntropy::new();
        entropy.fill(&mut [0; 100]);
        assert_eq!(entropy.pool[..100], [0; 100]);
    }

    #[test]
    fn numbers_do_not_repeat_across_refills() {
        let mut entropy = OsEntropy::new();
        let mut seen = HashSet::new();
        for _ in 0..POOL {
            let mut octets = [0; 12];
            entropy.fill(&mut octets);
            assert!(octets != [0; 12] && seen.insert(octets));
        }
    }
}
