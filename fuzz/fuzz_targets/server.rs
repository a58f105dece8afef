//! A server, asked by packets made of good and bad pieces. No reply is longer than its request,
//! and those that should be authentic are.
#![no_main]

use arbitrary::Arbitrary;
use clockwright_fuzz::dice::Dice;
use clockwright_fuzz::piece::{Damage, Piece, Truth};
use clockwright_fuzz::session::{algorithm, cookie, cookie_keys, keys};
use clockwright_ntp::extension::{Extensions, sequence};
use clockwright_ntp::nts::field::{COOKIE, NtsFields, UNIQUE_ID};
use clockwright_ntp::nts::{Cipher, CookieJar, SessionKeys};
use clockwright_ntp::{
    Header, KissCode, Leap, Received, ReferenceId, ReplyBuffer, Server, ServerConfig,
    SystemVariables,
};
use clockwright_timebase::{Duration, Timestamp, Utc};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input {
    gcm: bool,
    without_keys: bool,
    stratum: u8,
    precision: i8,
    requests: Vec<Request>,
}

#[derive(Debug, Arbitrary)]
struct Request {
    /// Leap, version and mode, if they are not a client's.
    flags: Option<u8>,
    /// Does it ask for what the last reply could not tell?
    interleaved: bool,
    timestamps: [u64; 3],
    /// Begins with identifier and cookie.
    begun: bool,
    pieces: Vec<Piece>,
    damage: Damage,
    correction: i32,
    /// When the reply left, ns after it was made.
    left: Option<i32>,
    over_ptp: bool,
}

fuzz_target!(|input: Input| {
    let mut server = Server::new(ServerConfig {
        interleaved_capacity: 4,
    });
    if !input.without_keys {
        server.set_cookie_keys(Some(&cookie_keys()));
    }
    let mut rig = Rig {
        server,
        system: system(&input),
        keys: keys(algorithm(input.gcm)),
        now: Timestamp::from_timespec(1_800_000_000, 0),
        dice: Dice(1),
        last_receive: 0,
    };
    for request in input.requests.iter().take(6) {
        rig.ask(request);
    }
});

fn system(input: &Input) -> SystemVariables {
    SystemVariables {
        leap: Leap::from_bits(input.stratum >> 6),
        stratum: input.stratum & 31,
        precision: input.precision,
        root_delay: Duration::from_millis(1),
        root_dispersion: Duration::from_millis(1),
        reference_id: ReferenceId([192, 0, 2, 1]),
        reference_time: Timestamp::from_timespec(1_799_999_990, 0),
    }
}

struct Rig {
    server: Server,
    system: SystemVariables,
    keys: SessionKeys,
    now: Timestamp<Utc>,
    dice: Dice,
    /// The last reply's receive timestamp.
    last_receive: u64,
}

impl Rig {
    fn packet(&mut self, request: &Request) -> Vec<u8> {
        let mut packet = vec![0; Header::LEN];
        packet[0] = request.flags.unwrap_or(0x23);
        let [mut origin, receive, transmit] = request.timestamps;
        if request.interleaved {
            origin = self.last_receive;
        }
        for (at, timestamp) in [(24, origin), (32, receive), (40, transmit)] {
            packet[at..at + 8].copy_from_slice(&timestamp.to_be_bytes());
        }
        let truth = Truth {
            id: &[9; 32],
            cookie: &cookie(self.keys.algorithm(), &mut self.dice),
            keys: &self.keys,
        };
        let begin: &[Piece] = if request.begun {
            &[Piece::Id, Piece::Cookie]
        } else {
            &[]
        };
        for piece in begin.iter().chain(&request.pieces) {
            piece.write(&mut packet, &truth);
        }
        request.damage.apply(&mut packet);
        packet
    }

    fn ask(&mut self, request: &Request) {
        let packet = self.packet(request);
        let before = *self.server.statistics();
        let mut buffer = ReplyBuffer::new();
        let received = Received {
            at: self.now,
            correction: Duration::from_nanos(request.correction.into()),
        };
        self.now += Duration::from_millis(10);
        let (system, dice) = (&self.system, &mut self.dice);
        let reply = self
            .server
            .handle(&packet, received, system, dice, &mut buffer);
        let Ok(reply) = reply else {
            assert_eq!(self.server.statistics().dropped(), before.dropped() + 1);
            return;
        };
        let tx_key = reply.tx_stamp_wanted();
        let tx = self.now;
        let overhead = usize::from(request.over_ptp) * 56;
        let octets = if request.over_ptp {
            reply.write_over_ptp(tx, (123, 1))
        } else {
            reply.write(tx)
        };
        let octets = octets[overhead..].to_vec();
        let after = *self.server.statistics();
        if let (Some(key), Some(left)) = (tx_key, request.left) {
            let left = tx + Duration::from_nanos(left.into());
            self.server.transmitted(key, left);
        }
        assert!(octets.len() <= packet.len(), "longer than its request");
        let header = Header::parse(&octets).unwrap();
        self.last_receive = header.receive.to_bits();
        let naks = after.nts_naks - before.nts_naks;
        let authentic = after.nts - before.nts;
        check(&packet, &octets, (naks, authentic), &self.keys);
    }
}

/// Is a reply that was counted so what it should be?
fn check(request: &[u8], reply: &[u8], (naks, authentic): (u64, u64), keys: &SessionKeys) {
    let header = Header::parse(reply).unwrap();
    let extensions = Extensions::parse(reply).unwrap();
    let asked = Extensions::parse(request).unwrap();
    let id = |extensions: &Extensions<'_>| {
        let mut ids = extensions.fields().filter(|field| field.kind == UNIQUE_ID);
        ids.next().map(|field| field.body.to_vec())
    };
    let kiss = header.stratum == 0 && header.reference_id == KissCode::NtsNak.reference_id();
    assert_eq!(kiss, naks == 1);
    let fields = NtsFields::read(&extensions).unwrap();
    assert_eq!(fields.is_some(), authentic == 1);
    if kiss {
        assert_eq!(extensions.fields().count(), 1);
    }
    if kiss || authentic == 1 {
        assert_eq!(id(&extensions), id(&asked), "the identifier is echoed");
    }
    let Some(fields) = fields else {
        return;
    };
    assert_eq!(reply.len(), request.len());
    let seal = fields.authenticator;
    let mut buffer = seal.ciphertext.to_vec();
    let hidden = Cipher::new(keys.s2c())
        .open(seal.nonce, &reply[..seal.offset], &mut buffer)
        .expect("authentic");
    let mut count = 0;
    let mut jar = CookieJar::new(&cookie_keys());
    for field in sequence(hidden).unwrap() {
        assert_eq!(field.kind, COOKIE);
        assert_eq!(jar.open(field.body).as_ref(), Some(keys));
        count += 1;
    }
    assert!((1..=8).contains(&count));
}
