//! Transmit stamps that come late, or never.

use proptest::prelude::*;

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

fn hardware(at: Timestamp<Raw>) -> Stamp<Raw> {
    Stamp::exact(at, StampKind::Hardware)
}

impl Rig {
    /// Delivers the good reply to `asked`, stamped by all of `kinds` at once.
    fn deliver_stamped(&mut self, asked: &Asked, kinds: &[StampKind]) {
        let at = arrival(asked.at);
        let mut stamps = Stamps::default();
        for kind in kinds {
            stamps.note(Stamp::exact(at, *kind));
        }
        let arrival = Arrival {
            stamps,
            ..Arrival::udp(kernel(at))
        };
        let octets = reply(&asked.header, asked.at).to_bytes();
        self.now = self.now.max(at);
        self.client
            .handle_datagram(&octets, arrival, self.now)
            .unwrap();
    }
}

#[test]
fn a_reply_is_held_until_the_stamp_comes() {
    let mut rig = Rig::new(config());
    let (token, sent) = reply_before_stamp(&mut rig);
    assert!(exchanges(rig.actions()).is_empty());
    rig.client.stamped(&token, kernel(sent));
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
    assert_eq!(due, arrival(sent) + rig.client.stamping.wait);
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
                Action::Unusable(Rejection::NoCommonStamp)
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
    rig.client.stamped(&asked.token, kernel(asked.at));
    assert_eq!(only_exchange(rig.actions()).t2, good.receive);
}

#[test]
fn the_next_request_does_not_lose_a_held_reply() {
    let mut rig = Rig::new(config());
    rig.client
        .set_stamping(StampKind::Kernel, Duration::from_secs(100));
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
        let mut rig = Rig::new(config());
        rig.client.set_stamping(best_stamp, stamp_wait);
        let _token = reply_before_stamp(&mut rig);
        assert_eq!(only_exchange(rig.actions()).t1.kind, StampKind::Daemon);
    }
    // Better than hoped for is good enough, too.
    let mut rig = Rig::new(config());
    let asked = rig.ask();
    rig.client.stamped(&asked.token, hardware(asked.at));
    rig.deliver_stamped(&asked, &[StampKind::Hardware, StampKind::Kernel]);
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
        rig.deliver_stamped(&asked, &[arrival_kind]);
        let exchange = only_exchange(rig.actions());
        assert_eq!((exchange.t1.kind, exchange.t4.kind), (used, used));
        assert!(!exchange.is_mixed());
    }
}

/// A rig whose transmit path gives hardware stamps within 5 ms.
fn hardware_rig() -> Rig {
    let mut rig = Rig::new(config());
    rig.client
        .set_stamping(StampKind::Hardware, Duration::from_millis(5));
    rig
}

#[test]
fn the_kernels_stamp_does_not_end_the_wait_for_the_nics() {
    use StampKind::{Daemon, Hardware, Kernel};
    for order in [[Kernel, Hardware], [Hardware, Kernel]] {
        let mut rig = hardware_rig();
        let asked = rig.ask();
        rig.client
            .sent(&asked.token, Stamp::exact(asked.at, Daemon));
        rig.deliver_stamped(&asked, &[Hardware, Kernel]);
        for kind in order {
            let done = exchanges(rig.actions());
            assert!(
                done.is_empty(),
                "given out before the {kind} stamp: {done:?}"
            );
            rig.client
                .stamped(&asked.token, Stamp::exact(asked.at, kind));
            if kind == Hardware {
                break;
            }
        }
        let exchange = only_exchange(rig.actions());
        assert_eq!((exchange.t1.kind, exchange.t4.kind), (Hardware, Hardware));
        assert_true(&exchange);
    }
}

#[test]
fn the_nics_stamp_is_not_waited_for_where_the_reply_has_none() {
    use StampKind::{Daemon, Kernel};
    let mut rig = hardware_rig();
    let asked = rig.ask();
    rig.client
        .sent(&asked.token, Stamp::exact(asked.at, Daemon));
    rig.deliver_stamped(&asked, &[Kernel]);
    rig.client.stamped(&asked.token, hardware(asked.at));
    let done = exchanges(rig.actions());
    assert!(done.is_empty(), "the kernel's still helps: {done:?}");
    rig.client.stamped(&asked.token, kernel(asked.at));
    let exchange = only_exchange(rig.actions());
    assert_eq!((exchange.t1.kind, exchange.t4.kind), (Kernel, Kernel));
    // With the kernel's there already, nothing is waited for.
    let asked = rig.ask();
    rig.client.stamped(&asked.token, kernel(asked.at));
    rig.deliver_stamped(&asked, &[Kernel]);
    only_exchange(rig.actions());
    assert_eq!(rig.client.statistics().held_replies, 1);
}

#[test]
fn the_wait_is_the_one_last_set() {
    let mut rig = hardware_rig();
    let _token = reply_before_stamp(&mut rig);
    rig.actions();
    // The arrival's kernel stamp could still be matched.
    let first = rig.client.next_timeout().unwrap();
    rig.client.handle_timeout(first, &mut rig.entropy);
    let exchange = only_exchange(rig.actions());
    assert_eq!(exchange.t1.kind, StampKind::Daemon);
    assert_eq!(first - exchange.t4.at, Duration::from_millis(5));
    rig.client
        .set_stamping(StampKind::Kernel, Duration::from_millis(50));
    let (_, sent) = reply_before_stamp(&mut rig);
    let due = rig.client.next_timeout().unwrap();
    assert_eq!(due, arrival(sent) + Duration::from_millis(50));
}

#[test]
fn when_no_further_stamp_comes_there_is_no_wait() {
    let mut rig = hardware_rig();
    let (token, _) = reply_before_stamp(&mut rig);
    assert!(exchanges(rig.actions()).is_empty());
    rig.client.stamps_ended(token);
    assert_eq!(only_exchange(rig.actions()).t1.kind, StampKind::Daemon);
    assert_eq!(rig.client.statistics().stamp_timeouts, 0);
}

#[test]
fn a_kind_that_one_end_lacks_is_never_paired() {
    // No reading of this process's clock went with the request, and its reply came without the
    // NIC's stamp.
    let mut rig = hardware_rig();
    let asked = rig.ask();
    rig.client.stamped(&asked.token, hardware(asked.at));
    rig.deliver_stamped(&asked, &[StampKind::Kernel]);
    rig.actions();
    rig.client.stamps_ended(asked.token);
    let actions = rig.actions();
    assert!(
        matches!(actions[..], [Action::Unusable(Rejection::NoCommonStamp)]),
        "{actions:?}"
    );
}

#[test]
fn a_held_reply_with_a_wrong_stamp_is_reported() {
    let mut rig = Rig::new(config());
    let (token, sent) = reply_before_stamp(&mut rig);
    rig.actions();
    rig.client
        .stamped(&token, kernel(sent + Duration::from_secs(1)));
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
    rig.client.stamped(&old.token, kernel(old.at));
    rig.client.stamps_ended(old.token);
    assert_eq!(rig.state(), before);
}

/// What can happen to a request's stamps, and in between.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Stamp(StampKind),
    /// Of a request that this client never made.
    Foreign(StampKind),
    Reply,
    Ended,
}

fn any_step() -> impl Strategy<Value = Step> {
    let kind = || prop::sample::select(&StampKind::BEST_FIRST);
    prop_oneof![
        3 => kind().prop_map(Step::Stamp),
        1 => kind().prop_map(Step::Foreign),
        2 => Just(Step::Reply),
        1 => Just(Step::Ended),
    ]
}

proptest! {
    /// In whatever order stamps come, however often, and whosever they are: an exchange is given
    /// out once, of one kind at both ends, and never later than the wait allows.
    #[test]
    fn stamps_come_as_they_like(
        steps in prop::collection::vec(any_step(), 0..12),
        arrival_kinds in prop::collection::vec(prop::sample::select(&StampKind::BEST_FIRST), 1..4),
    ) {
        let mut rig = hardware_rig();
        let asked = rig.ask();
        let daemon = Stamp::exact(asked.at, StampKind::Daemon);
        rig.client.sent(&asked.token, daemon);
        let serial = asked.token.serial;
        let mut seen = Vec::new();
        let mut replied = false;
        for step in steps.iter().copied().chain([Step::Reply]) {
            match step {
                Step::Stamp(kind) => rig.client.stamped(&asked.token, Stamp::exact(asked.at, kind)),
                Step::Foreign(kind) => {
                    let before = rig.state();
                    let late = asked.at + Duration::from_secs(3);
                    let foreign = TxToken { serial: serial + 1000 };
                    rig.client.stamped(&foreign, Stamp::exact(late, kind));
                    rig.client.stamps_ended(foreign);
                    prop_assert_eq!(rig.state(), before);
                }
                Step::Reply if !replied => {
                    rig.deliver_stamped(&asked, &arrival_kinds);
                    replied = true;
                }
                Step::Reply => {}
                Step::Ended => rig.client.stamps_ended(TxToken { serial }),
            }
            seen.extend(exchanges(rig.actions()));
        }
        let patience = rig.now + Duration::from_millis(5);
        rig.client.handle_timeout(patience, &mut rig.entropy);
        seen.extend(exchanges(rig.actions()));
        prop_assert_eq!(seen.len(), 1);
        prop_assert_eq!(seen[0].t1.kind, seen[0].t4.kind);
        assert_true(&seen[0]);
    }
}
