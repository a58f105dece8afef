//! Several sockets on one port, over loopback.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clockwright_sys::socket::{Options, RecvBatch, UdpSocket};

const SEED: u32 = 0x1234_5678;

/// A socket that shares `address` with others.
fn open(address: SocketAddr) -> UdpSocket {
    let options = Options {
        reuse_port: true,
        ..Options::new(address)
    };
    UdpSocket::open(&options).expect("open a socket")
}

/// Sockets that share a port, and the port.
fn group(ip: IpAddr, count: usize) -> (Vec<UdpSocket>, SocketAddr) {
    let first = open(SocketAddr::new(ip, 0));
    let address = first.local_addr().expect("its address");
    let others = (1..count).map(|_| open(address));
    (std::iter::once(first).chain(others).collect(), address)
}

/// Sends a datagram from this address and a port of the kernel's choice; gives the one socket that
/// gets it.
fn who_gets(sockets: &[UdpSocket], to: SocketAddr, from: IpAddr) -> usize {
    let client = std::net::UdpSocket::bind((from, 0)).expect("open a client's socket");
    client.send_to(&[1], to).expect("send");
    let mut batch = RecvBatch::new(4, 16);
    let mut got = sockets
        .iter()
        .enumerate()
        .filter(|(_, socket)| socket.recv_now(&mut batch).expect("receive") > 0)
        .map(|(index, _)| index);
    let one = got.next().expect("over loopback it is there at once");
    assert_eq!(got.next(), None);
    one
}

fn clients() -> impl Iterator<Item = IpAddr> {
    (0..200).map(|n| Ipv4Addr::new(127, 1 + n / 64, n, 7).into())
}

#[test]
fn a_client_meets_the_same_socket_whatever_port_it_asks_from() {
    let (sockets, address) = group(Ipv4Addr::LOCALHOST.into(), 4);
    sockets[0].steer(4, SEED).expect("attach the program");
    let mut share = BTreeMap::new();
    for client in clients() {
        let first = who_gets(&sockets, address, client);
        *share.entry(first).or_insert(0) += 1;
        for _ in 0..3 {
            assert_eq!(who_gets(&sockets, address, client), first, "{client}");
        }
    }
    assert_eq!(share.len(), 4, "{share:?}");
    assert!(
        share.values().all(|clients| *clients > 200 / 4 / 3),
        "{share:?}"
    );
}

#[test]
fn another_socket_takes_clients_over_and_no_others_move() {
    let (mut sockets, address) = group(Ipv4Addr::LOCALHOST.into(), 3);
    sockets[0].steer(3, SEED).expect("attach the program");
    let before: Vec<_> = clients()
        .map(|it| who_gets(&sockets, address, it))
        .collect();
    sockets.push(open(address));
    sockets[0].steer(4, SEED).expect("attach the program");
    let after: Vec<_> = clients()
        .map(|it| who_gets(&sockets, address, it))
        .collect();
    let moved: Vec<_> = before.iter().zip(&after).filter(|(b, a)| b != a).collect();
    assert!(moved.iter().all(|(_, now)| **now == 3));
    assert!((20..=90).contains(&moved.len()), "{}", moved.len());
    // And back: the last one is closed.
    sockets[0].steer(3, SEED).expect("attach the program");
    drop(sockets.pop());
    let again: Vec<_> = clients()
        .map(|it| who_gets(&sockets, address, it))
        .collect();
    assert_eq!(again, before);
}

#[test]
fn ipv6_is_steered_too() {
    let (sockets, address) = group(Ipv6Addr::LOCALHOST.into(), 8);
    sockets[0].steer(8, SEED).expect("attach the program");
    let first = who_gets(&sockets, address, Ipv6Addr::LOCALHOST.into());
    for _ in 0..20 {
        assert_eq!(
            who_gets(&sockets, address, Ipv6Addr::LOCALHOST.into()),
            first
        );
    }
}

#[test]
fn whoever_is_blocked_in_receiving_comes_back_when_that_is_ended() {
    let socket = Arc::new(
        UdpSocket::open(&Options {
            nonblocking: false,
            ..Options::new((Ipv4Addr::LOCALHOST, 0).into())
        })
        .expect("open a socket"),
    );
    let blocked = Arc::clone(&socket);
    let (tell, told) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        let me = std::fs::read_link("/proc/thread-self").expect("this thread's name");
        tell.send(me).expect("the test listens");
        let mut batch = RecvBatch::new(4, 16);
        blocked.recv(&mut batch).expect("receive");
        batch.messages().count()
    });
    // Asleep in the system call.
    let stat = std::path::Path::new("/proc")
        .join(told.recv().expect("its name"))
        .join("wchan");
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline
        && !std::fs::read_to_string(&stat).is_ok_and(|at| at.contains("skb_wait"))
    {
        thread::yield_now();
    }
    socket.end_receiving();
    assert_eq!(thread.join().expect("it ends"), 0);
    let mut batch = RecvBatch::new(4, 16);
    socket.recv(&mut batch).expect("receive, at once");
    assert_eq!(batch.messages().count(), 0);
}
