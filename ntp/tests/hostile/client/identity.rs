//! Which request a reply answers (RFC 8915 sections 5.3 and 5.7), once and no other.

use clockwright_ntp::Rejection;

use super::{
    Asked, NO_IDENTIFIER, NOT_AUTHENTIC, Packet, Seal, Verdict, Victim, WRONG_IDENTIFIER, check,
    cookies, header, named, proper, twice,
};
use crate::cookie::S2C;
use crate::packet::{HEADER, UNIQUE_ID};

/// A sealed reply with these identifiers.
fn with(asked: &Asked, ids: &[&[u8]]) -> Packet {
    let packet = ids
        .iter()
        .fold(header(asked), |packet, id| packet.field(UNIQUE_ID, id));
    packet.sealed(&Seal::new(S2C).hiding(cookies(4)))
}

fn changed(id: [u8; 32]) -> [u8; 32] {
    id.map(|octet| !octet)
}

#[test]
fn section_5_7_the_identifier_is_that_of_the_request() {
    check(&[
        ("none", |asked| with(asked, &[]), NO_IDENTIFIER),
        (
            "another",
            |asked| with(asked, &[&changed(asked.id)]),
            WRONG_IDENTIFIER,
        ),
        ("zeros", |asked| with(asked, &[&[0; 32]]), WRONG_IDENTIFIER),
        (
            "the first 28 octets of it",
            |asked| with(asked, &[&asked.id[..28]]),
            NO_IDENTIFIER,
        ),
        (
            "four octets more",
            |asked| with(asked, &[&[&asked.id[..], &[0; 4]].concat()]),
            WRONG_IDENTIFIER,
        ),
        (
            "the same twice",
            |asked| with(asked, &[&asked.id, &asked.id]),
            twice(UNIQUE_ID),
        ),
        (
            "another, too",
            |asked| with(asked, &[&asked.id, &changed(asked.id)]),
            twice(UNIQUE_ID),
        ),
        (
            "another before it",
            |asked| with(asked, &[&changed(asked.id), &asked.id]),
            twice(UNIQUE_ID),
        ),
        (
            "only hidden",
            |asked| {
                let hidden = cookies(4).field(UNIQUE_ID, &asked.id);
                header(asked).sealed(&Seal::new(S2C).hiding(hidden))
            },
            NO_IDENTIFIER,
        ),
        (
            "only after the authenticator",
            |asked| with(asked, &[]).field(UNIQUE_ID, &asked.id),
            NO_IDENTIFIER,
        ),
        (
            "another one after the authenticator, which is nobody's",
            |asked| proper(asked).field(UNIQUE_ID, &changed(asked.id)),
            Verdict::Believed { cookies: 4 },
        ),
    ]);
}

#[test]
fn a_reply_counts_once() {
    let mut victim = Victim::deprived_of(3);
    let asked = victim.ask();
    let reply = proper(&asked);
    assert_eq!(victim.judge(&reply), Verdict::Believed { cookies: 4 });
    let duplicate = Verdict::Refused(Rejection::Duplicate);
    for _ in 0..3 {
        assert_eq!(victim.judge(&reply), duplicate);
    }
    // Nor does another authentic one to the same request.
    let other = named(&asked).sealed(&Seal::new(S2C).hiding(cookies(8)));
    assert_eq!(victim.judge(&other), duplicate);
    assert_eq!(victim.auth().cookies, 8);
}

#[test]
fn a_reply_to_an_old_request_is_none_to_a_new_one() {
    let mut victim = Victim::deprived_of(2);
    let old = victim.ask();
    let new = victim.ask();
    let late = proper(&old);
    let bogus = Verdict::Refused(Rejection::BogusOrigin);
    assert_eq!(victim.judge(&late), bogus);
    // With the new request's origin: what was sealed is something else.
    let mut moved = late.clone();
    moved.0[24..32].copy_from_slice(&new.octets[40..48]);
    assert_eq!(victim.judge(&moved), WRONG_IDENTIFIER);
    // With its identifier, too.
    moved.0[HEADER + 4..HEADER + 36].copy_from_slice(&new.id);
    assert_eq!(victim.judge(&moved), NOT_AUTHENTIC);
    assert_eq!(
        victim.judge(&proper(&new)),
        Verdict::Believed { cookies: 4 }
    );
    // Replayed after its time.
    assert_eq!(victim.judge(&late), bogus);
}

#[test]
fn a_reply_replayed_to_a_later_request_brings_nothing() {
    let mut victim = Victim::new();
    let first = victim.ask();
    let reply = proper(&first);
    assert_eq!(victim.judge(&reply), Verdict::Believed { cookies: 1 });
    victim.ask();
    assert_eq!(victim.judge(&reply), Verdict::Refused(Rejection::Duplicate));
    let mut moved = reply.clone();
    // Not the timestamps of the last reply any more.
    moved.0[47] ^= 1;
    assert_eq!(
        victim.judge(&moved),
        Verdict::Refused(Rejection::BogusOrigin)
    );
}

#[test]
fn nobody_is_believed_before_a_request() {
    let mut victim = Victim::new();
    let mut other = Victim::new();
    let asked = other.ask();
    let verdict = victim.judge(&proper(&asked));
    assert_eq!(verdict, Verdict::Refused(Rejection::Unexpected));
}
