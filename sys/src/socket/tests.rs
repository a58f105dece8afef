//! Datagrams that the kernel numbers itself, as before Linux 6.13.

use std::net::Ipv4Addr;

use super::*;

/// This kernel as if it were older than 6.13: it counts stamped packets itself.
fn counting() -> Features {
    Features {
        own_ids: false,
        ..Features::probe().unwrap()
    }
}

fn open_counting(features: Features) -> UdpSocket {
    let options = Options {
        stamping: Stamping::KERNEL,
        ..Options::new((Ipv4Addr::LOCALHOST, 0).into())
    };
    UdpSocket::open_on(&options, features).unwrap()
}

fn to(address: SocketAddr) -> Transmit<'static> {
    Transmit {
        payload: b"x",
        to: Some(address),
        from: None,
        stamp: true,
    }
}

/// The ids of all waiting stamps; on loopback they wait as soon as sending returns.
fn stamped(socket: &UdpSocket) -> Vec<TxId> {
    let mut queue = ErrorQueue::new(MAX_BATCH, 0);
    let mut ids = Vec::new();
    while socket.recv_tx_stamps(&mut queue).unwrap() > 0 {
        ids.extend(queue.items().map(|item| match item {
            QueueItem::Stamp(stamp) => stamp.id,
            QueueItem::Error(error) => panic!("{error:?}"),
        }));
    }
    ids
}

#[test]
fn the_kernels_own_count_is_followed_through_failures() {
    let socket = open_counting(counting());
    let peer = open_counting(counting()).local_addr().unwrap();
    let good = to(peer);
    let first = socket.send(&good).unwrap().unwrap();
    let second = socket.send(&good).unwrap().unwrap();
    assert_eq!(stamped(&socket), [first, second]);
    // Too long for UDP: the kernel refuses, having counted it or not.
    let bad = Transmit {
        payload: &vec![0; 70_000],
        ..good
    };
    assert!(socket.send(&bad).is_err());
    // The next two use the numbers of the first two, which may be anybody's; then all is well.
    socket.send(&good).unwrap();
    socket.send(&good).unwrap();
    assert_eq!(stamped(&socket), []);
    let fifth = socket.send(&good).unwrap().unwrap();
    assert_eq!(stamped(&socket), [fifth]);
}

#[test]
fn a_batch_is_counted_too() {
    let socket = open_counting(counting());
    let peer = open_counting(counting()).local_addr().unwrap();
    let mut batch = SendBatch::new(6, 8);
    for n in 0..6 {
        let stamp = n % 2 == 0;
        assert!(batch.push(&Transmit { stamp, ..to(peer) }));
    }
    assert_eq!(socket.send_batch(&mut batch, 0).unwrap(), 6);
    let ids: Vec<TxId> = (0..6).filter_map(|n| batch.tx_id(n)).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(stamped(&socket), ids);
}

#[test]
fn a_kernel_without_stamps_per_packet_stamps_all() {
    let socket = open_counting(Features {
        per_packet: false,
        ..counting()
    });
    let peer = open_counting(counting()).local_addr().unwrap();
    let unasked = Transmit {
        stamp: false,
        ..to(peer)
    };
    let id = socket.send(&unasked).unwrap().unwrap();
    assert_eq!(stamped(&socket), [id]);
}
