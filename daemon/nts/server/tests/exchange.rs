//! Clients that do as they should.

use clockwright_ntp::nts::ke::client::{Response, ResponseReader, request};
use clockwright_ntp::nts::ke::record::Progress;
use clockwright_ntp::nts::{Algorithm, CookieJar};
use tokio::task::JoinSet;

use super::*;

const SIV: Algorithm = Algorithm::AesSivCmac256;
const GCM: Algorithm = Algorithm::Aes128GcmSiv;

fn read(asked: &Asked, offered: &[Algorithm]) -> Response {
    match ResponseReader::new(offered).read(&asked.answer) {
        Ok(Progress::Complete(response)) => response,
        other => panic!("{other:?} in {:?}", asked.answer),
    }
}

#[test]
fn both_ends_and_the_cookies_have_the_same_keys() {
    run(async {
        let host = Host::new("ke-exchange", |_| {});
        for offered in [&[SIV][..], &[GCM], &[SIV, GCM], &[GCM, SIV]] {
            let asked = host.client().ask(&request(offered)).await.unwrap();
            let response = read(&asked, offered);
            assert_eq!(response.algorithm, offered[0]);
            assert_eq!(response.compliant, offered[0] == GCM);
            assert_eq!((response.server, response.port), (None, None));
            let keys = asked.keys(response.algorithm, true);
            assert_eq!(response.cookies.len(), 8);
            let mut jar = CookieJar::new(&host.server.keys());
            for cookie in &response.cookies {
                assert_eq!(jar.open(cookie.expose()).as_ref(), Some(&keys));
            }
        }
        let counts = host.server.counts();
        assert_eq!(
            (counts.accepted, counts.handshakes, counts.established),
            (4, 4, 4)
        );
        assert_eq!(counts.refused(), 0);
    });
}

#[test]
fn a_client_that_exports_as_chrony_did_gets_cookies_that_do() {
    run(async {
        let host = Host::new("ke-chrony", |_| {});
        // AES-128-GCM-SIV without record 1024.
        let request = [0x80, 1, 0, 2, 0, 0, 0x80, 4, 0, 2, 0, 30, 0x80, 0, 0, 0];
        let asked = host.client().ask(&request).await.unwrap();
        let response = read(&asked, &[GCM]);
        assert!(!response.compliant);
        let mut jar = CookieJar::new(&host.server.keys());
        let keys = jar.open(response.cookies[0].expose()).unwrap();
        assert_eq!(keys, asked.keys(GCM, false));
        assert_ne!(keys, asked.keys(GCM, true));
    });
}

#[test]
fn clients_are_sent_where_time_is_served() {
    run(async {
        let host = Host::new("ke-elsewhere", |nts| {
            nts.ntp_server = Some("ntp2.example".parse().unwrap());
            nts.ntp_port = Some(1123);
        });
        let asked = host.client().ask(&request(&[SIV])).await.unwrap();
        let response = read(&asked, &[SIV]);
        assert_eq!(response.server.as_deref(), Some("ntp2.example"));
        assert_eq!(response.port, Some(1123));
    });
}

#[test]
fn nothing_is_given_out_to_resume_a_session_with() {
    run(async {
        let host = Host::new("ke-resumption", |_| {});
        let asked = host.client().ask(&request(&[SIV])).await.unwrap();
        let connection = asked.stream.get_ref().1;
        assert_eq!(connection.tls13_tickets_received(), 0);
        assert_eq!(connection.alpn_protocol(), Some(ke::ALPN));
        let version = connection.protocol_version();
        assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_3));
    });
}

#[test]
fn requests_may_come_octet_by_octet() {
    run(async {
        let host = Host::new("ke-pieces", |_| {});
        let mut stream = host.client().connect().await.unwrap();
        for octet in request(&[SIV]) {
            stream.write_all(&[octet]).await.unwrap();
            stream.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(read(&Asked { answer, stream }, &[SIV]).cookies.len(), 8);
    });
}

#[test]
fn ipv6_and_many_at_once_are_served() {
    run(async {
        let host = Host::new("ke-many", |nts| {
            nts.listen = vec!["[::1]:0".parse().unwrap()];
            nts.max_connections_per_address = 100;
            nts.connection_rate = None;
        });
        let mut clients = JoinSet::new();
        for _ in 0..60 {
            let client = host.client();
            clients.spawn(async move { client.ask(&request(&[GCM])).await.unwrap() });
        }
        while let Some(asked) = clients.join_next().await {
            assert_eq!(read(&asked.unwrap(), &[GCM]).cookies.len(), 8);
        }
        assert_eq!(host.server.counts().established, 60);
        wait_for("all to have left", || {
            (host.server.counts().open == 0).then_some(())
        })
        .await;
    });
}
