//! Requests that have left, and whose transmit stamps are awaited.

use clockwright_ntp::{Client, Transport, TxToken};
use clockwright_sys::socket::{TxId, TxStamp};
use clockwright_timebase::StampKind;

use crate::clock::{Implausible, Window};
use crate::interfaces::{Direction, Fallback, Freshness, HardwareStamp, Interfaces, Sent};

/// Requests of one client that left from one socket.
#[derive(Debug, Default)]
pub(super) struct Departures(Vec<Departure>);

/// A request whose transmit stamps are awaited.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) id: TxId,
    pub(super) token: TxToken,
    pub(super) sent: Sent,
    pub(super) transport: Transport,
    /// The interface it left by: the one of the request before, until a stamp tells.
    pub(super) interface: Option<u32>,
    /// The best stamp so far.
    best: StampKind,
    /// Has the kernel's own stamp come, which may be all that the reply can be paired with?
    kernel: bool,
    /// The NIC's stamp, which is converted when the reply is there.
    hardware: Option<HardwareStamp>,
    /// Why the NIC's stamp is of no use.
    fallback: Option<Fallback>,
}

impl Departure {
    /// A request that was just sent, with this process's stamp only.
    pub(super) const fn new(
        id: TxId,
        token: TxToken,
        sent: Sent,
        transport: Transport,
        interface: Option<u32>,
    ) -> Self {
        Self {
            id,
            token,
            sent,
            transport,
            interface,
            best: StampKind::Daemon,
            kernel: false,
            hardware: None,
            fallback: None,
        }
    }
}

impl Departures {
    /// Is no stamp awaited?
    pub(super) fn is_quiet(&self) -> bool {
        self.0.is_empty()
    }

    /// A request has left.
    pub(super) fn push(&mut self, departure: Departure) {
        self.0.push(departure);
    }

    /// Is a stamp with this number awaited?
    pub(super) fn contain(&self, id: TxId) -> bool {
        self.0.iter().any(|departure| departure.id == id)
    }

    /// A stamp of a request has come. Returns the interface that it left by, where the stamp tells.
    ///
    /// # Errors
    /// The kernel's stamp cannot be right.
    pub(super) fn stamped(
        &mut self,
        stamp: &TxStamp<'_>,
        client: &mut Client,
        interfaces: &mut Interfaces,
        window: &Window,
    ) -> Result<Option<u32>, Implausible> {
        let Some(at) = self.0.iter().position(|d| d.id == stamp.id) else {
            return Ok(None);
        };
        let departure = &mut self.0[at];
        departure.interface = stamp.ifindex.or(departure.interface);
        let mut doubt = None;
        if let Some(kernel) = stamp.kernel {
            departure.kernel = true;
            match Interfaces::kernel_departure(kernel, departure.sent, window) {
                Ok(left) => {
                    departure.best = departure.best.min(StampKind::Kernel);
                    client.stamped(&departure.token, left);
                }
                Err(why) => doubt = Some(why),
            }
        }
        if let (Some(taken), Some(interface)) = (stamp.hardware, departure.interface) {
            let took = window.host_now() - departure.sent.host;
            if took > interfaces.transmit_wait(Some(interface)) {
                interfaces.note_late(interface);
            }
            interfaces.note_latency(interface, took);
            departure.hardware = Some(HardwareStamp {
                at: taken,
                interface,
            });
            // Converted together with the reply's, unless that is there already.
            if !client.awaiting_reply() {
                departure.convert(client, interfaces, window);
            }
        } else if stamp.hardware.is_some() {
            departure.fallback = Some(Fallback::UnknownInterface);
        }
        let told = departure.interface;
        let expected = interfaces.best_transmit(told) == StampKind::Hardware;
        if departure.is_complete(expected) {
            let departure = self.0.swap_remove(at);
            departure.end(client, interfaces, window);
        }
        doubt.map_or(Ok(told), Err)
    }

    /// Converts the NIC's stamps that wait for it: the reply is there, and the NIC's clock was read.
    pub(super) fn convert(
        &mut self,
        client: &mut Client,
        interfaces: &mut Interfaces,
        window: &Window,
    ) {
        for departure in &mut self.0 {
            if departure.hardware.is_some() {
                departure.convert(client, interfaces, window);
            }
        }
        let complete = |departure: &mut Departure| departure.is_complete(true);
        for departure in self.0.extract_if(.., complete) {
            departure.end(client, interfaces, window);
        }
    }

    /// Gives up waiting: what has not come by the next request will not.
    pub(super) fn abandon(
        &mut self,
        client: &mut Client,
        interfaces: &mut Interfaces,
        window: &Window,
    ) {
        for departure in self.0.drain(..) {
            departure.end(client, interfaces, window);
        }
    }
}

impl Departure {
    /// Makes an instant of the NIC's stamp.
    fn convert(&mut self, client: &mut Client, interfaces: &mut Interfaces, window: &Window) {
        let Some(stamp) = self.hardware.take() else {
            return;
        };
        match interfaces.departure_instant(stamp, self.sent, Freshness::Late, window) {
            Ok(left) => {
                self.best = StampKind::Hardware;
                client.stamped(&self.token, left);
            }
            Err(why) => self.fallback = Some(why),
        }
    }

    /// Have all stamps come that can come? `hardware`: does the interface give its own?
    const fn is_complete(&self, hardware: bool) -> bool {
        let judged = matches!(self.best, StampKind::Hardware) || self.fallback.is_some();
        self.kernel && self.hardware.is_none() && (judged || !hardware)
    }

    /// No other stamp is waited for.
    fn end(self, client: &mut Client, interfaces: &mut Interfaces, window: &Window) {
        // A NIC's stamp whose reply never came was never needed, but it was there.
        let best = if self.hardware.is_some() {
            StampKind::Hardware
        } else {
            self.best
        };
        if let Some(interface) = self.interface {
            let how = (self.transport, self.fallback);
            interfaces.count(Direction::Transmit, interface, best, how, window.host_now());
        }
        client.stamps_ended(self.token);
    }
}
