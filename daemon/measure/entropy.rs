//! Random numbers from the operating system.

use clockwright_ntp::Entropy;

/// Octets fetched from the kernel at a time: a system call for every few dozen packets.
const POOL: usize = 512;

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
    fn fill(&mut self, buf: &mut [u8]) {
        for octet in buf {
            if self.used == POOL {
                self.refill();
            }
            if let Some(random) = self.pool.get_mut(self.used) {
                *octet = std::mem::take(random);
            }
            self.used += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

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
