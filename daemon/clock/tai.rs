//! TAI − UTC.
//!
//! The list of leap seconds knows it; without one, this host's kernel if somebody has told it; else it
//! is as it has been since 2017. Once known it is kept here for all who read or set clocks that show
//! TAI, and moves with each leap second at the instant at which the estimate of UTC does.

use std::sync::atomic::{AtomicI32, Ordering};

use clockwright_sys::adjust;
use clockwright_sys::clock::ClockId;
use clockwright_timebase::Duration;

use crate::config::Timescale;

/// TAI - UTC was this in 1972, when leap seconds began, s. Less is what a kernel counts that was told nothing
/// and has made leap seconds.
pub const LEAST_TAI_OFFSET_S: i32 = 10;
/// Since 2017-01-01 (IERS Bulletin C 52); none has been announced since.
const SINCE_2017_S: i32 = 37;

/// What is known, s; 0: nothing.
static KNOWN: AtomicI32 = AtomicI32::new(0);
/// What holds where neither that nor the kernel says anything, s.
static ELSE: AtomicI32 = AtomicI32::new(SINCE_2017_S);

/// What a clock on this timescale shows more than UTC.
pub fn ahead_of_utc(timescale: Timescale) -> Duration {
    match timescale {
        Timescale::Tai => Duration::from_secs(tai_offset().into()),
        Timescale::Utc => Duration::ZERO,
    }
}

/// TAI − UTC is this now, s.
pub fn know_tai_offset(seconds: i32) {
    KNOWN.store(seconds, Ordering::Relaxed);
}

/// TAI − UTC was this when a list that has expired was made, s: more than what this program was built
/// with, and less than what the kernel was told.
pub fn guess_tai_offset(seconds: i32) {
    ELSE.store(seconds, Ordering::Relaxed);
}

/// A leap second is near: from here on the kernel is not asked, which makes it at an instant of its own.
pub fn hold_tai_offset() {
    if KNOWN.load(Ordering::Relaxed) == 0 {
        know_tai_offset(tai_offset());
    }
}

/// UTC was set by `shift`, −1 s or 1 s, by a leap second.
pub fn leap_tai_offset(shift: Duration) {
    hold_tai_offset();
    let seconds = if shift.is_negative() { 1 } else { -1 };
    KNOWN.fetch_add(seconds, Ordering::Relaxed);
}

/// TAI − UTC, s.
fn tai_offset() -> i32 {
    let known = KNOWN.load(Ordering::Relaxed);
    if known > 0 {
        return known;
    }
    let told = adjust::read(ClockId::REALTIME).map_or(0, |state| state.tai_offset);
    if told >= LEAST_TAI_OFFSET_S {
        told
    } else {
        ELSE.load(Ordering::Relaxed)
    }
}
