//! Clients that do not.

use std::io::ErrorKind;
use std::net::IpAddr;

use clockwright_ntp::nts::Algorithm;
use clockwright_ntp::nts::ke::client::request;

use super::super::{KeServerCounts, Prepared};
use super::*;
use crate::config::ConnectionRateConfig;

const NEXT: &[u8] = &[0x80, 1, 0, 2, 0, 0];
const SIV: &[u8] = &[0x80, 4, 0, 2, 0, 15];
const END: &[u8] = &[0x80, 0, 0, 0];

fn siv() -> Vec<u8> {
    request(&[Algorithm::AesSivCmac256])
}

/// What is read of a connection until it ends, in whatever way.
async fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    let _ = stream.read_to_end(&mut read).await;
    read
}

/// Waits for one count to become one, and says that nothing else was counted as refused.
async fn refused_as(host: &Host, count: fn(&KeServerCounts) -> u64) {
    let counts = wait_for("the refusal", || {
        let counts = host.server.counts();
        (counts.refused() > 0).then_some(counts)
    })
    .await;
    assert_eq!((counts.refused(), count(&counts)), (1, 1), "{counts:?}");
}

#[test]
fn who_does_not_offer_the_protocol_is_refused() {
    for (name, alpn) in [("ke-no-alpn", &[][..]), ("ke-alpn", &[b"h2".as_slice()])] {
        run(async {
            let host = Host::new(name, |_| {});
            let client = Client {
                config: client_config(&host.issued, alpn),
                address: host.address(),
            };
            let error = client.ask(&siv()).await.err().unwrap();
            assert!(
                error.to_string().contains("NoApplicationProtocol"),
                "{error}"
            );
            refused_as(&host, |counts| counts.no_alpn).await;
            assert_eq!(host.server.counts().handshakes, 0);
        });
    }
}

/// A Client Hello of TLS 1.2, which offers this protocol.
fn hello_of_tls_1_2() -> Vec<u8> {
    let alpn = [&[0, 16, 0, 10, 0, 8, 7][..], b"ntske/1"].concat();
    let groups = [0, 10, 0, 4, 0, 2, 0, 23];
    let points = [0, 11, 0, 2, 1, 0];
    let signatures = [0, 13, 0, 4, 0, 2, 4, 3];
    let extensions = [&alpn[..], &groups, &points, &signatures].concat();
    let length = u8::try_from(extensions.len()).unwrap();
    let random = [7; 32];
    let body = [
        &[3, 3][..],
        &random,
        &[0],                // no session
        &[0, 2, 0xc0, 0x2b], // ECDHE-ECDSA with AES-128-GCM
        &[1, 0],             // no compression
        &[0, length],
        &extensions,
    ]
    .concat();
    let length = u8::try_from(body.len()).unwrap();
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
}

#[test]
fn tls_1_2_is_refused() {
    run(async {
        let host = Host::new("ke-tls-1-2", |_| {});
        let mut stream = TcpStream::connect(host.address()).await.unwrap();
        stream.write_all(&hello_of_tls_1_2()).await.unwrap();
        // The fatal alert `protocol_version`.
        assert_eq!(read_all(&mut stream).await, [21, 3, 3, 0, 2, 2, 70]);
        refused_as(&host, |counts| counts.tls).await;
    });
}

#[test]
fn what_is_no_tls_is_refused() {
    run(async {
        let host = Host::new("ke-no-tls", |_| {});
        let mut stream = TcpStream::connect(host.address()).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        read_all(&mut stream).await;
        refused_as(&host, |counts| counts.tls).await;
    });
}

#[test]
fn bad_requests_are_answered_with_an_error() {
    let unknown: &[u8] = &[0x92, 0x34, 0, 0];
    let warning: &[u8] = &[0x80, 3, 0, 2, 0, 1];
    let huge: &[u8] = &[0, 99, 0xff, 0xff];
    for (name, records, code) in [
        ("ke-two-ends", &[NEXT, SIV, END, END][..], 1),
        ("ke-after-end", &[NEXT, SIV, END, NEXT], 1),
        ("ke-unknown", &[NEXT, SIV, unknown, END], 0),
        ("ke-warning", &[NEXT, SIV, warning, END], 1),
        ("ke-twice", &[NEXT, NEXT, SIV, END], 1),
        ("ke-empty", &[END], 1),
        ("ke-huge", &[NEXT, SIV, huge], 1),
    ] {
        run(async {
            let host = Host::new(name, |_| {});
            let asked = host.client().ask(&records.concat()).await.unwrap();
            let error = [0x80, 2, 0, 2, 0, code, 0x80, 0, 0, 0];
            assert_eq!(asked.answer, error, "{name}");
            refused_as(&host, |counts| counts.bad_request).await;
        });
    }
}

#[test]
fn who_wants_something_else_is_told_that_it_is_not_here() {
    let no_protocol: &[&[u8]] = &[&[0x80, 1, 0, 2, 0x80, 1], SIV, END];
    let no_algorithm: &[&[u8]] = &[NEXT, &[0x80, 4, 0, 2, 0, 17], END];
    for (name, records, answer) in [
        ("ke-protocol", no_protocol, [&[0x80, 1, 0, 0], END].concat()),
        (
            "ke-algorithm",
            no_algorithm,
            [NEXT, &[0x80, 4, 0, 0], END].concat(),
        ),
    ] {
        run(async {
            let host = Host::new(name, |_| {});
            let asked = host.client().ask(&records.concat()).await.unwrap();
            assert_eq!(asked.answer, answer);
            refused_as(&host, |counts| counts.unsupported).await;
        });
    }
}

#[test]
fn who_goes_before_asking_is_counted() {
    run(async {
        let host = Host::new("ke-gone", |_| {});
        drop(TcpStream::connect(host.address()).await.unwrap());
        refused_as(&host, |counts| counts.io).await;
    });
    run(async {
        let host = Host::new("ke-gone-later", |_| {});
        let mut stream = host.client().connect().await.unwrap();
        stream.write_all(NEXT).await.unwrap();
        stream.shutdown().await.unwrap();
        refused_as(&host, |counts| counts.io).await;
        assert_eq!(host.server.counts().handshakes, 1);
    });
}

#[test]
fn a_client_that_sends_without_end_is_cut_off() {
    run(async {
        let host = Host::new("ke-flood", |_| {});
        // Records of a handshake that never becomes whole: 60 000 octets are announced.
        let mut stream = TcpStream::connect(host.address()).await.unwrap();
        let mut first = vec![22, 3, 1, 0x20, 0, 1, 0, 0xea, 0x60];
        first.resize(5 + 0x2000, 0);
        let mut next = vec![22, 3, 1, 0x20, 0];
        next.resize(5 + 0x2000, 0);
        stream.write_all(&first).await.unwrap();
        for _ in 0..20 {
            if stream.write_all(&next).await.is_err() {
                break;
            }
        }
        wait_for("it to be cut off", || {
            (host.server.counts().refused() == 1).then_some(())
        })
        .await;
        assert_eq!(host.server.counts().timeout, 0);
    });
}

#[test]
fn those_who_connect_and_say_nothing_keep_nobody_out() {
    const MOST: u32 = 50;
    run(async {
        let host = Host::new("ke-loris", |nts| {
            nts.max_connections = MOST;
            nts.max_connections_per_address = 1000;
            nts.connection_rate = None;
        });
        let mut silent = Vec::new();
        for n in 0..300_u32 {
            let mut stream = TcpStream::connect(host.address()).await.unwrap();
            if n % 2 == 0 {
                stream.write_all(&[22, 3, 1]).await.unwrap();
            }
            silent.push(stream);
            if n % 20 == 0 {
                let asked = host.client().ask(&siv()).await.unwrap();
                assert!(asked.answer.len() > 800);
            }
            let open = host.server.counts().open;
            assert!(open <= MOST, "{open}");
        }
        let counts = wait_for("the flood to be over", || {
            let counts = host.server.counts();
            (counts.accepted == 315).then_some(counts)
        })
        .await;
        assert_eq!(counts.established, 15);
        assert!(counts.too_many >= 250, "{counts:?}");
        // The first have been closed.
        let mut first = silent.swap_remove(0);
        assert_eq!(first.read(&mut [0; 8]).await.unwrap_or(0), 0);
        // The last have not.
        let last = silent.last().unwrap();
        let waiting = last.try_read(&mut [0; 8]).unwrap_err();
        assert_eq!(waiting.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn the_silent_are_closed_in_the_end() {
    run(async {
        let host = Host::new("ke-silent", |_| {});
        let mut before = TcpStream::connect(host.address()).await.unwrap();
        let mut after = host.client().connect().await.unwrap();
        assert_eq!(before.read(&mut [0; 8]).await.unwrap_or(0), 0);
        assert_eq!(after.read(&mut [0; 8]).await.unwrap_or(0), 0);
        wait_for("both to be counted", || {
            (host.server.counts().timeout == 2).then_some(())
        })
        .await;
        assert_eq!(host.server.counts().open, 0);
    });
}

#[test]
fn one_address_has_its_share_and_no_more() {
    run(async {
        let host = Host::new("ke-share", |nts| nts.max_connections_per_address = 3);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(TcpStream::connect(host.address()).await.unwrap());
        }
        wait_for("them to be accepted", || {
            (host.server.counts().open == 3).then_some(())
        })
        .await;
        assert!(host.client().ask(&siv()).await.is_err());
        refused_as(&host, |counts| counts.too_many_from_address).await;
        // Another address of the host's has a share of its own.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut other = socket.connect(host.address()).await.unwrap();
        other.write_all(&hello_of_tls_1_2()).await.unwrap();
        assert!(!read_all(&mut other).await.is_empty());
        held.pop();
        wait_for("one to leave", || {
            (host.server.counts().open == 2).then_some(())
        })
        .await;
        assert!(host.client().ask(&siv()).await.is_ok());
    });
}

/// Goes on with the host's configuration as it is now.
fn reload(host: &mut Host, served: &ServerConfig) {
    let (state, now) = (host.scratch.directory(), Moment::now());
    let prepared = Prepared::new(served, &host.nts, state, &host.server, now);
    host.server.take_over(prepared.unwrap());
}

/// So rarely that no time passes in between that would matter.
fn rarely(burst: u16) -> ConnectionRateConfig {
    ConnectionRateConfig {
        interval: Duration::from_secs(3600),
        burst,
    }
}

#[test]
fn who_connects_too_often_is_turned_away_and_others_are_not() {
    run(async {
        let mut host = Host::new("ke-fast", |nts| nts.connection_rate = Some(rarely(3)));
        for _ in 0..3 {
            assert!(host.client().ask(&siv()).await.is_ok());
        }
        // One after the other, so that there never is more than one connection.
        assert!(host.client().ask(&siv()).await.is_err());
        refused_as(&host, |counts| counts.too_fast).await;
        assert_eq!(host.server.counts().handshakes, 3);
        // Another address of the host's has a rate of its own.
        let common = &host.server.common;
        assert!(common.admit("127.0.0.2".parse().unwrap()).is_some());
        assert!(common.admit("::ffff:127.0.0.1".parse().unwrap()).is_none());

        // Without a limit nothing is held against it.
        host.nts.connection_rate = None;
        reload(&mut host, &ServerConfig::default());
        assert!(host.client().ask(&siv()).await.is_ok());
        assert_eq!(host.server.counts().refused(), 2);
    });
}

#[test]
fn a_host_has_one_rate_for_all_its_addresses_of_ipv6() {
    run(async {
        let mut host = Host::new("ke-fast-6", |nts| nts.connection_rate = Some(rarely(2)));
        let everyone = ServerConfig {
            allow: vec!["::/0".parse().unwrap()],
            ..ServerConfig::default()
        };
        reload(&mut host, &everyone);
        let admits = |text: &str| host.server.common.admit(text.parse().unwrap()).is_some();
        assert!(admits("2001:db8::1") && admits("2001:db8::2"));
        assert!(!admits("2001:db8::3"));
        assert!(admits("2001:db8:0:1::3"));
        // Who is not allowed takes no place among those who are remembered.
        assert!(!admits("192.0.2.1"));
        let counts = host.server.counts();
        assert_eq!((counts.too_fast, counts.not_allowed), (1, 1));
    });
}

#[test]
fn who_is_not_allowed_gets_no_place() {
    run(async {
        let host = Host::new("ke-allow", |_| {});
        let common = &host.server.common;
        let stranger: IpAddr = "192.0.2.1".parse().unwrap();
        assert!(common.admit(stranger).is_none());
        assert_eq!(host.server.counts().not_allowed, 1);
        assert!(common.admit("::ffff:127.0.0.1".parse().unwrap()).is_some());
    });
}
