//! What all associations of a process use together.

use std::net::SocketAddr;

use clockwright_ntp::{PtpUse, over_ptp};
use clockwright_sys::clock::raw_now;
use clockwright_sys::socket::{ErrorQueue, Features, RecvBatch, Stamping, StampingKeeper};
use clockwright_timebase::StampKind;

use super::entropy::OsEntropy;
use super::port::{Port, Wakes};
use super::ptp_port::PtpPorts;
use crate::config::{NTP_PORT, PtpTransport};
use crate::interfaces::Interfaces;

/// Datagrams and stamps read in one system call. A client seldom has more than one.
pub(super) const BATCH: usize = 4;
/// Longest datagram of interest, octets: what fits into one packet everywhere.
const PAYLOAD: usize = 1280;
/// Octets of a looped-back packet that are kept: it is known by its number, not by its content.
const FRAME: usize = 128;

/// Random numbers, buffers, and the interfaces with their clocks.
#[derive(Debug)]
pub struct Instruments {
    /// Random numbers.
    pub entropy: OsEntropy,
    /// The interfaces that stamp, and their clocks.
    pub interfaces: Interfaces,
    /// The ports for NTP over PTP.
    pub ptp: PtpPorts,
    pub(super) received: RecvBatch,
    pub(super) queue: ErrorQueue,
    pub(super) wakes: Wakes,
    /// Keeps the kernel stamping between requests, when no other socket is open.
    _stamping: Option<StampingKeeper>,
    /// Does the kernel stamp what is sent?
    transmit_stamps: bool,
}

impl Instruments {
    /// Buffers, and what the running kernel can stamp.
    pub fn new(wakes: Wakes, interfaces: Interfaces, ptp: PtpPorts) -> Self {
        Self {
            entropy: OsEntropy::new(),
            interfaces,
            ptp,
            received: RecvBatch::new(BATCH, PAYLOAD),
            queue: ErrorQueue::new(BATCH, FRAME),
            wakes,
            _stamping: StampingKeeper::new().ok(),
            transmit_stamps: Features::probe().is_ok_and(|features| features.opt_id),
        }
    }

    /// What new sockets are to stamp.
    pub fn stamping(&self) -> Stamping {
        self.interfaces.stamping()
    }

    /// How requests to a server that is reached through `interface`, as far as that is known, are
    /// to make use of PTP: where they may, and the NIC stamps nothing else on arrival.
    ///
    /// Over PTP there is only one port, so a server that was configured with another one than
    /// NTP's might not be the one that answers there.
    pub(super) fn ptp_use(&self, server: SocketAddr, interface: Option<u32>) -> PtpUse {
        let ptp_only = || match interface {
            Some(interface) => self.interfaces.is_ptp_only(interface),
            None => self.interfaces.any_ptp_only(),
        };
        let usable = || self.ptp.is_usable(server.is_ipv6(), raw_now());
        match (self.ptp.choice(), server.port()) {
            (PtpTransport::Always, _) | (PtpTransport::Auto, over_ptp::PORT) => PtpUse::Always,
            (PtpTransport::Auto, NTP_PORT) if ptp_only() && usable() => PtpUse::Try,
            (PtpTransport::Auto | PtpTransport::Never, _) => PtpUse::Never,
        }
    }

    /// The port for NTP over PTP, opened if need be.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open_ptp(&mut self, ipv6: bool) -> std::io::Result<&Port> {
        let stamping = self.stamping();
        self.ptp.open(ipv6, stamping, &self.wakes, raw_now())
    }

    /// The best stamp that what is sent through `interface` can get; `None` stands for an interface
    /// that is not known yet.
    pub fn best_transmit(&self, interface: Option<u32>) -> StampKind {
        if self.transmit_stamps {
            self.interfaces.best_transmit(interface)
        } else {
            StampKind::Daemon
        }
    }
}
