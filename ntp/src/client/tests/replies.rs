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

#[test]
fn each_fault_of_a_reply_has_its_name() {
    let mut rig = Rig::new(config());
    rig.exchange();
    let (request, sent) = rig.ask_stamped();
    let good = reply(&request, sent);
    let ago = |header: &Header, d| NtpTimestamp::from_bits(header.receive.to_bits() - d);
    let second = Duration::from_secs(1);
    let unsynchronized_leap = Rejection::Unsynchronized {
        leap: Leap::Unsynchronized,
        stratum: 1,
    };
    let stratum = |stratum| Rejection::Unsynchronized {
        leap: Leap::None,
        stratum,
    };
    let cases = [
        (Header { version: 0, ..good }, Rejection::Version(0)),
        (Header { version: 5, ..good }, Rejection::Version(5)),
        (
            Header {
                mode: Mode::Client,
                ..good
            },
            Rejection::Mode(Mode::Client),
        ),
        (
            Header {
                mode: Mode::Broadcast,
                ..good
            },
            Rejection::Mode(Mode::Broadcast),
        ),
        (
            Header {
                mode: Mode::SymmetricPassive,
                ..good
            },
            Rejection::Mode(Mode::SymmetricPassive),
        ),
        (
            Header {
                receive: NtpTimestamp::ZERO,
                ..good
            },
            Rejection::ZeroTimestamp,
        ),
        (
            Header {
                transmit: NtpTimestamp::ZERO,
                ..good
            },
            Rejection::ZeroTimestamp,
        ),
        (unsynchronized(good), unsynchronized_leap),
        (
            Header {
                stratum: 16,
                ..good
            },
            stratum(16),
        ),
        (
            Header {
                stratum: 255,
                ..good
            },
            stratum(255),
        ),
        (
            Header {
                stratum: 0,
                reference_id: ReferenceId::ZERO,
                ..good
            },
            stratum(0),
        ),
        (
            Header {
                root_dispersion: NtpShort::round_up(second * 16),
                ..good
            },
            Rejection::RootDistance(second * 16),
        ),
        (
            Header {
                root_delay: NtpShort::round_up(second * 30),
                root_dispersion: NtpShort::round_up(second),
                ..good
            },
            Rejection::RootDistance(second * 16),
        ),
        (
            Header {
                transmit: ago(&good, 1 << 32),
                ..good
            },
            Rejection::Turnaround(-second),
        ),
        (
            Header {
                receive: ago(&good, 5 << 32),
                transmit: good.receive,
                ..good
            },
            Rejection::Turnaround(second * 5),
        ),
    ];
    for (bad, rejection) in cases {
        rig.refuse(&bad, arrival(sent), rejection);
    }
    // After all these the true reply is still welcome.
    rig.deliver(&good, arrival(sent)).unwrap();
    assert_true(&only_exchange(rig.actions()));
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
    // A little below zero is what resolution and doubt explain.
    let at = sent + TURNAROUND - Duration::from_nanos(20);
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
