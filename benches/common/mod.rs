//! What the benchmarks of servers share.

pub(crate) mod cpu;
pub(crate) mod helper;
pub(crate) mod installed;
pub(crate) mod interrupts;
pub(crate) mod keys;
pub(crate) mod seal;
pub(crate) mod version;
