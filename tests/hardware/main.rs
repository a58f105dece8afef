//! Hardware timestamps and PTP clocks: the real binary in the lab's guest, whose NICs stamp.
//!
//! Each test boots guests of `tests/lab` (QEMU emulates, no KVM is needed; see its README) and
//! judges what they recorded. Errors are true ones: the lab's module knows them independently of
//! what is tested. `tests/lab/setup` is run once by itself; what it lacks fails the tests with a
//! message that says what to do.

#![expect(
    clippy::panic,
    reason = "clippy knows the functions of tests by their attribute, and not what they call"
)]

mod bonds;
mod clocks;
mod faults;
mod filters;
mod guest;
mod kinds;
mod leap;
mod over_ptp;
mod peers;
mod probe;
mod record;
mod refclocks;
mod rivals;
mod scene;
mod sleep;
mod steering;
