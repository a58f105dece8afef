//! Interleaved mode (RFC 9769 section 2).

use super::*;

/// What a server that remembers keeps about its last reply.
#[derive(Clone, Copy)]
struct Remembered {
    receive: NtpTimestamp,
    /// When that reply really left.
    left: NtpTimestamp,
}

/// How much later than its own basic transmit timestamp a reply leaves.
const SLOW_SEND: Duration = Duration::from_micros(20);

/// A server in interleaved mode whose replies leave 20 us after their basic transmit timestamp.
#[derive(Default)]
struct Server {
    last: Option<Remembered>,
}

impl Server {
    /// Answers as RFC 9769 says; true if interleaved.
    fn answer(&mut self, request: &Header, sent: Timestamp<Raw>) -> (Header, bool) {
        let mut header = reply(request, sent);
        let known = self
            .last
            .take_if(|last| last.receive == request.origin && request.receive != request.transmit);
        if let Some(known) = known {
            header.origin = request.receive;
            header.transmit = known.left;
        }
        let left = server_time(sent + ONE_WAY + TURNAROUND + SLOW_SEND);
        self.last = Some(Remembered {
            receive: header.receive,
            left,
        });
        (header, known.is_some())
    }
}

/// When the reply of a slow server arrives.
fn slow_arrival(sent: Timestamp<Raw>) -> Timestamp<Raw> {
    arrival(sent) + SLOW_SEND
}

/// One request and its answer; true if that was interleaved.
fn round(rig: &mut Rig, server: &mut Server) -> (Timestamp<Raw>, bool, Vec<Exchange>) {
    let (request, sent) = rig.ask_stamped();
    let (header, interleaved) = server.answer(&request, sent);
    rig.deliver(&header, slow_arrival(sent)).unwrap();
    assert_eq!(rig.client.interleaved(), interleaved);
    (sent, interleaved, exchanges(rig.actions()))
}

#[test]
fn the_request_names_the_last_reply_and_is_random_otherwise() {
    let mut rig = Rig::new(interleaved());
    let mut server = Server::default();
    let (request, sent) = rig.ask_stamped();
    assert!(
        request.origin.is_zero() && request.receive.is_zero(),
        "the first is basic"
    );
    let (header, _) = server.answer(&request, sent);
    rig.deliver(&header, slow_arrival(sent)).unwrap();
    rig.actions();
    let (request, _) = rig.ask_stamped();
    assert_eq!(request.origin, header.receive);
    assert!(!request.receive.is_zero());
    assert_ne!(request.receive, request.transmit);
    assert_eq!(request.to_bytes()[..24], [&[0x23][..], &[0; 23]].concat());
    let (again, _) = rig.ask_stamped();
    assert_eq!(
        again.origin, header.receive,
        "the same reply, as no other has come"
    );
    assert_ne!(again.receive, request.receive);
    assert_ne!(again.transmit, request.transmit);
}

#[test]
fn every_exchange_is_measured_once_and_with_the_time_the_reply_left() {
    let mut rig = Rig::new(interleaved());
    let mut server = Server::default();
    let (first, interleaved, basic) = round(&mut rig, &mut server);
    assert!(!interleaved);
    assert_eq!(basic[0].t1, kernel(first));
    assert!(!basic[0].interleaved);
    // The second reply says when the first one left; but that exchange has been measured.
    let (mut previous, interleaved, none) = round(&mut rig, &mut server);
    assert!(interleaved);
    assert!(none.is_empty());
    assert_eq!(rig.client.statistics().already_measured, 1);
    for _ in 0..10 {
        let (sent, interleaved, measured) = round(&mut rig, &mut server);
        assert!(interleaved);
        let [exchange] = measured[..] else {
            panic!("{measured:?}")
        };
        assert!(exchange.interleaved);
        assert_eq!(exchange.t1, kernel(previous));
        assert_eq!(exchange.t4, kernel(slow_arrival(previous)));
        assert_true(&exchange);
        let at = exchange.measure(pivot()).at;
        assert_eq!(at, previous + (ONE_WAY * 2 + TURNAROUND + SLOW_SEND).half());
        previous = sent;
    }
    assert_eq!(rig.client.statistics().interleaved_replies, 11);
}

/// When the reply left is told a poll interval later; until then it is foreseen from those before.
#[test]
fn the_newest_exchange_is_foreseen_and_then_completed() {
    let mut rig = Rig::new(interleaved());
    let mut server = Server::default();
    let mut last: Option<Exchange> = None;
    for n in 0..12 {
        let (request, sent) = rig.ask_stamped();
        let (header, _) = server.answer(&request, sent);
        rig.deliver(&header, slow_arrival(sent)).unwrap();
        let actions = rig.actions();
        let complete = actions.iter().find_map(|action| match action {
            Action::Exchange(exchange) => Some(*exchange),
            _ => None,
        });
        // The complete one comes first: it is older.
        let Some(Action::Foreseen(foreseen)) = actions.last() else {
            assert!(n < 2, "{n}: {actions:?}");
            continue;
        };
        assert!(n >= 2, "nothing of how long it takes is known after {n}");
        assert_eq!(foreseen.exchange.t1, kernel(sent));
        assert_eq!(foreseen.exchange.t2, header.receive);
        assert_eq!(foreseen.exchange.t4, kernel(slow_arrival(sent)));
        assert!(!foreseen.exchange.interleaved);
        // Until there are enough, the server's own word counts, which was SLOW_SEND early.
        let early = if n < 4 { SLOW_SEND } else { Duration::ZERO };
        assert!((foreseen.deviation - early).abs() < Duration::from_nanos(2));
        assert_true(&foreseen.exchange);
        if let (Some(last), Some(complete)) = (last, complete) {
            assert_eq!((last.t1, last.t2), (complete.t1, complete.t2));
        }
        last = Some(foreseen.exchange);
    }
    assert!(last.is_some());
    let complete = rig.client.statistics().exchanges;
    assert_eq!(complete, 11, "what is foreseen is not counted");
}

#[test]
fn each_fact_comes_from_the_reply_it_belongs_to() {
    // Root delay and dispersion describe the clock that took t2 and t3; the rest is news.
    let mut rig = Rig::new(interleaved());
    let mut server = Server::default();
    round(&mut rig, &mut server);
    round(&mut rig, &mut server);
    let mut ask = |n: u8| {
        let (request, sent) = rig.ask_stamped();
        let (mut header, _) = server.answer(&request, sent);
        header.root_delay = NtpShort::from_bits(u32::from(n));
        header.root_dispersion = NtpShort::from_bits(u32::from(n) + 10);
        (header.stratum, header.reference_id) = (n, ReferenceId([n; 4]));
        rig.deliver(&header, slow_arrival(sent)).unwrap();
        only_exchange(rig.actions())
    };
    ask(2);
    let exchange = ask(3);
    assert_eq!(exchange.root_delay, NtpShort::from_bits(2).to_duration());
    assert_eq!(
        exchange.root_dispersion,
        NtpShort::from_bits(12).to_duration()
    );
    assert_eq!(exchange.stratum, 3);
    assert_eq!(exchange.reference_id, ReferenceId([3; 4]));
}

#[test]
fn a_basic_server_is_used_in_basic_mode_for_ever() {
    let mut rig = Rig::new(interleaved());
    rig.exchange();
    for _ in 0..30 {
        let (request, sent) = rig.ask_stamped();
        assert!(!request.origin.is_zero(), "still offered");
        rig.deliver(&reply(&request, sent), arrival(sent)).unwrap();
        let exchange = only_exchange(rig.actions());
        assert!(!exchange.interleaved);
        assert_true(&exchange);
    }
}

#[test]
fn a_stamp_later_than_the_reply_still_serves() {
    let mut rig = Rig::new(interleaved());
    let mut server = Server::default();
    round(&mut rig, &mut server);
    round(&mut rig, &mut server);
    // The reply is not held for it: the exchange completes a poll later anyway.
    let asked = rig.ask();
    let (header, _) = server.answer(&asked.header, asked.at);
    rig.client
        .sent(&asked.token, Stamp::exact(asked.at, StampKind::Daemon));
    rig.deliver(&header, slow_arrival(asked.at)).unwrap();
    assert_eq!(exchanges(rig.actions()).len(), 1, "the one before");
    // The stamp comes when the next request has already been sent.
    let next = rig.ask();
    rig.client.stamped(&asked.token, kernel(asked.at));
    let (header, _) = server.answer(&next.header, next.at);
    rig.deliver(&header, slow_arrival(next.at)).unwrap();
    let exchange = only_exchange(rig.actions());
    assert_eq!(exchange.t1, kernel(asked.at));
    assert_true(&exchange);
    assert_eq!(rig.client.statistics().held_replies, 0);
}

#[test]
fn a_lost_request_costs_nothing() {
    let mut rig = Rig::new(interleaved());
    let mut server = Server::default();
    round(&mut rig, &mut server);
    let (previous, ..) = round(&mut rig, &mut server);
    for _ in 0..3 {
        rig.ask_stamped();
    }
    let (_, interleaved, measured) = round(&mut rig, &mut server);
    assert!(interleaved);
    assert_eq!(
        measured[0].t1,
        kernel(previous),
        "the request that was answered"
    );
    assert_true(&measured[0]);
}

#[test]
fn after_a_lost_reply_a_basic_one_waits_for_its_better_timestamp() {
    let mut rig = Rig::new(interleaved());
    let mut server = Server::default();
    round(&mut rig, &mut server);
    round(&mut rig, &mut server);
    let (request, sent) = rig.ask_stamped();
    server.answer(&request, sent);
    // The server has told all it knew in the lost reply, so it answers in basic mode.
    let (basic, interleaved, none) = round(&mut rig, &mut server);
    assert!(!interleaved && none.is_empty());
    let (_, interleaved, measured) = round(&mut rig, &mut server);
    assert!(interleaved);
    let [exchange] = measured[..] else {
        panic!("{measured:?}")
    };
    assert_eq!(exchange.t1, kernel(basic));
    assert!(exchange.interleaved);
    assert_true(&exchange);
}

#[test]
fn a_server_that_stops_interleaving_loses_no_exchange_but_one() {
    let mut rig = Rig::new(interleaved());
    let mut server = Server::default();
    for _ in 0..3 {
        round(&mut rig, &mut server);
    }
    // The first basic reply is kept for one poll, the second gives both.
    let (first, sent) = rig.ask_stamped();
    rig.deliver(&reply(&first, sent), arrival(sent)).unwrap();
    assert!(exchanges(rig.actions()).is_empty());
    let (second, later) = rig.ask_stamped();
    rig.deliver(&reply(&second, later), arrival(later)).unwrap();
    let both = exchanges(rig.actions());
    assert_eq!((both[0].t1, both[1].t1), (kernel(sent), kernel(later)));
    assert!(both.iter().all(|exchange| !exchange.interleaved));
    both.iter().for_each(assert_true);
    assert_true(&rig.exchange());
}

#[test]
fn four_unanswered_requests_end_it_until_the_server_answers_again() {
    let mut rig = Rig::new(interleaved());
    let mut server = Server::default();
    round(&mut rig, &mut server);
    round(&mut rig, &mut server);
    for _ in 0..4 {
        let (request, _) = rig.ask_stamped();
        assert!(!request.origin.is_zero());
    }
    for _ in 0..2 {
        let (request, _) = rig.ask_stamped();
        assert!(
            request.origin.is_zero() && request.receive.is_zero(),
            "basic"
        );
    }
    assert_eq!(rig.client.statistics().fallbacks, 1);
    let (_, interleaved, measured) = round(&mut rig, &mut server);
    assert!(!interleaved);
    assert_eq!(measured.len(), 1, "measured at once");
    let (_, interleaved, _) = round(&mut rig, &mut server);
    assert!(interleaved);
}

#[test]
fn interleaved_origins_are_checked_as_strictly() {
    let mut rig = Rig::new(interleaved());
    let mut server = Server::default();
    for _ in 0..3 {
        round(&mut rig, &mut server);
    }
    let (request, sent) = rig.ask_stamped();
    let (good, _) = server.answer(&request, sent);
    // The request's origin is known to the last reply's sender, and to eavesdroppers of it.
    let forged = Header {
        origin: request.origin,
        ..good
    };
    rig.refuse(&forged, slow_arrival(sent), Rejection::BogusOrigin);
    rig.deliver(&good, slow_arrival(sent)).unwrap();
    assert_eq!(exchanges(rig.actions()).len(), 1);
    rig.refuse(&good, slow_arrival(sent), Rejection::Duplicate);
    let (request, sent) = rig.ask_stamped();
    rig.refuse(&good, sent, Rejection::Duplicate);
    // RFC 9769: the same transmit timestamp alone makes no duplicate.
    let (next, _) = server.answer(&request, sent);
    let same_transmit = Header {
        transmit: good.transmit,
        ..next
    };
    assert!(rig.deliver(&same_transmit, slow_arrival(sent)).is_ok());
}

#[test]
fn a_basic_request_is_not_answered_in_interleaved_mode() {
    // Its receive field is zero, which must not match a forged origin of zero.
    let mut rig = Rig::new(interleaved());
    let (request, sent) = rig.ask_stamped();
    let forged = Header {
        origin: request.receive,
        ..reply(&request, sent)
    };
    rig.refuse(&forged, arrival(sent), Rejection::BogusOrigin);
}

#[test]
fn a_wrong_time_of_leaving_spoils_one_exchange_only() {
    let mut rig = Rig::new(interleaved());
    let mut server = Server::default();
    for _ in 0..3 {
        round(&mut rig, &mut server);
    }
    let left = server.last.as_ref().unwrap().left;
    for wrong in [-(1_i64 << 32), 1 << 20, 5 << 32] {
        let last = server.last.as_mut().unwrap();
        last.left = NtpTimestamp::from_bits(left.to_bits().wrapping_add_signed(wrong));
        let (request, sent) = rig.ask_stamped();
        let (header, _) = server.answer(&request, sent);
        rig.deliver(&header, slow_arrival(sent)).unwrap();
        let actions = rig.actions();
        assert!(matches!(actions[0], Action::Unusable(_)), "{actions:?}");
        let is_exchange = |action: &Action| matches!(action, Action::Exchange(_));
        assert!(!actions.iter().any(is_exchange), "{actions:?}");
        let (_, interleaved, measured) = round(&mut rig, &mut server);
        assert!(interleaved);
        assert_true(&measured[0]);
    }
}

#[test]
fn restart_forgets_the_interleaved_state() {
    let mut rig = Rig::new(interleaved());
    let mut server = Server::default();
    for _ in 0..3 {
        round(&mut rig, &mut server);
    }
    let (request, sent) = rig.ask_stamped();
    let (late, _) = server.answer(&request, sent);
    rig.client.restart(rig.now);
    assert!(!rig.client.interleaved());
    rig.refuse(&late, slow_arrival(sent), Rejection::Unexpected);
    let at = rig.now;
    let (request, sent) = rig.ask_stamped();
    assert_eq!(sent, at, "at once");
    assert!(request.origin.is_zero() && request.receive.is_zero());
}
