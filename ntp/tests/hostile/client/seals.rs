//! Whose a reply is (RFC 8915 sections 5.6 and 5.7): nothing is believed that is not sealed with
//! the key of replies, and no octet of what is.

use clockwright_ntp::nts::field::FieldError;
use clockwright_ntp::{Mode, Rejection};

use super::{
    Case, HIDDEN, NOT_AUTHENTIC, PLAIN, Packet, Seal, Verdict, Victim, check, cookies, fresh,
    header, hiding, named, proper, twice,
};
use crate::cookie::{C2S, S2C, STRANGE};
use crate::packet::{AUTHENTICATOR, COOKIE, UNIQUE_ID, UNKNOWN};

/// The seal of a true reply with four cookies.
fn seal() -> Seal {
    Seal::new(S2C).hiding(cookies(4))
}

const BELIEVED: Verdict = Verdict::Believed { cookies: 4 };
const NO_AUTHENTICATOR: Verdict = Verdict::Refused(Rejection::Nts(FieldError::NoAuthenticator));
const LENGTHS: Verdict = Verdict::Refused(Rejection::Nts(FieldError::Authenticator));

#[test]
fn a_reply_is_sealed_with_the_key_of_replies() {
    check(&[
        ("a plain reply", header, PLAIN),
        ("a plain reply that is named", named, PLAIN),
        (
            "cookies in the open, nothing sealed",
            |asked| named(asked).field(COOKIE, &fresh(1)),
            NO_AUTHENTICATOR,
        ),
        (
            "the key of requests",
            |asked| named(asked).sealed(&Seal { key: C2S, ..seal() }),
            NOT_AUTHENTIC,
        ),
        (
            "the key of another session",
            |asked| {
                named(asked).sealed(&Seal {
                    key: STRANGE,
                    ..seal()
                })
            },
            NOT_AUTHENTIC,
        ),
        (
            "its own request, turned round",
            |asked| Packet([&header(asked).0[..], &asked.octets[48..]].concat()),
            NOT_AUTHENTIC,
        ),
        (
            "its own request",
            |asked| Packet(asked.octets.clone()),
            Verdict::Refused(Rejection::Mode(Mode::Client)),
        ),
        (
            "two seals",
            |asked| proper(asked).sealed(&seal()),
            twice(AUTHENTICATOR),
        ),
        (
            "two seals, one of nobody",
            |asked| named(asked).sealed(&Seal::new(STRANGE)).sealed(&seal()),
            twice(AUTHENTICATOR),
        ),
        (
            "something authenticated beside it",
            |asked| named(asked).field(UNKNOWN, &[1; 40]).sealed(&seal()),
            BELIEVED,
        ),
    ]);
}

#[test]
fn an_authenticator_is_what_its_lengths_say() {
    check(&[
        (
            "long nonce",
            |a| named(a).sealed(&seal().telling(0xffff, 16)),
            LENGTHS,
        ),
        (
            "long ciphertext",
            |a| named(a).sealed(&seal().telling(16, 0xffff)),
            LENGTHS,
        ),
        (
            "an octet more",
            |a| named(a).sealed(&Seal::new(S2C).telling(16, 17)),
            LENGTHS,
        ),
        (
            "an octet less",
            |a| named(a).sealed(&seal().telling(16, 15)),
            NOT_AUTHENTIC,
        ),
        (
            "a shorter nonce",
            |a| named(a).sealed(&seal().telling(15, 16)),
            NOT_AUTHENTIC,
        ),
    ]);
}

#[test]
fn a_nonce_may_have_any_length_but_none() {
    check(&[
        (
            "no nonce",
            |a| named(a).sealed(&seal().nonce(0, 16)),
            NOT_AUTHENTIC,
        ),
        // Section 5.6 asks requests for room, not replies.
        (
            "of an octet",
            |a| named(a).sealed(&seal().nonce(1, 0)),
            BELIEVED,
        ),
        (
            "of 500",
            |a| named(a).sealed(&seal().nonce(500, 0)),
            BELIEVED,
        ),
        (
            "padded",
            |a| named(a).sealed(&seal().nonce(16, 400)),
            BELIEVED,
        ),
    ]);
}

#[test]
fn a_ciphertext_without_its_tag_is_not_authentic() {
    for length in [0, 1, 8, 15, 16, 17, 100] {
        let mut victim = Victim::deprived_of(3);
        let asked = victim.ask();
        // Without padding the shortest would be as long as a MAC.
        let seal = seal().nonce(16, 16).with_ciphertext(&vec![7; length]);
        let reply = named(&asked).sealed(&seal);
        assert_eq!(victim.judge(&reply), NOT_AUTHENTIC, "{length} octets");
        assert_eq!(victim.judge(&proper(&asked)), BELIEVED);
    }
}

#[test]
fn what_is_hidden_are_whole_fields() {
    let cases: [Case<'_>; 8] = [
        (
            "an octet",
            |a| hiding(a, Packet::fields().raw(&[1])),
            HIDDEN,
        ),
        (
            "text",
            |a| hiding(a, Packet::fields().raw(b"a reply of no fields")),
            HIDDEN,
        ),
        (
            "zeros",
            |a| hiding(a, Packet::fields().raw(&[0; 64])),
            HIDDEN,
        ),
        (
            "ones",
            |a| hiding(a, Packet::fields().raw(&[0xff; 64])),
            HIDDEN,
        ),
        (
            "a cookie cut short",
            |a| hiding(a, cookies(2).cut(120)),
            HIDDEN,
        ),
        (
            "a bit more",
            |a| hiding(a, cookies(2).raw(&[2, 4, 0])),
            HIDDEN,
        ),
        (
            "a length beyond the end",
            |a| hiding(a, cookies(1).field_of(COOKIE, 0xfffc, &[5; 12])),
            HIDDEN,
        ),
        (
            "fields of no known type",
            |a| hiding(a, cookies(4).field(UNKNOWN, &[1; 12]).field(0, &[0; 12])),
            BELIEVED,
        ),
    ];
    check(&cases);
}

#[test]
fn a_mac_makes_no_reply_better() {
    let mac = Verdict::Refused(Rejection::UnexpectedMac);
    check(&[
        ("MD5 or AES-CMAC", |asked| proper(asked).raw(&[9; 20]), mac),
        ("SHA-1", |asked| proper(asked).raw(&[9; 24]), mac),
        (
            "a crypto-NAK (RFC 5905 section 7.3)",
            |asked| proper(asked).raw(&[0; 4]),
            mac,
        ),
        (
            "a crypto-NAK alone",
            |asked| header(asked).raw(&[0; 4]),
            mac,
        ),
    ]);
}

#[test]
fn no_bit_of_a_reply_is_free() {
    let mut victim = Victim::deprived_of(3);
    let asked = victim.ask();
    let reply = proper(&asked);
    for bit in 0..reply.0.len() * 8 {
        let mut changed = reply.clone();
        changed.0[bit / 8] ^= 1 << (bit % 8);
        let verdict = victim.judge(&changed);
        assert!(matches!(verdict, Verdict::Refused(_)), "bit {bit}");
    }
    assert_eq!(victim.judge(&reply), BELIEVED);
}

#[test]
fn a_reply_cut_short_is_none() {
    let mut victim = Victim::deprived_of(3);
    let asked = victim.ask();
    let reply = proper(&asked);
    for length in 0..reply.0.len() {
        let verdict = victim.judge(&reply.clone().cut(length));
        assert!(matches!(verdict, Verdict::Refused(_)), "{length} octets");
    }
    assert_eq!(victim.judge(&reply), BELIEVED);
}

#[test]
fn section_5_6_what_follows_the_authenticator_is_nobodys() {
    check(&[
        (
            "an unknown field",
            |a| proper(a).field(UNKNOWN, &[1; 24]),
            BELIEVED,
        ),
        ("a cookie", |a| proper(a).field(COOKIE, &fresh(1)), BELIEVED),
        (
            "hundreds of them",
            |a| proper(a).repeated(300, COOKIE, &fresh(1)),
            BELIEVED,
        ),
        (
            "an identifier",
            |a| proper(a).field(UNIQUE_ID, &a.id),
            BELIEVED,
        ),
        (
            "octets",
            |a| proper(a).raw(&[1; 3]),
            Verdict::Refused(Rejection::Framing(
                clockwright_ntp::extension::FramingError::TrailingOctets { count: 3 },
            )),
        ),
    ]);
}
