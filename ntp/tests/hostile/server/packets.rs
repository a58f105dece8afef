//! Whole packets: framing (RFC 7822 section 3), versions and modes (RFC 5905 section 7.3, RFC 8915
//! section 8.1), and what may follow the authenticator (RFC 8915 section 5.6).

use proptest::prelude::*;

use super::{Desk, FRAMING, ID, MALFORMED, Outcome, Silence, bringing, proper, unsealed};
use crate::cookie::{C2S, CURRENT, FORGOTTEN, S2C, cookie, forge};
use crate::packet::{
    AUTHENTICATOR, COOKIE, CORRECTION, HEADER, PLACEHOLDER, Packet, Seal, UNIQUE_ID, UNKNOWN, open,
    read_fields,
};

#[test]
fn rfc_7822_a_field_has_the_length_that_it_says() {
    let request = Packet::request;
    let mut desk = Desk::new();
    for body in [24, 28, 1000, 16_384, 65_528] {
        let whole = request().field(UNKNOWN, &vec![0; body]);
        assert_eq!(desk.outcome(&whole.0), Outcome::Plain, "{body}");
    }
    for told in [0, 1, 3, 4, 12, 43, 45, 48, 65_532, 65_535] {
        let lie = request().field_of(UNKNOWN, told, &[0; 40]);
        assert_eq!(desk.outcome(&lie.0), FRAMING, "{told} of 44");
    }
    for length in [1, 2, 3, 4, 16, 40, 60] {
        let cut = request().field(UNKNOWN, &[0; 60]).cut(HEADER + length);
        assert_eq!(desk.outcome(&cut.0), FRAMING, "cut after {length}");
    }
    let many = request().repeated(200, UNKNOWN, &[0; 28]);
    assert_eq!(desk.outcome(&many.0), Outcome::Plain);
    let short = request().field(UNKNOWN, &[0; 12]);
    assert_eq!(desk.outcome(&short.0), FRAMING, "a last field of 16 octets");
}

#[test]
fn a_request_cut_short_is_never_taken_for_a_whole_one() {
    let whole = unsealed()
        .repeated(2, PLACEHOLDER, &[0; 100])
        .sealed(&Seal::new(C2S));
    let mut desk = Desk::new();
    for length in 0..whole.0.len() {
        let outcome = desk.outcome(&whole.0[..length]);
        let expected = match length {
            0..HEADER => Outcome::Silence(Silence::TooShort),
            // Cut where nothing of NTS is left but the identifier: a plain request.
            HEADER => Outcome::Plain,
            n if n == HEADER + 36 => Outcome::Plain,
            // 20 or 24 octets after a field are a MAC.
            n if [20, 24].contains(&((n - HEADER) % 36)) && n < HEADER + 36 => {
                Outcome::Silence(Silence::UnknownKey)
            }
            _ => {
                assert!(
                    matches!(
                        outcome,
                        MALFORMED | FRAMING | Outcome::Silence(Silence::UnknownKey)
                    ),
                    "{length}: {outcome:?}"
                );
                continue;
            }
        };
        assert_eq!(outcome, expected, "{length}");
    }
}

#[test]
fn a_mac_beside_it_makes_no_request_better() {
    let unknown_key = Outcome::Silence(Silence::UnknownKey);
    Desk::new().check(vec![
        ("MD5 or AES-CMAC", proper().raw(&[9; 20]), unknown_key),
        ("SHA-1", proper().raw(&[9; 24]), unknown_key),
        (
            "a crypto-NAK (RFC 5905 section 7.3)",
            proper().raw(&[0; 4]),
            unknown_key,
        ),
        (
            "a crypto-NAK alone",
            Packet::request().raw(&[0; 4]),
            unknown_key,
        ),
        ("a MAC alone", Packet::request().raw(&[9; 20]), unknown_key),
        (
            "four octets that are no crypto-NAK",
            proper().raw(&[0, 0, 0, 1]),
            FRAMING,
        ),
        ("a MAC of no known length", proper().raw(&[9; 36]), FRAMING),
    ]);
}

#[test]
fn section_8_1_nts_is_for_clients_in_version_4() {
    let with = |version, mode| {
        Packet::of(version, mode)
            .field(UNIQUE_ID, &ID)
            .field(COOKIE, &cookie())
            .sealed(&Seal::new(C2S))
    };
    let mode = Outcome::Silence(Silence::Mode);
    let version = Outcome::Silence(Silence::Version);
    Desk::new().check(vec![
        ("version 0", with(0, 3), version),
        ("version 1", with(1, 3), version),
        ("version 2", with(2, 3), version),
        ("version 3", with(3, 3), version),
        ("version 4", with(4, 3), Outcome::Time(1)),
        ("version 5", with(5, 3), version),
        ("version 7", with(7, 3), version),
        ("mode 0", with(4, 0), mode),
        ("symmetric active", with(4, 1), mode),
        ("symmetric passive", with(4, 2), mode),
        ("a reply", with(4, 4), mode),
        ("a broadcast", with(4, 5), mode),
        ("a control message", with(4, 6), mode),
        ("private use", with(4, 7), mode),
        ("an older control message", with(2, 6), mode),
    ]);
}

#[test]
fn section_5_6_what_follows_the_authenticator_is_nobodys() {
    Desk::new().check(vec![
        (
            "an unknown field",
            proper().field(UNKNOWN, &[1; 24]),
            Outcome::Time(1),
        ),
        (
            "a cookie",
            proper().field(COOKIE, &cookie()),
            Outcome::Time(1),
        ),
        (
            "cookies",
            proper().repeated(5, COOKIE, &[0; 100]),
            Outcome::Time(1),
        ),
        (
            "an identifier",
            proper().field(UNIQUE_ID, &[2; 32]),
            Outcome::Time(1),
        ),
        (
            "a correction",
            proper().field(CORRECTION, &[0; 24]),
            Outcome::Time(1),
        ),
        (
            "an authenticator",
            proper().field(AUTHENTICATOR, &[0; 36]),
            MALFORMED,
        ),
        ("a short field", proper().field(UNKNOWN, &[1; 12]), FRAMING),
        ("octets", proper().raw(&[1; 7]), FRAMING),
    ]);
}

#[test]
fn unknown_fields_before_it_are_passed_over() {
    let odd = |count| {
        Packet::request()
            .repeated(count, UNKNOWN, &[3; 12])
            .field(COOKIE, &cookie())
            .field(0, &[0; 12])
            .field(UNIQUE_ID, &ID)
            .field(0xffff, &[0xff; 40])
            .sealed(&Seal::new(C2S))
    };
    Desk::new().check(vec![
        ("a few", odd(2), Outcome::Time(1)),
        ("many", odd(50), Outcome::Time(1)),
    ]);
}

#[test]
fn a_server_without_nts_gives_the_time_and_no_more() {
    let mut desk = Desk::new();
    desk.server.set_cookie_keys(None);
    for request in [proper(), bringing(&[0; 100]), unsealed()] {
        assert_eq!(desk.ask(&request.0).unwrap().len(), HEADER);
    }
    assert_eq!(desk.server.statistics().nts, 0);
}

#[test]
fn section_5_7_a_new_cookie_is_as_good_as_the_old_one_and_a_former_ones_is_sealed_anew() {
    let mut desk = Desk::new();
    let mut next = forge(crate::cookie::FORMER, 3, &[&C2S, &S2C]);
    for _ in 0..5 {
        let request = bringing(&next);
        let reply = desk.ask(&request.0).unwrap();
        let fields = read_fields(&reply, HEADER).unwrap();
        let opened = open(&S2C, &reply, &fields[1]).unwrap();
        let fresh = read_fields(&opened.plain, 0).unwrap().remove(0).body;
        assert_ne!(fresh, next);
        assert!(crate::cookie::open(CURRENT, &fresh).is_some());
        next = fresh;
    }
}

#[test]
fn a_replayed_request_is_answered_like_any_and_never_twice_alike() {
    let mut desk = Desk::new();
    let request = proper().0;
    let [one, other] = [desk.ask(&request), desk.ask(&request)];
    assert!(
        one.is_some() && one != other,
        "neither nonce nor cookie is used twice"
    );
}

#[test]
fn a_server_that_does_not_know_the_time_says_so_authentically() {
    let mut desk = Desk::new();
    desk.system.stratum = 16;
    assert_eq!(desk.outcome(&proper().0), Outcome::Time(1));
    let reply = desk.ask(&proper().0).unwrap();
    assert_eq!((reply[0] >> 6, reply[1]), (3, 0));
    assert_eq!(reply[12..16], [0; 4], "no kiss");
}

/// Something to write into a request.
#[derive(Debug, Clone)]
enum Piece {
    Id(usize),
    Good,
    Forgotten,
    Garbage(u16, usize),
    Placeholders(usize, usize),
    Sealed {
        nonce: usize,
        padding: usize,
        hidden: usize,
        good: bool,
    },
    Lie {
        kind: u16,
        told: usize,
        body: usize,
    },
    Raw(Vec<u8>),
}

fn kind() -> impl Strategy<Value = u16> {
    prop::sample::select(vec![
        UNIQUE_ID,
        COOKIE,
        PLACEHOLDER,
        AUTHENTICATOR,
        UNKNOWN,
        CORRECTION,
        0,
    ])
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        3 => (4usize..20).prop_map(|words| Piece::Id(words * 4)),
        3 => Just(Piece::Good),
        1 => Just(Piece::Forgotten),
        1 => (kind(), 0usize..200).prop_map(|(kind, length)| Piece::Garbage(kind, length)),
        2 => (0usize..12, 90usize..110).prop_map(|(n, length)| Piece::Placeholders(n, length)),
        4 => (0usize..40, 0usize..10, 0usize..9, any::<bool>()).prop_map(
            |(nonce, words, hidden, good)| Piece::Sealed { nonce, padding: words * 4, hidden, good }
        ),
        1 => (kind(), 0usize..300, 0usize..80)
            .prop_map(|(kind, told, body)| Piece::Lie { kind, told, body }),
        1 => prop::collection::vec(any::<u8>(), 0..30).prop_map(Piece::Raw),
    ]
}

fn write(packet: Packet, piece: &Piece) -> Packet {
    match piece {
        Piece::Id(length) => packet.field(UNIQUE_ID, &vec![6; *length]),
        Piece::Good => packet.field(COOKIE, &cookie()),
        Piece::Forgotten => packet.field(COOKIE, &forge(FORGOTTEN, 3, &[&C2S, &S2C])),
        Piece::Garbage(kind, length) => packet.field(*kind, &vec![7; *length]),
        Piece::Placeholders(count, length) => {
            packet.repeated(*count, PLACEHOLDER, &vec![0; *length])
        }
        Piece::Sealed {
            nonce,
            padding,
            hidden,
            good,
        } => {
            let hidden = Packet::fields().repeated(*hidden, PLACEHOLDER, &[0; 100]);
            let key = if *good { C2S } else { S2C };
            packet.sealed(&Seal::new(key).nonce(*nonce, *padding).hiding(hidden))
        }
        Piece::Lie { kind, told, body } => packet.field_of(*kind, *told, &vec![8; *body]),
        Piece::Raw(octets) => packet.raw(octets),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// RFC 8915 section 8.4. Whatever it is made of: the reply is not longer, and right.
    #[test]
    fn section_8_4_no_reply_is_longer_than_its_request_and_all_are_right(
        pieces in prop::collection::vec(piece(), 0..7), version in 3u8..5, begun: bool,
    ) {
        let begin = if begun { unsealed() } else { Packet::of(version, 3) };
        let request = pieces.iter().fold(begin, write);
        let _ = Desk::new().outcome(&request.0);
    }

    #[test]
    fn any_octets_are_answered_by_no_more_octets(
        octets in prop::collection::vec(any::<u8>(), 0..400), like_one: bool,
    ) {
        let mut octets = octets;
        if let (true, Some(first)) = (like_one, octets.first_mut()) {
            *first = 0x23;
        }
        let _ = Desk::new().ask(&octets);
    }
}
