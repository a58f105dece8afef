//! What the kernel is told of leap seconds: to make one, not to, and what TAI - UTC is after it.
//!
//! The kernel's order to make one (`STA_INS`, `STA_DEL`) is for the end of the day, and stays with it
//! when the daemon ends: a real leap second is made all the same, and one that was made is not made
//! again. A daemon that starts finds the order there. It takes back what is not wanted at once, and
//! leaves what is until its own clock is set: a restart shortly before midnight must not lose it.

use clockwright_discipline::{ClockReading, LeapSecond};
use clockwright_sys::adjust::{self, KernelLeap};
use clockwright_sys::clock::ClockId;
use clockwright_timebase::{Duration, Raw, Timestamp};

use super::daemon::Daemon;
use super::leap::is_leap_day;
use crate::clock::{Clock, LEAST_TAI_OFFSET_S};
use crate::config::LeapMode;
use crate::control::{ClockName, Steering};

/// A clock that is set forgets in Linux for when the leap second was ordered, but not that it was
/// (kernel/time/ntp.c: `ntp_clear` and `second_overflow`), and then never makes it. Its state machine,
/// which looks once a second, must see the order taken back before it is given again.
const FORGETS_WITHIN: Duration = Duration::from_millis(1_500);
/// So near to a leap second the kernel may have made it, or not, whatever is known here.
const NEAR: Duration = Duration::from_secs(2);

/// What goes on between this daemon and the kernel.
#[derive(Debug)]
pub(super) struct KernelLeaps {
    /// The order that was there at the start.
    found: KernelLeap,
    /// No order is given until then.
    none_before: Option<Timestamp<Raw>>,
    /// TAI - UTC after a leap second that the kernel has not made itself, to be told to it, s.
    tai_offset_s: Option<i32>,
}

impl KernelLeaps {
    /// At the start of a daemon for this clock.
    pub(super) fn new(clock: &dyn Clock) -> Self {
        let found = if is_kernels(clock) {
            adjust::read(ClockId::REALTIME).map_or(KernelLeap::None, |state| state.leap)
        } else {
            KernelLeap::None
        };
        Self {
            found,
            none_before: None,
            tai_offset_s: None,
        }
    }
}

impl Daemon {
    /// What the kernel is to make of the leap second that comes.
    pub(super) fn kernel_leap(&mut self, reading: ClockReading) -> KernelLeap {
        if self.config.clock.leap != LeapMode::Kernel || !is_kernels(self.clock.as_ref()) {
            return KernelLeap::None;
        }
        if self.kernel_leap_due().is_some_and(|due| reading.raw < due) {
            return KernelLeap::None;
        }
        self.kernel_leaps.none_before = None;
        let in_hand = self.discipline.leap_in_hand(reading.raw);
        in_hand.map_or_else(|| self.leap_found(reading), order)
    }

    /// The order found at the start, as long as this daemon has no clock of its own to go by, and
    /// nothing speaks against it.
    fn leap_found(&self, reading: ClockReading) -> KernelLeap {
        let found = self.kernel_leaps.found;
        let now = reading.clock;
        let wanted = match self.leap_list.valid(now) {
            Some(list) => list.today(now).is_some_and(|today| order(today) == found),
            None => is_leap_day(now),
        };
        if wanted && !self.was_synchronized {
            found
        } else {
            KernelLeap::None
        }
    }

    /// When the order may be given again.
    pub(super) const fn kernel_leap_due(&self) -> Option<Timestamp<Raw>> {
        self.kernel_leaps.none_before
    }

    /// The clock was set, be it by us: what was ordered has to be ordered anew.
    pub(super) fn order_leap_anew(&mut self, now: Timestamp<Raw>) {
        if self.told_leap != KernelLeap::None {
            self.kernel_leaps.none_before = Some(now + FORGETS_WITHIN);
        }
    }

    /// A leap second has come. Where the kernel has not made it and no list says what TAI - UTC is now,
    /// it is one more, or less, than the kernel has been told; if it has not, nothing is known.
    pub(super) fn tai_after(&mut self, second: LeapSecond, reading: ClockReading) {
        let by_kernel = self.config.clock.leap == LeapMode::Kernel;
        let listed = self.leap_list.valid(reading.clock).is_some();
        if by_kernel || listed || !is_kernels(self.clock.as_ref()) {
            return;
        }
        let told = adjust::read(ClockId::REALTIME).map_or(0, |state| state.tai_offset);
        let change = if second.inserted { 1 } else { -1 };
        self.kernel_leaps.tai_offset_s = Some(told)
            .filter(|told| *told >= LEAST_TAI_OFFSET_S)
            .map(|told| told + change);
    }

    /// TAI - UTC as the kernel is to be told it, where a list says that it is `listed`. Near a leap second
    /// that the kernel makes nothing: it counts for itself then, and some milliseconds later.
    pub(super) fn tai_for_kernel(
        &mut self,
        reading: ClockReading,
        leap: KernelLeap,
        listed: Option<i32>,
    ) -> Option<i32> {
        let second = self.discipline.leap_in_hand(reading.raw);
        let near = second.is_some_and(|second| (reading.clock - second.day_ends).abs() < NEAR);
        if near && leap != KernelLeap::None {
            return None;
        }
        listed.or(self.kernel_leaps.tai_offset_s.take())
    }
}

/// Is it the kernel's clock, and ours to set?
fn is_kernels(clock: &dyn Clock) -> bool {
    clock.name() == ClockName::System && clock.steering() == Steering::Adjusting
}

const fn order(second: LeapSecond) -> KernelLeap {
    if second.inserted {
        KernelLeap::Insert
    } else {
        KernelLeap::Delete
    }
}
