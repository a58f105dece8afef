//! What to stamp, and what the running kernel can do.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::time::Duration;

use super::message::{self, Slot};
use super::option;
use super::{ErrorQueue, Options, QueueItem, RecvBatch, Transmit, UdpSocket};
use crate::uapi;

/// For which sent datagrams to take stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransmitStamps {
    /// None.
    #[default]
    Off,
    /// Those sent with `stamp: true`.
    PerPacket,
    /// All.
    EveryPacket,
}

/// What comes back with a transmit stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoopBack {
    /// The stamp alone: the only one that works without privilege where
    /// `net.core.tstamp_allow_data` is 0.
    #[default]
    Nothing,
    /// The packet, and nothing about it: of no use by itself, and yet cheaper than nothing, since the
    /// kernel shares the packet instead of making an empty one (measured: a twentieth of what a
    /// stamped reply costs). Where [`packets_may_come_back`] says no, no stamp comes at all.
    Shared,
    /// The packet too, and the index of the interface it left by: needed where several NICs with
    /// different clocks may carry it.
    Packet,
}

/// May packets come back with their stamps to this process? Where `net.core.tstamp_allow_data` is 0
/// that takes `CAP_NET_RAW`. It is found out once, over loopback, since in a container the setting
/// cannot be seen; where loopback is down the answer is no.
pub fn packets_may_come_back() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| try_shared().unwrap_or(false))
}

/// Sends a datagram to itself and looks whether its stamp comes.
fn try_shared() -> io::Result<bool> {
    const PATIENCE: Duration = Duration::from_millis(10);
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let socket = UdpSocket::open(&Options {
        stamping: Stamping {
            loop_back: LoopBack::Shared,
            ..Stamping::KERNEL
        },
        ..Options::new(any)
    })?;
    socket.send(&Transmit {
        payload: &[0],
        to: Some(socket.local_addr()?),
        from: None,
        stamp: true,
    })?;
    let mut queue = ErrorQueue::new(1, 0);
    if socket.recv_tx_stamps(&mut queue)? == 0 {
        // Over loopback it is there when sending returns, were it not for a queueing discipline.
        socket.wait(PATIENCE)?;
        socket.recv_tx_stamps(&mut queue)?;
    }
    Ok(queue
        .items()
        .any(|item| matches!(item, QueueItem::Stamp(_))))
}

/// Which timestamps a socket asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamping {
    /// Kernel stamps, on the system clock.
    pub software: bool,
    /// NIC stamps, on the NIC's clock; needs the interface configured (see `hwtstamp`).
    pub hardware: bool,
    /// For which sent datagrams.
    pub transmit: TransmitStamps,
    /// What comes back with each transmit stamp.
    pub loop_back: LoopBack,
}

impl Stamping {
    /// Kernel stamps for all received datagrams and for those sent with `stamp: true`.
    pub const KERNEL: Self = Self {
        software: true,
        hardware: false,
        transmit: TransmitStamps::PerPacket,
        loop_back: LoopBack::Nothing,
    };

    /// What remains of it on a kernel with `features`.
    ///
    /// Without stamps per packet all packets are stamped; without numbers nobody could tell whose
    /// stamp it is, so none are; and without `OPT_TSONLY` the packet comes back with the stamp.
    #[must_use]
    pub(super) fn limited_to(mut self, features: Features) -> Self {
        if !features.opt_id || !(self.software || self.hardware) {
            self.transmit = TransmitStamps::Off;
        }
        if self.transmit == TransmitStamps::PerPacket && !features.per_packet {
            self.transmit = TransmitStamps::EveryPacket;
        }
        if !features.opt_tsonly {
            self.loop_back = LoopBack::Packet;
        }
        self
    }

    /// The `SOF_TIMESTAMPING_TX_*` bits of a packet to be stamped.
    pub(super) fn transmit_flags(self) -> u32 {
        let software = flag(self.software, uapi::SOF_TIMESTAMPING_TX_SOFTWARE);
        software | flag(self.hardware, uapi::SOF_TIMESTAMPING_TX_HARDWARE)
    }

    /// The value of the socket option.
    pub(super) fn socket_flags(self, features: Features) -> u32 {
        let software = uapi::SOF_TIMESTAMPING_RX_SOFTWARE | uapi::SOF_TIMESTAMPING_SOFTWARE;
        let hardware = uapi::SOF_TIMESTAMPING_RX_HARDWARE | uapi::SOF_TIMESTAMPING_RAW_HARDWARE;
        let mut flags = flag(self.software, software) | flag(self.hardware, hardware);
        if flags == 0 {
            return 0;
        }
        flags |= flag(features.opt_rx_filter, uapi::SOF_TIMESTAMPING_OPT_RX_FILTER);
        if self.hardware {
            flags |= flag(features.opt_pktinfo, uapi::SOF_TIMESTAMPING_OPT_PKTINFO);
        }
        if self.transmit == TransmitStamps::Off {
            return flags;
        }
        flags |= uapi::SOF_TIMESTAMPING_OPT_ID;
        flags |= match self.loop_back {
            LoopBack::Nothing => uapi::SOF_TIMESTAMPING_OPT_TSONLY,
            LoopBack::Shared => 0,
            LoopBack::Packet => flag(features.opt_cmsg, uapi::SOF_TIMESTAMPING_OPT_CMSG),
        };
        if self.software && self.hardware {
            flags |= flag(features.opt_tx_swhw, uapi::SOF_TIMESTAMPING_OPT_TX_SWHW);
        }
        if self.transmit == TransmitStamps::EveryPacket {
            flags |= self.transmit_flags();
        }
        flags
    }
}

fn flag(on: bool, bits: u32) -> u32 {
    if on { bits } else { 0 }
}

/// What the running kernel's timestamping can do, found by trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a set of independent facts")]
pub struct Features {
    /// `OPT_ID`: transmit stamps carry the packet's number (Linux 3.17).
    pub opt_id: bool,
    /// `SCM_TS_OPT_ID`: we choose that number (Linux 6.13).
    pub own_ids: bool,
    /// `OPT_TSONLY`: stamps without the packet (Linux 4.0).
    pub opt_tsonly: bool,
    /// `OPT_CMSG`: looped packets say their interface (Linux 3.19).
    pub opt_cmsg: bool,
    /// `OPT_PKTINFO`: received stamps say the physical interface and frame length (Linux 4.13).
    pub opt_pktinfo: bool,
    /// `OPT_TX_SWHW`: software and hardware stamp of the same packet (Linux 4.13).
    pub opt_tx_swhw: bool,
    /// `OPT_RX_FILTER`: no stamps that only another process asked for (Linux 6.12).
    pub opt_rx_filter: bool,
    /// Stamps per packet by control message (Linux 4.7).
    pub per_packet: bool,
}

impl Features {
    /// Those of the running kernel, tried once per process on a socket of its own.
    pub fn probe() -> io::Result<Self> {
        static KNOWN: OnceLock<Features> = OnceLock::new();
        if let Some(known) = KNOWN.get() {
            return Ok(*known);
        }
        let found = Self::try_out()?;
        Ok(*KNOWN.get_or_init(|| found))
    }

    fn try_out() -> io::Result<Self> {
        let socket = option::open(libc::AF_INET, true)?;
        let fd = socket.as_fd();
        let base = uapi::SOF_TIMESTAMPING_RX_SOFTWARE | uapi::SOF_TIMESTAMPING_SOFTWARE;
        // The kernel refuses bits it does not know.
        let takes = |bits: u32| option::set_timestamping(fd, base | bits).is_ok();
        let mut features = Self {
            opt_tsonly: takes(uapi::SOF_TIMESTAMPING_OPT_TSONLY),
            opt_cmsg: takes(uapi::SOF_TIMESTAMPING_OPT_CMSG),
            opt_pktinfo: takes(uapi::SOF_TIMESTAMPING_OPT_PKTINFO),
            opt_tx_swhw: takes(uapi::SOF_TIMESTAMPING_OPT_TX_SWHW),
            opt_rx_filter: takes(uapi::SOF_TIMESTAMPING_OPT_RX_FILTER),
            // Last, because numbering must be on for the trials that follow.
            opt_id: takes(uapi::SOF_TIMESTAMPING_OPT_ID),
            own_ids: false,
            per_packet: false,
        };
        features.per_packet = features.opt_id && accepts_control(fd, None);
        features.own_ids = features.per_packet && accepts_control(fd, Some(super::ids::FIRST));
        Ok(features)
    }
}

/// Does the kernel accept a datagram with a request for a stamp, and one with our own number?
///
/// It reads control messages before it looks for a route, and answers `EINVAL` to those it does
/// not know; any other answer, even an unreachable network, means that it knew them. The datagram
/// goes to the discard port of this host.
fn accepts_control(fd: BorrowedFd<'_>, id: Option<u32>) -> bool {
    const DISCARD: u16 = 9;
    let mut slot = Slot::EMPTY;
    slot.set_destination(Some(SocketAddr::from((Ipv4Addr::LOCALHOST, DISCARD))));
    slot.set_control(None, Some(uapi::SOF_TIMESTAMPING_TX_SOFTWARE), id);
    match message::send(fd, &mut slot, &[]) {
        Ok(()) => true,
        Err(error) => error.raw_os_error() != Some(libc::EINVAL),
    }
}

/// Keeps the kernel's receive stamping switched on as long as it lives.
///
/// The kernel turns stamping on for the whole host when the first socket asks, but
/// asynchronously: the first datagrams after that may come without a stamp. A process that opens a
/// socket per exchange holds one of these.
#[derive(Debug)]
pub struct StampingKeeper {
    #[expect(
        dead_code,
        reason = "held open, never used: the kernel counts the sockets that ask"
    )]
    socket: OwnedFd,
}

impl StampingKeeper {
    /// Switches receive stamping on, and waits (a few milliseconds at most) until datagrams over
    /// loopback really carry stamps; where loopback is down it does not wait.
    pub fn new() -> io::Result<Self> {
        let socket = option::open(libc::AF_INET, true)?;
        let flags = uapi::SOF_TIMESTAMPING_RX_SOFTWARE | uapi::SOF_TIMESTAMPING_SOFTWARE;
        option::set_timestamping(socket.as_fd(), flags)?;
        // Loopback may be down, or closed by a firewall: then there is nothing to wait for.
        let _ = settle();
        Ok(Self { socket })
    }
}

/// Sends datagrams to itself until one comes with a stamp.
fn settle() -> io::Result<()> {
    const TRIES: usize = 20;
    const PATIENCE: Duration = Duration::from_millis(1);
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let socket = UdpSocket::open(&Options {
        stamping: Stamping {
            software: true,
            ..Stamping::default()
        },
        ..Options::new(any)
    })?;
    socket.connect(socket.local_addr()?)?;
    let mut batch = RecvBatch::new(1, 1);
    for _ in 0..TRIES {
        socket.send(&Transmit {
            payload: &[0],
            to: None,
            from: None,
            stamp: false,
        })?;
        socket.wait(PATIENCE)?;
        socket.recv(&mut batch)?;
        if batch.messages().any(|message| message.kernel.is_some()) {
            break;
        }
        // The kernel switches over in a work item of its own; let it run.
        std::thread::yield_now();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Features = Features {
        opt_id: true,
        own_ids: true,
        opt_tsonly: true,
        opt_cmsg: true,
        opt_pktinfo: true,
        opt_tx_swhw: true,
        opt_rx_filter: true,
        per_packet: true,
    };

    #[test]
    fn nothing_asked_is_no_flag() {
        assert_eq!(Stamping::default().socket_flags(ALL), 0);
    }

    #[test]
    fn kernel_stamps_per_packet_ask_for_no_transmit_stamp_on_the_socket() {
        // OPT_RX_FILTER, OPT_TSONLY, OPT_ID, SOFTWARE, RX_SOFTWARE.
        assert_eq!(Stamping::KERNEL.socket_flags(ALL), 0x2_0898);
        assert_eq!(Stamping::KERNEL.transmit_flags(), 0x2);
    }

    #[test]
    fn whether_packets_come_back_is_found_out() {
        // Every kernel allows it by default.
        let setting = "/proc/sys/net/core/tstamp_allow_data";
        let denied = std::fs::read_to_string(setting).is_ok_and(|value| value.trim() == "0");
        assert!(packets_may_come_back() || denied);
    }

    #[test]
    fn a_packet_that_is_shared_comes_without_its_interface() {
        let shared = Stamping {
            loop_back: LoopBack::Shared,
            ..Stamping::KERNEL
        };
        // As above without OPT_TSONLY.
        assert_eq!(shared.socket_flags(ALL), 0x2_0098);
    }

    #[test]
    fn hardware_asks_for_all_there_is() {
        let stamping = Stamping {
            hardware: true,
            transmit: TransmitStamps::EveryPacket,
            loop_back: LoopBack::Packet,
            ..Stamping::KERNEL
        };
        // As above with OPT_CMSG for OPT_TSONLY, OPT_PKTINFO, OPT_TX_SWHW, RAW_HARDWARE,
        // RX_HARDWARE, TX_HARDWARE and TX_SOFTWARE.
        assert_eq!(stamping.socket_flags(ALL), 0x2_64df);
    }

    #[test]
    fn an_old_kernel_gives_what_it_can() {
        let none = Features::default();
        let limited = Stamping::KERNEL.limited_to(none);
        assert_eq!(limited.transmit, TransmitStamps::Off);
        assert_eq!(limited.socket_flags(none), 0x18);
        let before_4_7 = Features {
            opt_id: true,
            opt_tsonly: true,
            ..none
        };
        let limited = Stamping::KERNEL.limited_to(before_4_7);
        assert_eq!(limited.transmit, TransmitStamps::EveryPacket);
        assert_eq!(limited.socket_flags(before_4_7), 0x89a);
    }

    #[test]
    fn this_kernel_is_probed() {
        // All kernels this project supports (Debian 12: Linux 6.1) have these.
        let features = Features::probe().unwrap();
        assert!(features.opt_id && features.per_packet && features.opt_tsonly);
        assert!(features.opt_cmsg && features.opt_pktinfo && features.opt_tx_swhw);
    }
}
