//! Octets that are wiped.

use core::ops::{Deref, DerefMut};

use zeroize::Zeroize as _;

/// As many secret octets as there are, wiped when dropped.
///
/// `Zeroizing` wipes an array octet by octet, which a server that opens a cookie for every packet
/// feels; a slice is wiped at once.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Nothing but zeros yet.
    pub(super) const fn new() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Deref for Secret<N> {
    type Target = [u8; N];

    fn deref(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> DerefMut for Secret<N> {
    fn deref_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}
