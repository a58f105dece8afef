//! The server against requests made by the test.

use proptest::prelude::*;

use super::*;
use crate::entropy::test::Seeded;
use crate::extension::{Extensions, FramingError, network_correction};
use crate::over_ptp;

fn system() -> SystemVariables {
    SystemVariables {
        leap: Leap::None,
        stratum: 2,
        precision: -25,
        root_delay: Duration::from_micros(300),
        root_dispersion: Duration::from_micros(70),
        reference_id: ReferenceId([192, 0, 2, 1]),
        reference_time: now() - Duration::from_secs(20),
    }
}

fn now() -> Timestamp<Utc> {
    Timestamp::from_timespec(1_800_000_000, 123_456_789)
}

/// Between a request's arrival and its reply's basic transmit timestamp.
const TURNAROUND: Duration = Duration::from_micros(15);
/// What a timestamp may differ by from the stamp it was made of.
const BLUR: Duration = Duration::from_nanos(1);

struct Rig {
    server: Server,
    entropy: Seeded,
    system: SystemVariables,
    now: Timestamp<Utc>,
}

impl Rig {
    fn new(interleaved_capacity: usize) -> Self {
        Self {
            server: Server::new(ServerConfig {
                interleaved_capacity,
            }),
            entropy: Seeded::new(7),
            system: system(),
            now: now(),
        }
    }

    fn handle(&mut self, request: &[u8]) -> Result<Reply<'static>, Dropped> {
        self.now += Duration::from_millis(10);
        self.server
            .handle(request, self.now, &self.system, &mut self.entropy, buffer())
    }

    /// The answer to `request`, and where its transmit stamp is wanted.
    fn ask(&mut self, request: &Header) -> (Header, Option<TxKey>) {
        let reply = self.handle(&request.to_bytes()).unwrap();
        let key = reply.tx_stamp_wanted();
        let octets = reply.write(self.now + TURNAROUND);
        (Header::parse(octets).unwrap(), key)
    }

    /// The same, and the stamp is given.
    fn ask_stamped(&mut self, request: &Header) -> (Header, Timestamp<Utc>) {
        let (reply, key) = self.ask(request);
        let left = self.now + TURNAROUND + Duration::from_micros(9);
        self.server
            .transmitted(key.expect("a stamp is wanted"), left);
        (reply, left)
    }
}

/// A new buffer for each reply, so that no reply keeps the rig borrowed.
fn buffer() -> &'static mut ReplyBuffer {
    Box::leak(Box::default())
}

fn basic_request() -> Header {
    Header {
        transmit: NtpTimestamp::from_bits(0x0123_4567_89ab_cdef),
        ..Header::zeroed(Mode::Client)
    }
}

/// A request that asks when the reply with this receive timestamp left.
fn interleaved_request(origin: NtpTimestamp) -> Header {
    Header {
        origin,
        receive: NtpTimestamp::from_bits(0xfeed),
        ..basic_request()
    }
}

fn near(timestamp: NtpTimestamp, instant: Timestamp<Utc>) -> bool {
    timestamp.since(instant.into()).abs() <= BLUR
}

#[test]
fn a_basic_reply() {
    let mut rig = Rig::new(8);
    let request = Header {
        poll: 6,
        ..basic_request()
    };
    let (reply, key) = rig.ask(&request);
    assert_eq!(
        (reply.leap, reply.version, reply.mode),
        (Leap::None, 4, Mode::Server)
    );
    assert_eq!((reply.stratum, reply.poll, reply.precision), (2, 6, -25));
    assert_eq!(
        reply.root_delay,
        NtpShort::round_up(Duration::from_micros(300))
    );
    assert_eq!(
        reply.root_dispersion,
        NtpShort::round_up(Duration::from_micros(70))
    );
    assert_eq!(reply.reference_id, ReferenceId([192, 0, 2, 1]));
    assert_eq!(reply.origin, request.transmit);
    assert!(near(reply.receive, rig.now));
    assert!(near(reply.transmit, rig.now + TURNAROUND));
    assert_eq!(key, None, "a basic client costs no stamp");
    assert_eq!(rig.server.statistics().basic, 1);
}

#[test]
fn the_reference_time_is_blurred_and_never_late() {
    let mut rig = Rig::new(0);
    let mut ages = Vec::new();
    for _ in 0..50 {
        let (reply, _) = rig.ask(&basic_request());
        ages.push(NtpTimestamp::from(rig.system.reference_time).since(reply.reference_time));
    }
    let range = Duration::ZERO..Duration::from_secs(1);
    assert!(ages.iter().all(|age| range.contains(age)), "{ages:?}");
    assert!(*ages.iter().max().unwrap() > Duration::from_millis(800));
    assert!(*ages.iter().min().unwrap() < Duration::from_millis(200));
}

#[test]
fn bits_below_a_nanosecond_are_random_and_no_others() {
    // RFC 5905 section 6. 2^-30 s leaves two bits, whatever precision is announced.
    let mut rig = Rig::new(0);
    let (mut receive, mut transmit) = (0, 0);
    for _ in 0..64 {
        let reply = rig.handle(&basic_request().to_bytes()).unwrap();
        let reply = Header::parse(reply.write(rig.now)).unwrap();
        let instant = NtpTimestamp::from(rig.now).to_bits();
        receive |= reply.receive.to_bits() ^ instant;
        transmit = transmit.max(reply.transmit.to_bits() - (instant & !0b11));
    }
    assert_eq!(receive | 1, 0b11);
    // The transmit timestamp is above the receive timestamp of the same instant.
    assert_eq!(transmit, 0b100);
}

#[test]
fn an_unsynchronised_server_says_so_and_never_kisses() {
    for (leap, stratum) in [
        (Leap::Unsynchronized, 2),
        (Leap::None, 16),
        (Leap::Insert, 0),
    ] {
        let mut rig = Rig::new(8);
        rig.system = SystemVariables {
            leap,
            stratum,
            reference_id: ReferenceId(*b"DENY"),
            ..system()
        };
        let (reply, _) = rig.ask(&basic_request());
        assert_eq!((reply.leap, reply.stratum), (Leap::Unsynchronized, 0));
        assert_eq!(reply.reference_id, ReferenceId::ZERO);
        assert!(reply.reference_time.is_zero());
        assert!(near(reply.receive, rig.now));
    }
}

#[test]
fn versions_and_modes() {
    let mut rig = Rig::new(8);
    for version in 0..8 {
        let request = Header {
            version,
            ..basic_request()
        };
        match rig.handle(&request.to_bytes()) {
            Ok(reply) => {
                assert!((1..=4).contains(&version));
                assert_eq!(reply.header().version, version);
            }
            Err(dropped) => assert_eq!(dropped, Dropped::Version(version)),
        }
    }
    for mode in (0..8).map(Mode::from_bits) {
        let request = Header {
            mode,
            ..interleaved_request(NtpTimestamp::from_bits(1))
        };
        match rig.handle(&request.to_bytes()) {
            Ok(reply) if mode == Mode::Client => assert_eq!(reply.header().mode, Mode::Server),
            Ok(reply) => {
                assert_eq!(mode, Mode::SymmetricActive);
                assert_eq!(reply.header().mode, Mode::SymmetricPassive);
                assert_eq!(
                    reply.tx_stamp_wanted(),
                    None,
                    "no interleaving between peers"
                );
            }
            Err(dropped) => assert_eq!(dropped, Dropped::Mode(mode)),
        }
    }
    assert_eq!(rig.server.statistics().version, 4);
    assert_eq!(rig.server.statistics().mode, 6);
    assert_eq!(rig.server.statistics().answered(), 6);
}

#[test]
fn what_is_malformed_meets_silence() {
    let mut rig = Rig::new(8);
    let request = basic_request().to_bytes();
    let with = |tail: &[u8]| [&request[..], tail].concat();
    let framing = Dropped::Framing(FramingError::TrailingOctets { count: 2 });
    assert_eq!(rig.handle(&request[..47]).unwrap_err(), Dropped::TooShort);
    assert_eq!(rig.handle(&with(&[0; 2])).unwrap_err(), framing);
    assert_eq!(
        rig.handle(&with(&[1; 20])).unwrap_err(),
        Dropped::UnknownKey
    );
    assert_eq!(rig.handle(&with(&[0; 4])).unwrap_err(), Dropped::UnknownKey);
    let mut unknown = [0; 32];
    unknown[..4].copy_from_slice(&[0xf3, 0x23, 0, 32]);
    let reply = rig.handle(&with(&unknown)).unwrap();
    assert_eq!(reply.write(now()).len(), 48, "unknown fields are ignored");
    let statistics = rig.server.statistics();
    assert_eq!(statistics.too_short + statistics.framing, 2);
    assert_eq!(statistics.unknown_key, 2);
    assert_eq!(statistics.dropped(), 4);
}

#[test]
fn a_reply_tells_when_the_previous_one_left_and_only_once() {
    // RFC 9769 section 2.
    let mut rig = Rig::new(8);
    let (first, key) = rig.ask(&basic_request());
    assert_eq!(key, None);
    let request = interleaved_request(first.receive);
    let (second, left) = rig.ask_stamped(&request);
    assert_eq!(
        second.origin, request.transmit,
        "the first was not remembered"
    );
    let request = interleaved_request(second.receive);
    let (third, third_left) = rig.ask_stamped(&request);
    assert_eq!(third.origin, request.receive, "interleaved");
    assert!(near(third.transmit, left));
    assert!(near(third.receive, rig.now));
    let (again, _) = rig.ask(&request);
    assert_eq!(again.origin, request.transmit, "told once");
    let request = interleaved_request(third.receive);
    let (fourth, _) = rig.ask(&request);
    assert!(near(fourth.transmit, third_left));
    assert_eq!(rig.server.statistics().interleaved, 2);
}

#[test]
fn told_timestamps_are_even_too() {
    // So that a client that mistakes one for a receive timestamp costs no memory.
    let mut rig = Rig::new(8);
    let (mut reply, _) = established(&mut rig);
    for _ in 0..16 {
        reply = rig.ask_stamped(&interleaved_request(reply.receive)).0;
        assert_eq!(reply.transmit.to_bits() & 1, 0);
    }
    assert_eq!(rig.server.statistics().interleaved, 16);
}

/// A client of which a reply is remembered: that reply and when it left.
fn established(rig: &mut Rig) -> (Header, Timestamp<Utc>) {
    let (first, _) = rig.ask(&basic_request());
    rig.ask_stamped(&interleaved_request(first.receive))
}

#[test]
fn only_a_proper_interleaved_request_is_told() {
    let mut rig = Rig::new(8);
    let (reply, left) = established(&mut rig);
    let request = interleaved_request(reply.receive);
    let not_interleaved = [
        Header {
            receive: request.transmit,
            ..request
        },
        Header {
            version: 3,
            ..request
        },
        Header {
            mode: Mode::SymmetricActive,
            ..request
        },
        Header {
            origin: NtpTimestamp::from_bits(reply.receive.to_bits() ^ 2),
            ..request
        },
        Header {
            origin: NtpTimestamp::ZERO,
            ..request
        },
    ];
    for request in not_interleaved {
        let (reply, _) = rig.ask(&request);
        assert_eq!(reply.origin, request.transmit);
    }
    let (interleaved, _) = rig.ask(&request);
    assert!(
        near(interleaved.transmit, left),
        "and none of them used it up"
    );
}

#[test]
fn without_a_stamp_the_reply_is_basic_until_it_comes() {
    let mut rig = Rig::new(8);
    let (first, _) = rig.ask(&basic_request());
    let (second, key) = rig.ask(&interleaved_request(first.receive));
    let left = rig.now + TURNAROUND;
    let request = interleaved_request(second.receive);
    let (basic, _) = rig.ask(&request);
    assert_eq!(basic.origin, request.transmit);
    rig.server.transmitted(key.unwrap(), left);
    let (interleaved, _) = rig.ask(&request);
    assert_eq!(interleaved.origin, request.receive);
    assert!(near(interleaved.transmit, left));
}

#[test]
fn impossible_stamps_are_not_told() {
    for wrong in [Duration::from_nanos(-1), Duration::from_millis(1001)] {
        let mut rig = Rig::new(8);
        let (first, _) = rig.ask(&basic_request());
        let (second, key) = rig.ask(&interleaved_request(first.receive));
        rig.server.transmitted(key.unwrap(), rig.now + wrong);
        let request = interleaved_request(second.receive);
        assert_eq!(rig.ask(&request).0.origin, request.transmit);
        assert_eq!(rig.server.statistics().implausible_stamps, 1);
    }
}

#[test]
fn a_step_of_the_clock_empties_the_memory() {
    let mut rig = Rig::new(8);
    let (reply, _) = established(&mut rig);
    rig.server.clock_stepped();
    let request = interleaved_request(reply.receive);
    assert_eq!(rig.ask(&request).0.origin, request.transmit);
}

#[test]
fn the_oldest_client_is_forgotten_first() {
    let mut rig = Rig::new(3);
    let clients: Vec<_> = (0..4).map(|_| established(&mut rig)).collect();
    let told: Vec<_> = clients
        .iter()
        .rev()
        .map(|(reply, _)| rig.replies_contain(reply.receive))
        .collect();
    assert_eq!(told, [true, true, true, false]);
    let mut rig = Rig::new(0);
    let (first, _) = rig.ask(&basic_request());
    let (_, key) = rig.ask(&interleaved_request(first.receive));
    assert_eq!(key, None, "no memory, no stamps");
}

impl Rig {
    fn replies_contain(&self, receive: NtpTimestamp) -> bool {
        self.server.replies.contains(receive)
    }
}

#[test]
fn receive_timestamps_are_unique_even_if_the_clock_stands_still() {
    // RFC 9769 section 2: no two remembered replies have the same. No random bits at all:
    // precision 2^-32 s.
    let mut rig = Rig::new(100);
    rig.system.precision = -32;
    let mut seen = Vec::new();
    for _ in 0..20 {
        let receive = rig.receive_at_one_instant(&interleaved_request(NtpTimestamp::from_bits(1)));
        assert!(!seen.contains(&receive));
        seen.push(receive);
    }
    // Basic replies are not remembered, but at least differ from these, and from the last one.
    for _ in 0..5 {
        let receive = rig.receive_at_one_instant(&basic_request());
        assert!(!seen.contains(&receive));
        assert_ne!(receive, rig.receive_at_one_instant(&basic_request()));
    }
}

impl Rig {
    /// The receive timestamp of the answer to a request that arrives at [`now`].
    fn receive_at_one_instant(&mut self, request: &Header) -> NtpTimestamp {
        let reply = self
            .server
            .handle(
                &request.to_bytes(),
                now(),
                &self.system,
                &mut self.entropy,
                buffer(),
            )
            .unwrap();
        let reply = Header::parse(reply.write(now())).unwrap();
        assert_ne!(reply.receive, reply.transmit);
        reply.receive
    }
}

#[test]
fn an_origin_without_the_marker_costs_no_memory() {
    let mut rig = Rig::new(8);
    let (reply, _) = rig.ask(&basic_request());
    assert_eq!(reply.receive.to_bits() & 1, 1);
    let unmarked = NtpTimestamp::from_bits(reply.receive.to_bits() ^ 1);
    assert_eq!(rig.ask(&interleaved_request(unmarked)).1, None);
    assert!(rig.ask(&interleaved_request(reply.receive)).1.is_some());
}

#[test]
fn a_clock_set_back_while_replying_makes_no_negative_turnaround() {
    let mut rig = Rig::new(8);
    let reply = rig.handle(&basic_request().to_bytes()).unwrap();
    let before = rig.now - Duration::from_secs(5);
    let reply = Header::parse(reply.write(before)).unwrap();
    assert_eq!(reply.transmit.fractions_since(reply.receive), 1);
}

/// `header` with a field that asks for the request's correction.
fn asking(header: &Header) -> Vec<u8> {
    [&header.to_bytes()[..], &network_correction::ASK].concat()
}

#[test]
fn a_request_that_asks_is_told_what_its_way_cost() {
    // RFC 10030.
    let mut rig = Rig::new(8);
    let request = asking(&basic_request());
    for correction in [Duration::ZERO, Duration::from_micros(31)] {
        let received = Received {
            at: now(),
            correction,
        };
        let mut reply = || {
            let (system, entropy) = (&rig.system, &mut rig.entropy);
            rig.server
                .handle(&request, received, system, entropy, buffer())
                .unwrap()
        };
        let octets = reply().write(now()).to_vec();
        assert_eq!(octets.len(), request.len());
        let fields: Vec<_> = Extensions::parse(&octets).unwrap().fields().collect();
        let [field] = fields[..] else {
            panic!("{fields:?}")
        };
        let told = network_correction::read(&field).unwrap();
        assert!((told - correction).abs() < BLUR, "{told:?}");
        let message = reply().write_over_ptp(now(), (123, 7));
        let message = over_ptp::unwrap(message, 123).unwrap();
        assert_eq!(message.packet.len(), octets.len());
        assert_eq!(
            message.packet[Header::LEN..],
            octets[Header::LEN..],
            "the same over PTP"
        );
    }
    let version_3 = Header {
        version: 3,
        ..basic_request()
    };
    let reply = rig.handle(&asking(&version_3)).unwrap();
    assert_eq!(reply.write(now()).len(), 48, "version 3 has no fields");
}

impl Rig {
    fn slow_down(&mut self, request: &[u8]) -> Result<Vec<u8>, Dropped> {
        let (system, entropy) = (&self.system, &mut self.entropy);
        let reply = self
            .server
            .slow_down(request, self.now, system, entropy, buffer());
        reply.map(|reply| reply.write(self.now).to_vec())
    }
}

/// RFC 5905 section 7.4: stratum 0 and the code as reference identifier; the origin says whom it
/// answers.
#[test]
fn a_client_that_asks_too_often_is_told_so_and_nothing_else() {
    let mut rig = Rig::new(8);
    for mode in [Mode::Client, Mode::SymmetricActive] {
        let request = Header {
            mode,
            ..basic_request()
        };
        let kiss = rig.slow_down(&request.to_bytes()).unwrap();
        let kiss = Header::parse(&kiss).unwrap();
        assert_eq!((kiss.stratum, kiss.leap), (0, Leap::Unsynchronized));
        assert_eq!(kiss.reference_id.name(), Some("RATE"));
        assert_eq!(kiss.origin, request.transmit);
        assert_ne!(kiss.mode, mode);
    }
    assert_eq!(rig.server.statistics().rate_kisses, 2);
    assert_eq!(rig.server.statistics().answered(), 0);
    // Another server's reply is not answered by a kiss either.
    let reply = Header::zeroed(Mode::Server);
    assert!(rig.slow_down(&reply.to_bytes()).is_err());
}

#[test]
fn a_table_of_another_size_begins_empty_and_one_of_the_same_stays() {
    let mut rig = Rig::new(8);
    let (first, _) = rig.ask(&basic_request());
    rig.ask(&interleaved_request(first.receive));
    assert_eq!(rig.server.remembered(), 1);
    let of = |interleaved_capacity| ServerConfig {
        interleaved_capacity,
    };
    rig.server.reconfigure(of(8));
    assert_eq!(rig.server.remembered(), 1);
    rig.server.reconfigure(of(9));
    assert_eq!(rig.server.remembered(), 0);
}

#[test]
fn a_full_table_counts_what_makes_room() {
    let mut rig = Rig::new(2);
    let (first, _) = rig.ask(&basic_request());
    for _ in 0..5 {
        rig.ask(&interleaved_request(first.receive));
    }
    assert_eq!((rig.server.remembered(), rig.server.replaced()), (2, 3));
}

proptest! {
    /// Whatever comes, nothing panics, no answer is longer than its request, and only requests
    /// are answered.
    #[test]
    fn answers_are_few_and_short(
        datagrams in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..140), any::<bool>(), any::<bool>()), 1..40),
        capacity in 0usize..4,
    ) {
        let mut rig = Rig::new(capacity);
        for (mut datagram, request, asks) in datagrams {
            if request && datagram.len() >= Header::LEN {
                datagram[0] = 0x23;
                datagram.truncate(datagram.len().next_multiple_of(4) - 4);
            }
            if asks {
                datagram.extend(network_correction::ASK);
            }
            let Ok(reply) = rig.handle(&datagram) else { continue };
            let key = reply.tx_stamp_wanted();
            let tx = rig.now + TURNAROUND;
            let octets = reply.write(tx);
            prop_assert!(octets.len() <= datagram.len());
            prop_assert!(octets.len() == Header::LEN || asks);
            let request = Header::parse(&datagram).unwrap();
            prop_assert!(matches!(request.mode, Mode::Client | Mode::SymmetricActive));
            let answer = Header::parse(octets).unwrap();
            prop_assert!(matches!(answer.mode, Mode::Server | Mode::SymmetricPassive));
            prop_assert_ne!(answer.receive, answer.transmit);
            prop_assert!(
                answer.origin == request.transmit || answer.origin == request.receive);
            if let Some(key) = key {
                rig.server.transmitted(key, tx);
            }
            // An answer is never itself answered: no two servers keep each other busy.
            prop_assert!(rig.handle(&answer.to_bytes()).is_err());
        }
    }
}
