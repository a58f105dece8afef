//! Requests, made beforehand, and what good replies to them look like.

use clockwright_ntp::nts::{Cipher, Session};
use clockwright_ntp::{Entropy as _, Header, Mode, NtpTimestamp};

use clockwright::measure::OsEntropy;

use crate::common::seal::{is_authentic, seal};

/// Different requests, sent over and over again: more than are ever under way at once.
const DIFFERENT: usize = 64;

/// Requests of one session, or plain ones.
pub(crate) struct Packets {
    requests: Vec<Request>,
    opens: Option<Cipher>,
    scratch: Vec<u8>,
}

struct Request {
    packet: Vec<u8>,
    transmit: NtpTimestamp,
}

impl Packets {
    /// Requests with this session's cookies, each of which is used again and again: servers
    /// without memory cannot tell.
    pub(crate) fn new(session: Option<&Session>) -> Self {
        let mut entropy = OsEntropy::new();
        let mut requests: Vec<Request> =
            (0..DIFFERENT).map(|_| Request::new(&mut entropy)).collect();
        if let Some(session) = session {
            let mut cipher = Cipher::new(session.keys.c2s());
            for (request, cookie) in requests.iter_mut().zip(session.cookies.iter().cycle()) {
                let packet = &mut request.packet;
                seal(packet, cookie.expose(), session, &mut cipher, &mut entropy);
            }
        }
        Self {
            requests,
            opens: session.map(|session| Cipher::new(session.keys.s2c())),
            scratch: Vec::new(),
        }
    }

    /// The request that is sent as the `number`th.
    pub(crate) fn get(&self, number: usize) -> &[u8] {
        &self.requests[number % DIFFERENT].packet
    }

    /// Is `reply` a good one to one of the requests, authentic if that was?
    pub(crate) fn is_answered_by(&mut self, reply: &[u8]) -> bool {
        let Some(header) = Header::parse(reply) else {
            return false;
        };
        let asked = |request: &&Request| request.transmit == header.origin;
        let Some(request) = self.requests.iter().find(asked) else {
            return false;
        };
        if header.mode != Mode::Server || header.stratum == 0 {
            return false;
        }
        match &mut self.opens {
            None => true,
            Some(cipher) => is_authentic(reply, &request.packet, cipher, &mut self.scratch),
        }
    }
}

impl Request {
    /// A plain one, in basic form.
    fn new(entropy: &mut OsEntropy) -> Self {
        let mut bits = [0; 8];
        entropy.fill(&mut bits);
        let transmit = NtpTimestamp::from_bits(u64::from_ne_bytes(bits));
        let header = Header {
            transmit,
            ..Header::zeroed(Mode::Client)
        };
        Self {
            packet: header.to_bytes().to_vec(),
            transmit,
        }
    }
}
