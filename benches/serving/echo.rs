//! The least that a server can do: what the kernel's sockets cost by themselves.

use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;

use nix::cmsg_space;
use nix::libc::in_pktinfo;
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Timestamping};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, TimestampingFlag,
    Timestamps, recvmmsg, sendmmsg, setsockopt,
};

use crate::wire::Buffers;

/// The program's first argument where it is to be the echo.
pub(crate) const ARGUMENT: &str = "echo";
/// The same with receive stamps and addresses.
pub(crate) const STAMPING_ARGUMENT: &str = "echo-with-stamps";

/// The most datagrams received at a time.
const BATCH: usize = 32;
/// The bits of a packet's first octet that say its mode, and a server's mode.
const MODE: u8 = 7;
const SERVER: u8 = 4;

/// Sends every datagram back as it came, but for its mode, until it is killed. Everything is made
/// beforehand; nothing is looked at. If it is `stamping`, the kernel tells it when each came and to
/// which address, and it replies from that: what no server can do without that says when a request
/// came, and has more than one address.
pub(crate) fn run(stamping: bool) -> ! {
    let socket = UdpSocket::bind(("0.0.0.0", 123)).expect("open the NTP port");
    let descriptor = socket.as_raw_fd();
    if stamping {
        let flags = TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
            | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
        setsockopt(&socket, Timestamping, &flags).expect("have receive stamps");
        setsockopt(&socket, Ipv4PacketInfo, &true).expect("have addresses");
    }
    let mut told = Told::default();
    let mut back = MultiHeaders::<SockaddrIn>::preallocate(
        BATCH,
        stamping.then(|| cmsg_space!(Timestamps, in_pktinfo)),
    );
    let mut out =
        MultiHeaders::<SockaddrIn>::preallocate(BATCH, stamping.then(|| cmsg_space!(in_pktinfo)));
    let Buffers(mut buffers) = Buffers::<BATCH>::new();
    let mut lengths = [0; BATCH];
    let mut addresses = [None; BATCH];
    loop {
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
            buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let flags = MsgFlags::MSG_WAITFORONE;
        let received = recvmmsg(descriptor, &mut back, &mut slices, flags, None);
        let mut count = 0;
        for datagram in received.expect("receive") {
            lengths[count] = datagram.bytes;
            addresses[count] = datagram.address;
            if stamping {
                told.read(datagram.cmsgs().expect("whole control messages"));
            }
            count += 1;
        }
        for buffer in &mut buffers[..count] {
            buffer[0] = buffer[0] & !MODE | SERVER;
        }
        let slices: [[IoSlice<'_>; 1]; BATCH] =
            std::array::from_fn(|at| [IoSlice::new(&buffers[at][..lengths[at]])]);
        let slices = &slices[..count];
        let flags = MsgFlags::empty();
        let from = told.address.as_ref().map(ControlMessage::Ipv4PacketInfo);
        let sent = sendmmsg(
            descriptor,
            &mut out,
            slices,
            addresses,
            from.as_slice(),
            flags,
        );
        sent.expect("send");
    }
}

/// What control messages have told last.
#[derive(Default)]
struct Told {
    /// The address that was asked: the echo has one only.
    address: Option<in_pktinfo>,
}

impl Told {
    fn read(&mut self, messages: impl Iterator<Item = ControlMessageOwned>) {
        for message in messages {
            match message {
                ControlMessageOwned::Ipv4PacketInfo(info) => self.address = Some(info),
                ControlMessageOwned::ScmTimestampsns(stamps) => {
                    assert_ne!(stamps.system.tv_sec(), 0, "a stamp that is none");
                }
                _ => {}
            }
        }
    }
}
