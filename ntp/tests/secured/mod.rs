//! Client and server that authenticate each other (RFC 8915 section 5), over networks good and bad.

use std::collections::BTreeSet;

use clockwright_ntp::extension::Extensions;
use clockwright_ntp::nts::field::{COOKIE, NtsFields, PLACEHOLDER, UNIQUE_ID};
use clockwright_ntp::nts::{Algorithm, COOKIES};
use clockwright_ntp::{Arrival, Client, Header, KissCode, Leap, Mode, PtpUse, Rejection};
use clockwright_timebase::{Duration, Stamp, StampKind};
use proptest::prelude::*;

use crate::world::{Conditions, World, cookie_keys};
use crate::{MINUTE, config, interleaved};

fn secured(algorithm: Algorithm, conditions: Conditions, seed: u64) -> World {
    World::new(config(true), conditions, seed).secured(algorithm)
}

/// The cookies of all requests that were sent, and that each was in one request only.
fn cookies_sent(world: &World) -> usize {
    let mut seen = BTreeSet::new();
    let packets = world.packets.as_ref().unwrap();
    for packet in packets {
        let extensions = Extensions::parse(packet).unwrap();
        let fields = NtsFields::read(&extensions).unwrap();
        let cookie = fields.expect("never a plain request").cookie.unwrap();
        assert!(seen.insert(cookie.to_vec()), "a cookie was used twice");
    }
    packets.len()
}

fn cookies_left(world: &World) -> usize {
    world.client.auth(world.now).unwrap().cookies
}

#[test]
fn authentic_exchanges_are_as_good_as_plain_ones() {
    for algorithm in Algorithm::ALL {
        let mut world = secured(algorithm, Conditions::PERFECT, 1);
        world.run(MINUTE);
        world.check(&[world.offset]);
        assert!(world.seen.len() >= 57, "{}", world.seen.len());
        assert!(interleaved(&world.seen) >= 56);
        assert_eq!(world.key_server.asked, 1, "keys are established once");
        assert_eq!(cookies_left(&world), COOKIES);
        let sent = cookies_sent(&world);
        let statistics = world.server.statistics();
        assert_eq!(statistics.nts, sent as u64);
        assert_eq!(statistics.nts_naks + statistics.dropped(), 0);
    }
}

#[test]
fn requests_look_all_the_same_and_tell_nothing() {
    let mut world = secured(Algorithm::AesSivCmac256, Conditions::PERFECT, 2);
    world.run(MINUTE);
    let packets = world.packets.as_ref().unwrap();
    let ids: BTreeSet<Vec<u8>> = packets
        .iter()
        .map(|packet| {
            let extensions = Extensions::parse(packet).unwrap();
            let mut ids = extensions.fields().filter(|field| field.kind == UNIQUE_ID);
            ids.next().unwrap().body.to_vec()
        })
        .collect();
    assert_eq!(ids.len(), packets.len());
    // RFC 8915 section 5: 48 + 36 + 104 + 40.
    assert!(packets.iter().all(|packet| packet.len() == 228));
}

#[test]
fn nothing_that_a_hostile_network_does_is_believed() {
    for seed in 0..10 {
        let mut world = secured(Algorithm::AesSivCmac256, Conditions::AWFUL, seed);
        world.run(MINUTE * 4);
        world.check(&[world.offset]);
        assert!(world.seen.len() > 40, "{}", world.seen.len());
        cookies_sent(&world);
        assert!(
            world.key_server.asked <= 2,
            "{} establishments",
            world.key_server.asked
        );
    }
}

#[test]
fn lost_cookies_are_asked_for_again() {
    let mut world = secured(Algorithm::Aes128GcmSiv, Conditions::PERFECT, 3);
    world.run(Duration::from_secs(10));
    world.conditions.loss = 100;
    world.run(Duration::from_secs(5));
    assert!(cookies_left(&world) <= 3);
    world.conditions.loss = 0;
    world.run(Duration::from_secs(3));
    assert_eq!(cookies_left(&world), COOKIES);
    let packets = world.packets.as_ref().unwrap();
    let asked = |packet: &Vec<u8>| {
        let extensions = Extensions::parse(packet).unwrap();
        extensions
            .fields()
            .filter(|field| field.kind == PLACEHOLDER)
            .map(|field| field.body.len())
            .collect::<Vec<_>>()
    };
    assert!(packets.iter().any(|packet| asked(packet).len() >= 4));
    for packet in packets {
        assert!(asked(packet).len() < COOKIES);
        assert!(asked(packet).iter().all(|length| *length == 68));
    }
    assert_eq!(world.key_server.asked, 1);
}

#[test]
fn keys_that_rotate_are_not_noticed() {
    let mut world = secured(Algorithm::AesSivCmac256, Conditions::PERFECT, 4);
    for number in 1..20 {
        world.set_cookie_keys(cookie_keys(number + 1, &[number, number.saturating_sub(1)]));
        world.run(Duration::from_secs(20));
    }
    assert_eq!(world.key_server.asked, 1);
    assert_eq!(world.server.statistics().nts_naks, 0);
    assert!(world.seen.len() > 370);
}

#[test]
fn a_server_that_has_lost_its_keys_gets_new_ones_after_two_polls() {
    let mut world = secured(Algorithm::AesSivCmac256, Conditions::PERFECT, 5);
    world.run(MINUTE);
    let before = world.seen.len();
    world.set_cookie_keys(cookie_keys(99, &[]));
    world.run(Duration::from_secs(30));
    assert_eq!(world.server.statistics().nts_naks, 2);
    assert_eq!(world.key_server.asked, 2);
    assert!(world.seen.len() > before + 20);
    assert_eq!(world.kisses, [KissCode::NtsNak; 2]);
}

#[test]
fn a_server_without_nts_is_never_believed() {
    let mut world = secured(Algorithm::AesSivCmac256, Conditions::PERFECT, 6);
    world.run(MINUTE);
    let before = world.seen.len();
    world.server.set_cookie_keys(None);
    world.run(MINUTE);
    assert!(world.seen.len() <= before + 1);
    let statistics = world.client.statistics();
    assert!(statistics.not_authenticated > 5, "{statistics:?}");
    assert!(!world.reachable);
    cookies_sent(&world);
}

#[test]
fn without_keys_nothing_is_sent_and_the_server_is_missed() {
    let mut world = secured(Algorithm::AesSivCmac256, Conditions::PERFECT, 7);
    world.run(MINUTE);
    assert!(world.reachable);
    world.key_server.up = false;
    world.set_cookie_keys(cookie_keys(99, &[]));
    world.run(Duration::from_secs(4));
    let sent = cookies_sent(&world);
    world.run(MINUTE * 10);
    assert_eq!(cookies_sent(&world), sent);
    assert!(!world.reachable);
    assert_eq!(world.client.reach(), 0);
    let asked = world.key_server.asked;
    assert!((8..=10).contains(&asked), "{asked}: 10 s, 15 s, 22 s, ...");
    world.key_server.up = true;
    world.run(MINUTE * 10);
    assert!(world.reachable);
    assert_eq!(world.key_server.asked, asked + 1);
}

#[test]
fn keys_and_cookies_go_on_after_a_restart() {
    let mut world = secured(Algorithm::Aes128GcmSiv, Conditions::PERFECT, 8);
    world.run(MINUTE);
    let saved = world.client.surrender_session(world.now).unwrap();
    assert_eq!(saved.0.cookies.len(), COOKIES);
    world.client = Client::new(config(true), world.now, &mut world.dice);
    world.client.secure(Some(saved), world.now);
    let before = world.seen.len();
    world.run(MINUTE);
    assert!(world.seen.len() > before + 50);
    assert_eq!(world.key_server.asked, 1, "no new keys were needed");
    cookies_sent(&world);
}

#[test]
fn authentic_over_ptp() {
    let mut world = secured(Algorithm::AesSivCmac256, Conditions::PERFECT, 9);
    world.packets = None;
    world.ptp.served = true;
    world.ptp.transparent = true;
    world.conditions.jitter = Duration::from_micros(50);
    world.client.set_ptp(PtpUse::Always);
    world.run(MINUTE);
    world.check(&[world.offset]);
    assert!(world.seen.len() > 50);
    assert!(
        world
            .seen
            .iter()
            .all(|seen| seen.exchange.residence.is_some())
    );
    assert_eq!(world.server.statistics().nts_naks, 0);
}

/// What somebody on the path can say to a request: that the server cannot open its cookie.
fn forged_nak(request: &[u8]) -> Vec<u8> {
    let header = Header::parse(request).unwrap();
    let extensions = Extensions::parse(request).unwrap();
    let id = extensions
        .fields()
        .find(|field| field.kind == UNIQUE_ID)
        .unwrap();
    let reply = Header {
        leap: Leap::Unsynchronized,
        origin: header.transmit,
        reference_id: KissCode::NtsNak.reference_id(),
        ..Header::zeroed(Mode::Server)
    };
    [
        &reply.to_bytes()[..],
        &request[id.offset..id.offset + 4],
        id.body,
    ]
    .concat()
}

fn deliver(world: &mut World, octets: &[u8]) -> Result<(), Rejection> {
    let arrival = Arrival::udp(Stamp::exact(world.now, StampKind::Kernel));
    world.client.handle_datagram(octets, arrival, world.now)
}

#[test]
fn a_million_forged_naks_cause_one_establishment_at_most() {
    // With the true replies coming, none.
    let mut world = secured(Algorithm::AesSivCmac256, Conditions::PERFECT, 10);
    world.run(Duration::from_secs(10));
    let before = world.seen.len();
    for _ in 0..100 {
        world.run(Duration::from_secs(1));
        let request = world.packets.as_ref().unwrap().last().unwrap().clone();
        let nak = forged_nak(&request);
        for _ in 0..5_000 {
            let _ = deliver(&mut world, &nak);
        }
    }
    assert_eq!(world.key_server.asked, 1);
    assert!(world.seen.len() > before + 95);
    // With all true replies lost, and the forgeries before them, one in the time this takes.
    world.conditions.loss = 100;
    for _ in 0..10 {
        let sent = world.packets.as_ref().unwrap().len();
        while world.packets.as_ref().unwrap().len() == sent && world.key_server.asked == 1 {
            world.run(Duration::from_millis(100));
        }
        let request = world.packets.as_ref().unwrap().last().unwrap().clone();
        let nak = forged_nak(&request);
        for _ in 0..50_000 {
            let _ = deliver(&mut world, &nak);
        }
    }
    assert!(world.key_server.asked <= 2, "{}", world.key_server.asked);
}

#[test]
fn a_nak_of_another_request_is_none() {
    let mut world = secured(Algorithm::AesSivCmac256, Conditions::PERFECT, 11);
    world.run(Duration::from_secs(5));
    world.conditions.loss = 100;
    world.run(Duration::from_secs(2));
    let packets = world.packets.clone().unwrap();
    let [.., old, new] = &packets[..] else {
        panic!("two requests at least")
    };
    assert_eq!(
        deliver(&mut world, &forged_nak(old)),
        Err(Rejection::BogusOrigin)
    );
    let mut wrong = forged_nak(new);
    *wrong.last_mut().unwrap() ^= 1;
    assert_eq!(deliver(&mut world, &wrong), Err(Rejection::WrongUniqueId));
    let bare = &forged_nak(new)[..Header::LEN];
    assert_eq!(deliver(&mut world, bare), Err(Rejection::NotAuthenticated));
    assert_eq!(deliver(&mut world, &forged_nak(new)), Ok(()));
    assert_eq!(
        deliver(&mut world, &forged_nak(new)),
        Err(Rejection::Duplicate)
    );
}

/// An authentic reply to a request, as the server makes it.
fn reply_to(world: &mut World, request: &[u8]) -> Vec<u8> {
    let mut buffer = clockwright_ntp::ReplyBuffer::new();
    let rx = world.utc();
    let (system, dice) = (&world.system, &mut world.dice);
    let reply = world.server.handle(request, rx, system, dice, &mut buffer);
    reply
        .unwrap()
        .write(rx + Duration::from_micros(10))
        .to_vec()
}

#[test]
fn a_kiss_counts_only_if_it_is_authentic() {
    let mut world = secured(Algorithm::AesSivCmac256, Conditions::PERFECT, 12);
    world.run(Duration::from_secs(5));
    world.conditions.loss = 100;
    world.run(Duration::from_secs(2));
    let request = world.packets.as_ref().unwrap().last().unwrap().clone();
    let kiss = Header {
        reference_id: KissCode::Deny.reference_id(),
        origin: Header::parse(&request).unwrap().transmit,
        ..Header::zeroed(Mode::Server)
    };
    let rejected = deliver(&mut world, &kiss.to_bytes());
    assert_eq!(rejected, Err(Rejection::NotAuthenticated));
    let nak_like = forged_nak(&request);
    let deny = [&kiss.to_bytes()[..], &nak_like[Header::LEN..]].concat();
    assert_eq!(deliver(&mut world, &deny), Err(Rejection::NotAuthenticated));
    assert!(!world.client.denied());
}

#[test]
fn a_reply_brings_its_cookies_even_if_the_server_does_not_know_the_time_and_only_once() {
    let mut world = secured(Algorithm::AesSivCmac256, Conditions::PERFECT, 13);
    world.run(Duration::from_secs(5));
    world.conditions.loss = 100;
    world.run(Duration::from_secs(3));
    let left = cookies_left(&world);
    assert!(left < COOKIES);
    world.system.leap = Leap::Unsynchronized;
    let request = world.packets.as_ref().unwrap().last().unwrap().clone();
    let reply = reply_to(&mut world, &request);
    for _ in 0..3 {
        let rejected = deliver(&mut world, &reply);
        assert!(matches!(rejected, Err(Rejection::Unsynchronized { .. })));
        assert_eq!(cookies_left(&world), COOKIES);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is changed in a request or a reply: it is not authentic any more.
    #[test]
    fn one_bit_is_enough(flip: prop::sample::Index, gcm: bool, of_request: bool) {
        let algorithm = Algorithm::ALL[usize::from(gcm)];
        let mut world = secured(algorithm, Conditions::PERFECT, 14);
        world.run(Duration::from_secs(5));
        world.conditions.loss = 100;
        world.run(Duration::from_secs(2));
        let mut request = world.packets.as_ref().unwrap().last().unwrap().clone();
        if of_request {
            let bit = flip.index(request.len() * 8);
            request[bit / 8] ^= 1 << (bit % 8);
            let answered = world.server.statistics().nts;
            let mut buffer = clockwright_ntp::ReplyBuffer::new();
            let rx = world.utc();
            let (system, dice) = (&world.system, &mut world.dice);
            let _ = world.server.handle(&request, rx, system, dice, &mut buffer);
            prop_assert_eq!(world.server.statistics().nts, answered);
        } else {
            let mut reply = reply_to(&mut world, &request);
            let bit = flip.index(reply.len() * 8);
            reply[bit / 8] ^= 1 << (bit % 8);
            let before = cookies_left(&world);
            prop_assert!(deliver(&mut world, &reply).is_err());
            prop_assert_eq!(cookies_left(&world), before);
        }
    }

    /// A request of whatever makeup: the reply is never longer.
    #[test]
    fn a_reply_is_never_longer_than_its_request(
        extra in prop::collection::vec((0usize..5, 3usize..40), 0..12),
        cut in 0usize..60,
        seed: u64,
    ) {
        let mut world = secured(Algorithm::Aes128GcmSiv, Conditions::PERFECT, seed);
        world.run(Duration::from_secs(2));
        let mut request = world.packets.as_ref().unwrap().last().unwrap().clone();
        for (kind, words) in extra {
            let kind = [UNIQUE_ID, COOKIE, PLACEHOLDER, 0x010a, 0x0404][kind];
            request.extend(kind.to_be_bytes());
            request.extend(u16::try_from(words * 4).unwrap().to_be_bytes());
            request.extend(vec![0; words * 4 - 4]);
        }
        request.truncate(request.len().saturating_sub(cut * 4).max(Header::LEN));
        let mut buffer = clockwright_ntp::ReplyBuffer::new();
        let rx = world.utc();
        let (system, dice) = (&world.system, &mut world.dice);
        if let Ok(reply) = world.server.handle(&request, rx, system, dice, &mut buffer) {
            prop_assert!(reply.write(rx).len() <= request.len());
        }
    }
}
