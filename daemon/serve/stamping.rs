//! The stamps of served packets, in the served clock's time.

use clockwright_ntp::Received;
use clockwright_sys::socket::{Message, TxStamp};
use clockwright_timebase::{StampKind, Timestamp, Utc};

use super::awaited::Awaited;
use super::posted::Posted;
use super::worker::Shared;
use crate::clock::{Implausible, Window};
use crate::interfaces::{Direction, Fallback, HardwareStamp};

/// What a transmit stamp says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    /// When the reply left, by the served clock; `None` if this stamp is not to be used.
    pub(crate) at: Option<Timestamp<Utc>>,
    /// Will no better stamp come?
    pub(crate) is_last: bool,
}

/// When a request arrived, and who says so: the NIC, the kernel, or this process if neither gave a
/// stamp that can be. Its correction is the time of the frame, where the NIC stamped it. `None`: it
/// has waited for so long that nobody waits for the reply any more.
pub(super) fn arrival(
    shared: &Shared,
    posted: &Posted,
    message: &Message<'_>,
    window: &Window,
    notable: &mut bool,
) -> Option<(Received, StampKind)> {
    let counters = &shared.counters;
    let interface = posted.sight.taker(message);
    let mut fallback = None;
    if message.hardware.is_some() {
        let arrived = posted.sight.arrived(message, window);
        if let Some(stamp) = arrived.arrival.stamps.get(StampKind::Hardware) {
            counters.rx_hardware.bump();
            count(
                shared,
                Direction::Receive,
                interface,
                StampKind::Hardware,
                None,
            );
            let received = Received {
                at: posted.shown.time_at(stamp.at, window),
                correction: arrived.arrival.frame,
            };
            return Some((received, StampKind::Hardware));
        }
        fallback = arrived.fallback;
    }
    let kernel = message
        .kernel
        .map(|stamp| posted.shown.time_of(stamp, window));
    let (at, kind) = match kernel {
        Some(Ok(at)) => {
            counters.rx_kernel.bump();
            (at, StampKind::Kernel)
        }
        Some(Err(Implausible::Old(_))) => {
            counters.untimely.bump();
            return None;
        }
        _ => {
            counters.rx_daemon.bump();
            (posted.shown.read(window), StampKind::Daemon)
        }
    };
    let reason = |index| posted.sight.reason(Direction::Receive, index);
    let fallback = fallback.or_else(|| reason(interface?));
    *notable |= fallback == Some(Fallback::Missing);
    count(shared, Direction::Receive, interface, kind, fallback);
    Some((at.into(), kind))
}

/// What a transmit stamp says of when its reply left, and how the reply is to be counted; not yet if a
/// better stamp will come, as `expected` says of the NIC's. The NIC's stamp is for a request whose
/// arrival the NIC stamped (`received`); a reply to one that the kernel stamped leaves by the kernel's,
/// so that what lies between the two is not taken for time that the reply was under way. `by_kernel`
/// and `by_nic` tell what the served clock showed.
pub(crate) fn left(
    stamp: &TxStamp<'_>,
    received: StampKind,
    expected: bool,
    by_kernel: impl FnOnce(Timestamp<Utc>) -> Option<Timestamp<Utc>>,
    by_nic: impl FnOnce(HardwareStamp) -> Result<Timestamp<Utc>, Fallback>,
) -> (Left, Option<(StampKind, Option<Fallback>)>) {
    let (Some(at), Some(interface)) = (stamp.hardware, stamp.ifindex) else {
        let left = Left {
            at: stamp.kernel.and_then(by_kernel),
            is_last: !expected,
        };
        return (left, (!expected).then_some((StampKind::Kernel, None)));
    };
    let placed = by_nic(HardwareStamp { at, interface });
    let counted = match placed {
        Ok(_) => (StampKind::Hardware, None),
        Err(why) => (StampKind::Kernel, Some(why)),
    };
    let left = Left {
        at: placed.ok().filter(|_| received == StampKind::Hardware),
        is_last: true,
    };
    (left, Some(counted))
}

/// When a reply left, by what is posted.
pub(super) fn departure(
    shared: &Shared,
    posted: &Posted,
    stamp: &TxStamp<'_>,
    reply: &Awaited,
    window: &Window,
) -> Left {
    let expected = posted.sight.best_transmit(stamp.ifindex) == StampKind::Hardware;
    let (left, counted) = left(
        stamp,
        reply.received,
        expected,
        |kernel| posted.shown.time_of(kernel, window).ok(),
        |taken| {
            let left = posted.sight.departure_instant(taken, reply.sent, window)?;
            Ok(posted.shown.time_at(left.at, window))
        },
    );
    if let Some((kind, fallback)) = counted {
        match kind {
            StampKind::Hardware => shared.counters.tx_hardware.bump(),
            StampKind::Kernel | StampKind::Daemon => shared.counters.tx_kernel.bump(),
        }
        let interface = stamp.ifindex.or(reply.interface);
        let reason = |index| posted.sight.reason(Direction::Transmit, index);
        let fallback = match kind {
            StampKind::Hardware => None,
            StampKind::Kernel | StampKind::Daemon => fallback.or_else(|| reason(interface?)),
        };
        count(shared, Direction::Transmit, interface, kind, fallback);
    }
    left
}

fn count(
    shared: &Shared,
    direction: Direction,
    interface: Option<u32>,
    kind: StampKind,
    fallback: Option<Fallback>,
) {
    if let Some(interface) = interface {
        shared.stamps.count(direction, interface, kind, fallback);
    }
}
