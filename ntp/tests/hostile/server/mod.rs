//! The server, asked by somebody who means it no good. Every reply is read, opened and checked with
//! the codec of these tests.

mod authenticator;
mod fields;
mod packets;

use std::collections::BTreeSet;

use clockwright_ntp::nts::{CookieKey, CookieKeys};
use clockwright_ntp::{
    Leap, ReferenceId, ReplyBuffer, Server, ServerConfig, ServerStatistics, SystemVariables,
};
use clockwright_timebase::{Duration, Timestamp, Utc};

use crate::cookie::{self, C2S, CURRENT, FORMER, Master, S2C};
use crate::dice::Dice;
use crate::packet::{
    AUTHENTICATOR, COOKIE, CORRECTION, Field, HEADER, Packet, Seal, UNIQUE_ID, open, read_fields,
};

/// The longest request that is answered authentically: what every path carries (RFC 8200 section 5).
const LONGEST: usize = 1280;
/// Octets of a cookie for AES-SIV-CMAC-256.
const COOKIE_LENGTH: usize = 100;
/// The unique identifier of most requests.
const ID: [u8; 32] = [0x1d; 32];

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The time, authentic, with so many cookies.
    Time(usize),
    /// The time, by itself.
    Plain,
    /// That the cookie cannot be opened.
    Nak,
    /// Nothing, counted as one of these.
    Silence(Silence),
}

/// Why a request meets silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silence {
    TooShort,
    Version,
    Mode,
    Framing,
    Malformed,
    UnknownKey,
}

const MALFORMED: Outcome = Outcome::Silence(Silence::Malformed);
const FRAMING: Outcome = Outcome::Silence(Silence::Framing);

/// A rule, a request that puts it to the test, and what should become of it.
type Case<'c> = (&'c str, Packet, Outcome);

/// A server that has the keys of cookies.
struct Desk {
    server: Server,
    system: SystemVariables,
    dice: Dice,
    now: Timestamp<Utc>,
}

impl Desk {
    fn new() -> Self {
        let now = Timestamp::from_timespec(1_800_000_000, 0);
        let mut server = Server::new(ServerConfig::default());
        let key = |master: Master| CookieKey::new(master.id, &master.key).unwrap();
        server.set_cookie_keys(Some(&CookieKeys {
            sealing: key(CURRENT),
            others: vec![key(FORMER)],
        }));
        Self {
            server,
            system: SystemVariables {
                leap: Leap::None,
                stratum: 2,
                precision: -25,
                root_delay: Duration::from_millis(1),
                root_dispersion: Duration::from_millis(1),
                reference_id: ReferenceId([192, 0, 2, 1]),
                reference_time: now - Duration::from_secs(10),
            },
            dice: Dice(7),
            now,
        }
    }

    /// The answer as it goes on the wire, if there is one. It is never longer than the request.
    fn ask(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let mut buffer = ReplyBuffer::new();
        self.now += Duration::from_secs(1);
        let (system, dice) = (&self.system, &mut self.dice);
        let reply = self
            .server
            .handle(request, self.now, system, dice, &mut buffer);
        let reply = reply.ok()?;
        let octets = reply.write(self.now + Duration::from_micros(5)).to_vec();
        assert!(octets.len() <= request.len(), "longer than the request");
        Some(octets)
    }

    /// What becomes of a request. The reply has been checked, and that it was counted as what it is
    /// and nothing else.
    fn outcome(&mut self, request: &[u8]) -> Outcome {
        let before = *self.server.statistics();
        let reply = self.ask(request);
        let after = *self.server.statistics();
        let outcome = match &reply {
            Some(reply) => read_reply(request, reply),
            None => Outcome::Silence(reason(&before, &after)),
        };
        assert_eq!(after, counted(before, outcome), "{outcome:?}");
        outcome
    }

    /// Puts rules to the test. Afterwards the server still serves those who ask properly.
    fn check(&mut self, cases: Vec<Case<'_>>) {
        for (rule, request, expected) in cases {
            assert_eq!(self.outcome(&request.0), expected, "{rule}");
            let proper = self.outcome(&proper().0);
            assert_eq!(proper, Outcome::Time(1), "after: {rule}");
        }
    }
}

/// Which silence it was, by what was counted.
fn reason(before: &ServerStatistics, after: &ServerStatistics) -> Silence {
    let all = [
        Silence::TooShort,
        Silence::Version,
        Silence::Mode,
        Silence::Framing,
        Silence::Malformed,
        Silence::UnknownKey,
    ];
    let found = all
        .into_iter()
        .find(|silence| counted(*before, Outcome::Silence(*silence)) == *after);
    found.unwrap()
}

/// The statistics after one more of this.
fn counted(mut statistics: ServerStatistics, outcome: Outcome) -> ServerStatistics {
    let counter = match outcome {
        Outcome::Time(_) => {
            statistics.nts += 1;
            &mut statistics.basic
        }
        Outcome::Plain => &mut statistics.basic,
        Outcome::Nak => &mut statistics.nts_naks,
        Outcome::Silence(Silence::TooShort) => &mut statistics.too_short,
        Outcome::Silence(Silence::Version) => &mut statistics.version,
        Outcome::Silence(Silence::Mode) => &mut statistics.mode,
        Outcome::Silence(Silence::Framing) => &mut statistics.framing,
        Outcome::Silence(Silence::Malformed) => &mut statistics.nts_malformed,
        Outcome::Silence(Silence::UnknownKey) => &mut statistics.unknown_key,
    };
    *counter += 1;
    statistics
}

/// Reads a reply and checks all that RFC 8915 section 5.7 says of it.
fn read_reply(request: &[u8], reply: &[u8]) -> Outcome {
    assert_eq!(reply[0] >> 3 & 7, request[0] >> 3 & 7, "in its own version");
    assert_eq!(reply[24..32], request[40..48], "the origin");
    let asked = read_fields(request, HEADER).unwrap();
    let mut fields = read_fields(reply, HEADER).unwrap();
    fields.retain(|field| field.kind != CORRECTION || !is_told(&asked, field));
    let [id, others @ ..] = &fields[..] else {
        return Outcome::Plain;
    };
    let asked = asked.iter().find(|field| field.kind == UNIQUE_ID).unwrap();
    assert_eq!(
        (id.kind, &id.body),
        (UNIQUE_ID, &asked.body),
        "the identifier"
    );
    assert_eq!(reply[0] & 7, 4, "the mode");
    let [authenticator] = others else {
        assert!(others.is_empty());
        let (stratum, code) = (reply[1], &reply[12..16]);
        assert_eq!((stratum, code), (0, &b"NTSN"[..]));
        return Outcome::Nak;
    };
    assert_eq!(authenticator.kind, AUTHENTICATOR);
    let opened = open(&S2C, reply, authenticator).expect("authentic");
    assert_eq!(opened.nonce.len(), 16);
    assert!(opened.padding.iter().all(|octet| *octet == 0));
    assert_eq!(
        reply.len(),
        request.len().min(LONGEST),
        "as long on the wire"
    );
    let cookies = read_fields(&opened.plain, 0).unwrap();
    for field in &cookies {
        assert_eq!((field.kind, field.body.len()), (COOKIE, COOKIE_LENGTH));
        let keys = cookie::open(CURRENT, &field.body);
        assert_eq!(
            keys,
            Some([C2S, S2C].concat()),
            "the same keys, sealed anew"
        );
    }
    let different: BTreeSet<_> = cookies.iter().map(|field| &field.body).collect();
    assert_eq!(different.len(), cookies.len());
    Outcome::Time(cookies.len())
}

/// Was this correction asked for, in what is authenticated if anything is? Every one in a plain
/// request is.
fn is_told(asked: &[Field], correction: &Field) -> bool {
    assert_eq!(correction.body.len(), 24);
    asked
        .iter()
        .take_while(|field| field.kind != AUTHENTICATOR)
        .any(|field| field.kind == CORRECTION && field.body.len() >= 24)
}

/// A header, a unique identifier and a cookie: all but the authenticator.
fn unsealed() -> Packet {
    Packet::request()
        .field(UNIQUE_ID, &ID)
        .field(COOKIE, &cookie::cookie())
}

/// A request as it should be.
fn proper() -> Packet {
    unsealed().sealed(&Seal::new(C2S))
}

/// A request that brings another cookie.
fn bringing(cookie: &[u8]) -> Packet {
    Packet::request()
        .field(UNIQUE_ID, &ID)
        .field(COOKIE, cookie)
        .sealed(&Seal::new(C2S))
}
