//! Whatever comes, what goes back is no longer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clockwright::measure::OsEntropy;
use clockwright_ntp::nts::field::{AUTHENTICATOR, COOKIE, PLACEHOLDER, UNIQUE_ID};
use clockwright_ntp::nts::{Cipher, Session};
use clockwright_ntp::{Header, Mode};
use serde::{Deserialize, Serialize};

use crate::actor;
use crate::ask::Asker;
use crate::keys::establish_keys;
use crate::scene::{ipv4, secured};
use crate::seal::seal;
use crate::support::star::Star;
use crate::support::tls::Authority;

/// Requests of each shape.
const EACH: u64 = 1500;
/// Longer than what a server looks at.
const LONGEST: u64 = 1400;
/// What begins a request of version 4.
const REQUEST: u8 = 0x23;
/// Kinds of extension fields that may mean something; the last means nothing.
const KINDS: [u16; 7] = [
    UNIQUE_ID,
    COOKIE,
    PLACEHOLDER,
    AUTHENTICATOR,
    0x010a,
    0x0204 | 0x8000,
    7,
];

#[derive(Debug, Serialize, Deserialize)]
struct Task {
    server: Ipv4Addr,
    authority: PathBuf,
    seed: u64,
}

/// What came of requests of a shape.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Found {
    answered: u64,
    shorter: u64,
    longest: usize,
    /// A reply, and a request that is shorter, or that got a second reply.
    bad: Option<(Vec<u8>, Vec<u8>)>,
}

/// Random numbers that a seed gives again (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: u64) -> usize {
        usize::try_from(self.next() % end).expect("a small number")
    }

    fn octets(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[7]).collect()
    }
}

/// Makes requests of every shape.
struct Maker {
    random: Random,
    sessions: Vec<Session>,
    entropy: OsEntropy,
}

/// What requests look like: a name, and what makes one.
type Shape = (&'static str, fn(&mut Maker) -> Vec<u8>);

/// The shapes.
const SHAPES: [Shape; 6] = [
    ("noise", Maker::noise),
    ("request and noise", Maker::request_and_noise),
    ("fields", Maker::fields),
    ("forged cookies", Maker::forged),
    ("authentic", Maker::authentic),
    ("damaged", Maker::damaged),
];

impl Maker {
    fn noise(&mut self) -> Vec<u8> {
        let length = self.random.below(LONGEST);
        self.random.octets(length)
    }

    fn request_and_noise(&mut self) -> Vec<u8> {
        let length = self.random.below(100);
        let mut packet = self.random.octets(length);
        if let Some(first) = packet.first_mut() {
            *first = (*first & 0xc0) | REQUEST;
        }
        packet
    }

    /// A header with the timestamps of any mode.
    fn header(&mut self) -> Vec<u8> {
        let mut header = self.random.octets(Header::LEN);
        let version = 1 + self.random.below(4);
        let mode = if self.random.below(4) == 0 { 1 } else { 3 };
        header[0] = u8::try_from(version << 3 | mode).expect("six bits");
        header
    }

    fn fields(&mut self) -> Vec<u8> {
        let mut packet = self.header();
        for _ in 0..self.random.below(6) {
            let kind = KINDS[self.random.below(KINDS.len() as u64)];
            let body = 4 * self.random.below(40);
            let body = self.random.octets(body);
            push(&mut packet, kind, &body);
        }
        packet
    }

    /// Looks like NTS, and its cookie is nobody's.
    fn forged(&mut self) -> Vec<u8> {
        let mut packet = Header::zeroed(Mode::Client).to_bytes().to_vec();
        let unique_id = 4 * (8 + self.random.below(8));
        let cookie = 4 * (4 + self.random.below(40));
        for (kind, length) in [(UNIQUE_ID, unique_id), (COOKIE, cookie)] {
            let body = self.random.octets(length);
            push(&mut packet, kind, &body);
        }
        let mut body = vec![0, 16, 0, 16];
        body.extend(self.random.octets(32));
        push(&mut packet, AUTHENTICATOR, &body);
        packet
    }

    /// Asks for more cookies, some of them too short for one.
    fn authentic(&mut self) -> Vec<u8> {
        let session = self.random.below(self.sessions.len() as u64);
        let session = &self.sessions[session];
        let cookie = session.cookies.first().expect("a cookie").expose();
        let mut packet = Header::zeroed(Mode::Client).to_bytes().to_vec();
        for _ in 0..self.random.below(8) {
            let short = if self.random.below(4) == 0 { 4 } else { 0 };
            push(&mut packet, PLACEHOLDER, &vec![0; cookie.len() - short]);
        }
        let mut cipher = Cipher::new(session.keys.c2s());
        seal(&mut packet, cookie, session, &mut cipher, &mut self.entropy);
        packet
    }

    fn damaged(&mut self) -> Vec<u8> {
        let mut packet = self.authentic();
        let at = self.random.below(packet.len() as u64);
        if self.random.below(2) == 0 {
            packet.truncate(at);
        } else {
            packet[at] ^= 1 << self.random.below(8);
        }
        packet
    }
}

fn push(packet: &mut Vec<u8>, kind: u16, body: &[u8]) {
    let length = u16::try_from(4 + body.len()).expect("a short field");
    packet.extend(kind.to_be_bytes());
    packet.extend(length.to_be_bytes());
    packet.extend(body);
}

/// On the client's host: sends requests of every shape, each followed by one that is answered.
#[test]
#[ignore = "the tests below start it on their host"]
fn asks() {
    let task: Task = actor::task();
    let server = IpAddr::V4(task.server);
    let session = |aead| establish_keys(server, aead, &task.authority, 1).expect("keys");
    let mut maker = Maker {
        random: Random(task.seed),
        sessions: vec![session(15), session(30)],
        entropy: OsEntropy::new(),
    };
    let asker = Asker::new([0, 0, 0, 0], SocketAddr::new(server, 123));
    let mut found: Vec<Found> = Vec::new();
    for (_, make) in SHAPES {
        let mut of_shape = Found::default();
        for mark in 0..EACH {
            let request = make(&mut maker);
            asker.send(&request);
            of_shape.take(&request, &asker.fence(mark << 1 | 1 << 63));
        }
        found.push(of_shape);
    }
    actor::tell(&found);
}

impl Found {
    fn take(&mut self, request: &[u8], replies: &[Vec<u8>]) {
        let Some(reply) = replies.first() else {
            return;
        };
        self.answered += 1;
        self.shorter += u64::from(reply.len() < request.len());
        self.longest = self.longest.max(reply.len());
        let is_reply = matches!(reply[0] & 7, 2 | 4);
        if replies.len() > 1 || reply.len() > request.len() || !is_reply {
            self.bad = Some((replies.concat(), request.to_vec()));
        }
    }
}

/// Sends all that to a server with these lines in its table; gives what came of each shape.
fn asked(lines: &str, seed: u64) -> Vec<Found> {
    let star = Star::with_names(1);
    let authority = Authority::new(&star.directory, "authority");
    let mut ours = secured(&star, &authority, &format!("workers = 1\n{lines}"));
    let task = Task {
        server: ipv4(0),
        authority: authority.certificate().to_owned(),
        seed,
    };
    let found: Vec<Found> = actor::run(&star.client, &star.directory, "replies::asks", &task);
    for ((shape, _), found) in SHAPES.iter().zip(&found) {
        assert!(found.bad.is_none(), "seed {seed}: {shape}: {found:?}");
    }
    let report = ours.server();
    let requests = EACH * SHAPES.len() as u64;
    assert_eq!(report.received, 2 * requests, "{report:#?}");
    assert_eq!(report.unsent, 0, "{report:#?}");
    let log = ours.process().log();
    assert!(log.lines().count() < 100, "strangers cannot fill the log");
    found
}

#[test]
fn a_reply_is_never_longer_than_its_request() {
    let found = asked("", 1);
    let [noise, begun, fields, forged, authentic, damaged] = &found[..] else {
        panic!("{found:?}");
    };
    // Each of them has been met by replies of several lengths, or by few.
    assert!(noise.answered < EACH / 10, "{noise:?}");
    assert!(begun.answered >= 3, "{begun:?}");
    assert!(fields.shorter > 100, "{fields:?}");
    // They are told that their cookie is not good.
    assert_eq!(forged.answered, EACH, "{forged:?}");
    assert_eq!(authentic.answered, EACH, "{authentic:?}");
    assert!(authentic.longest > 600, "{authentic:?}");
    assert!(damaged.answered > EACH / 10, "{damaged:?}");
}

#[test]
fn a_kiss_is_never_longer_than_its_request() {
    let limit = "rate = { interval = \"1h\", burst = 1, leak = 0, kiss = 1 }";
    let found = asked(limit, 2);
    let [_, begun, fields, ..] = &found[..] else {
        panic!("{found:?}");
    };
    for found in [begun, fields] {
        // A header alone.
        assert_eq!(found.longest, Header::LEN, "{found:?}");
        assert!(found.answered >= 3, "{found:?}");
    }
}
