//! Authentic requests, and what authentic replies to them look like (RFC 8915 section 5).

use clockwright::measure::OsEntropy;
use clockwright_ntp::Entropy as _;
use clockwright_ntp::extension::Extensions;
use clockwright_ntp::nts::aead::TAG;
use clockwright_ntp::nts::field::{
    AUTHENTICATOR, COOKIE, NtsFields, SHORTEST_UNIQUE_ID, UNIQUE_ID,
};
use clockwright_ntp::nts::{Cipher, Session};

/// Makes a plain request authentic (RFC 8915 section 5.7); `cipher` has the session's key for this
/// direction.
pub(crate) fn seal(
    packet: &mut Vec<u8>,
    cookie: &[u8],
    session: &Session,
    cipher: &mut Cipher,
    entropy: &mut OsEntropy,
) {
    let mut unique_id = [0; SHORTEST_UNIQUE_ID];
    entropy.fill(&mut unique_id);
    push(packet, UNIQUE_ID, &unique_id);
    push(packet, COOKIE, cookie);
    let nonce_length = session.keys.algorithm().nonce_length();
    let mut body = vec![0; 4 + nonce_length + TAG];
    body[1] = u8::try_from(nonce_length).expect("a short nonce");
    body[3] = u8::try_from(TAG).expect("a short tag");
    let (head, sealed) = body.split_at_mut(4 + nonce_length);
    entropy.fill(&mut head[4..]);
    cipher
        .seal(&head[4..], packet, sealed)
        .expect("there is room for the tag");
    push(packet, AUTHENTICATOR, &body);
}

fn push(packet: &mut Vec<u8>, kind: u16, body: &[u8]) {
    let length = u16::try_from(4 + body.len()).expect("a short field");
    packet.extend(kind.to_be_bytes());
    packet.extend(length.to_be_bytes());
    packet.extend(body);
}

/// Does the reply carry the request's unique identifier and a cookie, sealed with the session's
/// key?
pub(crate) fn is_authentic(
    reply: &[u8],
    request: &[u8],
    cipher: &mut Cipher,
    scratch: &mut Vec<u8>,
) -> bool {
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
