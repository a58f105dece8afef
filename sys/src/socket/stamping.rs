//! What to stamp, and what the running kernel can do.

use std::io;

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
    /// The stamp alone; the cheapest, and the only one that works without privilege where
    /// `net.core.tstamp_allow_data` is 0.
    #[default]
    Nothing,
    /// The packet too, and the index of the interface it left by: needed where several NICs with
    /// different clocks may carry it.
    Packet,
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
    pub fn probe() -> io::Result<&'static Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Keeps the kernel's receive stamping switched on as long as it lives.
///
/// The kernel turns stamping on for the whole host when the first socket asks, but
/// asynchronously: the first datagrams after that may come without a stamp. A process that opens a
/// socket per exchange holds one of these.
#[derive(Debug)]
pub struct StampingKeeper {}

impl StampingKeeper {
    /// Switches receive stamping on.
    pub fn new() -> io::Result<Self> {
        Ok(Self {})
    }
}
