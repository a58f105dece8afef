//! Asking servers: what `run`, `query` and `set` share.

mod association;
mod departure;
mod entropy;
mod failure;
mod instruments;
mod keys;
mod line;
mod port;
mod ptp_port;
mod refclock;
mod resolve;
mod survey;

pub use association::{Association, Event, StampCounts};
pub use entropy::OsEntropy;
pub use failure::Failure;
pub use instruments::Instruments;
pub use keys::{NoKeys, find_keys};
pub use port::{Arrival, Port, PortId, Wake, Wakes, Woken};
pub use ptp_port::{OWNER as PTP_OWNER, PtpPorts};
pub use refclock::{News, Numbering, Refclock, Refusal};
pub use resolve::{Family, Unresolved, resolve};
pub use survey::{Answers, KeysTaken, NtsPlan, Plan, Taken, Trouble, survey};
