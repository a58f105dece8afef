//! The processor's cache: having memory brought in before it is needed.

/// Octets that are brought in at once on the processors this runs on.
const LINE: usize = 64;

/// Asks the processor to bring in the memory of `what`, and does not wait for it. Only worth its
/// while for what is looked up in large tables a little later. Elsewhere than on x86-64 it does
/// nothing.
#[inline]
pub fn prefetch<T>(what: &T) {
    let start = std::ptr::from_ref(what).cast::<u8>();
    for offset in (0..size_of::<T>()).step_by(LINE) {
        line(start.wrapping_add(offset));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn line(at: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a hint reads nothing and never faults, whatever the address; SSE, which it belongs to, is
    // part of x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn line(_at: *const u8) {}

#[cfg(test)]
mod tests {
    use super::*;

    /// That it is faster shows only in benches/serving.
    #[test]
    fn memory_of_any_size_can_be_asked_for() {
        prefetch(&());
        prefetch(&[7_u8; 1000]);
    }
}
