//! Datagrams as they are on the wire, from addresses of our choice.

use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, MultiHeaders, SockFlag, SockProtocol, SockType, SockaddrIn, connect,
    recvmmsg, sendmmsg, setsockopt, socket, sockopt,
};

/// The most datagrams sent or received at a time.
pub(crate) const BATCH: usize = 64;
/// The longest reply, octets.
const LONGEST: usize = 1280;
/// Octets of the headers of IPv4 and UDP.
pub(crate) const HEADERS: usize = 28;
const IPV4_HEADER: usize = 20;
/// Octets of the kernel's buffer for replies, if it may be as large.
const RECEIVE_BUFFER: usize = 4 << 20;
const NTP_PORT: u16 = 123;

/// Sends to one server from many addresses, and receives what comes back to any of them.
pub(crate) struct Wire {
    /// Takes whole IPv4 packets (raw(7)): a datagram's source address then costs no control message, and
    /// one socket does for all.
    sender: OwnedFd,
    receiver: UdpSocket,
    server: Ipv4Addr,
    out: MultiHeaders<SockaddrIn>,
    back: MultiHeaders<SockaddrIn>,
    buffers: Buffers<BATCH>,
}

impl Wire {
    /// To this server's NTP port, from one port of all clients.
    pub(crate) fn new(server: Ipv4Addr) -> Self {
        let sender = socket(
            AddressFamily::Inet,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::Raw,
        )
        .expect("open a raw socket");
        let address = SockaddrIn::from(SocketAddrV4::new(server, 0));
        connect(sender.as_raw_fd(), &address).expect("connect a raw socket");
        let receiver = UdpSocket::bind(("0.0.0.0", 0)).expect("open a socket");
        // As much as any user may have: replies are not to be lost on this side.
        setsockopt(&receiver, sockopt::RcvBuf, &RECEIVE_BUFFER).expect("have room for replies");
        Self {
            sender,
            receiver,
            server,
            out: MultiHeaders::preallocate(BATCH, None),
            back: MultiHeaders::preallocate(BATCH, None),
            buffers: Buffers::new(),
        }
    }

    /// The headers for a datagram that carries so many octets. Its source address is set before it is
    /// sent, with [`set_source`].
    pub(crate) fn headers(&self, payload: usize) -> [u8; HEADERS] {
        let port = match self.receiver.local_addr() {
            Ok(SocketAddr::V4(address)) => address.port(),
            other => panic!("the address of a socket: {other:?}"),
        };
        let datagram = u16::try_from(HEADERS - IPV4_HEADER + payload).expect("a short datagram");
        let mut headers = [0; HEADERS];
        // Version 4, five words of header; an identification, since the kernel chooses one for 0; do not
        // fragment; 64 hops; UDP. The kernel fills in the length and the checksum.
        headers[0] = 0x45;
        headers[5] = 1;
        headers[6] = 0x40;
        headers[8] = 64;
        headers[9] = 17;
        headers[16..20].copy_from_slice(&self.server.octets());
        headers[20..22].copy_from_slice(&port.to_be_bytes());
        headers[22..24].copy_from_slice(&NTP_PORT.to_be_bytes());
        headers[24..26].copy_from_slice(&datagram.to_be_bytes());
        // UDP's checksum stays 0: none (RFC 768).
        headers
    }

    /// Sends these packets, [`BATCH`] at most.
    pub(crate) fn send<'p>(&mut self, count: usize, packet: impl Fn(usize) -> &'p [u8]) {
        let mut sent = 0;
        while sent < count {
            let slices: [[IoSlice<'_>; 1]; BATCH] =
                std::array::from_fn(|at| [IoSlice::new(packet((sent + at).min(count - 1)))]);
            let result = sendmmsg(
                self.sender.as_raw_fd(),
                &mut self.out,
                &slices[..count - sent],
                [const { None }; BATCH],
                [],
                MsgFlags::empty(),
            );
            match result {
                Ok(them) => sent += them.count(),
                Err(Errno::EINTR | Errno::ENOBUFS | Errno::EAGAIN) => {}
                Err(error) => panic!("send requests: {error}"),
            }
        }
    }

    /// Hands over the datagrams that have come, [`BATCH`] at most; gives how many. Does not wait.
    pub(crate) fn receive(&mut self, mut take: impl FnMut(&[u8])) -> usize {
        let mut lengths = [0; BATCH];
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] = self
            .buffers
            .0
            .each_mut()
            .map(|buffer| [IoSliceMut::new(buffer)]);
        let received = recvmmsg(
            self.receiver.as_raw_fd(),
            &mut self.back,
            &mut slices,
            MsgFlags::MSG_DONTWAIT,
            None,
        );
        let count = match received {
            Ok(them) => {
                let lengths = lengths.iter_mut().zip(them);
                lengths.map(|(length, it)| *length = it.bytes).count()
            }
            Err(Errno::EAGAIN | Errno::EINTR) => 0,
            Err(error) => panic!("receive replies: {error}"),
        };
        for (buffer, length) in self.buffers.0.iter().zip(lengths).take(count) {
            take(&buffer[..length]);
        }
        count
    }
}

/// Room for so many datagrams.
pub(crate) struct Buffers<const COUNT: usize>(pub(crate) Box<[[u8; LONGEST]; COUNT]>);

impl<const COUNT: usize> Buffers<COUNT> {
    pub(crate) fn new() -> Self {
        let buffers = vec![[0; LONGEST]; COUNT].into_boxed_slice();
        Self(buffers.try_into().expect("as many as asked for"))
    }
}

/// Gives a packet that starts with [`Wire::headers`] its source address.
pub(crate) fn set_source(packet: &mut [u8], address: Ipv4Addr) {
    packet[12..16].copy_from_slice(&address.octets());
}
