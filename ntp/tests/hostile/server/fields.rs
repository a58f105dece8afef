//! Unique identifiers, cookies and placeholders (RFC 8915 sections 5.3 to 5.5, 5.7 and 6).

use super::{
    COOKIE_LENGTH, Desk, FRAMING, ID, LONGEST, MALFORMED, Outcome, bringing, proper, unsealed,
};
use crate::cookie::{C2S, CURRENT, FORGOTTEN, FORMER, Master, S2C, STRANGE, cookie, forge};
use crate::packet::{COOKIE, PLACEHOLDER, Packet, Seal, UNIQUE_ID};

/// A request with these fields and a good cookie, in this order.
fn with_ids(ids: &[&[u8]]) -> Packet {
    let named = ids
        .iter()
        .fold(Packet::request(), |packet, id| packet.field(UNIQUE_ID, id));
    named.field(COOKIE, &cookie()).sealed(&Seal::new(C2S))
}

#[test]
fn section_5_3_there_is_one_unique_identifier_of_32_octets_or_more_and_it_comes_back() {
    let anonymous = Packet::request().field(COOKIE, &cookie());
    let hidden = Packet::fields().field(UNIQUE_ID, &ID);
    Desk::new().check(vec![
        ("as it should be", proper(), Outcome::Time(1)),
        ("64 octets", with_ids(&[&[9; 64]]), Outcome::Time(1)),
        ("768 octets", with_ids(&[&[9; 768]]), Outcome::Time(1)),
        ("none", anonymous.clone().sealed(&Seal::new(C2S)), MALFORMED),
        ("28 octets", with_ids(&[&[9; 28]]), MALFORMED),
        ("12 octets", with_ids(&[&[9; 12]]), MALFORMED),
        ("an empty one", with_ids(&[&[]]), FRAMING),
        ("two that are the same", with_ids(&[&ID, &ID]), MALFORMED),
        ("two that differ", with_ids(&[&ID, &[2; 32]]), MALFORMED),
        ("a short one, too", with_ids(&[&ID, &[2; 12]]), MALFORMED),
        (
            "only among what is hidden",
            anonymous
                .clone()
                .sealed(&Seal::new(C2S).hiding(hidden.clone())),
            MALFORMED,
        ),
        (
            "only after the authenticator",
            anonymous.sealed(&Seal::new(C2S)).field(UNIQUE_ID, &ID),
            MALFORMED,
        ),
        (
            "another one hidden: that is ignored",
            unsealed().sealed(&Seal::new(C2S).hiding(hidden)),
            Outcome::Time(1),
        ),
    ]);
}

#[test]
fn section_5_7_a_kiss_echoes_an_identifier_of_any_length_or_is_not_sent() {
    let refused = |id: &[u8]| {
        Packet::request()
            .field(UNIQUE_ID, id)
            .field(COOKIE, &[0; COOKIE_LENGTH])
            .sealed(&Seal::new(C2S))
    };
    Desk::new().check(vec![
        ("32 octets", refused(&ID), Outcome::Nak),
        ("1 KiB", refused(&[9; 1024]), Outcome::Nak),
        // No datagram that is looked at is that long, but a kiss must not be half an answer.
        (
            "more than a reply has room for",
            refused(&[9; 1280]),
            MALFORMED,
        ),
        ("16 KiB", refused(&[9; 16_384]), MALFORMED),
    ]);
}

#[test]
fn section_5_4_there_is_one_cookie() {
    let good = cookie();
    let id = Packet::request().field(UNIQUE_ID, &ID);
    let seal = Seal::new(C2S);
    let hidden = Seal::new(C2S).hiding(Packet::fields().field(COOKIE, &good));
    let two = |other: &[u8]| id.clone().field(COOKIE, &good).field(COOKIE, other);
    Desk::new().check(vec![
        ("none", id.clone().sealed(&seal), MALFORMED),
        ("the same twice", two(&good).sealed(&seal), MALFORMED),
        ("a bad one, too", two(&[0; 100]).sealed(&seal), MALFORMED),
        ("a small one, too", two(&[0; 12]).sealed(&seal), MALFORMED),
        ("only hidden", id.clone().sealed(&hidden), MALFORMED),
        (
            "only after the authenticator",
            id.clone().sealed(&seal).field(COOKIE, &good),
            MALFORMED,
        ),
        (
            "no authenticator",
            id.clone().field(COOKIE, &good),
            MALFORMED,
        ),
        (
            "before the identifier, which is as good",
            Packet::request()
                .field(COOKIE, &good)
                .field(UNIQUE_ID, &ID)
                .sealed(&seal),
            Outcome::Time(1),
        ),
        (
            "another hidden: it is ignored",
            unsealed().sealed(&hidden),
            Outcome::Time(1),
        ),
    ]);
}

#[test]
fn section_5_7_a_cookie_that_cannot_be_opened_is_answered_by_a_kiss() {
    let name = Master {
        id: FORMER.id,
        ..CURRENT
    };
    let key = Master {
        key: FORMER.key,
        ..CURRENT
    };
    let ours = |keys: &[&[u8]]| forge(CURRENT, 3, keys);
    let mut cookies = vec![
        ("a forgotten key", forge(FORGOTTEN, 3, &[&C2S, &S2C])),
        ("another key's name", forge(name, 3, &[&C2S, &S2C])),
        ("another key", forge(key, 3, &[&C2S, &S2C])),
        ("swapped keys", ours(&[&S2C, &C2S])),
        ("keys of another session", ours(&[&STRANGE, &S2C])),
        ("one key", ours(&[&C2S])),
        ("no key", ours(&[])),
        ("three keys", ours(&[&C2S, &S2C, &C2S])),
        ("four octets more", ours(&[&C2S, &S2C, &[0; 4]])),
        // As long as a cookie of AES-128-GCM-SIV with half of these keys: sealed otherwise.
        ("shorter keys", ours(&[&C2S[..16], &S2C[..16]])),
        ("ones", vec![0xff; COOKIE_LENGTH]),
    ];
    for length in [12, 16, 20, 24, 68, 96, 100, 104, 256, 512, 1000] {
        cookies.push(("zeros of any length", vec![0; length]));
    }
    let refused = cookies
        .iter()
        .map(|(rule, cookie)| (*rule, bringing(cookie), Outcome::Nak));
    Desk::new().check(refused.collect());
    let unframed = [0, 8, 99, 101, 102, 103].map(|length| {
        (
            "a length that no field has",
            bringing(&vec![0; length]),
            FRAMING,
        )
    });
    Desk::new().check(unframed.to_vec());
    let former = bringing(&forge(FORMER, 3, &[&C2S, &S2C]));
    assert_eq!(Desk::new().outcome(&former.0), Outcome::Time(1));
}

#[test]
fn section_6_no_bit_of_a_cookie_is_free() {
    let mut desk = Desk::new();
    for bit in 0..COOKIE_LENGTH * 8 {
        let mut changed = cookie();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            desk.outcome(&bringing(&changed).0),
            Outcome::Nak,
            "bit {bit}"
        );
    }
}

#[test]
fn section_5_5_a_reply_has_one_cookie_more_than_placeholders_and_eight_at_most() {
    let room = [0; COOKIE_LENGTH];
    let mut desk = Desk::new();
    for placeholders in 0..12 {
        let fields = |packet: Packet| packet.repeated(placeholders, PLACEHOLDER, &room);
        let open = fields(unsealed()).sealed(&Seal::new(C2S));
        let hidden = unsealed().sealed(&Seal::new(C2S).hiding(fields(Packet::fields())));
        for request in [open.0, hidden.0] {
            // What is longer than any request that is answered is no request.
            let expected = if request.len() > LONGEST {
                MALFORMED
            } else {
                Outcome::Time((1 + placeholders).min(8))
            };
            assert_eq!(desk.outcome(&request), expected, "{placeholders}");
        }
    }
    let both = unsealed()
        .repeated(2, PLACEHOLDER, &room)
        .sealed(&Seal::new(C2S).hiding(Packet::fields().repeated(3, PLACEHOLDER, &room)));
    assert_eq!(desk.outcome(&both.0), Outcome::Time(6));
}

#[test]
fn section_5_5_a_placeholder_is_as_long_as_the_cookie_and_authenticated() {
    let with = |count, length| {
        unsealed()
            .repeated(count, PLACEHOLDER, &vec![0; length])
            .sealed(&Seal::new(C2S))
    };
    let small = Packet::fields().repeated(60, PLACEHOLDER, &[0; 12]);
    let after = proper().repeated(5, PLACEHOLDER, &[0; COOKIE_LENGTH]);
    let full = unsealed().field(PLACEHOLDER, &[0xff; COOKIE_LENGTH]);
    Desk::new().check(vec![
        ("shorter", with(3, 96), Outcome::Time(1)),
        ("longer", with(3, 104), Outcome::Time(1)),
        ("very small, and many", with(60, 12), Outcome::Time(1)),
        (
            "the same hidden",
            unsealed().sealed(&Seal::new(C2S).hiding(small)),
            Outcome::Time(1),
        ),
        ("after the authenticator", after, Outcome::Time(1)),
        (
            "filled with ones",
            full.sealed(&Seal::new(C2S)),
            Outcome::Time(2),
        ),
        ("empty", with(1, 0), FRAMING),
        ("of odd length", with(1, 101), FRAMING),
    ]);
}

#[test]
fn hundreds_of_placeholders_cost_no_more_than_seven() {
    // Seven and a request's other fields are 956 octets, eleven are too long.
    for (count, length) in [(300, COOKIE_LENGTH), (500, 12), (60, 1000), (3, 16_384)] {
        let many = unsealed().repeated(count, PLACEHOLDER, &vec![0; length]);
        let many = many.sealed(&Seal::new(C2S));
        assert_eq!(
            Desk::new().outcome(&many.0),
            MALFORMED,
            "{count} of {length}"
        );
        let hidden = Packet::fields().repeated(count, PLACEHOLDER, &vec![0; length]);
        let hidden = unsealed().sealed(&Seal::new(C2S).hiding(hidden));
        assert_eq!(
            Desk::new().outcome(&hidden.0),
            MALFORMED,
            "{count} of {length} hidden"
        );
    }
}
