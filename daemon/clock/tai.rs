//! TAI − UTC.

use clockwright_sys::adjust;
use clockwright_sys::clock::ClockId;
use clockwright_timebase::Duration;

use crate::config::Timescale;

/// Since 2017-01-01 (IERS Bulletin C 52); none has been announced since.
const SINCE_2017_S: i32 = 37;

/// What a clock on this timescale shows more than UTC.
pub fn ahead_of_utc(timescale: Timescale) -> Duration {
    match timescale {
        Timescale::Tai => tai_offset(),
        Timescale::Utc => Duration::ZERO,
    }
}

/// TAI − UTC as this host's kernel has been told it; where nobody has, as it has been since 2017.
fn tai_offset() -> Duration {
    let told = adjust::read(ClockId::REALTIME).map_or(0, |state| state.tai_offset);
    let seconds = if told > 0 { told } else { SINCE_2017_S };
    Duration::from_secs(seconds.into())
}
