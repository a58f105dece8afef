//! What changes while the server runs.

use clockwright_ntp::nts::ke::client::request;
use clockwright_ntp::nts::{Algorithm, CookieJar, CookieKeys};

use super::super::{KeError, Prepared};
use super::*;

async fn works(client: &Client) -> bool {
    let request = request(&[Algorithm::AesSivCmac256]);
    client.ask(&request).await.is_ok()
}

#[test]
fn a_renewed_certificate_is_shown_to_the_next_client() {
    run(async {
        let mut host = Host::new("ke-renewed", |_| {});
        let before = host.client();
        assert!(works(&before).await);
        host.renew(Issued::new(&[NAME]));
        let after = host.client();
        assert!(
            works(&before).await && !works(&after).await,
            "not noticed yet"
        );
        // Files are looked at by the clock.
        let due = Moment {
            raw: host.server.next_timeout(),
            ..Moment::now()
        };
        host.server.handle_time(due);
        assert!(!works(&before).await && works(&after).await);
        assert!(host.server.next_timeout() > due.raw);
    });
}

#[test]
fn a_pair_that_does_not_match_is_not_taken_over_until_it_does() {
    run(async {
        let mut host = Host::new("ke-mismatch", |_| {});
        let before = host.client();
        let anew = Issued::new(&[NAME]);
        // The certificate comes first, the key a little later.
        fs::write(host.scratch.path("crt"), anew.certificate.pem()).unwrap();
        host.server.check_files(Moment::now());
        assert!(works(&before).await);
        host.renew(anew);
        host.server.check_files(Moment::now());
        assert!(!works(&before).await && works(&host.client()).await);
    });
}

#[test]
fn cookies_outlive_a_restart_and_two_rotations() {
    run(async {
        let mut host = Host::new("ke-restart", |_| {});
        let keys = host.server.keys();
        let session = {
            let asked = host.client().ask(&request(&Algorithm::ALL)).await.unwrap();
            asked.keys(Algorithm::Aes128GcmSiv, true)
        };
        let mut cookie = vec![0; 100];
        let mut entropy = crate::measure::OsEntropy::new();
        let made = CookieJar::new(&keys).make(&session, &mut entropy, &mut cookie);
        cookie.truncate(made.unwrap());
        let opens = |keys: &CookieKeys| CookieJar::new(keys).open(&cookie).is_some();

        let now = Moment::now();
        host.server.save(now);
        let (served, state) = (ServerConfig::default(), host.scratch.directory());
        let mut again = KeServer::new(&served, &host.nts, state, now).unwrap();
        let first = again.keys();
        assert_eq!(*first, *keys);
        for days in 1..=4 {
            let later = Moment {
                raw: now.raw + Duration::from_secs(days * 86_400 + 60),
                ..now
            };
            again.handle_time(later);
            assert!(!Arc::ptr_eq(&first, &again.keys()));
            assert_eq!(opens(&again.keys()), days <= 2, "after {days} days");
        }
        // While nothing changes, it is the same.
        let last = again.keys();
        again.check_files(now);
        assert!(Arc::ptr_eq(&last, &again.keys()));
    });
}

#[test]
fn shared_keys_are_those_of_the_other_servers() {
    run(async {
        let shared = Scratch::new("ke-shared-keys");
        let path = shared.path("keys");
        secret::replace(&path, "ab".repeat(32).as_bytes()).unwrap();
        let mut host = Host::new("ke-shared", |nts| nts.keys = Some(path.clone()));
        // A server of time beside it, which establishes no keys itself.
        let nts = ServerNtsConfig {
            keys: Some(path.clone()),
            ..ServerNtsConfig::default()
        };
        let (served, state) = (ServerConfig::default(), shared.directory());
        let other = KeServer::new(&served, &nts, state, Moment::now()).unwrap();
        assert_eq!(other.addresses().count(), 0);
        assert_eq!(*other.keys(), *host.server.keys());
        secret::replace(&path, "cd".repeat(32).as_bytes()).unwrap();
        host.server.check_files(Moment::now());
        assert_ne!(*other.keys(), *host.server.keys());
        secret::replace(&path, b"bad").unwrap();
        let keys = host.server.keys();
        host.server.check_files(Moment::now());
        assert!(Arc::ptr_eq(&keys, &host.server.keys()));
    });
}

#[test]
fn another_configuration_is_taken_over_whole_or_not_at_all() {
    run(async {
        let mut host = Host::new("ke-reload", |_| {});
        let first = host.address();
        let (served, state) = (ServerConfig::default(), host.scratch.directory());
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let second = SocketAddr::from(([127, 0, 0, 2], 0));
        let mut nts = host.nts.clone();
        nts.listen = vec![second, taken.local_addr().unwrap()];
        let refused = Prepared::new(&served, &nts, state, &host.server, Moment::now());
        let Err(KeError::Listen(address, _)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(address, taken.local_addr().unwrap());
        assert!(works(&host.client()).await);
        assert_eq!(host.server.addresses().collect::<Vec<_>>(), [first]);

        let keys = host.server.keys();
        nts.listen = vec![host.nts.listen[0], second];
        let prepared = Prepared::new(&served, &nts, state, &host.server, Moment::now());
        host.server.take_over(prepared.unwrap());
        assert_eq!(host.server.addresses().next(), Some(first));
        assert!(Arc::ptr_eq(&keys, &host.server.keys()));
        let client = Client {
            address: host.server.addresses().nth(1).unwrap(),
            ..host.client()
        };
        assert!(works(&client).await && works(&host.client()).await);

        nts.listen = vec![second];
        let prepared = Prepared::new(&served, &nts, state, &host.server, Moment::now());
        host.server.take_over(prepared.unwrap());
        assert!(works(&client).await);
        wait_for("the first port to be closed", || {
            std::net::TcpListener::bind(first).ok()
        })
        .await;
    });
}

#[test]
fn certificates_are_needed_where_anybody_may_connect() {
    run(async {
        let scratch = Scratch::new("ke-certificates");
        let nts = ServerNtsConfig {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            ..ServerNtsConfig::default()
        };
        let (served, state) = (ServerConfig::default(), scratch.directory());
        let refused = KeServer::new(&served, &nts, state, Moment::now()).unwrap_err();
        assert!(matches!(refused, KeError::Certificate(_)), "{refused}");
    });
}
