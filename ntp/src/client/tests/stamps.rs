//! Transmit stamps that come late, or never.

use super::*;

/// Asks, and lets the reply arrive before any kernel stamp; the request's token is returned.
fn reply_before_stamp(rig: &mut Rig) -> (TxToken, Timestamp<Raw>) {
    let asked = rig.ask();
    // The process reads its clock a little before the packet leaves.
    let early = Stamp::exact(asked.at - Duration::from_micros(7), StampKind::Daemon);
    rig.client.sent(&asked.token, early);
    rig.deliver(&reply(&asked.header, asked.at), arrival(asked.at))
        .unwrap();
    (asked.token, asked.at)
}

#[test]
fn a_reply_is_held_until_the_stamp_comes() {
    let mut rig = Rig::new(config());
    let (token, sent) = reply_before_stamp(&mut rig);
    assert!(exchanges(rig.actions()).is_empty());
    rig.client.stamped(token, kernel(sent));
    let exchange = only_exchange(rig.actions());
    assert_true(&exchange);
    assert_eq!(exchange.worst_kind(), StampKind::Kernel);
    assert!(!exchange.is_mixed());
    assert_eq!(rig.client.statistics().held_replies, 1);
    assert_eq!(rig.client.statistics().stamp_timeouts, 0);
    rig.ask();
}

#[test]
fn a_stamp_that_never_comes_is_not_waited_for_long() {
    let mut rig = Rig::new(config());
    let (_token, sent) = reply_before_stamp(&mut rig);
    assert!(exchanges(rig.actions()).is_empty());
    let due = rig.client.next_timeout().unwrap();
    assert_eq!(due, arrival(sent) + config().stamp_wait);
    rig.client
        .handle_timeout(due - Duration::from_nanos(1), &mut rig.entropy);
    assert!(rig.actions().is_empty());
    rig.client.handle_timeout(due, &mut rig.entropy);
    let exchange = only_exchange(rig.actions());
    assert_eq!(exchange.t1.kind, StampKind::Daemon);
    // The arrival's kernel stamp has no twin, so its daemon stamp is used.
    assert_eq!(exchange.t4.kind, StampKind::Daemon);
    assert!(!exchange.is_mixed());
    assert_eq!(rig.client.statistics().stamp_timeouts, 1);
}

#[test]
fn without_any_stamp_there_is_no_exchange() {
    let mut rig = Rig::new(config());
    let asked = rig.ask();
    rig.deliver(&reply(&asked.header, asked.at), arrival(asked.at))
        .unwrap();
    let (_, others) = rig.ask_amid();
    assert!(
        matches!(
            others[..],
            [
                Action::Reachable(true),
                Action::Unusable(Rejection::NoTransmitStamp)
            ]
        ),
        "{others:?}"
    );
}

#[test]
fn a_second_reply_is_a_duplicate_while_the_first_is_held() {
    let mut rig = Rig::new(config());
    let asked = rig.ask();
    let good = reply(&asked.header, asked.at);
    rig.deliver(&good, arrival(asked.at)).unwrap();
    rig.actions();
    let other = Header {
        receive: server_time(asked.at),
        ..good
    };
    rig.refuse(&other, arrival(asked.at), Rejection::Duplicate);
    rig.client.stamped(asked.token, kernel(asked.at));
    assert_eq!(only_exchange(rig.actions()).t2, good.receive);
}

#[test]
fn the_next_request_does_not_lose_a_held_reply() {
    let wait = Duration::from_secs(100);
    let mut rig = Rig::new(ClientConfig {
        stamp_wait: wait,
        ..config()
    });
    let _token = reply_before_stamp(&mut rig);
    rig.actions();
    let (_, others) = rig.ask_amid();
    assert!(matches!(others[..], [Action::Exchange(_)]), "{others:?}");
}

#[test]
fn a_good_enough_stamp_is_not_waited_for() {
    for (best_stamp, stamp_wait) in [
        (StampKind::Daemon, Duration::from_secs(1)),
        (StampKind::Hardware, Duration::ZERO),
    ] {
        let mut rig = Rig::new(ClientConfig {
            best_stamp,
            stamp_wait,
            ..config()
        });
        let _token = reply_before_stamp(&mut rig);
        assert_eq!(only_exchange(rig.actions()).t1.kind, StampKind::Daemon);
    }
    // Better than hoped for is good enough, too.
    let mut rig = Rig::new(config());
    let asked = rig.ask();
    rig.client
        .stamped(asked.token, Stamp::exact(asked.at, StampKind::Hardware));
    rig.deliver(&reply(&asked.header, asked.at), arrival(asked.at))
        .unwrap();
    assert_eq!(only_exchange(rig.actions()).t1.kind, StampKind::Hardware);
}

#[test]
fn an_exchange_uses_the_best_kind_that_both_ends_have() {
    use StampKind::{Daemon, Hardware, Kernel};
    for (departures, arrival_kind, used) in [
        (&[Hardware, Daemon, Kernel][..], Kernel, Kernel),
        (&[Hardware, Daemon, Kernel], Hardware, Hardware),
        (&[Kernel, Daemon], Daemon, Daemon),
    ] {
        let mut rig = Rig::new(config());
        let asked = rig.ask();
        for kind in departures {
            rig.client.sent(&asked.token, Stamp::exact(asked.at, *kind));
        }
        let answer = reply(&asked.header, asked.at).to_bytes();
        let at = arrival(asked.at);
        let rx = Stamp::exact(at, arrival_kind);
        rig.client
            .handle_datagram(&answer, rx, at + Duration::from_micros(9))
            .unwrap();
        let exchange = only_exchange(rig.actions());
        assert_eq!((exchange.t1.kind, exchange.t4.kind), (used, used));
        assert!(!exchange.is_mixed());
    }
}

#[test]
fn a_held_reply_with_a_wrong_stamp_is_reported() {
    let mut rig = Rig::new(config());
    let (token, sent) = reply_before_stamp(&mut rig);
    rig.actions();
    rig.client
        .stamped(token, kernel(sent + Duration::from_secs(1)));
    let actions = rig.actions();
    assert!(
        matches!(actions[..], [Action::Unusable(Rejection::StampOrder(_))]),
        "{actions:?}"
    );
    assert_eq!(rig.client.statistics().stamp_order, 1);
}

#[test]
fn a_stamp_for_a_forgotten_request_changes_nothing() {
    let mut rig = Rig::new(config());
    let old = rig.ask();
    rig.ask();
    rig.ask();
    let before = rig.state();
    rig.client.stamped(old.token, kernel(old.at));
    assert_eq!(rig.state(), before);
}
