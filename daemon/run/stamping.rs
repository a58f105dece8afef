//! The stamps of served packets, in the served clock's time.

use clockwright_ntp::{Received, Transport};
use clockwright_sys::socket::{Message, TxStamp};
use clockwright_timebase::{StampKind, Timestamp, Utc};

use crate::clock::{Clock, Window};
use crate::interfaces::{Direction, Fallback, Freshness, HardwareStamp, Interfaces, Medium, Sent};

/// The clock that is served, and the interfaces that stamp.
pub(super) struct Stamper<'a> {
    /// The served clock.
    pub(super) clock: &'a dyn Clock,
    /// The interfaces.
    pub(super) interfaces: &'a mut Interfaces,
}

/// What a transmit stamp says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    /// When the reply left, by the served clock; `None` if this stamp is not to be used.
    pub(super) at: Option<Timestamp<Utc>>,
    /// Will no better stamp come?
    pub(super) is_last: bool,
}

impl Stamper<'_> {
    /// When a request arrived, and who says so: the NIC, the kernel, or this process if neither
    /// gave a stamp that can be. Its correction is the time of the frame, where the NIC stamped it.
    pub(super) fn arrival(
        &mut self,
        message: &Message<'_>,
        transport: Transport,
        window: &Window,
    ) -> (Received, StampKind) {
        let medium = Medium {
            transport,
            ipv6: message.source.is_ipv6(),
        };
        let arrived = self
            .interfaces
            .arrived(message, medium, Freshness::Serving, window);
        if let Some(stamp) = arrived.arrival.stamps.get(StampKind::Hardware) {
            let received = Received {
                at: self.clock.time_at(stamp.at, window),
                correction: arrived.arrival.frame,
            };
            return (received, StampKind::Hardware);
        }
        let kernel = message
            .kernel
            .and_then(|stamp| self.clock.time_of(stamp, window).ok());
        match kernel {
            Some(at) => (at.into(), StampKind::Kernel),
            None => (self.clock.now().into(), StampKind::Daemon),
        }
    }

    /// When a reply left. The NIC's stamp is for a request whose arrival the NIC stamped
    /// (`received`); a reply to one that the kernel stamped leaves by the kernel's, so that what
    /// lies between the two is not taken for time that the reply was under way.
    pub(super) fn departure(
        &mut self,
        stamp: &TxStamp<'_>,
        (sent, received): (Sent, StampKind),
        transport: Transport,
        window: &Window,
    ) -> Left {
        let expected = self.interfaces.best_transmit(stamp.ifindex) == StampKind::Hardware;
        let (Some(at), Some(interface)) = (stamp.hardware, stamp.ifindex) else {
            if !expected {
                self.count(stamp.ifindex, StampKind::Kernel, None, transport, window);
            }
            let kernel = stamp
                .kernel
                .and_then(|kernel| self.clock.time_of(kernel, window).ok());
            return Left {
                at: kernel,
                is_last: !expected,
            };
        };
        let taken = HardwareStamp { at, interface };
        let took = window.host_now() - sent.host;
        self.interfaces.note_latency(interface, took);
        let left = self
            .interfaces
            .departure_instant(taken, sent, Freshness::Serving, window);
        let (kind, fallback) = match left {
            Ok(_) => (StampKind::Hardware, None),
            Err(why) => (StampKind::Kernel, Some(why)),
        };
        self.count(Some(interface), kind, fallback, transport, window);
        Left {
            at: left
                .ok()
                .filter(|_| received == StampKind::Hardware)
                .map(|left| self.clock.time_at(left.at, window)),
            is_last: true,
        }
    }

    /// A reply that left by `interface` has only the kernel's stamp, though the NIC's was awaited.
    pub(super) fn missed(&mut self, interface: Option<u32>, transport: Transport, window: &Window) {
        self.count(interface, StampKind::Kernel, None, transport, window);
    }

    fn count(
        &mut self,
        interface: Option<u32>,
        kind: StampKind,
        fallback: Option<Fallback>,
        transport: Transport,
        window: &Window,
    ) {
        if let Some(interface) = interface {
            let how = (transport, fallback);
            let now = window.host_now();
            self.interfaces
                .count(Direction::Transmit, interface, kind, how, now);
        }
    }
}
