//! The host's interfaces as far as they stamp packets: which of them can, by which clock, what has
//! been granted, and how the stamp of a NIC becomes an instant.
//!
//! ```text
//! NIC's stamp (its PHC's time) ──► PHC against the oscillator (phc::Tracker) ──► Timestamp<Raw>
//! kernel's stamp (system clock) ─► bracketed reading (clock::Window) ──────────► Timestamp<Raw>
//! ```
//!
//! A packet is mapped to its own clock by the interface that stamped it: the slave of a bond, the
//! device below a VLAN. Where a packet has no hardware stamp that can be used, the reason is
//! counted, and the kernel's stamp of the same packet is there.

mod clocks;
mod companion;
mod convert;
mod fallback;
mod latency;
mod nic;
mod notice;
mod policy;
mod report;
mod sight;
mod stamp;
mod table;
mod tally;
#[cfg(test)]
mod tests;

pub use convert::Freshness;
pub use fallback::Fallback;
pub use notice::Notice;
pub use policy::Policy;
pub use sight::{ClockSight, Sight};
pub use stamp::{Arrived, HardwareStamp, Medium, Sent};
pub use table::{Access, Interfaces};
pub use tally::{Direction, Kinds, Tally};
