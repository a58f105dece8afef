//! Now, by two clocks.

use std::time::SystemTime;

use clockwright_sys::clock::raw_now;
use clockwright_timebase::{Raw, Timestamp};

/// An instant by the clock that nobody sets, and by the one that others know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// By which everything is timed while the daemon runs.
    pub raw: Timestamp<Raw>,
    /// Seconds since 1970 by the host's clock, which may be wrong: for files and certificates,
    /// which have to do with other runs and other hosts.
    pub unix_s: u64,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self {
            raw: raw_now(),
            unix_s: SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        }
    }
}
