//! The client, answered by a server that means it no good, or by somebody else. Its requests are
//! read and opened with the codec of these tests, and so is judged what it may believe.

mod cookies;
mod corrections;
mod identity;
mod kisses;
mod seals;

use clockwright_ntp::nts::field::FieldError;
use clockwright_ntp::nts::{Algorithm, Cookie, Key, Session, SessionKeys};
use clockwright_ntp::{
    Action, Arrival, AuthStatus, Client, ClientConfig, ClientStatistics, Rejection,
};
use clockwright_timebase::{Duration, Poll, Raw, Stamp, StampKind, Timestamp};

use crate::cookie::{C2S, S2C};
use crate::dice::Dice;
use crate::packet::{
    AUTHENTICATOR, COOKIE, HEADER, PLACEHOLDER, Packet, Seal, UNIQUE_ID, open, read_fields,
};

/// Octets of a cookie, which is the server's own affair.
const COOKIE_LENGTH: usize = 104;
/// Things a client may do before it asks again.
const PATIENCE: usize = 50;
/// From the client to the server and back.
const ROUND_TRIP: Duration = Duration::from_millis(1);

const HIDDEN: Verdict = Verdict::Refused(Rejection::Nts(FieldError::Hidden));
const NO_IDENTIFIER: Verdict = Verdict::Refused(Rejection::Nts(FieldError::UniqueId));
const WRONG_IDENTIFIER: Verdict = Verdict::Refused(Rejection::WrongUniqueId);
const PLAIN: Verdict = Verdict::Refused(Rejection::NotAuthenticated);
const NOT_AUTHENTIC: Verdict = Verdict::Refused(Rejection::NotAuthentic);

/// A verdict about a packet with two fields of a kind of which there may be one.
const fn twice(kind: u16) -> Verdict {
    Verdict::Refused(Rejection::Nts(FieldError::Twice { kind }))
}

/// What the client makes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Nothing: all stays as it is.
    Refused(Rejection),
    /// It believes the time, and has so many cookies more.
    Believed { cookies: usize },
}

/// A rule, a packet that answers a request and puts the rule to the test, and what the client
/// should make of it.
type Case<'c> = (&'c str, fn(&Asked) -> Packet, Verdict);

/// A request, read and opened.
#[derive(Debug, Clone)]
struct Asked {
    octets: Vec<u8>,
    id: [u8; 32],
    cookie: Vec<u8>,
    placeholders: usize,
    at: Timestamp<Raw>,
}

/// A client with keys and eight cookies.
struct Victim {
    client: Client,
    dice: Dice,
    now: Timestamp<Raw>,
}

impl Victim {
    fn new() -> Self {
        let mut dice = Dice(11);
        let now = Timestamp::from_timespec(1000, 0);
        let config = ClientConfig {
            iburst: false,
            poll_min: Poll::new(0),
            poll_max: Poll::new(0),
            ..ClientConfig::default()
        };
        let mut client = Client::new(config, now, &mut dice);
        let key = |octets| Key::new(Algorithm::AesSivCmac256, octets).unwrap();
        let session = Session {
            keys: SessionKeys::new(key(&C2S), key(&S2C)).unwrap(),
            alternative: None,
            cookies: (0..8).map(|n| Cookie::new(&fresh(n)).unwrap()).collect(),
        };
        client.secure(Some((session, Duration::ZERO)), now);
        Self { client, dice, now }
    }

    /// One that has lost the answers to so many requests, and a cookie with each.
    fn deprived_of(answers: usize) -> Self {
        let mut victim = Self::new();
        for _ in 0..answers {
            victim.ask();
        }
        victim
    }

    /// Lets time pass until the client sends a request, which is checked.
    fn ask(&mut self) -> Asked {
        let asked = (0..PATIENCE).find_map(|_| self.wait());
        asked.expect("the client asks as long as it has keys")
    }

    /// Lets time pass until the client does something. Gives the request if it is one.
    fn wait(&mut self) -> Option<Asked> {
        self.now = self.now.max(self.client.next_timeout().unwrap());
        self.client.handle_timeout(self.now, &mut self.dice);
        let mut asked = None;
        for action in self.actions() {
            if let Action::Send(request) = action {
                let stamp = |kind| Stamp::exact(self.now, kind);
                self.client.sent(&request.token, stamp(StampKind::Daemon));
                self.client
                    .stamped(&request.token, stamp(StampKind::Kernel));
                self.client.stamps_ended(request.token);
                asked = Some(read_request(request.payload, self.now));
            }
        }
        asked
    }

    fn deliver(&mut self, packet: &Packet) -> Result<(), Rejection> {
        self.now += ROUND_TRIP;
        let arrival = Arrival::udp(Stamp::exact(self.now, StampKind::Kernel));
        self.client.handle_datagram(&packet.0, arrival, self.now)
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.client.poll_action()).collect()
    }

    fn auth(&self) -> AuthStatus {
        let zero = Some(Duration::ZERO);
        let status = self.client.auth(self.now).unwrap();
        // How old the keys are changes by itself.
        AuthStatus {
            age: zero,
            ..status
        }
    }

    fn statistics(&self) -> ClientStatistics {
        *self.client.statistics()
    }

    /// What the client makes of a packet. It has been checked that a refused one has changed
    /// nothing, and that a believed one has given an exchange.
    fn judge(&mut self, packet: &Packet) -> Verdict {
        let (auth, before) = (self.auth(), self.statistics());
        let state = self.state();
        let result = self.deliver(packet);
        let actions = self.actions();
        let after = self.statistics();
        if let Err(rejection) = result {
            assert_eq!(after.rejected(), before.rejected() + 1, "{rejection:?}");
            assert_eq!((self.auth(), self.state()), (auth, state));
            assert!(actions.is_empty(), "{rejection:?}: {actions:?}");
            return Verdict::Refused(rejection);
        }
        let exchange = |action: &&Action| matches!(action, Action::Exchange(_));
        assert_eq!(actions.iter().filter(exchange).count(), 1, "{actions:?}");
        assert_eq!(after.rejected(), before.rejected());
        Verdict::Believed {
            cookies: self.auth().cookies - auth.cookies,
        }
    }

    fn state(&self) -> (Poll, u8, Option<Timestamp<Raw>>) {
        let client = &self.client;
        (client.poll(), client.reach(), client.next_timeout())
    }
}

/// Puts rules to the test, each on a client of its own. A packet that is refused does not keep the
/// true reply out.
fn check(cases: &[Case<'_>]) {
    for (rule, answer, expected) in cases {
        let mut victim = Victim::deprived_of(3);
        let asked = victim.ask();
        assert_eq!(victim.judge(&answer(&asked)), *expected, "{rule}");
        if matches!(expected, Verdict::Refused(_)) {
            let verdict = victim.judge(&proper(&asked));
            assert_eq!(verdict, Verdict::Believed { cookies: 4 }, "after: {rule}");
        }
    }
}

/// Reads a request and checks all that RFC 8915 sections 5.3 to 5.7 say of it.
fn read_request(octets: Vec<u8>, at: Timestamp<Raw>) -> Asked {
    let (header, transmit) = octets[..HEADER].split_at(40);
    assert_eq!(header[0], 0x23, "a client in version 4");
    assert!(header[1..].iter().all(|octet| *octet == 0), "tells nothing");
    assert_ne!(transmit, [0; 8]);
    let fields = read_fields(&octets, HEADER).unwrap();
    let [id, cookie, placeholders @ .., authenticator] = &fields[..] else {
        unreachable!("{fields:?}");
    };
    let kinds = [id.kind, cookie.kind, authenticator.kind];
    assert_eq!(kinds, [UNIQUE_ID, COOKIE, AUTHENTICATOR]);
    for placeholder in placeholders {
        assert_eq!(placeholder.kind, PLACEHOLDER);
        assert_eq!(placeholder.body, vec![0; cookie.body.len()], "section 5.5");
    }
    let opened = open(&C2S, &octets, authenticator).expect("authentic");
    assert!(opened.plain.is_empty());
    assert_eq!(
        opened.nonce.len(),
        16,
        "room for the server's (section 5.6)"
    );
    assert!(opened.padding.iter().all(|octet| *octet == 0));
    Asked {
        id: id.body[..].try_into().unwrap(),
        cookie: cookie.body.clone(),
        placeholders: placeholders.len(),
        octets,
        at,
    }
}

/// A cookie with this number in it.
fn fresh(number: u8) -> Vec<u8> {
    vec![number; COOKIE_LENGTH]
}

/// So many cookies, for an authenticator to hide.
fn cookies(count: u8) -> Packet {
    (100..100 + count).fold(Packet::fields(), |packet, n| {
        packet.field(COOKIE, &fresh(n))
    })
}

/// The header of a true reply.
fn header(asked: &Asked) -> Packet {
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&[0x24, 1, 0, 0xe7]);
    header[12..16].copy_from_slice(b"PPS\0");
    header[24..32].copy_from_slice(&asked.octets[40..48]);
    let seconds = u32::try_from(asked.at.since_epoch().as_nanos() / 1_000_000_000).unwrap();
    let seconds = (0xeb00_0000 + seconds).to_be_bytes();
    for (at, fraction) in [(16, 0), (32, 0x1000_0000_u32), (40, 0x1000_8000)] {
        header[at..at + 4].copy_from_slice(&seconds);
        header[at + 4..at + 8].copy_from_slice(&fraction.to_be_bytes());
    }
    Packet(header.to_vec())
}

/// The header of a kiss.
fn kiss(asked: &Asked, code: [u8; 4]) -> Packet {
    let mut packet = header(asked);
    packet.0[0] |= 0xc0;
    packet.0[1] = 0;
    packet.0[12..16].copy_from_slice(&code);
    packet
}

/// What anybody can say who sees a request: that the server cannot open its cookie.
fn nak(asked: &Asked) -> Packet {
    kiss(asked, *b"NTSN").field(UNIQUE_ID, &asked.id)
}

/// A reply with its identifier: all but the authenticator.
fn named(asked: &Asked) -> Packet {
    header(asked).field(UNIQUE_ID, &asked.id)
}

/// A true reply, with as many cookies as were asked for.
fn proper(asked: &Asked) -> Packet {
    let count = u8::try_from(1 + asked.placeholders).unwrap();
    named(asked).sealed(&Seal::new(S2C).hiding(cookies(count)))
}

/// A reply that hides this.
fn hiding(asked: &Asked, hidden: Packet) -> Packet {
    named(asked).sealed(&Seal::new(S2C).hiding(hidden))
}
