//! Sending, one by one and in batches.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::sync::atomic::Ordering;

use super::message::{self, Slot};
use super::{Ids, LocalAddress, MAX_BATCH, TransmitStamps, TxId, UdpSocket, option};

/// A datagram to send.
#[derive(Debug, Clone, Copy)]
pub struct Transmit<'a> {
    /// The UDP payload.
    pub payload: &'a [u8],
    /// Receiver; `None` on a connected socket.
    pub to: Option<SocketAddr>,
    /// Source address (and interface) to send from; `None` lets routing choose.
    pub from: Option<LocalAddress>,
    /// Ask for a transmit stamp? Needs [`super::TransmitStamps::PerPacket`] or `EveryPacket` in the
    /// socket's stamping; with `EveryPacket` it is always done.
    pub stamp: bool,
}

/// Reusable buffers for a batch of datagrams to send.
#[derive(Debug)]
pub struct SendBatch {
    pub(super) slots: Box<[Slot]>,
    pub(super) plans: Box<[Plan]>,
    pub(super) payloads: Box<[u8]>,
    pub(super) payload_size: usize,
    pub(super) length: usize,
}

/// What a datagram of a batch needs besides payload and destination.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Plan {
    pub(super) from: Option<LocalAddress>,
    pub(super) stamp: bool,
    pub(super) id: Option<TxId>,
}

impl SendBatch {
    /// Room for `messages` datagrams (1 to [`MAX_BATCH`], clamped) of up to `payload` bytes each.
    pub fn new(messages: usize, payload: usize) -> Self {
        let messages = messages.clamp(1, MAX_BATCH);
        let payload_size = payload.max(1);
        Self {
            slots: vec![Slot::EMPTY; messages].into(),
            plans: vec![Plan::default(); messages].into(),
            payloads: vec![0; messages * payload_size].into(),
            payload_size,
            length: 0,
        }
    }

    /// Forgets all datagrams.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// The number of datagrams.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds a datagram, copying its payload; `false` when the batch is full or the payload too
    /// long.
    pub fn push(&mut self, transmit: &Transmit<'_>) -> bool {
        let size = transmit.payload.len();
        let at = self.length;
        let (Some(slot), Some(plan)) = (self.slots.get_mut(at), self.plans.get_mut(at)) else {
            return false;
        };
        if size > self.payload_size {
            return false;
        }
        let start = at * self.payload_size;
        self.payloads[start..start + size].copy_from_slice(transmit.payload);
        slot.payload_length = size;
        slot.set_destination(transmit.to);
        *plan = Plan {
            from: transmit.from,
            stamp: transmit.stamp,
            id: None,
        };
        self.length += 1;
        true
    }

    /// After sending: the stamp id of datagram `index`, where one was asked for and it was sent.
    pub fn tx_id(&self, index: usize) -> Option<TxId> {
        self.plans[..self.length].get(index)?.id
    }
}

impl UdpSocket {
    /// Sends one datagram. Returns the id under which its stamp will be reported when one was
    /// asked for and the socket can give it.
    pub fn send(&self, transmit: &Transmit<'_>) -> io::Result<Option<TxId>> {
        let mut slot = Slot::EMPTY;
        slot.set_destination(transmit.to);
        self.past_reported_errors(|| {
            self.send_one(&mut slot, transmit.payload, transmit.from, transmit.stamp)
        })
    }

    /// Sends the datagrams of `batch` from the one at `first` on, in order, and returns how many the
    /// kernel took; the first one not taken is the culprit of an error. Never blocks.
    ///
    /// # Errors
    /// When not even the first datagram was taken.
    pub fn send_batch(&self, batch: &mut SendBatch, first: usize) -> io::Result<usize> {
        let length = batch.length;
        let plans = batch.plans.get_mut(first..length).unwrap_or_default();
        for plan in &mut *plans {
            plan.id = None;
        }
        if plans.is_empty() {
            return Ok(0);
        }
        match &self.ids {
            Ids::Counted(_) if plans.iter().any(|plan| self.wants_stamp(plan.stamp)) => {
                self.send_one_by_one(batch, first)
            }
            Ids::Own(_) | Ids::Counted(_) => self.send_together(batch, first),
        }
    }

    /// Will a datagram sent with `stamp` be stamped?
    fn wants_stamp(&self, stamp: bool) -> bool {
        match self.transmit {
            TransmitStamps::Off => false,
            TransmitStamps::PerPacket => stamp,
            TransmitStamps::EveryPacket => true,
        }
    }

    /// The stamp request in a datagram's control messages: none where the socket stamps all.
    fn stamp_request(&self) -> Option<u32> {
        (self.transmit == TransmitStamps::PerPacket)
            .then(|| self.transmit_flags.load(Ordering::Relaxed))
    }

    fn send_one(
        &self,
        slot: &mut Slot,
        payload: &[u8],
        from: Option<LocalAddress>,
        stamp: bool,
    ) -> io::Result<Option<TxId>> {
        let fd = self.as_fd();
        if !self.wants_stamp(stamp) {
            slot.set_control(from, None, None);
            return message::send(fd, slot, payload).map(|()| None);
        }
        match &self.ids {
            Ids::Own(ids) => {
                let id = ids.next();
                slot.set_control(from, self.stamp_request(), Some(id.0));
                message::send(fd, slot, payload)?;
                Ok(Some(id))
            }
            Ids::Counted(ids) => {
                slot.set_control(from, self.stamp_request(), None);
                let send = || message::send(fd, slot, payload);
                ids.send(send, || self.restart_count()).map(Some)
            }
        }
    }

    /// Sets the kernel's count of stamped packets to zero: it does so when counting is switched
    /// on.
    fn restart_count(&self) -> io::Result<()> {
        let flags = self.flags.load(Ordering::Relaxed);
        let without = flags & !crate::uapi::SOF_TIMESTAMPING_OPT_ID;
        option::set_timestamping(self.as_fd(), without)?;
        option::set_timestamping(self.as_fd(), flags)
    }

    /// All datagrams in one system call.
    fn send_together(&self, batch: &mut SendBatch, first: usize) -> io::Result<usize> {
        let length = batch.length;
        let slots = &mut batch.slots[first..length];
        let plans = &mut batch.plans[first..length];
        for (slot, plan) in slots.iter_mut().zip(&mut *plans) {
            let stamp = self.wants_stamp(plan.stamp);
            plan.id = match &self.ids {
                Ids::Own(ids) if stamp => Some(ids.next()),
                _ => None,
            };
            let request = if stamp { self.stamp_request() } else { None };
            slot.set_control(plan.from, request, plan.id.map(|id| id.0));
        }
        let payloads = &batch.payloads[first * batch.payload_size..];
        let sent = self.past_reported_errors(|| {
            message::send_all(self.as_fd(), slots, payloads, batch.payload_size)
        });
        // What was not sent will not be stamped.
        let taken = *sent.as_ref().unwrap_or(&0);
        for plan in &mut plans[taken..] {
            plan.id = None;
        }
        sent
    }

    /// For kernels that count stamped packets themselves: after a failure in the middle of a
    /// batch nobody could tell what was counted.
    fn send_one_by_one(&self, batch: &mut SendBatch, first: usize) -> io::Result<usize> {
        let shares = batch.payloads.chunks_exact(batch.payload_size);
        let messages = batch.slots.iter_mut().zip(&mut batch.plans).zip(shares);
        let messages = messages.take(batch.length).skip(first);
        for (sent, ((slot, plan), share)) in messages.enumerate() {
            let payload = share.get(..slot.payload_length).unwrap_or(share);
            let id =
                self.past_reported_errors(|| self.send_one(slot, payload, plan.from, plan.stamp));
            match id {
                Ok(id) => plan.id = id,
                Err(error) if sent == 0 => return Err(error),
                Err(_) => return Ok(sent),
            }
        }
        Ok(batch.length - first)
    }
}
