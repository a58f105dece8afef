//! Requests, made beforehand, and what good replies to them look like.

use clockwright_ntp::extension::Extensions;
use clockwright_ntp::nts::aead::TAG;
use clockwright_ntp::nts::field::{
    AUTHENTICATOR, COOKIE, NtsFields, SHORTEST_UNIQUE_ID, UNIQUE_ID,
};
use clockwright_ntp::nts::{Cipher, Session};
use clockwright_ntp::{Entropy as _, Header, Mode, NtpTimestamp};

use clockwright::measure::OsEntropy;

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
                request.seal(cookie.expose(), session, &mut cipher, &mut entropy);
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

/// Does the reply carry the request's unique identifier and a cookie, sealed with the session's
/// key?
fn is_authentic(reply: &[u8], request: &[u8], cipher: &mut Cipher, scratch: &mut Vec<u8>) -> bool {
    let fields = |packet| {
        let extensions = Extensions::parse(packet).ok()?;
        NtsFields::read(&extensions).ok()?
    };
    let (Some(asked), Some(told)) = (fields(request), fields(reply)) else {
        return false;
    };
    let authenticator = told.authenticator;
    scratch.clear();
    scratch.extend_from_slice(authenticator.ciphertext);
    let hidden = cipher.open(authenticator.nonce, &reply[..authenticator.offset], scratch);
    asked.unique_id == told.unique_id
        && hidden.is_some_and(|hidden| hidden.starts_with(&COOKIE.to_be_bytes()))
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

    /// Makes it authentic (RFC 8915 section 5.7).
    fn seal(
        &mut self,
        cookie: &[u8],
        session: &Session,
        cipher: &mut Cipher,
        entropy: &mut OsEntropy,
    ) {
        let mut unique_id = [0; SHORTEST_UNIQUE_ID];
        entropy.fill(&mut unique_id);
        self.push(UNIQUE_ID, &unique_id);
        self.push(COOKIE, cookie);
        let nonce_length = session.keys.algorithm().nonce_length();
        let mut body = vec![0; 4 + nonce_length + TAG];
        body[1] = u8::try_from(nonce_length).expect("a short nonce");
        body[3] = u8::try_from(TAG).expect("a short tag");
        let (head, sealed) = body.split_at_mut(4 + nonce_length);
        entropy.fill(&mut head[4..]);
        cipher
            .seal(&head[4..], &self.packet, sealed)
            .expect("there is room for the tag");
        self.push(AUTHENTICATOR, &body);
    }

    fn push(&mut self, kind: u16, body: &[u8]) {
        let length = u16::try_from(4 + body.len()).expect("a short field");
        self.packet.extend(kind.to_be_bytes());
        self.packet.extend(length.to_be_bytes());
        self.packet.extend(body);
    }
}
