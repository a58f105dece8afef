//! Cookies (RFC 8915 sections 5.4, 5.5 and 5.7): which are kept, and that none is used twice.

use std::collections::BTreeSet;

use clockwright_ntp::Rejection;

use super::{
    Asked, COOKIE_LENGTH, Case, HIDDEN, Packet, Verdict, Victim, check, cookies, fresh, hiding,
    nak, named, proper,
};
use crate::cookie::S2C;
use crate::packet::{COOKIE, PLACEHOLDER, Seal};

/// A reply that hides one cookie of this length.
fn one(asked: &Asked, length: usize) -> Packet {
    hiding(asked, Packet::fields().field(COOKIE, &vec![7; length]))
}

#[test]
fn cookies_that_no_request_could_carry_are_not_kept() {
    let none = Verdict::Believed { cookies: 0 };
    let kept = Verdict::Believed { cookies: 1 };
    let cases: [Case<'_>; 14] = [
        ("no cookie at all", |a| hiding(a, Packet::fields()), none),
        // RFC 7822 section 3: no field is shorter than 16 octets.
        ("an empty one", |a| one(a, 0), HIDDEN),
        ("of 8 octets", |a| one(a, 8), HIDDEN),
        ("of an odd length", |a| one(a, 101), HIDDEN),
        ("of half words", |a| one(a, 102), HIDDEN),
        ("of 12 octets, too short for any key", |a| one(a, 12), none),
        ("of 16 octets", |a| one(a, 16), kept),
        ("of 256 octets", |a| one(a, 256), kept),
        ("of 260 octets", |a| one(a, 260), none),
        ("of 16 KiB", |a| one(a, 16_384), none),
        (
            "in the open, but authenticated",
            |a| named(a).field(COOKIE, &fresh(1)).sealed(&Seal::new(S2C)),
            none,
        ),
        (
            "after the authenticator",
            |a| hiding(a, Packet::fields()).field(COOKIE, &fresh(1)),
            none,
        ),
        (
            "a placeholder",
            |a| hiding(a, Packet::fields().field(PLACEHOLDER, &[0; COOKIE_LENGTH])),
            none,
        ),
        (
            "a good one between useless ones",
            |a| {
                let hidden = Packet::fields()
                    .field(COOKIE, &[7; 12])
                    .field(COOKIE, &fresh(1))
                    .field(COOKIE, &[7; 1000]);
                hiding(a, hidden)
            },
            kept,
        ),
    ];
    check(&cases);
}

#[test]
fn hundreds_of_cookies_are_eight() {
    for count in [8, 9, 300, 550] {
        let mut victim = Victim::deprived_of(5);
        let asked = victim.ask();
        let hidden = Packet::fields().repeated(count, COOKIE, &fresh(1));
        let verdict = victim.judge(&hiding(&asked, hidden));
        assert_eq!(verdict, Verdict::Believed { cookies: 6 }, "{count}");
        assert_eq!(victim.auth().cookies, 8);
    }
}

#[test]
fn section_5_7_a_request_asks_for_as_many_cookies_as_are_missing() {
    let mut victim = Victim::new();
    for lost in 0..8 {
        assert_eq!(victim.ask().placeholders, lost);
    }
    // None is left: it asks for keys instead of using one again.
    for _ in 0..5 {
        assert!(victim.wait().is_none());
    }
    assert_eq!(victim.statistics().key_establishments, 1);
    assert_eq!(victim.auth().algorithm, None);
}

#[test]
fn long_cookies_make_no_request_too_long() {
    let mut victim = Victim::new();
    let hidden = Packet::fields().repeated(8, COOKIE, &[7; 256]);
    let asked = victim.ask();
    victim.judge(&hiding(&asked, hidden));
    for _ in 0..8 {
        let asked = victim.ask();
        assert_eq!(asked.cookie.len(), 256);
        // RFC 8200 section 5, with the headers of IPv6 and UDP.
        assert!(asked.octets.len() <= 1280 - 48, "{}", asked.octets.len());
    }
}

#[test]
fn section_5_7_no_cookie_is_used_twice_and_only_hidden_ones_are() {
    let mut victim = Victim::new();
    let (mut given, mut used) = (BTreeSet::new(), BTreeSet::new());
    given.extend((0..8).map(fresh));
    for round in 0..100 {
        let asked = victim.ask();
        assert!(given.contains(&asked.cookie), "one that was given");
        assert!(used.insert(asked.cookie.clone()), "a cookie was used twice");
        if round % 3 == 0 {
            continue; // The reply is lost.
        }
        let hidden = (0..=asked.placeholders).map(|n| {
            let mut cookie = fresh(0xc0);
            cookie[..2].copy_from_slice(&[round, u8::try_from(n).unwrap()]);
            cookie
        });
        let hidden: Vec<Vec<u8>> = hidden.collect();
        given.extend(hidden.iter().cloned());
        let hidden = hidden.iter().fold(Packet::fields(), |packet, cookie| {
            packet.field(COOKIE, cookie)
        });
        let reply = named(&asked)
            .field(COOKIE, &fresh(0xee))
            .sealed(&Seal::new(S2C).hiding(hidden))
            .field(COOKIE, &fresh(0xff));
        let brought = 1 + asked.placeholders;
        assert_eq!(victim.judge(&reply), Verdict::Believed { cookies: brought });
        assert_eq!(victim.judge(&reply), Verdict::Refused(Rejection::Duplicate));
    }
}

#[test]
fn a_server_that_does_not_know_the_time_gives_cookies_once_and_no_time() {
    let mut victim = Victim::deprived_of(3);
    let asked = victim.ask();
    let mut unknown = named(&asked);
    (unknown.0[0], unknown.0[1]) = (0xe4, 0);
    unknown.0[12..16].fill(0);
    let reply = unknown.sealed(&Seal::new(S2C).hiding(cookies(1)));
    for _ in 0..3 {
        assert!(victim.deliver(&reply).is_err());
        assert_eq!(victim.auth().cookies, 5, "a replay brings no more");
        assert!(victim.actions().is_empty());
    }
    assert_eq!(victim.statistics().unsynchronized, 3);
    // It was authentic: the server can open the cookie, whatever anybody says.
    let verdict = victim.judge(&nak(&asked));
    assert_eq!(verdict, Verdict::Refused(Rejection::Duplicate));
    let verdict = victim.judge(&proper(&asked));
    assert_eq!(verdict, Verdict::Believed { cookies: 0 });
}
