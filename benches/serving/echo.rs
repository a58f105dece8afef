//! The least that a server can do: what the kernel's sockets cost by themselves.

use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};

use crate::wire::Buffers;

/// The program's first argument where it is to be the echo.
pub(crate) const ARGUMENT: &str = "echo";

/// The most datagrams received at a time.
const BATCH: usize = 32;
/// The bits of a packet's first octet that say its mode, and a server's mode.
const MODE: u8 = 7;
const SERVER: u8 = 4;

/// Sends every datagram back as it came, but for its mode, until it is killed. Everything is made
/// beforehand; no stamps, no control messages, nothing is looked at.
pub(crate) fn run() {
    let socket = UdpSocket::bind(("0.0.0.0", 123)).expect("open the NTP port");
    let descriptor = socket.as_raw_fd();
    let mut back = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut out = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
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
            count += 1;
        }
        for buffer in &mut buffers[..count] {
            buffer[0] = buffer[0] & !MODE | SERVER;
        }
        let slices: [[IoSlice<'_>; 1]; BATCH] =
            std::array::from_fn(|at| [IoSlice::new(&buffers[at][..lengths[at]])]);
        let slices = &slices[..count];
        let flags = MsgFlags::empty();
        let sent = sendmmsg(descriptor, &mut out, slices, addresses, [], flags);
        sent.expect("send");
    }
}
