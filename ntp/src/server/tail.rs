//! What follows a reply's header: extension fields, as the request asks for them.

use clockwright_timebase::Duration;

use super::Dropped;
use super::reply::{ReplyBuffer, Rooms};
use super::request::Request;
use crate::extension::network_correction;
use crate::nts::CookieJar;
use crate::nts::field::{FIELD_HEADER, NtsFields, UNIQUE_ID};
use crate::nts::seal::{Unopened, open_request, write_authenticator};
use crate::{Entropy, Header};

/// What a request is answered with; its fields are in the buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    /// What the header is to say.
    pub(super) kind: AnswerKind,
    /// Where the reply ends in the packet.
    pub(super) end: usize,
}

/// What a reply's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerKind {
    /// The time.
    Plain,
    /// The time, to be sealed.
    Authentic,
    /// That the request's cookie cannot be opened.
    Nak,
}

/// The fields of a plain reply. A request may ask what correction it had collected.
pub(super) fn plain(
    request: &Request<'_>,
    correction: Duration,
    buffer: &mut ReplyBuffer,
) -> Answer {
    let Rooms { packet, .. } = buffer.begin();
    let mut end = Header::LEN;
    if request.asks_for_correction(usize::MAX) {
        push(packet, &mut end, &network_correction::field(correction));
    }
    let kind = AnswerKind::Plain;
    Answer { kind, end }
}

/// The fields of the reply to a request that claims to be authentic: the unique identifier, which
/// proves whom it answers, then the authenticator with new cookies.
pub(super) fn sealed(
    request: &Request<'_>,
    fields: &NtsFields<'_>,
    jar: &mut CookieJar,
    correction: Duration,
    entropy: &mut dyn Entropy,
    buffer: &mut ReplyBuffer,
) -> Result<Answer, Dropped> {
    let Rooms {
        packet,
        scratch,
        unsealed,
    } = buffer.begin();
    let mut end = Header::LEN;
    push_unique_id(packet, &mut end, fields.unique_id);
    let opened = match open_request(request.packet, &request.extensions, fields, jar, scratch) {
        Ok(opened) => opened,
        Err(Unopened::Malformed(error)) => return Err(Dropped::Nts(error)),
        Err(Unopened::Refused) => {
            let kind = AnswerKind::Nak;
            return Ok(Answer { kind, end });
        }
    };
    if request.asks_for_correction(fields.authenticator.offset) {
        push(packet, &mut end, &network_correction::field(correction));
    }
    let length = request.packet.len();
    *unsealed = packet
        .get_mut(..length)
        .and_then(|packet| write_authenticator(packet, end, &opened, jar, entropy));
    // A request that was opened has room for all of this.
    if unsealed.is_none() {
        return Err(Dropped::TooShort);
    }
    Ok(Answer {
        kind: AnswerKind::Authentic,
        end: length,
    })
}

/// Writes octets at `end` and moves that on. What has no room is left out; a request that is not
/// longer than the buffer has room for all that is copied from it.
fn push(packet: &mut [u8], end: &mut usize, octets: &[u8]) {
    if let Some(room) = packet.get_mut(*end..*end + octets.len()) {
        room.copy_from_slice(octets);
        *end += octets.len();
    }
}

/// Writes a field with the request's unique identifier.
fn push_unique_id(packet: &mut [u8], end: &mut usize, id: &[u8]) {
    let length = u16::try_from(FIELD_HEADER + id.len()).unwrap_or(u16::MAX);
    push(packet, end, &UNIQUE_ID.to_be_bytes());
    push(packet, end, &length.to_be_bytes());
    push(packet, end, id);
}
