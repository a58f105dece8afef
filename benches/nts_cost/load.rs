//! Asks a server as fast as it answers.

use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

use crate::packet::Packets;

/// A reply that has not come by then is lost.
const PATIENCE: Duration = Duration::from_millis(500);
/// Losses in a row after which the server is taken for dead.
const MOST_LOSSES: usize = 10;
/// The longest reply, octets.
const LONGEST: usize = 1280;

/// Asks until so many good replies have come, with `window` requests under way at all times; gives
/// how many replies came, which are at most a window more. Requests are sent at once, and replies
/// read at once, as many as there are, so that this side is faster than the other.
pub(crate) fn ask(
    server: SocketAddr,
    packets: &mut Packets,
    requests: usize,
    window: usize,
) -> usize {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).expect("open a socket");
    socket.connect(server).expect("connect a socket");
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("set a timeout");
    let mut buffers = vec![[0; LONGEST]; window];
    let (mut good, mut sent, mut under_way, mut losses) = (0, 0, 0, 0);
    while good < requests || under_way > 0 {
        let more = if good < requests {
            window - under_way
        } else {
            0
        };
        send(&socket, packets, sent, more);
        sent += more;
        under_way += more;
        let lengths = receive(&socket, &mut buffers);
        if lengths.is_empty() {
            losses += 1;
            assert!(losses < MOST_LOSSES, "{server} does not answer any more");
            under_way = 0;
            continue;
        }
        losses = 0;
        for (buffer, length) in buffers.iter().zip(&lengths) {
            let answered = packets.is_answered_by(&buffer[..*length]);
            assert!(answered, "{server} gave a reply that is none");
        }
        good += lengths.len();
        // After a loss, late ones may come, too.
        under_way = usize::saturating_sub(under_way, lengths.len());
    }
    good
}

/// Sends as many requests, from the `first` on.
fn send(socket: &UdpSocket, packets: &Packets, first: usize, count: usize) {
    if count == 0 {
        return;
    }
    let slices: Vec<[IoSlice<'_>; 1]> = (first..first + count)
        .map(|number| [IoSlice::new(packets.get(number))])
        .collect();
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(count, None);
    let addresses = vec![None; count];
    let sent = sendmmsg(
        socket.as_raw_fd(),
        &mut headers,
        &slices,
        addresses,
        [],
        MsgFlags::empty(),
    );
    assert_eq!(sent.expect("send requests").count(), count);
}

/// Waits for a reply, and reads all that are there then; gives their lengths.
fn receive(socket: &UdpSocket, buffers: &mut [[u8; LONGEST]]) -> Vec<usize> {
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(buffers.len(), None);
    let mut slices: Vec<[IoSliceMut<'_>; 1]> = buffers
        .iter_mut()
        .map(|buffer| [IoSliceMut::new(buffer)])
        .collect();
    let received = recvmmsg(
        socket.as_raw_fd(),
        &mut headers,
        &mut slices,
        MsgFlags::MSG_WAITFORONE,
        None,
    );
    received.map_or_else(|_| Vec::new(), |them| them.map(|it| it.bytes).collect())
}
