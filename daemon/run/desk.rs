//! Where requests over PTP are answered: they come to the one port that there is for that, which the
//! sources share, so that no worker can have it.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;

use clockwright_ntp::{
    Entropy, Reply, ReplyBuffer, Server, ServerConfig as Protocol, SystemVariables, TxKey, over_ptp,
};
use clockwright_sys::clock::raw_now;
use clockwright_sys::socket::{LocalAddress, Message, Transmit, TxId, TxStamp};
use clockwright_timebase::{Duration, StampKind};

use super::stamping::Stamper;
use crate::clock::Window;
use crate::interfaces::Sent;
use crate::measure::{Port, PortId};
use crate::serve::access::Access;

/// A transmit stamp that has not come by then is lost.
const PATIENCE: Duration = Duration::from_secs(1);
/// Replies whose transmit stamp is awaited. The kernel gives it within microseconds.
const AWAITED: usize = 256;

/// What the servers have seen besides the protocol's own counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ServeCounts {
    /// Requests from addresses that are not allowed.
    pub(super) denied: u64,
    /// Replies that the kernel did not take.
    pub(super) unsent: u64,
}

/// What a request is answered with.
pub(super) struct Answering<'a> {
    /// The served clock, and the interfaces that stamp.
    pub(super) stamper: Stamper<'a>,
    /// What is said about it.
    pub(super) variables: &'a SystemVariables,
    /// Who is answered.
    pub(super) access: &'a Access,
    /// Random numbers.
    pub(super) entropy: &'a mut dyn Entropy,
}

/// How a request came, and how its reply goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Carried<'m> {
    /// What was read from the message.
    pub(super) request: over_ptp::Message<'m>,
    /// The reply's domain.
    pub(super) domain: u8,
    /// The number of the reply's message.
    pub(super) sequence: u16,
}

/// The protocol, and the replies whose stamps are awaited.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) server: Server,
    /// Room for replies; absent only while one is being made.
    buffer: Option<Box<ReplyBuffer>>,
    awaited: VecDeque<Awaited>,
    pub(super) counts: ServeCounts,
}

/// A reply whose transmit stamp is awaited.
#[derive(Debug)]
struct Awaited {
    port: PortId,
    id: TxId,
    key: TxKey,
    sent: Sent,
    /// The interface it left by, once the kernel's stamp has told, and the NIC's is awaited.
    interface: Option<u32>,
    /// The kind of the request's receive stamp, which the reply's is to match.
    received: StampKind,
}

impl Desk {
    /// Nobody has asked yet.
    pub(super) fn new() -> Self {
        Self {
            server: Server::new(Protocol::default()),
            buffer: Some(Box::default()),
            awaited: VecDeque::with_capacity(AWAITED),
            counts: ServeCounts::default(),
        }
    }

    /// The served clock was stepped.
    pub(super) fn clock_stepped(&mut self) {
        self.awaited.clear();
        self.server.clock_stepped();
    }

    /// Answers a datagram that has arrived at a port, if it is a request of somebody who may ask; gives
    /// who may not.
    pub(super) fn answer(
        &mut self,
        port: &Port,
        message: &Message<'_>,
        carried: Carried<'_>,
        answering: &mut Answering<'_>,
        window: &Window,
    ) -> Option<IpAddr> {
        if !answering.access.allows(message.source.ip()) {
            self.counts.denied += 1;
            return Some(message.source.ip());
        }
        if message.truncated {
            return None;
        }
        let (mut rx, kind) = answering.stamper.arrival(message, window);
        rx.correction = carried.correction(rx.correction);
        let packet = carried.request.packet;
        let mut buffer = self.buffer.take().unwrap_or_default();
        let (system, entropy) = (answering.variables, &mut *answering.entropy);
        let reply = self.server.handle(packet, rx, system, entropy, &mut buffer);
        if let Ok(reply) = reply {
            self.send(port, message, carried, (reply, kind), &answering.stamper);
        }
        self.buffer = Some(buffer);
        self.give_up(&mut answering.stamper, window);
        None
    }

    /// Counts the NIC's stamps that will not come any more.
    fn give_up(&mut self, stamper: &mut Stamper<'_>, window: &Window) {
        let now = window.host_now();
        let is_late = |awaited: &Awaited| now - awaited.sent.host > PATIENCE;
        while self.awaited.front().is_some_and(is_late)
            && let Some(lost) = self.awaited.pop_front()
        {
            stamper.missed(lost.interface, window);
        }
    }

    /// Sends a reply from the address that was asked. `received` says who stamped the request.
    fn send(
        &mut self,
        port: &Port,
        request: &Message<'_>,
        carried: Carried<'_>,
        (reply, received): (Reply<'_>, StampKind),
        stamper: &Stamper<'_>,
    ) {
        let wanted = reply.tx_stamp_wanted();
        let now = stamper.clock.now();
        let payload = reply.write_over_ptp(now, (carried.domain, carried.sequence));
        let sent = Sent::at(raw_now(), stamper.clock.timescale());
        match transmit(port, request, payload, wanted.is_some()) {
            Ok(id) => {
                if let (Some(id), Some(key)) = (id, wanted) {
                    if self.awaited.len() == AWAITED {
                        self.awaited.pop_front();
                    }
                    self.awaited.push_back(Awaited {
                        port: port.id(),
                        id,
                        key,
                        sent,
                        interface: None,
                        received,
                    });
                }
            }
            Err(_) => self.counts.unsent += 1,
        }
    }

    /// Takes in a transmit stamp that came to a port.
    pub(super) fn stamped(
        &mut self,
        port: PortId,
        stamp: &TxStamp<'_>,
        stamper: &mut Stamper<'_>,
        window: &Window,
    ) {
        let is_it = |awaited: &Awaited| awaited.port == port && awaited.id == stamp.id;
        let Some(at) = self.awaited.iter().position(is_it) else {
            return;
        };
        let awaited = &mut self.awaited[at];
        awaited.interface = stamp.ifindex.or(awaited.interface);
        let about = (awaited.sent, awaited.received);
        let left = stamper.departure(stamp, about, window);
        if let Some(left) = left.at {
            self.server.transmitted(awaited.key, left);
        }
        if left.is_last {
            self.awaited.remove(at);
        }
    }
}

impl Carried<'_> {
    /// All that the way cost: the time of the `frame`, and what switches say they kept it. Without
    /// the one the other is not told: the client could not make use of it (RFC 10030).
    fn correction(self, frame: Duration) -> Duration {
        if frame > Duration::ZERO {
            frame + self.request.correction
        } else {
            frame
        }
    }
}

fn transmit(
    port: &Port,
    request: &Message<'_>,
    payload: &[u8],
    stamp: bool,
) -> io::Result<Option<TxId>> {
    port.socket().send(&Transmit {
        payload,
        to: Some(request.source),
        from: request.local.map(LocalAddress::for_reply),
        stamp,
    })
}
