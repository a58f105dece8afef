//! Timestamping sockets against the running kernel, over loopback.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use clockwright_sys::clock;
use clockwright_sys::socket::{
    ErrorOrigin, ErrorQueue, Features, LocalAddress, LoopBack, MAX_BATCH, Options, QueueItem,
    RecvBatch, SendBatch, Stamping, StampingKeeper, Transmit, TransmitStamps, TxId, UdpSocket,
};
use clockwright_timebase::{Timestamp, Utc};

/// Far beyond what loopback takes; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(5);

fn loopbacks() -> [SocketAddr; 2] {
    [
        (Ipv4Addr::LOCALHOST, 0).into(),
        (Ipv6Addr::LOCALHOST, 0).into(),
    ]
}

fn open(options: &Options) -> UdpSocket {
    UdpSocket::open(options).unwrap()
}

fn server(bind: SocketAddr) -> UdpSocket {
    open(&Options {
        stamping: Stamping::KERNEL,
        ..Options::new(bind)
    })
}

fn client_of(server: &UdpSocket) -> UdpSocket {
    open(&Options::client(
        server.local_addr().unwrap(),
        Stamping::KERNEL,
    ))
}

fn message(payload: &[u8]) -> Transmit<'_> {
    Transmit {
        payload,
        to: None,
        from: None,
        stamp: true,
    }
}

/// What a test keeps of a received datagram.
#[derive(Debug, Clone)]
struct Received {
    payload: Vec<u8>,
    source: SocketAddr,
    local: LocalAddress,
    kernel: Option<Timestamp<Utc>>,
    truncated: bool,
}

/// Receives until `count` datagrams have come.
fn receive(socket: &UdpSocket, count: usize) -> Vec<Received> {
    let mut batch = RecvBatch::new(MAX_BATCH, 128);
    let mut all = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while all.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} came", all.len());
        socket.wait(Duration::from_millis(100)).unwrap();
        socket.recv(&mut batch).unwrap();
        all.extend(batch.messages().map(|m| Received {
            payload: m.payload.to_vec(),
            source: m.source,
            local: m.local.unwrap(),
            kernel: m.kernel,
            truncated: m.truncated,
        }));
    }
    all
}

/// Reads transmit stamps until `count` have come.
fn stamps(socket: &UdpSocket, count: usize) -> BTreeMap<TxId, Timestamp<Utc>> {
    let mut queue = ErrorQueue::new(MAX_BATCH, 0);
    let mut all = BTreeMap::new();
    let deadline = Instant::now() + PATIENCE;
    while all.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} came", all.len());
        socket.wait(Duration::from_millis(100)).unwrap();
        socket.recv_tx_stamps(&mut queue).unwrap();
        for item in queue.items() {
            let QueueItem::Stamp(stamp) = item else {
                panic!("{item:?}");
            };
            assert!(stamp.hardware.is_none() && stamp.frame.is_empty());
            assert!(all.insert(stamp.id, stamp.kernel.unwrap()).is_none());
        }
    }
    all
}

#[test]
fn both_directions_are_stamped_by_the_kernel_in_both_families() {
    let _keeper = StampingKeeper::new().unwrap();
    for bind in loopbacks() {
        let server = server(bind);
        let client = client_of(&server);
        let before = clock::realtime_now();
        let id = client.send(&message(b"hello")).unwrap().unwrap();
        let tx = stamps(&client, 1)[&id];
        let got = &receive(&server, 1)[0];
        let after = clock::realtime_now();
        let rx = got.kernel.unwrap();
        assert!(
            before <= tx && tx <= rx && rx <= after,
            "{before:?} {tx:?} {rx:?} {after:?}"
        );
        assert_eq!(got.payload, b"hello");
        assert_eq!(got.source, client.local_addr().unwrap());
        assert_eq!(got.local.ip, bind.ip());
        assert_eq!(
            got.local.ifindex,
            clockwright_sys::net::index_of("lo").unwrap()
        );
        assert!(!got.truncated);
    }
}

#[test]
fn ids_tie_stamps_to_datagrams_while_several_are_in_flight() {
    let _keeper = StampingKeeper::new().unwrap();
    let server = server(loopbacks()[0]);
    let client = client_of(&server);
    let ids: Vec<TxId> = (0..20)
        .map(|n| client.send(&message(&[n])).unwrap().unwrap())
        .collect();
    let stamps = stamps(&client, ids.len());
    let received = receive(&server, ids.len());
    // Loopback keeps the order: each datagram left before it came, and after the one before.
    let mut last = Timestamp::EPOCH;
    for (id, got) in ids.iter().zip(&received) {
        let (tx, rx) = (stamps[id], got.kernel.unwrap());
        assert!(last <= tx && tx <= rx, "{last:?} {tx:?} {rx:?}");
        last = rx;
    }
    assert_eq!(
        received.iter().map(|r| r.payload[0]).collect::<Vec<_>>(),
        (0..20).collect::<Vec<_>>()
    );
}

#[test]
fn full_batches_leave_in_one_call_and_come_in_a_few() {
    for bind in loopbacks() {
        let server = server(bind);
        let sender = self::server(bind);
        let to = server.local_addr().unwrap();
        let mut batch = SendBatch::new(MAX_BATCH + 10, 48);
        for n in 0..MAX_BATCH {
            // Every third wants a stamp.
            let pushed = batch.push(&Transmit {
                payload: &[u8::try_from(n).unwrap(); 48],
                to: Some(to),
                from: Some(LocalAddress {
                    ip: bind.ip(),
                    ifindex: 0,
                }),
                stamp: n % 3 == 0,
            });
            assert!(pushed);
        }
        assert!(!batch.push(&message(b"")), "full");
        assert_eq!(sender.send_batch(&mut batch, 0).unwrap(), MAX_BATCH);
        let wanted: Vec<TxId> = (0..MAX_BATCH).filter_map(|n| batch.tx_id(n)).collect();
        assert_eq!(wanted.len(), MAX_BATCH.div_ceil(3));
        assert_eq!(
            stamps(&sender, wanted.len())
                .into_keys()
                .collect::<Vec<_>>(),
            wanted
        );

        // The kernel is asked for twice as many as came the last time: 4, 8, 16, 32.
        let mut received = RecvBatch::new(MAX_BATCH, 48);
        let mut all: Vec<u8> = Vec::new();
        for expected in [4, 8, 16, 32, 4] {
            assert_eq!(server.recv(&mut received).unwrap(), expected);
            assert_eq!(
                received.is_full(),
                expected >= 4 && all.len() + 4 < MAX_BATCH
            );
            all.extend(received.messages().map(|got| got.payload[0]));
            assert!(received.messages().all(|got| got.payload.len() == 48));
        }
        let sent: Vec<u8> = (0..MAX_BATCH).map(|n| u8::try_from(n).unwrap()).collect();
        assert_eq!(all, sent);
        assert_eq!(server.recv(&mut received).unwrap(), 0);
        assert_eq!(received.messages().count(), 0);
    }
}

#[test]
fn a_batch_refuses_what_does_not_fit_and_can_be_reused() {
    let mut batch = SendBatch::new(2, 4);
    assert!(!batch.push(&message(b"12345")));
    assert!(batch.push(&message(b"1234")) && batch.push(&message(b"")));
    assert!(!batch.push(&message(b"")));
    assert_eq!(batch.len(), 2);
    batch.clear();
    assert!(batch.is_empty() && batch.push(&message(b"12")));
    assert_eq!(
        (batch.tx_id(0), batch.tx_id(1), batch.tx_id(99)),
        (None, None, None)
    );
}

#[test]
fn an_overlong_datagram_is_cut_and_flagged() {
    let server = server(loopbacks()[0]);
    let client = client_of(&server);
    client.send(&message(&[7; 129])).unwrap();
    client.send(&message(&[8; 128])).unwrap();
    let got = receive(&server, 2);
    assert!(got[0].truncated && got[0].payload == [7; 128]);
    assert!(!got[1].truncated && got[1].payload == [8; 128]);
}

#[test]
fn what_was_not_asked_for_is_not_stamped() {
    let server = server(loopbacks()[0]);
    let client = client_of(&server);
    let unwanted = Transmit {
        stamp: false,
        ..message(b"x")
    };
    assert_eq!(client.send(&unwanted).unwrap(), None);
    receive(&server, 1);
    // The stamp of a loopback datagram is queued before the datagram is delivered.
    let mut queue = ErrorQueue::new(1, 0);
    assert_eq!(client.recv_tx_stamps(&mut queue).unwrap(), 0);
    assert_eq!(queue.items().count(), 0);

    let plain = open(&Options::client(
        server.local_addr().unwrap(),
        Stamping::default(),
    ));
    assert_eq!(plain.send(&message(b"x")).unwrap(), None);
    receive(&server, 1);
    assert_eq!(plain.recv_tx_stamps(&mut queue).unwrap(), 0);
}

#[test]
fn every_packet_can_be_stamped_without_asking_each_time() {
    let server = server(loopbacks()[1]);
    let client = open(&Options::client(
        server.local_addr().unwrap(),
        Stamping {
            transmit: TransmitStamps::EveryPacket,
            ..Stamping::KERNEL
        },
    ));
    let unasked = Transmit {
        stamp: false,
        ..message(b"x")
    };
    let id = client.send(&unasked).unwrap().unwrap();
    assert!(stamps(&client, 1).contains_key(&id));
}

#[test]
fn the_packet_and_its_interface_come_back_where_asked_for() {
    for bind in loopbacks() {
        let server = server(bind);
        let client = open(&Options::client(
            server.local_addr().unwrap(),
            Stamping {
                loop_back: LoopBack::Packet,
                ..Stamping::KERNEL
            },
        ));
        let id = client.send(&message(b"find me")).unwrap().unwrap();
        let mut queue = ErrorQueue::new(4, 256);
        client.wait(PATIENCE).unwrap();
        assert_eq!(client.recv_tx_stamps(&mut queue).unwrap(), 1);
        let Some(QueueItem::Stamp(stamp)) = queue.items().next() else {
            panic!("no stamp");
        };
        assert_eq!(stamp.id, id);
        assert_eq!(
            stamp.ifindex,
            Some(clockwright_sys::net::index_of("lo").unwrap())
        );
        assert!(stamp.frame.ends_with(b"find me") && stamp.frame.len() > 7 + 8 + 20);
    }
}

#[test]
fn a_refused_connection_is_one_event_and_then_silence() {
    for bind in loopbacks() {
        let closed = server(bind).local_addr().unwrap();
        let client = open(&Options::client(closed, Stamping::KERNEL));
        client
            .send(&Transmit {
                stamp: false,
                ..message(b"x")
            })
            .unwrap();
        assert!(client.wait(PATIENCE).unwrap().1);
        // Neither receiving nor sending stumbles over it.
        assert_eq!(client.recv(&mut RecvBatch::new(1, 1)).unwrap(), 0);
        let mut queue = ErrorQueue::new(4, 0);
        assert_eq!(client.recv_tx_stamps(&mut queue).unwrap(), 1);
        let Some(QueueItem::Error(error)) = queue.items().next() else {
            panic!("no error");
        };
        assert_eq!(error.error.kind(), std::io::ErrorKind::ConnectionRefused);
        assert!(
            matches!(error.origin, ErrorOrigin::Icmp { .. }),
            "{error:?}"
        );
        assert_eq!(error.reporter, Some(bind.ip()));
        assert_eq!(error.destination, Some(closed));
        assert_eq!(client.recv_tx_stamps(&mut queue).unwrap(), 0);
        assert_eq!(
            client.wait(Duration::ZERO).unwrap(),
            (false, false),
            "spins"
        );
    }
}

#[test]
fn sending_after_a_refusal_works_and_keeps_its_stamp() {
    let gone = server(loopbacks()[0]);
    let address = gone.local_addr().unwrap();
    drop(gone);
    let client = open(&Options::client(address, Stamping::KERNEL));
    client
        .send(&Transmit {
            stamp: false,
            ..message(b"x")
        })
        .unwrap();
    client.wait(PATIENCE).unwrap();
    // The refusal is pending now.
    let back = server(address);
    let id = client.send(&message(b"again")).unwrap().unwrap();
    assert_eq!(receive(&back, 1)[0].payload, b"again");
    let mut queue = ErrorQueue::new(4, 0);
    let (mut refusals, mut stamped) = (0, Vec::new());
    while client.recv_tx_stamps(&mut queue).unwrap() > 0 {
        for item in queue.items() {
            match item {
                QueueItem::Stamp(stamp) => stamped.push(stamp.id),
                QueueItem::Error(_) => refusals += 1,
            }
        }
    }
    assert_eq!((refusals, stamped), (1, vec![id]));
}

#[test]
fn an_error_without_a_queue_entry_is_reported_once_too() {
    let closed = server(loopbacks()[0]).local_addr().unwrap();
    let client = open(&Options {
        report_errors: false,
        ..Options::client(closed, Stamping::KERNEL)
    });
    client
        .send(&Transmit {
            stamp: false,
            ..message(b"x")
        })
        .unwrap();
    assert!(client.wait(PATIENCE).unwrap().1);
    let mut queue = ErrorQueue::new(4, 0);
    assert_eq!(client.recv_tx_stamps(&mut queue).unwrap(), 1);
    let Some(QueueItem::Error(error)) = queue.items().next() else {
        panic!("no error");
    };
    assert_eq!(error.error.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(error.origin, ErrorOrigin::Socket);
    assert_eq!(client.recv_tx_stamps(&mut queue).unwrap(), 0);
    assert_eq!(
        client.wait(Duration::ZERO).unwrap(),
        (false, false),
        "spins"
    );
}

#[test]
fn replies_leave_from_the_address_that_was_asked() {
    let server = open(&Options::new((Ipv4Addr::UNSPECIFIED, 0).into()));
    let port = server.local_addr().unwrap().port();
    let asked = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 9), port));
    // Connected: takes datagrams from the asked address only.
    let client = open(&Options::client(asked, Stamping::KERNEL));
    client.send(&message(b"?")).unwrap();
    let got = receive(&server, 1).remove(0);
    assert_eq!(got.local.ip, asked.ip());
    let reply = Transmit {
        payload: b"!",
        to: Some(got.source),
        from: Some(got.local.for_reply()),
        stamp: true,
    };
    assert_eq!(
        server.send(&reply).unwrap(),
        None,
        "no stamps on this socket"
    );
    assert_eq!(receive(&client, 1)[0].source, asked);
}

#[test]
fn several_sockets_share_a_port_only_where_asked() {
    let shared = Options {
        reuse_port: true,
        ..Options::new(loopbacks()[0])
    };
    let first = open(&shared);
    let again = Options {
        bind: first.local_addr().unwrap(),
        ..shared
    };
    open(&again);
    let alone = UdpSocket::open(&Options {
        reuse_port: false,
        ..again
    });
    assert_eq!(alone.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn options_reach_the_kernel() {
    let elsewhere = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 99), 0));
    assert!(UdpSocket::open(&Options::new(elsewhere)).is_err());
    open(&Options {
        freebind: true,
        ..Options::new(elsewhere)
    });
    open(&Options {
        dscp: 46,
        device: Some("lo".into()),
        ..Options::new(loopbacks()[1])
    });
    let nowhere = Options {
        device: Some("no-such-if0".into()),
        ..Options::new(loopbacks()[0])
    };
    assert!(UdpSocket::open(&nowhere).is_err());
}

#[test]
fn an_ipv6_socket_leaves_the_ipv4_port_free() {
    let six = open(&Options::new((Ipv6Addr::UNSPECIFIED, 0).into()));
    let port = six.local_addr().unwrap().port();
    open(&Options::new((Ipv4Addr::UNSPECIFIED, port).into()));
}

#[test]
fn the_probe_agrees_with_what_happens() {
    let features = Features::probe().unwrap();
    let server = server(loopbacks()[0]);
    let client = client_of(&server);
    assert_eq!(client.stamping(), Stamping::KERNEL);
    // Whether ids are ours or the kernel's, the first two stamps find their datagrams.
    let ids = [(); 2].map(|()| client.send(&message(b"x")).unwrap().unwrap());
    assert_eq!(
        stamps(&client, 2).into_keys().collect::<Vec<_>>(),
        ids,
        "{features:?}"
    );
}

#[tokio::test]
async fn tokio_wakes_for_stamps_and_for_datagrams() {
    use clockwright_sys::socket::WAKES;
    use tokio::time::timeout;

    let server = server(loopbacks()[0]);
    let client = client_of(&server).into_async().unwrap();
    let mut queue = ErrorQueue::new(4, 0);
    for _ in 0..3 {
        let id = client.get_ref().send(&message(b"?")).unwrap().unwrap();
        let mut ready = timeout(PATIENCE, client.ready(WAKES))
            .await
            .unwrap()
            .unwrap();
        assert!(ready.ready().is_error());
        assert_eq!(client.get_ref().recv_tx_stamps(&mut queue).unwrap(), 1);
        assert!(matches!(queue.items().next(), Some(QueueItem::Stamp(s)) if s.id == id));
        assert_eq!(client.get_ref().recv_tx_stamps(&mut queue).unwrap(), 0);
        ready.clear_ready();

        let reply = Transmit {
            to: Some(client.get_ref().local_addr().unwrap()),
            ..message(b"!")
        };
        server.send(&reply).unwrap();
        let mut ready = timeout(PATIENCE, client.ready(WAKES))
            .await
            .unwrap()
            .unwrap();
        assert!(ready.ready().is_readable());
        assert_eq!(client.get_ref().recv(&mut RecvBatch::new(4, 4)).unwrap(), 1);
        ready.clear_ready();
    }
}
