//! The stamps of packets that are served over PTP, in the served clock's time.

use clockwright_ntp::{Received, Transport};
use clockwright_sys::socket::{Message, TxStamp};
use clockwright_timebase::StampKind;

use crate::clock::{Clock, Window};
use crate::interfaces::{Direction, Fallback, Freshness, Interfaces, Medium, Sent};
use crate::serve::stamping::{Left, left};

/// What comes here is carried by it.
const TRANSPORT: Transport = Transport::Ptp;

/// The clock that is served, and the interfaces that stamp.
pub(super) struct Stamper<'a> {
    /// The served clock.
    pub(super) clock: &'a dyn Clock,
    /// The interfaces.
    pub(super) interfaces: &'a mut Interfaces,
}

impl Stamper<'_> {
    /// When a request arrived, and who says so: the NIC, the kernel, or this process if neither
    /// gave a stamp that can be. Its correction is the time of the frame, where the NIC stamped it.
    pub(super) fn arrival(
        &mut self,
        message: &Message<'_>,
        window: &Window,
    ) -> (Received, StampKind) {
        let medium = Medium {
            transport: TRANSPORT,
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

    /// When a reply left; `received` is who stamped its request.
    pub(super) fn departure(
        &mut self,
        stamp: &TxStamp<'_>,
        (sent, received): (Sent, StampKind),
        window: &Window,
    ) -> Left {
        let expected = self.interfaces.best_transmit(stamp.ifindex) == StampKind::Hardware;
        let (clock, interfaces) = (self.clock, &mut *self.interfaces);
        let (left, counted) = left(
            stamp,
            received,
            expected,
            |kernel| clock.time_of(kernel, window).ok(),
            |taken| {
                interfaces.note_latency(taken.interface, window.host_now() - sent.host);
                let left = interfaces.departure_instant(taken, sent, Freshness::Serving, window)?;
                Ok(clock.time_at(left.at, window))
            },
        );
        if let Some((kind, fallback)) = counted {
            self.count(stamp.ifindex, kind, fallback, window);
        }
        left
    }

    /// A reply that left by `interface` has only the kernel's stamp, though the NIC's was awaited.
    pub(super) fn missed(&mut self, interface: Option<u32>, window: &Window) {
        self.count(interface, StampKind::Kernel, None, window);
    }

    fn count(
        &mut self,
        interface: Option<u32>,
        kind: StampKind,
        fallback: Option<Fallback>,
        window: &Window,
    ) {
        if let Some(interface) = interface {
            let how = (TRANSPORT, fallback);
            let now = window.host_now();
            self.interfaces
                .count(Direction::Transmit, interface, kind, how, now);
        }
    }
}
