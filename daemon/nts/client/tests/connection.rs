//! Connections, good and bad.

use clockwright_ntp::nts::ke::client::{Refusal, request};
use clockwright_ntp::nts::ke::record::FramingError;
use tokio::net::{TcpSocket, TcpStream};

use super::certificates::{Authority, GOOD};
use super::*;
use crate::nts::client::Phase;

/// A server's certificate, and where that of its root is.
fn certified(files: &Files) -> (Issued, Vec<PathBuf>) {
    let root = Authority::root("a root");
    let trusted = vec![files.write("root.pem", &root.pem())];
    (root.issue(GOOD), trusted)
}

/// What comes of a server with these protocols that answers this.
fn with(alpn: &[&[u8]], answer: Answer) -> Result<Established, KeFailure> {
    let files = Files::new();
    let (issued, trusted) = certified(&files);
    on_one_thread(async {
        let server = server::tls(issued, alpn, answer).await;
        establish(order(server.address, trusted)).await
    })
}

/// What comes of a server that answers this to TLS's first octets.
fn with_raw(octets: &'static [u8]) -> KeFailure {
    let files = Files::new();
    let (_, trusted) = certified(&files);
    on_one_thread(async {
        let server = server::raw(octets).await;
        establish(order(server.address, trusted)).await.unwrap_err()
    })
}

#[test]
fn both_ends_have_the_same_keys() {
    for (algorithm, compliant) in [
        (Algorithm::AesSivCmac256, false),
        (Algorithm::Aes128GcmSiv, true),
        (Algorithm::Aes128GcmSiv, false),
    ] {
        let files = Files::new();
        let (issued, trusted) = certified(&files);
        let accepted = codec::Accepted {
            algorithm,
            compliant,
        };
        let cookies = [vec![1; 64], vec![2; 64]];
        let answer = codec::response(accepted, Some("time.example"), 1123, &cookies);
        let (established, seen) = on_one_thread(async {
            let server = server::tls(issued, &[ALPN], Answer::Octets(answer.to_vec())).await;
            let order = order(server.address, trusted);
            let established = establish(order).await.unwrap();
            (established, server.served().await)
        });
        assert_eq!(seen.request, request(&Algorithm::ALL));
        assert!(seen.closed_properly);
        let keys = |compliant| {
            let same = |it: &&(Algorithm, bool, _)| (it.0, it.1) == (algorithm, compliant);
            seen.keys.iter().find(same).map(|it| it.2.clone()).unwrap()
        };
        let session = established.session;
        assert_eq!(session.keys, keys(compliant));
        // A server that does not say how it names AES-128-GCM-SIV may do it either way.
        let doubtful = algorithm == Algorithm::Aes128GcmSiv && !compliant;
        assert_eq!(session.alternative, doubtful.then(|| keys(true)));
        assert_eq!(session.cookies.len(), 2);
        assert_eq!(established.server, Some("time.example".parse().unwrap()));
        assert_eq!(established.port, Some(1123));
    }
}

#[test]
fn a_server_must_select_nts_ke() {
    for alpn in [&[][..], &[b"h2".as_slice()]] {
        let failure = with(alpn, Answer::Octets(answer())).unwrap_err();
        assert!(matches!(failure, KeFailure::NotNtsKe), "{failure:?}");
        assert!(failure.to_string().contains("ntske/1"), "{failure}");
        assert!(failure.is_tls_started());
    }
    let both = [b"h2".as_slice(), ALPN];
    with(&both, Answer::Octets(answer())).unwrap();
}

#[test]
fn older_versions_of_tls_are_refused() {
    /// A fatal alert: `protocol_version`, `handshake_failure`.
    const VERSION: &[u8] = &[0x15, 3, 3, 0, 2, 2, 70];
    const HANDSHAKE: &[u8] = &[0x15, 3, 3, 0, 2, 2, 40];
    /// A `ServerHello` of TLS 1.2, with a cipher of TLS 1.2.
    const HELLO: &[u8] = &[
        0x16, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
        7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0xc0, 0x2f, 0,
    ];
    for octets in [VERSION, HANDSHAKE, HELLO] {
        let failure = with_raw(octets);
        assert!(matches!(failure, KeFailure::Incompatible(_)), "{failure:?}");
        assert!(failure.to_string().contains("TLS 1.3"), "{failure}");
    }
}

#[test]
fn what_is_no_tls_is_told_apart() {
    static ZEROS: [u8; 100_000] = [0; 100_000];
    for octets in [
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n".as_slice(),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        &ZEROS,
    ] {
        let failure = with_raw(octets);
        assert!(matches!(failure, KeFailure::NotTls(_)), "{failure:?}");
        assert!(failure.to_string().contains("port 4460"), "{failure}");
    }
    let name = with_raw(&[0x15, 3, 3, 0, 2, 2, 112]).to_string();
    assert!(name.contains("no certificate for the name"), "{name}");
}

#[test]
fn a_server_that_hangs_up_is_told_by_when() {
    let failure = with_raw(&[]);
    assert!(
        matches!(failure, KeFailure::Closed(Phase::Handshake)),
        "{failure:?}"
    );
    let failure = with(&[ALPN], Answer::Octets(Vec::new())).unwrap_err();
    assert!(
        matches!(failure, KeFailure::Closed(Phase::Response)),
        "{failure:?}"
    );
    let mut part = answer();
    part.truncate(part.len() - 4);
    let failure = with(&[ALPN], Answer::Octets(part)).unwrap_err();
    assert!(
        matches!(failure, KeFailure::Response(Refusal::Truncated)),
        "{failure:?}"
    );
}

#[test]
fn a_server_that_never_ends_is_left() {
    let record = [&[0x12, 0x34, 3, 232][..], &[7; 1000]].concat();
    let failure = with(&[ALPN], Answer::Endless(record)).unwrap_err();
    assert!(
        matches!(
            failure,
            KeFailure::Response(Refusal::Framing(FramingError::TooLong))
        ),
        "{failure:?}"
    );
    // Records without a body; one octet at a time would be the same.
    let failure = with(&[ALPN], Answer::Endless(vec![0x12, 0x34, 0, 0])).unwrap_err();
    assert!(
        matches!(
            failure,
            KeFailure::Response(Refusal::Framing(FramingError::TooLong))
        ),
        "{failure:?}"
    );
}

#[test]
fn an_answer_that_is_an_error_is_passed_on() {
    let error = vec![0x80, 2, 0, 2, 0, 1, 0x80, 0, 0, 0];
    let failure = with(&[ALPN], Answer::Octets(error)).unwrap_err();
    assert!(failure.to_string().contains("bad request"), "{failure}");
}

#[test]
fn a_server_that_stays_connected_is_left() {
    with(&[ALPN], Answer::Held(answer())).unwrap();
}

#[test]
fn silence_ends_at_the_deadline_by_phase() {
    let files = Files::new();
    let (issued, trusted) = certified(&files);
    on_one_thread(async {
        // Enough for what is before, on a machine that does much else.
        let soon = || Instant::now() + Duration::from_secs(2);
        let mute = server::silent().await;
        let failure = establish_by(soon(), order(mute.address, trusted.clone())).await;
        assert!(
            matches!(failure, Err(KeFailure::Timeout(Phase::Handshake))),
            "{failure:?}"
        );
        // What was begun has been dropped: the server sees the end of it.
        assert!(!mute.served().await.is_empty());

        let mute = server::tls(issued, &[ALPN], Answer::Held(Vec::new())).await;
        let failure = establish_by(soon(), order(mute.address, trusted.clone())).await;
        assert!(
            matches!(failure, Err(KeFailure::Timeout(Phase::Response))),
            "{failure:?}"
        );

        // A listener whose queue is full lets nobody in, and says so to nobody.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let full = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        let brief = Duration::from_millis(100);
        while let Ok(Ok(one)) = tokio::time::timeout(brief, TcpStream::connect(full)).await {
            waiting.push(one);
        }
        let failure = establish_by(soon(), order(full, trusted)).await;
        assert!(
            matches!(failure, Err(KeFailure::ConnectTimeout(_))),
            "{failure:?}"
        );
        let failure = failure.unwrap_err();
        assert!(!failure.is_tls_started());
        assert!(failure.to_string().contains("TCP port 4460"), "{failure}");
    });
}

#[test]
fn who_is_not_there_refuses() {
    let files = Files::new();
    let (_, trusted) = certified(&files);
    let failure = on_one_thread(async {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        establish(order(address, trusted)).await.unwrap_err()
    });
    let words = failure.to_string();
    assert!(
        matches!(failure, KeFailure::Connect(..)) && !failure.is_tls_started(),
        "{failure:?}"
    );
    assert!(
        words.contains("no NTS-KE server listens") && words.contains("firewall"),
        "{words}"
    );
}

#[test]
fn a_name_that_no_certificate_can_have_is_refused_before_anything_is_sent() {
    let files = Files::new();
    let (_, trusted) = certified(&files);
    let failure = on_one_thread(async {
        let mut order = order("127.0.0.1:1".parse().unwrap(), trusted);
        order.name = crate::config::Host::Name("a..b".to_owned());
        establish(order).await.unwrap_err()
    });
    assert!(matches!(failure, KeFailure::Name(_)), "{failure:?}");
}
