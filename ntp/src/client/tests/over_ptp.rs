//! Requests over PTP, one by one.

use super::*;
use crate::extension::network_correction;
use crate::over_ptp::{NotNtp, OVERHEAD, unwrap, wrap};

/// A client that asks over PTP, its first request, and the request's message.
fn asked_over_ptp(ptp: PtpUse) -> (Rig, Header, Timestamp<Raw>, Vec<u8>) {
    let mut rig = Rig::new(config());
    rig.client.set_ptp(ptp);
    rig.client.set_ptp_domain(7);
    let (message, sent) = rig.ask_message();
    let header = Header::parse(unwrap(&message, 7).unwrap().packet).unwrap();
    (rig, header, sent, message)
}

impl Rig {
    /// The next request over PTP, stamped.
    fn ask_message(&mut self) -> (Vec<u8>, Timestamp<Raw>) {
        loop {
            self.now = self.now.max(self.client.next_timeout().unwrap());
            self.client.handle_timeout(self.now, &mut self.entropy);
            for action in self.actions() {
                if let Action::Send(request) = action {
                    assert_eq!(request.transport, Transport::Ptp);
                    assert!(!request.fresh_port);
                    self.client.stamped(&request.token, kernel(self.now));
                    self.client.stamps_ended(request.token);
                    return (request.payload, self.now);
                }
            }
        }
    }

    fn deliver_by(
        &mut self,
        transport: Transport,
        octets: &[u8],
        at: Timestamp<Raw>,
    ) -> Result<(), Rejection> {
        let arrival = Arrival {
            transport,
            ..Arrival::udp(kernel(at))
        };
        self.now = self.now.max(at);
        self.client.handle_datagram(octets, arrival, self.now)
    }
}

#[test]
fn a_request_over_ptp_asks_what_it_collects() {
    let (mut rig, _, _, message) = asked_over_ptp(PtpUse::Always);
    assert_eq!(
        message.len(),
        OVERHEAD + Header::LEN + network_correction::LENGTH
    );
    let packet = unwrap(&message, 7).unwrap().packet;
    assert_eq!(packet[Header::LEN..], network_correction::ASK);
    let (next, _) = rig.ask_message();
    assert_ne!(message[30..32], next[30..32], "another sequence number");
}

#[test]
fn a_reply_must_come_the_way_the_request_went() {
    let (mut rig, request, sent, _) = asked_over_ptp(PtpUse::Always);
    let packet = reply(&request, sent).to_bytes();
    let message = wrap(&packet, 7, 0).unwrap();
    let before = rig.state();
    for (transport, octets, rejection) in [
        (Transport::Udp, &packet[..], Rejection::Unexpected),
        (
            Transport::Ptp,
            &packet[..],
            Rejection::OverPtp(NotNtp::NotEvent),
        ),
        (
            Transport::Ptp,
            &wrap(&packet, 8, 0).unwrap(),
            Rejection::OverPtp(NotNtp::Domain(8)),
        ),
    ] {
        let refused = rig.deliver_by(transport, octets, arrival(sent));
        assert_eq!(refused, Err(rejection));
        assert_eq!(rig.state(), before);
    }
    assert_eq!(rig.client.statistics().over_ptp, 2);
    rig.deliver_by(Transport::Ptp, &message, arrival(sent))
        .unwrap();
    assert_true(&only_exchange(rig.actions()));
    assert_eq!(rig.client.statistics().ptp_replies, 1);
    // And the other way round.
    let mut rig = Rig::new(config());
    let (request, sent) = rig.ask_stamped();
    let message = wrap(&reply(&request, sent).to_bytes(), 123, 0).unwrap();
    let refused = rig.deliver_by(Transport::Ptp, &message, arrival(sent));
    assert_eq!(refused, Err(Rejection::Unexpected));
}

#[test]
fn a_kiss_over_ptp_is_an_answer_over_ptp() {
    let (mut rig, request, sent, _) = asked_over_ptp(PtpUse::Try);
    let kiss = Header {
        stratum: 0,
        reference_id: ReferenceId(*b"RATE"),
        ..unsynchronized(reply(&request, sent))
    };
    let message = wrap(&kiss.to_bytes(), 7, 0).unwrap();
    rig.deliver_by(Transport::Ptp, &message, arrival(sent))
        .unwrap();
    assert!(matches!(rig.actions()[..], [Action::Kiss(KissCode::Rate)]));
    rig.ask_message();
}

#[test]
fn attempts_do_not_make_a_silent_server_unreachable_sooner() {
    let mut rig = Rig::new(config());
    rig.exchange();
    rig.client.set_ptp(PtpUse::Try);
    let (mut by_udp, mut over_ptp) = (0, 0);
    loop {
        let (asked, others) = rig.ask_amid_transports();
        if matches!(others[..], [Action::Reachable(false)]) {
            break;
        }
        match asked {
            Transport::Udp => by_udp += 1,
            Transport::Ptp => over_ptp += 1,
        }
    }
    assert_eq!((by_udp, over_ptp), (8, 3));
}

impl Rig {
    /// How the next request goes, and what else happened before it.
    fn ask_amid_transports(&mut self) -> (Transport, Vec<Action>) {
        let mut others = Vec::new();
        loop {
            self.now = self.now.max(self.client.next_timeout().unwrap());
            self.client.handle_timeout(self.now, &mut self.entropy);
            for action in self.actions() {
                match action {
                    Action::Send(request) => return (request.transport, others),
                    other => others.push(other),
                }
            }
        }
    }
}

/// The residence of a good exchange whose reply had collected `collected`, where the server
/// says `told` and the reply's stamp is of this kind.
fn residence(
    collected: Duration,
    told: Option<Duration>,
    frame: Duration,
    kind: StampKind,
) -> Option<Residence> {
    let mut rig = Rig::new(config());
    rig.client.set_ptp(PtpUse::Always);
    let (message, sent) = rig.ask_message();
    let request = Header::parse(unwrap(&message, 123).unwrap().packet).unwrap();
    let token = TxToken { serial: 0 };
    rig.client.stamped(&token, Stamp::exact(sent, kind));
    let field = told.map(network_correction::field);
    let packet = [
        &reply(&request, sent).to_bytes()[..],
        field.as_ref().map_or(&[], |field| &field[..]),
    ]
    .concat();
    let mut message = wrap(&packet, 123, 0).unwrap();
    let correction = i64::try_from(collected.as_units() >> 16).unwrap();
    message[8..16].copy_from_slice(&correction.to_be_bytes());
    let at = arrival(sent);
    let mut arrival = Arrival {
        transport: Transport::Ptp,
        frame,
        ..Arrival::udp(kernel(at))
    };
    arrival.stamps.note(Stamp::exact(at, kind));
    rig.client.handle_datagram(&message, arrival, at).unwrap();
    only_exchange(rig.actions()).residence
}

#[test]
fn a_correction_is_believed_only_where_all_of_it_is_known() {
    // RFC 10030 section 3.
    use StampKind::{Hardware, Kernel};
    let micros = Duration::from_micros;
    let frame = micros(1);
    let good = residence(micros(20), Some(micros(31)), frame, Hardware).unwrap();
    assert_eq!(good.reply, micros(20));
    assert!((good.request - micros(30)).abs() < Duration::from_nanos(1));
    let none = [
        (micros(20), None, frame, Hardware),
        (micros(20), Some(Duration::ZERO), frame, Hardware),
        (micros(20), Some(-micros(31)), frame, Hardware),
        (Duration::ZERO, Some(micros(31)), frame, Hardware),
        (-micros(20), Some(micros(31)), frame, Hardware),
        (micros(20), Some(micros(31)), Duration::ZERO, Hardware),
        (micros(20), Some(micros(31)), frame, Kernel),
        // The server's frame is shorter, but not by more than everything else.
        (micros(2), Some(micros(1)), micros(4), Hardware),
        // More than the whole delay, 200 us.
        (micros(150), Some(micros(60)), frame, Hardware),
    ];
    for (collected, told, frame, kind) in none {
        let used = residence(collected, told, frame, kind);
        assert_eq!(used, None, "{collected:?} {told:?} {frame:?} {kind}");
    }
    let slightly_negative = residence(micros(5), Some(micros(2)), micros(3), Hardware).unwrap();
    assert!(slightly_negative.request.is_negative());
}
