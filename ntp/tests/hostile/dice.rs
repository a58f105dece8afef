//! Random octets, repeatable.

use clockwright_ntp::Entropy;

/// A linear congruential generator, of which the high half is given.
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Entropy for Dice {
    fn fill(&mut self, buf: &mut [u8]) {
        for octet in buf {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *octet = self.0.to_be_bytes()[0];
        }
    }
}
