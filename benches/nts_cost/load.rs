//! Asks a server at a steady pace.

use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

use crate::packet::Packets;

/// Between bursts, for each request of one; the kernel adds some 50 us to each. More than any of the
/// servers needs for a request, so that what costs is the requests and not their jam.
const PACE: Duration = Duration::from_micros(20);
/// A burst is not sent sooner after another than this.
const PAUSE: Duration = Duration::from_micros(100);
/// A reply that has not come by then is lost.
const PATIENCE: Duration = Duration::from_millis(500);
/// Losses in a row after which the server is taken for dead.
const MOST_LOSSES: usize = 10;
/// The longest reply, octets.
const LONGEST: usize = 1280;

/// Asks until so many good replies have come; gives how many came.
///
/// Requests are sent in bursts, and never more than one burst is under way. In between this side
/// sleeps, and is not woken by replies: then the server would pay for waking it, and the more often,
/// the slower it is itself.
pub(crate) fn ask(
    server: SocketAddr,
    packets: &mut Packets,
    requests: usize,
    burst: usize,
) -> usize {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).expect("open a socket");
    socket.connect(server).expect("connect a socket");
    let pause = PAUSE.max(PACE * u32::try_from(burst).expect("a small number"));
    let mut buffers = vec![[0; LONGEST]; burst];
    let (mut good, mut sent, mut under_way, mut losses) = (0, 0, 0, 0);
    let mut last_heard = Instant::now();
    while good < requests || under_way > 0 {
        if good < requests {
            let more = burst - under_way;
            send(&socket, packets, sent, more);
            sent += more;
            under_way += more;
        }
        thread::sleep(pause);
        let lengths = receive(&socket, &mut buffers);
        for (buffer, length) in buffers.iter().zip(&lengths) {
            let answered = packets.is_answered_by(&buffer[..*length]);
            assert!(answered, "{server} gave a reply that is none");
        }
        good += lengths.len();
        // After a loss, late ones may come, too.
        under_way = usize::saturating_sub(under_way, lengths.len());
        if !lengths.is_empty() {
            last_heard = Instant::now();
            losses = 0;
        } else if last_heard.elapsed() > PATIENCE {
            last_heard = Instant::now();
            losses += 1;
            assert!(losses < MOST_LOSSES, "{server} does not answer any more");
            under_way = 0;
        }
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

/// Reads all replies that are there; gives their lengths.
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
        MsgFlags::MSG_DONTWAIT,
        None,
    );
    received.map_or_else(|_| Vec::new(), |them| them.map(|it| it.bytes).collect())
}
