//! Instants, durations and time scales.
//!
//! Everything else in clockwright is written in these types. They are exact: one unit is
//! 2⁻³² ns, in which a nanosecond (kernel), an NTP fraction (2⁻³² s = 10⁹ units) and a PTP
//! correction (2⁻¹⁶ ns) are all whole numbers, so no conversion into them ever rounds.
//!
//! An instant carries its time base in its type. Instants of different bases cannot be
//! subtracted; the difference of the bases themselves is an estimate, and lives in
//! `clockwright-discipline`.

mod duration;
mod poll;
mod stamp;
mod timestamp;

pub use duration::Duration;
pub use poll::Poll;
pub use stamp::{Stamp, StampKind};
pub use timestamp::{Phc, Raw, TimeBase, Timestamp, Utc};
