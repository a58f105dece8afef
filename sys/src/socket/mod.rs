//! UDP sockets whose packets carry kernel and NIC timestamps.
//!
//! # Waking up
//! A [`UdpSocket`] implements [`AsFd`] and [`AsRawFd`]. Datagrams make it readable (`EPOLLIN`). A
//! waiting transmit stamp or error makes it *erroneous* (`EPOLLERR`), not readable. With tokio,
//! [`UdpSocket::into_async`] registers both; wait for [`WAKES`], and call
//! [`UdpSocket::recv_tx_stamps`] and [`UdpSocket::recv`] until each returns 0 before clearing
//! readiness. Stamps first: then the stamp of a request precedes its reply.

mod address;
mod cmsg;
mod error_queue;
mod ids;
mod message;
mod option;
mod options;
mod recv;
mod send;
mod stamping;
mod steer;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::sys::socket::{SockaddrStorage, bind, connect, getsockname};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use ids::{CountedIds, OwnIds};

pub use error_queue::{ErrorOrigin, ErrorQueue, NetworkError, QueueItem, TxStamp};
pub(crate) use option::open as open_descriptor;
pub use options::Options;
pub use recv::{Message, RecvBatch};
pub use send::{SendBatch, Transmit};
pub use stamping::{
    Features, LoopBack, Stamping, StampingKeeper, TransmitStamps, packets_may_come_back,
};
pub use steer::MAX_SOCKETS;

/// The largest number of messages one system call moves.
pub const MAX_BATCH: usize = 64;

/// What a socket wakes a tokio task for: datagrams (readable) and its error queue (error).
pub const WAKES: Interest = Interest::READABLE.add(Interest::ERROR);

/// Names a datagram whose transmit stamp was asked for. Unique among the stamps in flight on one
/// socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxId(pub(crate) u32);

impl TxId {
    /// Its number: those of one socket ascend by one with each datagram, and begin anew after the
    /// last of 32 bits.
    pub const fn number(self) -> u32 {
        self.0
    }
}

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

/// A UDP socket that stamps what it sends and receives.
///
/// An IPv6 socket is IPv6 only, so that each family's addresses stay themselves. Datagrams are
/// never fragmented, by this host or on the way, and path-MTU messages are not believed
/// (`IP_PMTUDISC_PROBE`), which closes the fragment-injection attack on NTP. Nor has the kernel to
/// find a number for each that no fragment of another has.
#[derive(Debug)]
pub struct UdpSocket {
    fd: OwnedFd,
    family: Family,
    /// What the kernel can stamp.
    features: Features,
    stamping: Mutex<Stamping>,
    /// The value of `SO_TIMESTAMPING`.
    flags: AtomicU32,
    /// The same of a datagram to be stamped; 0: none is.
    transmit_flags: AtomicU32,
    /// For which sent datagrams.
    transmit: TransmitStamps,
    ids: Ids,
    report_errors: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

/// Who numbers stamped datagrams.
#[derive(Debug)]
enum Ids {
    /// We do (Linux 6.13).
    Own(OwnIds),
    /// The kernel does.
    Counted(CountedIds),
}

impl UdpSocket {
    /// Opens, binds and, where asked, connects.
    pub fn open(options: &Options) -> io::Result<Self> {
        Self::open_on(options, Features::probe()?)
    }

    /// Takes over a socket that somebody else has opened and bound to the address of `options`, which
    /// are set anew. What has come to it meanwhile is there.
    ///
    /// # Errors
    /// It is no UDP socket, or not of that address (`InvalidInput`), or the kernel refuses an option.
    pub fn adopt(fd: OwnedFd, options: &Options) -> io::Result<Self> {
        if !option::is_udp(fd.as_fd())? {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let socket = Self::around(fd, options, Features::probe()?);
        if socket.local_addr()? != options.bind {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        option::set_blocking(socket.as_fd(), !options.nonblocking)?;
        socket.set_options(options)?;
        Ok(socket)
    }

    fn open_on(options: &Options, features: Features) -> io::Result<Self> {
        let family = Family::of(options.bind);
        let fd = option::open(family.number(), options.nonblocking)?;
        let socket = Self::around(fd, options, features);
        socket.set_options(options)?;
        // Connecting binds to any address and a random port by itself.
        let any = options.bind.ip().is_unspecified() && options.bind.port() == 0;
        if !(any && options.connect.is_some()) {
            bind(socket.as_raw_fd(), &SockaddrStorage::from(options.bind))?;
        }
        if let Some(peer) = options.connect {
            socket.connect(peer)?;
        }
        Ok(socket)
    }

    /// A socket around a descriptor whose options are yet to be set.
    fn around(fd: OwnedFd, options: &Options, features: Features) -> Self {
        let stamping = options.stamping.limited_to(features);
        Self {
            fd,
            family: Family::of(options.bind),
            features,
            stamping: Mutex::new(stamping),
            flags: AtomicU32::new(stamping.socket_flags(features)),
            transmit_flags: AtomicU32::new(stamping.transmit_flags()),
            transmit: stamping.transmit,
            ids: if features.own_ids {
                Ids::Own(OwnIds::new())
            } else {
                Ids::Counted(CountedIds::default())
            },
            report_errors: options.report_errors,
        }
    }

    /// Hands the socket to tokio, to be woken for [`WAKES`]; it must be non-blocking.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled (tokio's own rule).
    pub fn into_async(self) -> io::Result<AsyncFd<Self>> {
        // SAFETY: a `UdpSocket` owns its descriptor, and neither closes nor replaces it before it
        // is dropped.
        let registered = unsafe { AsyncFd::register_with_interest(self, WAKES) };
        registered.map_err(|error| error.into_parts().1)
    }

    /// Connects to `peer`: only its datagrams are received from now on.
    pub fn connect(&self, peer: SocketAddr) -> io::Result<()> {
        Ok(connect(self.as_raw_fd(), &SockaddrStorage::from(peer))?)
    }

    /// The address and port it is bound to.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        bound_to(self.as_fd())
    }

    /// What this socket stamps: what was asked for, less what the kernel cannot do.
    pub fn stamping(&self) -> Stamping {
        *self.stamping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stamps by other means from now on: with or without the NIC, the packet coming back or not. For
    /// which sent datagrams stays as it is.
    ///
    /// # Errors
    /// The kernel's; then nothing has changed.
    pub fn set_stamping(&self, stamping: Stamping) -> io::Result<()> {
        let wanted = Stamping {
            transmit: self.transmit,
            ..stamping
        };
        let wanted = wanted.limited_to(self.features);
        let mut now = self.stamping.lock().unwrap_or_else(PoisonError::into_inner);
        if *now == wanted {
            return Ok(());
        }
        let flags = wanted.socket_flags(self.features);
        option::set_timestamping(self.as_fd(), flags)?;
        self.flags.store(flags, Ordering::Relaxed);
        self.transmit_flags
            .store(wanted.transmit_flags(), Ordering::Relaxed);
        *now = wanted;
        Ok(())
    }

    /// Receives as many datagrams as wait and fit into `batch`; returns their number, 0 when none
    /// waits (non-blocking sockets). Blocking sockets wait for the first only.
    ///
    /// # Errors
    /// Those of the socket itself. Errors that ICMP brought are left to
    /// [`UdpSocket::recv_tx_stamps`] where [`Options::report_errors`] is set.
    pub fn recv(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        none_if_blocking(self.past_reported_errors(|| batch.receive(self.as_fd(), 0)))
    }

    /// As [`UdpSocket::recv`], and never blocks.
    ///
    /// # Errors
    /// The same.
    pub fn recv_now(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        let receive = || batch.receive(self.as_fd(), libc::MSG_DONTWAIT);
        none_if_blocking(self.past_reported_errors(receive))
    }

    /// Reads what waits in the error queue, transmit stamps and errors, into `queue`; returns the
    /// number of messages read, 0 when nothing is left. Never blocks. Clears a pending socket
    /// error, so a caller that polls until 0 does not spin.
    pub fn recv_tx_stamps(&self, queue: &mut ErrorQueue) -> io::Result<usize> {
        let read = queue.receive(self.as_fd(), MAX_BATCH, true, |it| self.redeem(it))?;
        if read > 0 {
            return Ok(read);
        }
        // `EPOLLERR` may also stand for an error without a message in the queue, and stays until
        // someone fetches it.
        let errno = option::take_error(self.as_fd())?;
        if errno == 0 {
            return Ok(0);
        }
        queue.set_pending(errno);
        Ok(1)
    }

    /// As [`UdpSocket::recv_tx_stamps`] for whoever is not woken by the socket's errors: reads
    /// `most` messages at most, does not tell whom network errors are about, and leaves a pending
    /// socket error where it is.
    ///
    /// # Errors
    /// Those of the socket itself.
    pub fn recv_stamps_only(&self, queue: &mut ErrorQueue, most: usize) -> io::Result<usize> {
        queue.receive(self.as_fd(), most, false, |it| self.redeem(it))
    }

    fn redeem(&self, reported: u32) -> Option<TxId> {
        match &self.ids {
            Ids::Own(_) => OwnIds::redeem(reported),
            Ids::Counted(ids) => ids.redeem(reported),
        }
    }

    /// Lets the datagrams to this port, which several sockets share ([`Options::reuse_port`]), be
    /// spread over the first `sockets` of them, in the order in which they were bound: always the
    /// same socket for the same client's address, and with another number of sockets mostly. `seed`
    /// has to be the same each time; whoever knows it can choose addresses that meet one socket.
    ///
    /// # Errors
    /// The kernel does not take the program; it then spreads them by addresses and ports.
    pub fn steer(&self, sockets: u16, seed: u32) -> io::Result<()> {
        let ipv6 = self.family == Family::V6;
        steer::attach(self.as_fd(), ipv6, sockets.clamp(1, MAX_SOCKETS), seed)
    }

    /// Marks what is sent from now on with this code point (RFC 2474), 0 to 63.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_dscp(&self, dscp: u8) -> io::Result<()> {
        let (level, name) = match self.family {
            Family::V4 => (libc::IPPROTO_IP, libc::IP_TOS),
            Family::V6 => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
        };
        option::set_int(self.as_fd(), level, name, type_of_service(dscp))
    }

    /// Ends receiving for good: whoever is blocked in [`UdpSocket::recv`] comes back at once and each
    /// time, with a batch that has no datagrams in it.
    pub fn end_receiving(&self) {
        // It says that the socket is not connected, and does its work all the same (net/ipv4/
        // af_inet.c, inet_shutdown).
        let _ = nix::sys::socket::shutdown(self.as_raw_fd(), nix::sys::socket::Shutdown::Read);
    }

    /// Blocks until a datagram (first) or something in the error queue (second) waits, or
    /// `timeout` has passed (neither).
    pub fn wait(&self, timeout: Duration) -> io::Result<(bool, bool)> {
        let mut entry = libc::pollfd {
            fd: self.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // Rounded up, so that a short timeout is not a busy loop.
        let millis = timeout.as_nanos().div_ceil(1_000_000);
        let millis = libc::c_int::try_from(millis).unwrap_or(libc::c_int::MAX);
        // SAFETY: `entry` is one valid pollfd to read and write for the whole call.
        let result = unsafe { libc::poll(&raw mut entry, 1, millis) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        let is = |event| entry.revents & event != 0;
        Ok((is(libc::POLLIN), is(libc::POLLERR)))
    }

    fn set_options(&self, options: &Options) -> io::Result<()> {
        let fd = self.as_fd();
        let sol_socket = |name, on: bool| option::set_int(fd, libc::SOL_SOCKET, name, on.into());
        self.set_family_options(options)?;
        if options.reuse_port {
            sol_socket(libc::SO_REUSEPORT, true)?;
        }
        if let Some(bytes) = options.receive_buffer {
            option::set_receive_buffer(fd, bytes)?;
        }
        if let Some(device) = &options.device {
            option::set(
                fd,
                libc::SOL_SOCKET,
                libc::SO_BINDTODEVICE,
                device.as_bytes(),
            )?;
        }
        let flags = self.flags.load(Ordering::Relaxed);
        if flags != 0 {
            option::set_timestamping(fd, flags)?;
        }
        Ok(())
    }

    fn set_family_options(&self, options: &Options) -> io::Result<()> {
        let fd = self.as_fd();
        let tos = type_of_service(options.dscp);
        let own_errors = libc::c_int::from(options.report_errors);
        let freebind = libc::c_int::from(options.freebind);
        let v4 = [
            (libc::IP_PKTINFO, 1),
            (libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE),
            (libc::IP_TOS, tos),
            (libc::IP_RECVERR, own_errors),
            (libc::IP_FREEBIND, freebind),
        ];
        let v6 = [
            (libc::IPV6_V6ONLY, 1),
            (libc::IPV6_RECVPKTINFO, 1),
            (libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE),
            (libc::IPV6_TCLASS, tos),
            (libc::IPV6_RECVERR, own_errors),
            (libc::IPV6_FREEBIND, freebind),
        ];
        let (level, list): (_, &[_]) = match self.family {
            Family::V4 => (libc::IPPROTO_IP, &v4),
            Family::V6 => (libc::IPPROTO_IPV6, &v6),
        };
        // A new socket has all of these at zero.
        for &(name, value) in list.iter().filter(|(_, value)| *value != 0) {
            option::set_int(fd, level, name, value)?;
        }
        Ok(())
    }

    /// Calls again where an error that an earlier datagram met was handed out instead: it also
    /// waits in the error queue, with its cause.
    fn past_reported_errors<T>(&self, mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        match call() {
            Err(error) if self.report_errors && is_delivery_error(&error) => call(),
            other => other,
        }
    }
}

/// A code point's place: the two lower bits of the old type-of-service octet are not ours (RFC 3168:
/// ECN).
fn type_of_service(dscp: u8) -> libc::c_int {
    libc::c_int::from(dscp & 0x3f) << 2
}

/// The address and port that a socket of IP is bound to.
///
/// # Errors
/// It is no such socket.
pub fn bound_to(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    let address: SockaddrStorage = getsockname(fd.as_raw_fd())?;
    let v4 = address
        .as_sockaddr_in()
        .map(|a| SocketAddr::V4((*a).into()));
    let v6 = || {
        address
            .as_sockaddr_in6()
            .map(|a| SocketAddr::V6((*a).into()))
    };
    v4.or_else(v6)
        .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// No message, where one would have to be waited for.
fn none_if_blocking(received: io::Result<usize>) -> io::Result<usize> {
    match received {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

/// Is it one that ICMP messages become (net/ipv4/icmp.c, net/ipv6/icmp.c)?
fn is_delivery_error(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNREFUSED
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::ENONET
                | libc::ENOPROTOOPT
                | libc::EPROTO
                | libc::EOPNOTSUPP
                | libc::EMSGSIZE
                | libc::EACCES
        )
    )
}

impl Family {
    const fn of(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(_) => Self::V4,
            SocketAddr::V6(_) => Self::V6,
        }
    }

    const fn number(self) -> libc::c_int {
        match self {
            Self::V4 => libc::AF_INET,
            Self::V6 => libc::AF_INET6,
        }
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

#[cfg(test)]
mod tests;
