//! Requests: data-minimised, so that they tell an observer nothing.

use super::carriage::Way;
use super::keeping::Provision;
use super::{Stamps, Transport};
use crate::entropy::random_u64;
use crate::extension::network_correction;
use crate::nts::Key;
use crate::nts::field::SHORTEST_UNIQUE_ID;
use crate::nts::seal::seal_request;
use crate::{Entropy, Header, Mode, NtpTimestamp, over_ptp};

/// A request, and what is known about it.
#[derive(Debug)]
pub(super) struct PendingRequest {
    /// Which of the client's requests.
    pub(super) serial: u64,
    /// When it left, as far as known.
    pub(super) t1: Stamps,
    /// What carries it.
    pub(super) way: Way,
    /// Has a reply been believed? Others are duplicates then.
    pub(super) answered: bool,
    /// Has a kiss been believed?
    pub(super) kissed: bool,
    /// In a basic reply's origin field, this proves that it answers this request.
    transmit: NtpTimestamp,
    /// The same for an interleaved reply; `None` for a request in basic form.
    receive: Option<NtpTimestamp>,
    /// What an authentic reply is known by; `None` for a plain request.
    pub(super) seal: Option<ReplySeal>,
}

/// What an authentic reply is known by, and what has come so far.
#[derive(Debug)]
pub(super) struct ReplySeal {
    /// In the reply's unique identifier, this proves that it answers this request.
    pub(super) unique_id: [u8; SHORTEST_UNIQUE_ID],
    /// Opens it.
    pub(super) s2c: Key,
    /// Of which establishment the key is.
    pub(super) establishment: u32,
    /// Has something authentic come?
    pub(super) authentic: bool,
    /// Has a kiss come that says the server cannot open the cookie?
    pub(super) nak: bool,
}

/// The mode a reply is in, told by its origin field (RFC 9769 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Its transmit field is about itself, taken before it was sent.
    Basic,
    /// Its transmit field is about the previous reply, taken when that had left.
    Interleaved,
}

impl PendingRequest {
    /// Composes a request; in interleaved form if there is an `origin`, which is the server's
    /// receive timestamp in its last reply.
    ///
    /// Nothing else in the header is of use to a server, so all of it is zero (RFC 8633 section
    /// 5.1), and the timestamps are random in all their bits (RFC 9769 section 6): they cannot be
    /// guessed, and do not tell the local time.
    pub(super) fn compose(
        serial: u64,
        origin: Option<NtpTimestamp>,
        way: Way,
        entropy: &mut dyn Entropy,
    ) -> (Self, Header) {
        let origin_field = origin.unwrap_or(NtpTimestamp::ZERO);
        let transmit = distinct(random_u64(entropy), [NtpTimestamp::ZERO, origin_field]);
        let receive = origin.map(|_| distinct(random_u64(entropy), [NtpTimestamp::ZERO, transmit]));
        let header = Header {
            origin: origin_field,
            receive: receive.unwrap_or(NtpTimestamp::ZERO),
            transmit,
            ..Header::zeroed(Mode::Client)
        };
        let request = Self {
            serial,
            t1: Stamps::default(),
            way,
            answered: false,
            kissed: false,
            transmit,
            receive,
            seal: None,
        };
        (request, header)
    }

    /// Was the request in interleaved form?
    pub(super) const fn is_interleaved(&self) -> bool {
        self.receive.is_some()
    }

    /// The form of a reply with this `origin`; `None` if it does not answer this request.
    pub(super) fn form_of_reply(&self, origin: NtpTimestamp) -> Option<Form> {
        if origin == self.transmit {
            Some(Form::Basic)
        } else if Some(origin) == self.receive {
            Some(Form::Interleaved)
        } else {
            None
        }
    }
}

/// The octets of a request with this header, sealed if there is a `provision` for that; and what an
/// authentic reply is known by.
///
/// Over PTP it asks for the correction that it collects on its way, which only the server sees.
pub(super) fn packet(
    header: &Header,
    transport: Transport,
    provision: Option<Provision>,
    entropy: &mut dyn Entropy,
) -> (Vec<u8>, Option<ReplySeal>) {
    let mut packet = header.to_bytes().to_vec();
    if transport == Transport::Ptp {
        packet.extend(network_correction::ASK);
    }
    let seal = provision.map(|provision| {
        let mut unique_id = [0; SHORTEST_UNIQUE_ID];
        entropy.fill(&mut unique_id);
        let Provision {
            cookie,
            placeholders,
            c2s,
            s2c,
            establishment,
        } = provision;
        seal_request(
            &mut packet,
            &unique_id,
            &cookie,
            placeholders,
            &c2s,
            entropy,
        );
        ReplySeal {
            unique_id,
            s2c,
            establishment,
            authentic: false,
            nak: false,
        }
    });
    (packet, seal)
}

/// What is sent for a packet.
pub(super) fn payload(packet: Vec<u8>, transport: Transport, domain: u8, sequence: u16) -> Vec<u8> {
    match transport {
        Transport::Udp => packet,
        // A packet of this length is always carried.
        Transport::Ptp => over_ptp::wrap(&packet, domain, sequence).unwrap_or_default(),
    }
}

/// `bits` as a timestamp, moved on where it is one that it must not be.
fn distinct(mut bits: u64, taken: [NtpTimestamp; 2]) -> NtpTimestamp {
    while taken.contains(&NtpTimestamp::from_bits(bits)) {
        bits = bits.wrapping_add(1);
    }
    NtpTimestamp::from_bits(bits)
}
