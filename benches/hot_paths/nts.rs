//! What NTS adds to every packet (RFC 8915 section 5).

use std::hint::black_box;
use std::time;

use clockwright_ntp::nts::aead::TAG;
use clockwright_ntp::nts::{
    Algorithm, COOKIES, Cipher, Cookie, CookieJar, CookieKey, CookieKeys, Key, LONGEST_COOKIE,
    Session, SessionKeys,
};
use clockwright_ntp::{
    Action, Arrival, Client, ClientConfig, Entropy as _, ReplyBuffer, Server, ServerConfig,
};
use clockwright_timebase::{Duration, Poll, Raw, Stamp, StampKind, Timestamp};
use criterion::Criterion;

use crate::{Counter, system};

/// Between Raw of the client and UTC of the server.
const OFFSET: Duration = Duration::from_secs(1_795_392_000);

fn key(algorithm: Algorithm, entropy: &mut Counter) -> Key {
    let mut octets = vec![0; algorithm.key_length()];
    entropy.fill(&mut octets);
    Key::new(algorithm, &octets).expect("a key of the right length")
}

/// The keys of a server that has rotated them twice.
fn cookie_keys(entropy: &mut Counter) -> CookieKeys {
    CookieKeys {
        sealing: CookieKey::random(entropy),
        others: (0..3).map(|_| CookieKey::random(entropy)).collect(),
    }
}

fn session_keys(algorithm: Algorithm, entropy: &mut Counter) -> SessionKeys {
    SessionKeys::new(key(algorithm, entropy), key(algorithm, entropy)).expect("of one algorithm")
}

fn cookie(keys: &SessionKeys, jar: &mut CookieJar, entropy: &mut Counter) -> Cookie {
    let mut octets = [0; LONGEST_COOKIE];
    let length = jar.make(keys, entropy, &mut octets).expect("it has room");
    Cookie::new(&octets[..length]).expect("of a good length")
}

/// What key establishment gives.
fn session(algorithm: Algorithm, jar: &mut CookieJar, entropy: &mut Counter) -> Session {
    let keys = session_keys(algorithm, entropy);
    Session {
        cookies: (0..COOKIES).map(|_| cookie(&keys, jar, entropy)).collect(),
        alternative: None,
        keys,
    }
}

/// Sealing and opening: a request hides nothing, a reply one cookie. The key's schedule is computed
/// each time, as for a packet.
pub(super) fn ciphers(c: &mut Criterion) {
    for algorithm in Algorithm::ALL {
        let key = key(algorithm, &mut Counter(1));
        let nonce = vec![7; algorithm.nonce_length()];
        let cookie_field = 4 + 20 + 2 * algorithm.key_length() + TAG;
        for (what, associated, plain) in [
            ("request", 48 + 36 + cookie_field, 0),
            ("reply", 48 + 36, cookie_field),
        ] {
            let associated = vec![1; associated];
            let mut buffer = vec![2; plain + TAG];
            c.bench_function(&format!("nts: seal a {what}, {algorithm}"), |b| {
                b.iter(|| {
                    let mut cipher = Cipher::new(black_box(&key));
                    cipher.seal(&nonce, &associated, &mut buffer)
                });
            });
            Cipher::new(&key)
                .seal(&nonce, &associated, &mut buffer)
                .expect("there is room for the tag");
            let mut scratch = buffer.clone();
            c.bench_function(&format!("nts: open a {what}, {algorithm}"), |b| {
                b.iter(|| {
                    scratch.copy_from_slice(&buffer);
                    let mut cipher = Cipher::new(black_box(&key));
                    let opened = cipher.open(&nonce, &associated, &mut scratch);
                    opened.expect("authentic").len()
                });
            });
        }
    }
}

/// Making and opening cookies.
pub(super) fn cookies(c: &mut Criterion) {
    for algorithm in Algorithm::ALL {
        let mut entropy = Counter(1);
        let mut jar = CookieJar::new(&cookie_keys(&mut entropy));
        let keys = session_keys(algorithm, &mut entropy);
        let mut octets = [0; LONGEST_COOKIE];
        c.bench_function(&format!("nts: make a cookie, {algorithm}"), |b| {
            b.iter(|| jar.make(black_box(&keys), &mut entropy, &mut octets));
        });
        let cookie = cookie(&keys, &mut jar, &mut entropy);
        c.bench_function(&format!("nts: open a cookie, {algorithm}"), |b| {
            b.iter(|| jar.open(black_box(cookie.expose())).expect("our own"));
        });
    }
}

/// A server answers an authentic request, with one new cookie.
pub(super) fn serve(c: &mut Criterion) {
    for algorithm in Algorithm::ALL {
        let mut pair = Pair::new(Some(algorithm));
        let request = pair.request();
        let now = pair.now.shifted_to(OFFSET);
        let system = system(now);
        let mut buffer = ReplyBuffer::new();
        let Pair {
            server, entropy, ..
        } = &mut pair;
        c.bench_function(&format!("nts: server: one request, {algorithm}"), |b| {
            b.iter(|| {
                let request = black_box(&request);
                let reply = server.handle(request, now, &system, entropy, &mut buffer);
                reply.map(|reply| reply.write(now)[47])
            });
        });
        assert_eq!(server.statistics().nts_naks, 0, "it was authentic");
    }
}

/// A client asks, plainly and authentically, and takes the reply in.
pub(super) fn ask(c: &mut Criterion) {
    for algorithm in [
        None,
        Some(Algorithm::Aes128GcmSiv),
        Some(Algorithm::AesSivCmac256),
    ] {
        let name = algorithm.map_or("plain", Algorithm::name);
        let mut pair = Pair::new(algorithm);
        c.bench_function(&format!("nts: client: one request, {name}"), |b| {
            b.iter_custom(|times| (0..times).map(|_| pair.exchange().0).sum());
        });
        c.bench_function(&format!("nts: client: its reply, {name}"), |b| {
            b.iter_custom(|times| (0..times).map(|_| pair.exchange().1).sum());
        });
        let refused = pair.client.statistics().rejected();
        assert_eq!(refused, 0, "all replies were believed");
    }
}

/// A client and its server, with nothing between them.
struct Pair {
    now: Timestamp<Raw>,
    client: Client,
    server: Server,
    /// What key establishment gives, again and again: the clock of this bench runs fast.
    session: Session,
    entropy: Counter,
    buffer: ReplyBuffer,
}

impl Pair {
    fn new(algorithm: Option<Algorithm>) -> Self {
        let mut entropy = Counter(1);
        let now = Timestamp::from_epoch(Duration::from_secs(500));
        let config = ClientConfig {
            poll_min: Poll::new(0),
            poll_max: Poll::new(0),
            ..ClientConfig::default()
        };
        let mut client = Client::new(config, now, &mut entropy);
        let mut server = Server::new(ServerConfig::default());
        let keys = cookie_keys(&mut entropy);
        server.set_cookie_keys(Some(&keys));
        let of = algorithm.unwrap_or(Algorithm::AesSivCmac256);
        let session = session(of, &mut CookieJar::new(&keys), &mut entropy);
        if algorithm.is_some() {
            client.secure(Some((session.clone(), Duration::ZERO)), now);
        }
        Self {
            now,
            client,
            server,
            session,
            entropy,
            buffer: ReplyBuffer::new(),
        }
    }

    /// The next request, which leaves at `now`.
    fn request(&mut self) -> Vec<u8> {
        loop {
            self.now = self.client.next_timeout().expect("it asks on and on");
            self.client.handle_timeout(self.now, &mut self.entropy);
            if let Some(request) = self.act() {
                return request;
            }
        }
    }

    /// Does what the client wants done; gives the request that it wants sent.
    fn act(&mut self) -> Option<Vec<u8>> {
        let mut sent = None;
        while let Some(action) = self.client.poll_action() {
            match action {
                Action::Send(request) => {
                    let left = Stamp::exact(self.now, StampKind::Daemon);
                    self.client.sent(&request.token, left);
                    self.client.stamps_ended(request.token);
                    sent = Some(request.payload);
                }
                Action::EstablishKeys => {
                    self.client.keys_established(self.session.clone(), self.now);
                }
                _ => {}
            }
        }
        sent
    }

    /// How long the client takes for a request, and for its reply.
    fn exchange(&mut self) -> (time::Duration, time::Duration) {
        let begun = time::Instant::now();
        let request = self.request();
        let asking = begun.elapsed();
        self.now += Duration::from_micros(100);
        let utc = self.now.shifted_to(OFFSET);
        let system = system(utc);
        let (entropy, buffer) = (&mut self.entropy, &mut self.buffer);
        let reply = self.server.handle(&request, utc, &system, entropy, buffer);
        let reply = reply.expect("it is well-formed").write(utc);
        self.now += Duration::from_micros(100);
        let arrival = Arrival::udp(Stamp::exact(self.now, StampKind::Daemon));
        let begun = time::Instant::now();
        let believed = self.client.handle_datagram(reply, arrival, self.now);
        let believing = begun.elapsed();
        believed.expect("a good reply");
        self.act();
        (asking, believing)
    }
}
