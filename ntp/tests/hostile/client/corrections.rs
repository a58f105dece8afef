//! Network corrections (RFC 10030) in authentic replies: who may say how long a packet was kept.

use clockwright_ntp::{Action, Arrival, Exchange, PtpUse, Transport};
use clockwright_timebase::{Duration, Stamp, StampKind};

use super::{Asked, Packet, ROUND_TRIP, Seal, Victim, cookies, named};
use crate::cookie::{C2S, S2C};
use crate::packet::{AUTHENTICATOR, COOKIE, CORRECTION, HEADER, UNIQUE_ID, open, read_fields};

/// Octets before the NTP packet.
const PREFIX: usize = 56;

/// An NTP packet in a PTP message, which a switch says it kept for 5 us.
fn over_ptp(packet: &Packet) -> Packet {
    let mut message = vec![0; PREFIX];
    let length = |octets: usize| u16::try_from(octets).unwrap().to_be_bytes();
    message[..2].copy_from_slice(&[1, 2]);
    message[2..4].copy_from_slice(&length(PREFIX + packet.0.len()));
    (message[4], message[6]) = (123, 4);
    message[8..16].copy_from_slice(&(5_000_i64 << 16).to_be_bytes());
    message[45] = 3;
    message[46..48].copy_from_slice(&length(8 + packet.0.len()));
    message[48..54].copy_from_slice(&[0, 0, 0x5e, 0, 0, 1]);
    Packet(message).raw(&packet.0)
}

/// A field that says that the request was kept for 10 us.
fn told(packet: Packet) -> Packet {
    let mut body = [0; 24];
    body[..8].copy_from_slice(&42_950_i64.to_be_bytes());
    packet.field(CORRECTION, &body)
}

/// A client's next request over PTP, stamped by its NIC.
fn ask(victim: &mut Victim) -> Asked {
    victim.now = victim.client.next_timeout().unwrap();
    victim.client.handle_timeout(victim.now, &mut victim.dice);
    let Some(Action::Send(request)) = victim.actions().pop() else {
        unreachable!("no request");
    };
    let stamp = |kind| Stamp::exact(victim.now, kind);
    victim.client.sent(&request.token, stamp(StampKind::Daemon));
    victim
        .client
        .stamped(&request.token, stamp(StampKind::Hardware));
    victim.client.stamps_ended(request.token);
    let octets = request.payload[PREFIX..].to_vec();
    let fields = read_fields(&octets, HEADER).unwrap();
    let kinds: Vec<u16> = fields.iter().map(|field| field.kind).collect();
    assert_eq!(kinds, [CORRECTION, UNIQUE_ID, COOKIE, AUTHENTICATOR]);
    assert!(open(&C2S, &octets, &fields[3]).is_some());
    Asked {
        id: fields[1].body[..].try_into().unwrap(),
        cookie: fields[2].body.clone(),
        placeholders: 0,
        octets,
        at: victim.now,
    }
}

/// What a client makes of the answer to its request.
fn exchange(answer: impl FnOnce(&Asked) -> Packet) -> Exchange {
    let mut victim = Victim::new();
    victim.client.set_ptp(PtpUse::Always);
    let asked = ask(&mut victim);
    let message = over_ptp(&answer(&asked));
    victim.now += ROUND_TRIP;
    let arrival = Arrival {
        transport: Transport::Ptp,
        frame: Duration::from_nanos(752),
        ..Arrival::udp(Stamp::exact(victim.now, StampKind::Hardware))
    };
    let result = victim
        .client
        .handle_datagram(&message.0, arrival, victim.now);
    assert_eq!(result, Ok(()));
    let given = victim
        .actions()
        .into_iter()
        .find_map(|action| match action {
            Action::Exchange(exchange) => Some(exchange),
            _ => None,
        });
    given.unwrap()
}

#[test]
fn only_an_authenticated_correction_counts() {
    let seal = Seal::new(S2C).hiding(cookies(1));
    let before = exchange(|asked| told(named(asked)).sealed(&seal));
    let kept = before.residence.expect("told by the server itself").request;
    let expected = Duration::from_micros(10) - Duration::from_nanos(752);
    assert!(
        (kept - expected).abs() < Duration::from_nanos(1),
        "{kept:?}"
    );
    let after = exchange(|asked| told(named(asked).sealed(&seal)));
    assert_eq!(after.residence, None, "told by anybody on the way");
    let none = exchange(|asked| named(asked).sealed(&seal));
    assert_eq!(none.residence, None);
}
