//! Kisses (RFC 5905 section 7.4, RFC 8915 section 5.7): who may slow the client down, and what it
//! takes to make it give up its keys.

use clockwright_ntp::nts::field::FieldError;
use clockwright_ntp::{Action, KissCode, Rejection};

use super::{
    Asked, Case, NOT_AUTHENTIC, PLAIN, Packet, Seal, Verdict, Victim, WRONG_IDENTIFIER, check,
    cookies, fresh, kiss, nak, proper, twice,
};
use crate::cookie::{C2S, S2C, STRANGE};
use crate::packet::{COOKIE, UNIQUE_ID, UNKNOWN};

const BELIEVED: Verdict = Verdict::Believed { cookies: 4 };

/// Is this all that became of it: the client took note?
fn noted(victim: &mut Victim, packet: &Packet) -> bool {
    let before = victim.auth().naks;
    victim.deliver(packet).is_ok()
        && matches!(victim.actions()[..], [Action::Kiss(KissCode::NtsNak)])
        && victim.auth().naks == before + 1
}

#[test]
fn section_5_7_a_kiss_that_is_not_authentic_is_none() {
    let cases: [Case<'_>; 8] = [
        ("RATE", |a| kiss(a, *b"RATE"), PLAIN),
        ("DENY", |a| kiss(a, *b"DENY"), PLAIN),
        ("RSTR", |a| kiss(a, *b"RSTR"), PLAIN),
        (
            "RATE, named",
            |a| kiss(a, *b"RATE").field(UNIQUE_ID, &a.id),
            PLAIN,
        ),
        (
            "DENY, named",
            |a| kiss(a, *b"DENY").field(UNIQUE_ID, &a.id),
            PLAIN,
        ),
        (
            "a code of nobody's",
            |a| kiss(a, *b"XYZW").field(UNIQUE_ID, &a.id),
            PLAIN,
        ),
        (
            "RATE, sealed by nobody",
            |a| {
                kiss(a, *b"RATE")
                    .field(UNIQUE_ID, &a.id)
                    .sealed(&Seal::new(STRANGE))
            },
            NOT_AUTHENTIC,
        ),
        (
            "DENY, sealed with the key of requests",
            |a| {
                kiss(a, *b"DENY")
                    .field(UNIQUE_ID, &a.id)
                    .sealed(&Seal::new(C2S))
            },
            NOT_AUTHENTIC,
        ),
    ];
    check(&cases);
}

/// A kiss with these identifiers.
fn nak_of(asked: &Asked, ids: &[&[u8]]) -> Packet {
    let kiss = kiss(asked, *b"NTSN");
    ids.iter()
        .fold(kiss, |packet, id| packet.field(UNIQUE_ID, id))
}

fn changed(id: [u8; 32]) -> [u8; 32] {
    id.map(|octet| octet ^ 1)
}

#[test]
fn section_5_7_a_nak_names_the_request() {
    let cases: [Case<'_>; 6] = [
        ("none", |a| nak_of(a, &[]), PLAIN),
        (
            "another",
            |a| nak_of(a, &[&changed(a.id)]),
            WRONG_IDENTIFIER,
        ),
        (
            "part of it",
            |a| nak_of(a, &[&a.id[..24]]),
            WRONG_IDENTIFIER,
        ),
        (
            "more than it",
            |a| nak_of(a, &[&[a.id, a.id].concat()]),
            WRONG_IDENTIFIER,
        ),
        ("twice", |a| nak_of(a, &[&a.id, &a.id]), twice(UNIQUE_ID)),
        (
            "another, too",
            |a| nak_of(a, &[&a.id, &changed(a.id)]),
            twice(UNIQUE_ID),
        ),
    ];
    check(&cases);
}

#[test]
fn section_5_7_a_nak_has_neither_cookie_nor_authenticator_and_is_a_kiss() {
    let no_authenticator = Verdict::Refused(Rejection::Nts(FieldError::NoAuthenticator));
    let cases: [Case<'_>; 4] = [
        (
            "a cookie",
            |a| nak(a).field(COOKIE, &fresh(1)),
            no_authenticator,
        ),
        (
            "sealed by nobody",
            |a| nak(a).sealed(&Seal::new(STRANGE)),
            NOT_AUTHENTIC,
        ),
        (
            "sealed as a request",
            |a| nak(a).sealed(&Seal::new(C2S)),
            NOT_AUTHENTIC,
        ),
        (
            "not of stratum 0",
            |a| {
                let mut packet = nak(a);
                packet.0[1] = 1;
                packet
            },
            PLAIN,
        ),
    ];
    check(&cases);
}

#[test]
fn a_nak_is_noted_once_and_keeps_no_reply_out() {
    let mut victim = Victim::deprived_of(3);
    let asked = victim.ask();
    let duplicate = Verdict::Refused(Rejection::Duplicate);
    let beside_others = nak(&asked).field(UNKNOWN, &[0; 200]);
    assert!(noted(&mut victim, &beside_others));
    assert_eq!(victim.judge(&nak(&asked)), duplicate);
    assert_eq!(victim.judge(&proper(&asked)), BELIEVED);
    assert_eq!(victim.judge(&nak(&asked)), duplicate);
}

#[test]
fn a_nak_of_an_older_request_is_none() {
    let mut victim = Victim::deprived_of(2);
    let old = victim.ask();
    let new = victim.ask();
    let bogus = Verdict::Refused(Rejection::BogusOrigin);
    assert_eq!(victim.judge(&nak(&old)), bogus);
    let mut moved = nak(&old);
    moved.0[24..32].copy_from_slice(&new.octets[40..48]);
    assert_eq!(victim.judge(&moved), WRONG_IDENTIFIER);
    assert!(noted(&mut victim, &nak(&new)));
}

#[test]
fn section_5_7_keys_are_given_up_after_two_requests_without_an_authentic_reply_one_with_a_nak() {
    let mut victim = Victim::new();
    let asked = victim.ask();
    assert!(noted(&mut victim, &nak(&asked)));
    let asked = victim.ask();
    assert_eq!(victim.auth().cookies, 6, "one proves nothing");
    assert!(noted(&mut victim, &nak(&asked)));
    let establish = |action: &Action| matches!(action, Action::EstablishKeys);
    victim.now = victim.client.next_timeout().unwrap();
    victim.client.handle_timeout(victim.now, &mut victim.dice);
    assert!(victim.actions().iter().any(establish));
    assert_eq!((victim.auth().algorithm, victim.auth().cookies), (None, 0));
}

#[test]
fn a_nak_that_is_followed_by_the_reply_is_forgotten() {
    let mut victim = Victim::new();
    for _ in 0..50 {
        let asked = victim.ask();
        assert!(noted(&mut victim, &nak(&asked)));
        assert_eq!(
            victim.judge(&proper(&asked)),
            Verdict::Believed { cookies: 1 }
        );
    }
    assert_eq!(victim.statistics().key_establishments, 0);
}

#[test]
fn a_million_naks_cause_no_establishment_beside_true_replies_and_one_without_them() {
    let mut victim = Victim::new();
    let flood = |victim: &mut Victim, asked: &Asked| {
        for _ in 0..5_000 {
            let _ = victim.deliver(&nak(asked));
        }
        victim.actions();
    };
    for _ in 0..100 {
        let asked = victim.ask();
        flood(&mut victim, &asked);
        // Their delay, not the flood, is what makes these too old to be of use.
        victim.now = asked.at;
        assert_eq!(
            victim.judge(&proper(&asked)),
            Verdict::Believed { cookies: 1 }
        );
    }
    assert_eq!(victim.statistics().key_establishments, 0);
    for _ in 0..100 {
        if let Some(asked) = victim.wait() {
            flood(&mut victim, &asked);
        }
    }
    assert_eq!(victim.statistics().key_establishments, 1);
}

#[test]
fn an_authentic_kiss_is_obeyed() {
    let sealed = |asked: &Asked, code| {
        kiss(asked, code)
            .field(UNIQUE_ID, &asked.id)
            .sealed(&Seal::new(S2C).hiding(cookies(4)))
    };
    for (code, meaning) in [(*b"RATE", KissCode::Rate), (*b"DENY", KissCode::Deny)] {
        let mut victim = Victim::deprived_of(3);
        let asked = victim.ask();
        let poll = victim.client.poll();
        assert_eq!(victim.deliver(&sealed(&asked, code)), Ok(()));
        assert!(matches!(victim.actions()[..], [Action::Kiss(kiss)] if kiss == meaning));
        assert!(victim.client.poll() > poll);
        assert_eq!(victim.auth().cookies, 8, "and what it brings is kept");
        let again = sealed(&asked, code);
        assert_eq!(victim.deliver(&again), Err(Rejection::Duplicate), "once");
    }
}

#[test]
fn an_authentic_nak_contradicts_itself_and_costs_no_keys() {
    let mut victim = Victim::new();
    for _ in 0..5 {
        let asked = victim.ask();
        let sealed = nak(&asked).sealed(&Seal::new(S2C).hiding(cookies(1)));
        assert_eq!(victim.deliver(&sealed), Ok(()));
        assert!(matches!(
            victim.actions()[..],
            [Action::Kiss(KissCode::NtsNak)]
        ));
    }
    let auth = victim.auth();
    assert_eq!((auth.naks, auth.cookies), (0, 8));
    assert_eq!(victim.statistics().key_establishments, 0);
}
