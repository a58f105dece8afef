//! Transmit stamps and errors from a socket's error queue.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;

use clockwright_timebase::{Phc, Timestamp, Utc};

use super::cmsg::{Ancillary, ExtendedError};
use super::message::{self, Slot};
use super::{MAX_BATCH, TxId};
use crate::uapi;

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
    /// An ICMP message of either family: its type and code.
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
pub struct ErrorQueue {
    slots: Box<[Slot]>,
    frames: Box<[u8]>,
    frame_size: usize,
    received: usize,
    /// The ids behind the numbers the kernel reported; only the socket knows them.
    ids: Box<[Option<TxId>]>,
    /// An error pending on the socket itself.
    pending: Option<i32>,
}

impl ErrorQueue {
    /// Room for `items` items (1 to [`MAX_BATCH`], clamped), with up to `frame` bytes of each
    /// looped-back frame.
    pub fn new(items: usize, frame: usize) -> Self {
        let items = items.clamp(1, MAX_BATCH);
        let frame_size = frame.max(1);
        Self {
            slots: vec![Slot::EMPTY; items].into(),
            frames: vec![0; items * frame_size].into(),
            frame_size,
            received: 0,
            ids: vec![None; items].into(),
            pending: None,
        }
    }

    /// The items of the last read, oldest first.
    ///
    /// There may be fewer than were read: stamps that belong to no datagram asked about, and
    /// notices of other kinds, are left out.
    pub fn items(&self) -> impl Iterator<Item = QueueItem<'_>> {
        let pending = self.pending.map(|errno| {
            QueueItem::Error(NetworkError {
                error: io::Error::from_raw_os_error(errno),
                origin: ErrorOrigin::Socket,
                reporter: None,
                destination: None,
            })
        });
        let read = self.slots.iter().take(self.received);
        read.zip(self.frames.chunks_exact(self.frame_size))
            .zip(&self.ids)
            .filter_map(|((slot, frame), id)| item(slot, frame, *id))
            .chain(pending)
    }

    /// Reads what waits, `most` messages at most, with the addresses that errors are about if these are
    /// wanted; `redeem` finds the datagram behind a number the kernel reports.
    pub(super) fn receive(
        &mut self,
        fd: BorrowedFd<'_>,
        most: usize,
        with_address: bool,
        redeem: impl Fn(u32) -> Option<TxId>,
    ) -> io::Result<usize> {
        self.received = 0;
        self.pending = None;
        let most = most.clamp(1, self.slots.len());
        let read = message::receive(
            fd,
            &mut self.slots[..most],
            &mut self.frames,
            self.frame_size,
            with_address,
            libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT,
        );
        self.received = match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            other => other?,
        };
        for (slot, id) in self.slots.iter().zip(&mut self.ids).take(self.received) {
            let about = Ancillary::read(slot.control());
            let reported = about.error.filter(is_transmit_stamp);
            *id = reported.and_then(|error| redeem(error.data));
        }
        Ok(self.received)
    }

    /// Notes an error that was pending on the socket itself.
    pub(super) fn set_pending(&mut self, errno: i32) {
        self.pending = Some(errno);
    }
}

/// Is it the stamp of a packet that left (`SCM_TSTAMP_SND`)? Others tell of queueing disciplines,
/// acknowledgements or completion.
fn is_transmit_stamp(error: &ExtendedError) -> bool {
    error.errno == libc::ENOMSG.cast_unsigned()
        && u32::from(error.origin) == uapi::SO_EE_ORIGIN_TIMESTAMPING
        && error.info == uapi::SCM_TSTAMP_SND
}

/// The typed item in a slot, where it is of a kind that is reported.
fn item<'a>(slot: &Slot, frame: &'a [u8], id: Option<TxId>) -> Option<QueueItem<'a>> {
    let about = Ancillary::read(slot.control());
    let error = about.error?;
    if is_transmit_stamp(&error) {
        let stamped = about.kernel.is_some() || about.hardware.is_some();
        return stamped.then_some(QueueItem::Stamp(TxStamp {
            id: id?,
            kernel: about.kernel,
            hardware: about.hardware,
            ifindex: about.local.map(|local| local.ifindex).filter(|&i| i != 0),
            frame: frame.get(..slot.payload_length).unwrap_or(frame),
        }));
    }
    let origin = match u32::from(error.origin) {
        uapi::SO_EE_ORIGIN_LOCAL => ErrorOrigin::Local,
        uapi::SO_EE_ORIGIN_ICMP | uapi::SO_EE_ORIGIN_ICMP6 => ErrorOrigin::Icmp {
            kind: error.kind,
            code: error.code,
        },
        _ => return None,
    };
    Some(QueueItem::Error(NetworkError {
        error: io::Error::from_raw_os_error(error.errno.cast_signed()),
        origin,
        reporter: error.offender,
        destination: slot.address(),
    }))
}
