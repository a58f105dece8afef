//! Sending, one by one and in batches.

use std::net::SocketAddr;

use super::message::Slot;
use super::{LocalAddress, MAX_BATCH, TxId};

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
