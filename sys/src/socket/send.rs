//! Sending, one by one and in batches.

use std::net::SocketAddr;

use super::{LocalAddress, TxId};

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
pub struct SendBatch {}

impl SendBatch {
    /// Room for `messages` datagrams (1 to [`super::MAX_BATCH`], clamped) of up to `payload` bytes each.
    pub fn new(messages: usize, payload: usize) -> Self {
        let _ = (messages, payload);
        Self {}
    }

    /// Forgets all datagrams.
    pub fn clear(&mut self) {}

    /// The number of datagrams.
    pub fn len(&self) -> usize {
        0
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a datagram, copying its payload; `false` when the batch is full or the payload too
    /// long.
    pub fn push(&mut self, transmit: &Transmit<'_>) -> bool {
        let _ = transmit;
        false
    }

    /// After sending: the stamp id of datagram `index`, where one was asked for and it was sent.
    pub fn tx_id(&self, index: usize) -> Option<TxId> {
        let _ = index;
        None
    }
}
