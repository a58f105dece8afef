//! The client's timers: one table.

use clockwright_timebase::{Raw, Timestamp};

/// What a timer is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Timer {
    /// Give up waiting for the transmit stamp of a request whose reply is held. First in order, so
    /// that a held reply is done with before the next request.
    StampWait,
    /// Have keys established.
    Keys,
    /// Send the next request.
    Transmit,
}

impl Timer {
    const COUNT: usize = 3;
}

/// When each timer runs out.
#[derive(Debug, Default)]
pub(super) struct Timers([Option<Timestamp<Raw>>; Timer::COUNT]);

impl Timers {
    pub(super) const fn set(&mut self, timer: Timer, at: Timestamp<Raw>) {
        self.0[timer as usize] = Some(at);
    }

    pub(super) const fn cancel(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// The earliest of all.
    pub(super) fn earliest(&self) -> Option<Timestamp<Raw>> {
        self.0.iter().flatten().min().copied()
    }

    /// Has `timer` run out at `now`? If so, it is cleared.
    pub(super) fn expired(&mut self, timer: Timer, now: Timestamp<Raw>) -> bool {
        self.0[timer as usize].take_if(|at| *at <= now).is_some()
    }
}
