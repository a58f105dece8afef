//! What is believed, and what is refused (RFC 5905 section 8, RFC 9769 section 2).

use super::*;
use crate::extension::FramingError;

#[test]
fn a_request_tells_nothing() {
    // RFC 8633 section 5.1, RFC 9769 section 6: version 4, mode 3, random timestamps, zeros.
    let mut rig = Rig::new(config());
    let mut seen = Vec::new();
    for _ in 0..20 {
        let asked = rig.ask_amid().0;
        let octets = asked.header.to_bytes();
        assert_eq!(octets[0], 0x23);
        assert_eq!(octets[1..40], [0; 39]);
        assert!(!seen.contains(&asked.header.transmit));
        seen.push(asked.header.transmit);
    }
}

#[test]
fn a_good_reply_makes_an_exchange() {
    let mut rig = Rig::new(config());
    let (request, sent) = rig.ask_stamped();
    assert!(rig.client.awaiting_reply());
    let reply = Header {
        leap: Leap::Insert,
        stratum: 2,
        poll: 6,
        root_delay: NtpShort::from_bits(0x8000),
        ..reply(&request, sent)
    };
    rig.deliver(&reply, arrival(sent)).unwrap();
    assert!(!rig.client.awaiting_reply());
    let actions = rig.actions();
    assert!(matches!(actions[0], Action::Reachable(true)));
    let exchange = only_exchange(actions);
    assert_true(&exchange);
    assert_eq!(exchange.t1, kernel(sent));
    assert_eq!(exchange.t4, kernel(arrival(sent)));
    assert!(!exchange.interleaved);
    assert_eq!(
        (exchange.leap, exchange.stratum, exchange.poll),
        (Leap::Insert, 2, 6)
    );
    assert_eq!(exchange.root_delay, Duration::from_millis(500));
    assert_eq!(exchange.precision, -25);
    assert_eq!(rig.client.reach(), 1);
    assert_eq!(rig.client.statistics().basic_replies, 1);
}

#[test]
fn only_the_latest_request_is_answered_and_only_once() {
    let mut rig = Rig::new(config());
    let (first, first_sent) = rig.ask_stamped();
    let late = reply(&first, first_sent);
    let (second, sent) = rig.ask_stamped();
    rig.refuse(&late, sent, Rejection::BogusOrigin);
    let good = reply(&second, sent);
    rig.deliver(&good, arrival(sent)).unwrap();
    assert_eq!(exchanges(rig.actions()).len(), 1);
    rig.refuse(&good, arrival(sent), Rejection::Duplicate);
    let forged = Header {
        receive: server_time(sent),
        ..good
    };
    rig.refuse(&forged, arrival(sent), Rejection::Duplicate);
    let (_, sent) = rig.ask_stamped();
    rig.refuse(&good, sent, Rejection::Duplicate);
    rig.refuse(&forged, sent, Rejection::BogusOrigin);
}

#[test]
fn zero_is_no_origin() {
    // CVE-2015-8138: a request answered already leaves nothing that zero could match.
    for config in [config(), interleaved()] {
        let mut rig = Rig::new(config);
        let (request, sent) = rig.ask_stamped();
        let zero = Header {
            origin: NtpTimestamp::ZERO,
            ..reply(&request, sent)
        };
        rig.refuse(&zero, arrival(sent), Rejection::BogusOrigin);
        rig.deliver(&reply(&request, sent), arrival(sent)).unwrap();
        let other = Header {
            receive: server_time(sent),
            ..zero
        };
        rig.refuse(&other, arrival(sent), Rejection::BogusOrigin);
    }
}

#[test]
fn nothing_is_believed_unasked() {
    let mut rig = Rig::new(config());
    let header = reply(&Header::zeroed(Mode::Client), rig.now);
    rig.refuse(&header, rig.now, Rejection::Unexpected);
    let asked = rig.ask();
    rig.client.send_failed(asked.token, rig.now);
    rig.refuse(
        &reply(&asked.header, asked.at),
        rig.now,
        Rejection::Unexpected,
    );
}

/// A way to spoil a reply.
type Change = fn(&mut Header);

/// Changes one good reply in each of these ways; each is refused for its reason, and after all of
/// them the good reply is still welcome.
fn refuse_each(cases: &[(Change, Rejection)]) {
    let mut rig = Rig::new(config());
    rig.exchange();
    let (request, sent) = rig.ask_stamped();
    let good = reply(&request, sent);
    for (change, rejection) in cases {
        let mut bad = good;
        change(&mut bad);
        rig.refuse(&bad, arrival(sent), *rejection);
    }
    rig.deliver(&good, arrival(sent)).unwrap();
    assert_true(&only_exchange(rig.actions()));
}

#[test]
fn only_servers_of_a_known_version_are_heard() {
    refuse_each(&[
        (|h| h.version = 0, Rejection::Version(0)),
        (|h| h.version = 5, Rejection::Version(5)),
        (|h| h.version = 7, Rejection::Version(7)),
        (|h| h.mode = Mode::Client, Rejection::Mode(Mode::Client)),
        (
            |h| h.mode = Mode::Broadcast,
            Rejection::Mode(Mode::Broadcast),
        ),
        (|h| h.mode = Mode::Control, Rejection::Mode(Mode::Control)),
        (
            |h| h.mode = Mode::SymmetricPassive,
            Rejection::Mode(Mode::SymmetricPassive),
        ),
    ]);
}

#[test]
fn only_synchronised_servers_near_a_reference_are_heard() {
    let (leap, none) = (Leap::Unsynchronized, Leap::None);
    refuse_each(&[
        (
            |h| h.leap = Leap::Unsynchronized,
            Rejection::Unsynchronized { leap, stratum: 1 },
        ),
        (
            |h| h.stratum = 16,
            Rejection::Unsynchronized {
                leap: none,
                stratum: 16,
            },
        ),
        (
            |h| h.stratum = 255,
            Rejection::Unsynchronized {
                leap: none,
                stratum: 255,
            },
        ),
        (
            |h| (h.stratum, h.reference_id) = (0, ReferenceId::ZERO),
            Rejection::Unsynchronized {
                leap: none,
                stratum: 0,
            },
        ),
        (
            |h| h.root_dispersion = NtpShort::round_up(Duration::from_secs(16)),
            Rejection::RootDistance(Duration::from_secs(16)),
        ),
        (
            |h| {
                h.root_delay = NtpShort::round_up(Duration::from_secs(30));
                h.root_dispersion = NtpShort::round_up(Duration::from_secs(1));
            },
            Rejection::RootDistance(Duration::from_secs(16)),
        ),
    ]);
}

/// `timestamp`, some whole seconds earlier.
fn earlier(timestamp: NtpTimestamp, seconds: u64) -> NtpTimestamp {
    NtpTimestamp::from_bits(timestamp.to_bits() - (seconds << 32))
}

#[test]
fn the_servers_timestamps_must_make_sense() {
    refuse_each(&[
        (|h| h.receive = NtpTimestamp::ZERO, Rejection::ZeroTimestamp),
        (
            |h| h.transmit = NtpTimestamp::ZERO,
            Rejection::ZeroTimestamp,
        ),
        (
            |h| h.transmit = earlier(h.receive, 1),
            Rejection::Turnaround(Duration::from_secs(-1)),
        ),
        (
            |h| (h.transmit, h.receive) = (h.receive, earlier(h.receive, 5)),
            Rejection::Turnaround(Duration::from_secs(5)),
        ),
    ]);
}

#[test]
fn frames_are_strict() {
    let mut rig = Rig::new(config());
    let (request, sent) = rig.ask_stamped();
    let good = reply(&request, sent).to_bytes();
    let with = |tail: &[u8]| [&good[..], tail].concat();
    rig.refuse_octets(&[], sent, Rejection::TooShort { length: 0 });
    rig.refuse_octets(&good[..47], sent, Rejection::TooShort { length: 47 });
    let trailing = FramingError::TrailingOctets { count: 3 };
    rig.refuse_octets(&with(&[0; 3]), sent, Rejection::Framing(trailing));
    rig.refuse_octets(&with(&[0; 4]), sent, Rejection::UnexpectedMac);
    rig.refuse_octets(&with(&[9; 20]), sent, Rejection::UnexpectedMac);
    rig.refuse_octets(&with(&[9; 24]), sent, Rejection::UnexpectedMac);
    // An extension field that we know nothing about is no reason to refuse the time.
    let mut unknown = [0; 28];
    unknown[..4].copy_from_slice(&[0xf5, 0, 0, 28]);
    rig.deliver_octets(&with(&unknown), arrival(sent)).unwrap();
    assert_true(&only_exchange(rig.actions()));
}

#[test]
fn impossible_round_trips_are_refused() {
    let mut rig = Rig::new(config());
    let (request, sent) = rig.ask_stamped();
    let good = reply(&request, sent);
    let early = sent - Duration::from_micros(1);
    rig.refuse(&good, early, Rejection::StampOrder(early - sent));
    // The server claims to have taken longer than all of the exchange.
    let at = sent + TURNAROUND - Duration::from_micros(5);
    let result = rig.deliver(&good, at);
    let Err(Rejection::NegativeDelay(delay)) = result else {
        panic!("{result:?}");
    };
    assert!((delay + Duration::from_micros(5)).abs() < Duration::from_nanos(2));
    // A little below zero is what a server explains that foretells when its reply will leave.
    let at = sent + TURNAROUND - Duration::from_nanos(1_900);
    rig.deliver(&good, at).unwrap();
    assert!(
        only_exchange(rig.actions())
            .measure(pivot())
            .delay
            .is_negative()
    );
}

#[test]
fn a_long_delay_is_no_measurement_but_a_sign_of_life() {
    let limit = Duration::from_millis(1);
    let mut rig = Rig::new(ClientConfig {
        max_delay: Some(limit),
        ..config()
    });
    let (request, sent) = rig.ask_stamped();
    let slow = arrival(sent) + Duration::from_millis(2);
    rig.deliver(&reply(&request, sent), slow).unwrap();
    let actions = rig.actions();
    let [
        Action::Reachable(true),
        Action::Unusable(Rejection::DelayTooLong(delay)),
    ] = actions[..]
    else {
        panic!("{actions:?}");
    };
    assert!((delay - Duration::from_micros(2200)).abs() < Duration::from_nanos(2));
    assert_eq!(rig.client.reach(), 1);
    assert_eq!(rig.client.statistics().delay_too_long, 1);
    assert_eq!(rig.client.statistics().exchanges, 0);
    assert_true(&rig.exchange());
}

#[test]
fn a_server_of_an_older_version_is_believed() {
    let mut rig = Rig::new(config());
    let (request, sent) = rig.ask_stamped();
    let old = Header {
        version: 3,
        ..reply(&request, sent)
    };
    rig.deliver(&old, arrival(sent)).unwrap();
    assert_true(&only_exchange(rig.actions()));
}
