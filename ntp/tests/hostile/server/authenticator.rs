//! The authenticator field (RFC 8915 section 5.6).

use super::{Case, Desk, FRAMING, MALFORMED, Outcome, proper, unsealed};
use crate::cookie::{C2S, S2C, STRANGE};
use crate::packet::{AUTHENTICATOR, COOKIE, HEADER, Packet, Seal, UNIQUE_ID, UNKNOWN};

fn sealed(seal: &Seal) -> Packet {
    unsealed().sealed(seal)
}

/// A request whose authenticator has these lengths of nonce and padding.
fn with_room(nonce: usize, padding: usize) -> Packet {
    sealed(&Seal::new(C2S).nonce(nonce, padding))
}

#[test]
fn there_is_one_authenticator_and_what_it_covers_is_what_comes_before_it() {
    let seal = Seal::new(C2S);
    let mut covered = proper();
    covered.0[HEADER + 40] ^= 1;
    Desk::new().check(vec![
        ("two", proper().sealed(&seal), MALFORMED),
        (
            "two, the other of nobody",
            proper().sealed(&Seal::new(STRANGE)),
            MALFORMED,
        ),
        (
            "two, the other empty",
            proper().field(AUTHENTICATOR, &[0; 24]),
            MALFORMED,
        ),
        (
            "at the beginning",
            Packet::request()
                .sealed(&seal)
                .field(UNIQUE_ID, &super::ID)
                .field(COOKIE, &crate::cookie::cookie()),
            MALFORMED,
        ),
        (
            "by the key of replies",
            sealed(&Seal::new(S2C)),
            Outcome::Nak,
        ),
        (
            "by a key of nobody",
            sealed(&Seal::new(STRANGE)),
            Outcome::Nak,
        ),
        ("what it covers was changed", covered, Outcome::Nak),
    ]);
}

#[test]
fn no_bit_that_is_covered_is_free() {
    let mut desk = Desk::new();
    let request = proper().0;
    for bit in 0..request.len() * 8 {
        let mut changed = request.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        // Nothing that was changed is taken for authentic; many changes leave no NTS request.
        let outcome = desk.outcome(&changed);
        assert!(
            !matches!(outcome, Outcome::Time(_)),
            "bit {bit}: {outcome:?}"
        );
        if (HEADER + 36 + 4..HEADER + 36 + 104).contains(&(bit / 8)) {
            assert_eq!(outcome, Outcome::Nak, "bit {bit} of the cookie");
        }
    }
}

#[test]
fn lengths_that_do_not_fit_meet_silence() {
    let telling = |nonce, ciphertext| sealed(&Seal::new(C2S).telling(nonce, ciphertext));
    let mut cases: Vec<Case<'_>> = Vec::new();
    for (nonce, ciphertext) in [
        (0xffff, 16),
        (16, 0xffff),
        (0xffff, 0xffff),
        (0xfffd, 0),
        (17, 16),
        (20, 16),
        (16, 17),
        (33, 0),
        (0, 33),
    ] {
        cases.push((
            "lengths beyond the field",
            telling(nonce, ciphertext),
            MALFORMED,
        ));
    }
    for (nonce, ciphertext) in [(16, 15), (16, 12), (16, 0), (15, 16), (13, 16), (16, 13)] {
        cases.push((
            "lengths that fit, and are wrong",
            telling(nonce, ciphertext),
            Outcome::Nak,
        ));
    }
    // A last field of 16 octets or more, but below 28 (RFC 7822 section 3).
    for body in [0, 2, 4, 8] {
        let short = unsealed().field(AUTHENTICATOR, &vec![0; body]);
        cases.push(("too short for its lengths", short, FRAMING));
    }
    cases.push((
        "all zeros",
        unsealed().field(AUTHENTICATOR, &[0; 36]),
        Outcome::Nak,
    ));
    cases.push((
        "all ones",
        unsealed().field(AUTHENTICATOR, &[0xff; 36]),
        MALFORMED,
    ));
    Desk::new().check(cases);
}

#[test]
fn a_ciphertext_without_room_for_its_tag_is_not_authentic() {
    let mut cases: Vec<Case<'_>> = Vec::new();
    for length in 0..16 {
        let seal = Seal {
            padding: 16,
            ..Seal::new(C2S).with_ciphertext(&vec![0; length])
        };
        cases.push(("shorter than a tag", sealed(&seal), Outcome::Nak));
    }
    for length in [16, 17, 100, 800] {
        let seal = Seal::new(C2S).with_ciphertext(&vec![7; length]);
        cases.push(("made up", sealed(&seal), Outcome::Nak));
    }
    Desk::new().check(cases);
}

#[test]
fn the_request_leaves_room_for_a_nonce_of_16_octets() {
    Desk::new().check(vec![
        (
            "a long nonce is room enough",
            with_room(16, 0),
            Outcome::Time(1),
        ),
        ("a longer one", with_room(32, 0), Outcome::Time(1)),
        ("a very long one", with_room(500, 0), Outcome::Time(1)),
        (
            "13 octets are padded to 16",
            with_room(13, 0),
            Outcome::Time(1),
        ),
        ("12 octets", with_room(12, 0), MALFORMED),
        ("12 octets and room", with_room(12, 4), Outcome::Time(1)),
        ("9 octets are padded to 12", with_room(9, 0), MALFORMED),
        ("8 octets, too little room", with_room(8, 4), MALFORMED),
        ("8 octets and room", with_room(8, 8), Outcome::Time(1)),
        ("an octet", with_room(1, 0), MALFORMED),
        ("an octet, too little room", with_room(1, 8), MALFORMED),
        ("an octet and room", with_room(1, 12), Outcome::Time(1)),
        // RFC 5297 section 3: the nonce is the last of the strings, and there has to be one.
        ("no nonce, no room", with_room(0, 8), MALFORMED),
        ("no nonce, but room", with_room(0, 16), Outcome::Nak),
    ]);
}

#[test]
fn padding_may_be_there_and_says_nothing() {
    let filled = |seal: Seal| Seal {
        filler: 0xff,
        ..seal
    };
    let hidden = Packet::fields().field(UNKNOWN, &[1; 16]);
    Desk::new().check(vec![
        ("400 octets more", with_room(16, 400), Outcome::Time(1)),
        (
            "not of zeros",
            sealed(&filled(Seal::new(C2S).nonce(13, 64))),
            Outcome::Time(1),
        ),
        (
            "as if something followed the ciphertext",
            sealed(&Seal::new(C2S).hiding(hidden).nonce(16, 28)),
            Outcome::Time(1),
        ),
        ("of odd length", with_room(16, 3), FRAMING),
    ]);
}

#[test]
fn what_is_hidden_are_whole_fields() {
    let hiding = |octets: Packet| sealed(&Seal::new(C2S).hiding(octets));
    let field = Packet::fields().field(UNKNOWN, &[5; 12]);
    Desk::new().check(vec![
        (
            "an unknown field of 16 octets",
            hiding(field.clone()),
            Outcome::Time(1),
        ),
        ("an octet", hiding(Packet::fields().raw(&[1])), MALFORMED),
        (
            "text",
            hiding(Packet::fields().raw(b"these are no fields at all")),
            MALFORMED,
        ),
        ("zeros", hiding(Packet::fields().raw(&[0; 64])), MALFORMED),
        (
            "a field cut short",
            hiding(field.clone().cut(12)),
            MALFORMED,
        ),
        (
            "a field and then a bit more",
            hiding(field.clone().raw(&[0, 1, 0])),
            MALFORMED,
        ),
        (
            "a short field",
            hiding(Packet::fields().field(UNKNOWN, &[5; 8])),
            MALFORMED,
        ),
        (
            "of odd length",
            hiding(Packet::fields().field(UNKNOWN, &[5; 13])),
            MALFORMED,
        ),
        (
            "a length beyond the end",
            hiding(Packet::fields().field_of(UNKNOWN, 0xfffc, &[5; 12])),
            MALFORMED,
        ),
        // A MAC has no place there.
        (
            "what looks like a MAC",
            hiding(field.clone().raw(&[0; 20])),
            MALFORMED,
        ),
        (
            "another authenticator: it is ignored",
            hiding(field.sealed(&Seal::new(STRANGE))),
            Outcome::Time(1),
        ),
    ]);
}
