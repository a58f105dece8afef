//! Batch receive.

use std::net::SocketAddr;

use clockwright_timebase::{Phc, Timestamp, Utc};

use super::LocalAddress;

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
pub struct RecvBatch {}

impl RecvBatch {
    /// Room for `messages` datagrams (1 to [`super::MAX_BATCH`], clamped) of up to `payload` bytes each.
    pub fn new(messages: usize, payload: usize) -> Self {
        let _ = (messages, payload);
        Self {}
    }

    /// The datagrams of the last receive, in order of arrival.
    pub fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        std::iter::empty()
    }
}
