//! Batch receive.

use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use clockwright_timebase::{Phc, Timestamp, Utc};
use libc::c_int;

use super::cmsg::Ancillary;
use super::message::{self, Slot};
use super::{LocalAddress, MAX_BATCH};

/// A received datagram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Message<'a> {
    /// The UDP payload, cut to the batch's payload size.
    pub payload: &'a [u8],
    /// Who sent it.
    pub source: SocketAddr,
    /// Where it was sent to, and over which interface it came.
    pub local: Option<LocalAddress>,
    /// When the kernel got it from the driver, on the system clock.
    pub kernel: Option<Timestamp<Utc>>,
    /// When the NIC saw the start of the frame, on its own clock.
    pub hardware: Option<Timestamp<Phc>>,
    /// The physical interface whose clock `hardware` is (below bonds, VLANs, bridges), where the
    /// driver says so.
    pub stamped_by: Option<u32>,
    /// The frame's length on layer 2 without FCS, where the driver says so; for transposing
    /// `hardware` to the end of the frame.
    pub frame_length: Option<u32>,
    /// Was the payload longer than the batch's payload size?
    pub truncated: bool,
}

/// Reusable buffers for a batch of received datagrams.
#[derive(Debug)]
pub struct RecvBatch {
    slots: Box<[Slot]>,
    payloads: Box<[u8]>,
    payload_size: usize,
    received: usize,
    /// How many messages the kernel is asked for: what was needed lately, and some more, since
    /// each costs a little also where it does not come.
    asked: usize,
}

/// Messages that are asked for at least.
const ASKED_AT_LEAST: usize = 4;

impl RecvBatch {
    /// Room for `messages` datagrams (1 to [`MAX_BATCH`], clamped) of up to `payload` bytes each.
    pub fn new(messages: usize, payload: usize) -> Self {
        let messages = messages.clamp(1, MAX_BATCH);
        let payload_size = payload.max(1);
        Self {
            slots: vec![Slot::EMPTY; messages].into(),
            payloads: vec![0; messages * payload_size].into(),
            payload_size,
            received: 0,
            asked: messages,
        }
    }

    /// Is there room for no more than what was received last?
    pub fn is_full(&self) -> bool {
        self.received >= self.asked.min(self.slots.len())
    }

    /// The datagrams of the last receive, in order of arrival.
    pub fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        let received = self.slots.iter().take(self.received);
        received
            .zip(self.payloads.chunks_exact(self.payload_size))
            .filter_map(|(slot, payload)| Message::read(slot, payload))
    }

    /// Fills the batch; `flags` are of recvmsg(2).
    pub(super) fn receive(&mut self, fd: BorrowedFd<'_>, flags: c_int) -> io::Result<usize> {
        self.asked = (2 * self.received).clamp(ASKED_AT_LEAST, MAX_BATCH);
        self.received = 0;
        let slots = self.slots.len().min(self.asked);
        self.received = message::receive(
            fd,
            &mut self.slots[..slots],
            &mut self.payloads,
            self.payload_size,
            true,
            flags,
        )?;
        Ok(self.received)
    }
}

impl<'a> Message<'a> {
    /// `None` without a source address, which IP sockets always give.
    fn read(slot: &Slot, payload: &'a [u8]) -> Option<Self> {
        let about = Ancillary::read(slot.control());
        Some(Self {
            payload: payload.get(..slot.payload_length).unwrap_or(payload),
            source: slot.address()?,
            local: about.local,
            kernel: about.kernel,
            hardware: about.hardware,
            stamped_by: about.stamped_by,
            frame_length: about.frame_length,
            truncated: slot.flags & libc::MSG_TRUNC != 0,
        })
    }
}
