//! When the client asks: intervals, bursts, kisses, silence.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Is `gap` a poll interval of 2^`log2` s with its spread of 2 % at most?
fn is_interval(gap: Duration, log2: i8) -> bool {
    let interval = Poll::new(log2).interval();
    interval <= gap && gap <= interval + interval / 50
}

/// A kiss in answer to `request`.
fn kiss(request: &Header, code: [u8; 4]) -> Header {
    Header {
        reference_id: ReferenceId(code),
        origin: request.transmit,
        ..unsynchronized(Header::zeroed(Mode::Server))
    }
}

/// Asks once, is answered with a kiss, and says how long the next request waits.
fn kissed(rig: &mut Rig, code: [u8; 4]) -> (Duration, KissCode) {
    // A server that gives no time for long is reported, whatever else it says.
    let (
        Asked {
            header, at: sent, ..
        },
        _,
    ) = rig.ask_amid();
    rig.deliver(&kiss(&header, code), arrival(sent)).unwrap();
    let actions = rig.actions();
    let Some(Action::Kiss(code)) = actions.last() else {
        panic!("{actions:?}")
    };
    (rig.client.next_timeout().unwrap() - sent, *code)
}

#[test]
fn the_first_request_comes_soon_and_intervals_are_spread() {
    let mut first = Vec::new();
    for seed in 0..20 {
        let mut entropy = Seeded::new(seed);
        let client = Client::new(config(), Timestamp::EPOCH, &mut entropy);
        first.push(client.next_timeout().unwrap().since_epoch());
    }
    assert!(
        first
            .iter()
            .all(|wait| (Duration::ZERO..Duration::from_millis(100)).contains(wait))
    );
    assert!(first.iter().max() > first.iter().min());

    let mut rig = Rig::new(config());
    let mut previous = rig.exchange().t1.at;
    let mut gaps = Vec::new();
    for _ in 0..50 {
        let sent = rig.exchange().t1.at;
        gaps.push(sent - previous);
        previous = sent;
    }
    assert!(gaps.iter().all(|gap| is_interval(*gap, 0)), "{gaps:?}");
    let spread = *gaps.iter().max().unwrap() - *gaps.iter().min().unwrap();
    assert!(spread > Duration::from_millis(10), "{spread:?}");
}

#[test]
fn the_wish_is_kept_within_the_limits_and_acts_at_once() {
    let mut rig = Rig::new(config());
    let sent = rig.exchange().t1.at;
    rig.client.set_poll(Poll::new(3));
    assert!(is_interval(rig.client.next_timeout().unwrap() - sent, 3));
    rig.client.set_poll(Poll::new(9));
    assert_eq!(rig.client.poll(), Poll::new(4));
    rig.client.set_poll(Poll::new(-7));
    assert_eq!(rig.client.poll(), Poll::new(0));
    assert!(is_interval(rig.client.next_timeout().unwrap() - sent, 0));
    rig.client.reconfigure(ClientConfig {
        poll_min: Poll::new(2),
        ..config()
    });
    assert_eq!(rig.client.poll(), Poll::new(2));
    assert!(is_interval(rig.client.next_timeout().unwrap() - sent, 2));
    rig.client.reconfigure(ClientConfig {
        poll_min: Poll::new(6),
        ..config()
    });
    assert_eq!(
        rig.client.poll(),
        Poll::new(6),
        "a maximum below the minimum is the minimum"
    );
}

#[test]
fn a_burst_ends_with_four_good_exchanges_and_intervals_grow_from_there() {
    let long = Poll::new(6);
    let mut rig = Rig::new(ClientConfig {
        iburst: true,
        poll_min: long,
        poll_max: long,
        ..config()
    });
    let sent: Vec<_> = (0..17).map(|_| rig.exchange().t1.at).collect();
    let gaps: Vec<_> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps[..3], [SECOND * 2; 3]);
    for (gap, log2) in gaps[3..]
        .iter()
        .zip([1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 6])
    {
        assert!(is_interval(*gap, log2), "{gaps:?}");
    }
}

#[test]
fn a_burst_ends_with_eight_requests() {
    let mut rig = Rig::new(ClientConfig {
        iburst: true,
        ..config()
    });
    let sent: Vec<_> = (0..10).map(|_| rig.ask_amid().0.at).collect();
    let gaps: Vec<_> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(
        gaps[..7],
        [Duration::from_millis(250); 7],
        "a quarter of a short interval"
    );
    assert!(gaps[7..].iter().all(|gap| is_interval(*gap, 0)), "{gaps:?}");
}

#[test]
fn what_cannot_be_sent_does_not_use_up_the_burst() {
    let long = Poll::new(6);
    let mut rig = Rig::new(ClientConfig {
        iburst: true,
        poll_min: long,
        poll_max: long,
        ..config()
    });
    let mut sent = Vec::new();
    for _ in 0..12 {
        let (asked, _) = rig.ask_amid();
        sent.push(asked.at);
        assert!(asked.fresh_port);
        rig.client.send_failed(asked.token, rig.now);
        assert!(!rig.client.awaiting_reply());
    }
    let gaps: Vec<_> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps[..5], [4, 8, 16, 32, 64].map(|n| SECOND * n));
    assert!(gaps[5..].iter().all(|gap| *gap == SECOND * 64), "{gaps:?}");
    assert_eq!(rig.client.statistics().send_failures, 12);
    let sent: Vec<_> = (0..3).map(|_| rig.exchange().t1.at).collect();
    assert_eq!(
        sent[1] - sent[0],
        SECOND * 2,
        "the burst begins when the network is there"
    );
}

#[test]
fn rate_doubles_the_interval_up_to_its_cap_and_recovers() {
    // RFC 5905 section 7.4; the cap keeps forged kisses from silencing the client.
    let mut rig = Rig::new(ClientConfig {
        iburst: true,
        ..config()
    });
    for log2 in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10] {
        let (wait, code) = kissed(&mut rig, *b"RATE");
        assert_eq!(code, KissCode::Rate);
        assert_eq!(
            rig.client.poll(),
            Poll::new(log2),
            "beyond the configured maximum"
        );
        assert!(is_interval(wait, log2), "and the burst is over: {wait:?}");
    }
    rig.client.set_poll(Poll::MIN);
    assert_eq!(rig.client.poll(), Poll::new(10));
    for log2 in [9, 8, 7] {
        for _ in 0..16 {
            assert_eq!(rig.client.poll(), Poll::new(log2 + 1));
            rig.exchange();
        }
        assert_eq!(rig.client.poll(), Poll::new(log2));
    }
    for _ in 0..16 * 8 {
        rig.exchange();
    }
    assert_eq!(rig.client.poll(), Poll::new(0));
    assert_eq!(rig.client.statistics().kiss_rate, 12);
}

#[test]
fn a_denied_client_hardly_asks_until_it_is_served_again() {
    for (code, kiss) in [(*b"DENY", KissCode::Deny), (*b"RSTR", KissCode::Restrict)] {
        let mut rig = Rig::new(config());
        rig.exchange();
        let (wait, seen) = kissed(&mut rig, code);
        assert_eq!(seen, kiss);
        assert!(is_interval(wait, 10), "{wait:?}");
        assert!(rig.client.denied());
        rig.exchange();
        assert!(!rig.client.denied());
        assert_eq!(rig.client.poll(), Poll::new(0));
        assert_eq!(rig.client.statistics().kiss_denied, 1);
    }
}

#[test]
fn a_kiss_needs_the_origin_and_acts_once() {
    // RFC 8633 section 5.4.
    let mut rig = Rig::new(config());
    rig.exchange();
    let (request, sent) = rig.ask_stamped();
    let true_kiss = kiss(&request, *b"DENY");
    for origin in [
        NtpTimestamp::ZERO,
        NtpTimestamp::from_bits(1),
        server_time(sent),
    ] {
        let forged = Header {
            origin,
            ..true_kiss
        };
        rig.refuse(&forged, arrival(sent), Rejection::BogusOrigin);
    }
    assert!(!rig.client.denied());
    let rate = kiss(&request, *b"RATE");
    rig.deliver(&rate, arrival(sent)).unwrap();
    rig.actions();
    rig.refuse(&rate, arrival(sent), Rejection::Duplicate);
    rig.refuse(&true_kiss, arrival(sent), Rejection::Duplicate);
    assert_eq!(rig.client.poll(), Poll::new(1));
    // A kiss does not keep out the reply.
    rig.deliver(&reply(&request, sent), arrival(sent)).unwrap();
    assert_true(&only_exchange(rig.actions()));
    rig.refuse(&true_kiss, arrival(sent), Rejection::Duplicate);
}

#[test]
fn other_kisses_are_only_reported() {
    let mut rig = Rig::new(config());
    for code in [*b"INIT", *b"STEP", *b"XYZ\0", *b"NTSN"] {
        let (wait, kiss) = kissed(&mut rig, code);
        assert_eq!(kiss.reference_id(), ReferenceId(code));
        assert!(is_interval(wait, 0));
    }
    assert_eq!(rig.client.poll(), Poll::new(0));
    assert_eq!(rig.client.statistics().kiss_other, 4);
}

#[test]
fn silence_is_reported_once_and_makes_the_client_patient() {
    let mut rig = Rig::new(ClientConfig {
        iburst: true,
        ..config()
    });
    let exchange = rig.exchange();
    assert_eq!(rig.client.reach(), 1);
    let mut told = Vec::new();
    let mut polls = Vec::new();
    for _ in 0..20 {
        let (_, others) = rig.ask_amid();
        told.push(others.len());
        polls.push(rig.client.poll().log2());
        assert!(
            others.iter().all(|a| matches!(a, Action::Reachable(false))),
            "{others:?}"
        );
    }
    assert_eq!(told.iter().sum::<usize>(), 1);
    assert_eq!(told[8], 1, "when the eighth was given up");
    assert_eq!(rig.client.reach(), 0);
    assert_eq!(
        polls[12..18],
        [0, 1, 2, 3, 4, 4],
        "RFC 5905 section 13: UNREACH is 12"
    );
    // The first answer is reported, restores the interval and begins a burst.
    let (request, sent) = rig.ask_stamped();
    rig.deliver(&reply(&request, sent), arrival(sent)).unwrap();
    let actions = rig.actions();
    assert!(matches!(
        actions[..],
        [Action::Reachable(true), Action::Exchange(_)]
    ));
    assert_eq!(rig.client.poll(), Poll::new(0));
    let next = rig.exchange().t1.at;
    assert_eq!(next - sent, Duration::from_millis(250));
    assert_ne!(exchange.t1.at, next);
}

#[test]
fn reach_has_one_bit_for_each_of_the_last_eight_requests() {
    let mut rig = Rig::new(config());
    for answered in [true, true, false, true, false] {
        let (request, sent) = rig.ask_stamped();
        if answered {
            rig.deliver(&reply(&request, sent), arrival(sent)).unwrap();
            rig.actions();
        }
    }
    assert_eq!(rig.client.reach(), 0b11010);
}

#[test]
fn ports_are_fresh_as_configured() {
    let mut rig = Rig::new(config());
    assert!((0..5).all(|_| rig.ask_amid().0.fresh_port));
    let mut rig = Rig::new(ClientConfig {
        ports: PortPolicy::Sticky,
        ..config()
    });
    let fresh: Vec<_> = (0..10).map(|_| rig.ask_amid().0.fresh_port).collect();
    let expected: Vec<_> = (0..10).map(|i| i == 0 || i == 8).collect();
    assert_eq!(
        fresh, expected,
        "a new one when the server seems unreachable"
    );
    rig.client.restart(rig.now);
    assert!(rig.ask_amid().0.fresh_port);
    assert!(!rig.ask_amid().0.fresh_port);
}

#[test]
fn restart_bursts_again_unless_the_server_asked_for_less() {
    let mut rig = Rig::new(ClientConfig {
        iburst: true,
        ..config()
    });
    for _ in 0..6 {
        rig.exchange();
    }
    rig.client.restart(rig.now);
    let sent: Vec<_> = (0..5).map(|_| rig.exchange().t1.at).collect();
    assert_eq!(sent[1] - sent[0], Duration::from_millis(250));
    assert!(is_interval(sent[4] - sent[3], 0));
    kissed(&mut rig, *b"RATE");
    let due = rig.client.next_timeout();
    rig.client.restart(rig.now);
    assert_eq!(rig.client.next_timeout(), due);
}

#[test]
fn a_round_trip_longer_than_the_interval_slows_the_client_down() {
    // Only the latest request can be answered: at 1/16 s and 100 ms none ever would be.
    let fast = Poll::new(-4);
    let mut rig = Rig::new(ClientConfig {
        poll_min: fast,
        poll_max: fast,
        ..config()
    });
    let delay = Duration::from_millis(50);
    let mut in_flight: Option<(Header, Timestamp<Raw>)> = None;
    let mut measured = 0;
    for _ in 0..60 {
        let due = rig.client.next_timeout().unwrap();
        if let Some((header, at)) = in_flight.take_if(|(_, at)| *at <= due) {
            let _ = rig.deliver(&header, at);
            measured += exchanges_amid(&rig.actions());
            continue;
        }
        let (asked, _) = rig.ask_amid();
        rig.client.stamped(&asked.token, kernel(asked.at));
        let mut header = reply(&asked.header, asked.at + delay);
        header.transmit = header.receive;
        in_flight = Some((header, asked.at + delay * 2));
    }
    assert!(measured > 10, "{measured}");
}

/// How many exchanges there are among `actions`.
fn exchanges_amid(actions: &[Action]) -> usize {
    let is_exchange = |action: &Action| matches!(action, Action::Exchange(_));
    actions.iter().filter(|action| is_exchange(action)).count()
}

#[test]
fn a_late_timer_sends_one_request_not_many() {
    let mut rig = Rig::new(config());
    rig.exchange();
    rig.now += SECOND * 1000;
    rig.client.handle_timeout(rig.now, &mut rig.entropy);
    assert_eq!(rig.actions().len(), 1);
    assert!(is_interval(rig.client.next_timeout().unwrap() - rig.now, 0));
}

#[test]
fn undrained_actions_are_bounded() {
    let mut rig = Rig::new(config());
    for _ in 0..1000 {
        rig.now = rig.client.next_timeout().unwrap();
        rig.client.handle_timeout(rig.now, &mut rig.entropy);
    }
    assert!(rig.actions().len() <= 16);
}
