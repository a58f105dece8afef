//! UDP sockets whose packets carry kernel and NIC timestamps.
//!
//! # Waking up
//! A [`UdpSocket`] implements [`AsFd`]/[`AsRawFd`]. Datagrams make it readable (`EPOLLIN`). A
//! waiting transmit stamp or error makes it *erroneous* (`EPOLLERR`), not readable: with tokio,
//! use `AsyncFd::with_interest(socket, Interest::READABLE | Interest::ERROR)`, wait for
//! `ready(Interest::READABLE | Interest::ERROR)`, and call both [`UdpSocket::recv`] and
//! [`UdpSocket::recv_tx_stamps`] until each returns 0 before clearing readiness.

mod error_queue;
mod recv;
mod send;
mod stamping;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

pub use error_queue::{ErrorOrigin, ErrorQueue, NetworkError, QueueItem, TxStamp};
pub use recv::{Message, RecvBatch};
pub use send::{SendBatch, Transmit};
pub use stamping::{Features, LoopBack, Stamping, StampingKeeper, TransmitStamps};

/// The largest number of messages one system call moves.
pub const MAX_BATCH: usize = 64;

/// Names a datagram whose transmit stamp was asked for. Unique among the stamps in flight on one
/// socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxId(pub(crate) u32);

/// A local address and the interface it was seen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LocalAddress {
    /// The address: on receipt the datagram's destination; on sending the source to use.
    pub ip: IpAddr,
    /// The interface's index. On sending 0 lets routing choose.
    pub ifindex: u32,
}

impl LocalAddress {
    /// The same address for use as the source of a reply: routing chooses the interface, except
    /// where only this link makes sense (IPv6 link-local).
    #[must_use]
    pub fn for_reply(self) -> Self {
        let link_local = matches!(self.ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        Self {
            ip: self.ip,
            ifindex: if link_local { self.ifindex } else { 0 },
        }
    }
}

/// How to open a [`UdpSocket`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Address and port to bind; port 0 lets the kernel choose a random one.
    pub bind: SocketAddr,
    /// Peer to connect to: only its datagrams are received, and ICMP errors are delivered.
    pub connect: Option<SocketAddr>,
    /// What to stamp.
    pub stamping: Stamping,
    /// Share the port among sockets, the kernel spreading flows over them (`SO_REUSEPORT`).
    pub reuse_port: bool,
    /// Allow binding an address the host does not have yet (`IP_FREEBIND`).
    pub freebind: bool,
    /// Send and receive only through this interface (`SO_BINDTODEVICE`).
    pub device: Option<String>,
    /// Differentiated services code point, 0 to 63 (46 = expedited forwarding).
    pub dscp: u8,
    /// Deliver ICMP errors through the error queue, with their cause (`IP_RECVERR`). For client
    /// sockets; on a server one peer's errors would disturb sending to others.
    pub report_errors: bool,
    /// Never block in `recv`, `send` or `recv_tx_stamps`.
    pub nonblocking: bool,
}

impl Options {
    /// Plain and non-blocking, bound to `bind`, without stamps.
    pub fn new(bind: SocketAddr) -> Self {
        Self {
            bind,
            connect: None,
            stamping: Stamping::default(),
            reuse_port: false,
            freebind: false,
            device: None,
            dscp: 0,
            report_errors: false,
            nonblocking: true,
        }
    }

    /// For one client exchange with `server`: connected, from a random port, errors reported.
    pub fn client(server: SocketAddr, stamping: Stamping) -> Self {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        Self {
            connect: Some(server),
            stamping,
            report_errors: true,
            ..Self::new(SocketAddr::new(any, 0))
        }
    }
}

/// A UDP socket that stamps what it sends and receives.
///
/// An IPv6 socket is IPv6 only, so that each family's addresses stay themselves. Datagrams are
/// never fragmented by this host, and path-MTU messages are not believed
/// (`IP_PMTUDISC_INTERFACE`), which closes the fragment-injection attack on NTP.
#[derive(Debug)]
pub struct UdpSocket {
    fd: OwnedFd,
}

impl UdpSocket {
    /// Opens, binds and, where asked, connects.
    pub fn open(options: &Options) -> io::Result<Self> {
        let _ = options;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The address and port it is bound to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// What this socket stamps: what was asked for, less what the kernel cannot do.
    pub fn stamping(&self) -> Stamping {
        Stamping::default()
    }

    /// Receives as many datagrams as wait and fit into `batch`; returns their number, 0 when none
    /// waits (non-blocking sockets). Blocking sockets wait for the first only.
    pub fn recv(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        let _ = batch;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Sends one datagram. Returns the id under which its stamp will be reported when one was
    /// asked for and the socket can give it.
    pub fn send(&self, transmit: &Transmit<'_>) -> io::Result<Option<TxId>> {
        let _ = transmit;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Sends the datagrams of `batch` in order and returns how many the kernel took; the first
    /// one not taken is the culprit of an error.
    pub fn send_batch(&self, batch: &mut SendBatch) -> io::Result<usize> {
        let _ = batch;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Reads what waits in the error queue, transmit stamps and errors, into `queue`; returns the
    /// number of items, 0 when nothing is left. Never blocks. Clears a pending socket error, so a
    /// caller that polls does not spin.
    pub fn recv_tx_stamps(&self, queue: &mut ErrorQueue) -> io::Result<usize> {
        let _ = queue;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Blocks until a datagram (first) or something in the error queue (second) waits, or
    /// `timeout` has passed (neither).
    pub fn wait(&self, timeout: std::time::Duration) -> io::Result<(bool, bool)> {
        let _ = timeout;
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
