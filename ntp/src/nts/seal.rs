//! Authenticating packets: what a request and a reply are made of (RFC 8915 section 5).

use zeroize::Zeroizing;

use super::aead::{Cipher, TAG};
use super::field::{
    AUTHENTICATOR, COOKIE, FIELD_HEADER, FieldError, LENGTHS, NtsFields, PLACEHOLDER, UNIQUE_ID,
};
use super::{Algorithm, COOKIES, Cookie, CookieJar, Key, SessionKeys};
use crate::Entropy;
use crate::extension::{Extensions, sequence};

/// Octets of cookie and placeholders in one request at most: what eight of everybody's cookies
/// take. Longer packets are dropped on more paths.
const COOKIE_OCTETS: usize = 8 * 108;

/// How many placeholders a request should have whose cookie has this length, when `left` cookies
/// remain: so many that the stash is full when all arrive.
pub(crate) fn placeholders(left: usize, cookie_length: usize) -> usize {
    let wanted = (COOKIES - 1).saturating_sub(left);
    let affordable = COOKIE_OCTETS / cookie_length.max(1);
    wanted.min(affordable.saturating_sub(1))
}

/// Makes a request of `packet`, a header and whatever other fields it is to have: appends unique
/// identifier, cookie, placeholders for as many again, and the authenticator.
pub(crate) fn seal_request(
    packet: &mut Vec<u8>,
    unique_id: &[u8],
    cookie: &Cookie,
    placeholders: usize,
    c2s: &Key,
    entropy: &mut dyn Entropy,
) {
    let cookie = cookie.expose();
    push_field(packet, UNIQUE_ID, unique_id);
    push_field(packet, COOKIE, cookie);
    let room = vec![0; cookie.len()];
    for _ in 0..placeholders {
        push_field(packet, PLACEHOLDER, &room);
    }
    let nonce_length = c2s.algorithm().nonce_length();
    let mut body = vec![0; LENGTHS + nonce_length + TAG];
    write_lengths(&mut body, nonce_length, TAG);
    let (head, sealed) = body.split_at_mut(LENGTHS + nonce_length);
    let nonce = &mut head[LENGTHS..];
    entropy.fill(nonce);
    // The nonce has the algorithm's length and there is room for the tag: this cannot fail, and
    // if it did, the server would refuse the request.
    let _ = Cipher::new(c2s).seal(nonce, packet, sealed);
    push_field(packet, AUTHENTICATOR, &body);
}

/// Appends a field whose body's length is a multiple of four.
fn push_field(packet: &mut Vec<u8>, kind: u16, body: &[u8]) {
    let length = u16::try_from(FIELD_HEADER + body.len()).unwrap_or(u16::MAX);
    packet.extend(kind.to_be_bytes());
    packet.extend(length.to_be_bytes());
    packet.extend(body);
}

fn write_lengths(body: &mut [u8], nonce: usize, ciphertext: usize) {
    let length = |octets: usize| u16::try_from(octets).unwrap_or(u16::MAX).to_be_bytes();
    let [n0, n1] = length(nonce);
    let [c0, c1] = length(ciphertext);
    if let Some(lengths) = body.first_chunk_mut::<LENGTHS>() {
        *lengths = [n0, n1, c0, c1];
    }
}

/// Opens a reply: gives the fields that its authenticator hides. `None`: it is not authentic.
pub(crate) fn open_reply(
    packet: &[u8],
    fields: &NtsFields<'_>,
    s2c: &Key,
) -> Option<Zeroizing<Vec<u8>>> {
    let authenticator = fields.authenticator;
    let mut buffer = Zeroizing::new(authenticator.ciphertext.to_vec());
    let covered = packet.get(..authenticator.offset)?;
    let length = Cipher::new(s2c)
        .open(authenticator.nonce, covered, &mut buffer)?
        .len();
    // SIV leaves its tag in front of the plaintext, GCM-SIV behind it.
    let from = match s2c.algorithm() {
        Algorithm::AesSivCmac256 => TAG,
        Algorithm::Aes128GcmSiv => 0,
    };
    buffer.copy_within(from..from + length, 0);
    buffer.truncate(length);
    Some(buffer)
}

/// The cookies among the fields that a reply hides. Those whose length makes them useless are left
/// out, as are more than can be kept.
pub(crate) fn cookies(hidden: &[u8]) -> Result<Vec<Cookie>, FieldError> {
    let fields = sequence(hidden).map_err(|_| FieldError::Hidden)?;
    Ok(fields
        .filter(|field| field.kind == COOKIE)
        .filter_map(|field| Cookie::new(field.body))
        .take(COOKIES)
        .collect())
}

/// An authentic request: what its reply takes.
#[derive(Debug)]
pub(crate) struct OpenedRequest {
    /// The keys.
    pub(crate) session: SessionKeys,
    /// How many cookies the client asks for, [`COOKIES`] at most.
    pub(crate) cookies: usize,
}

/// Why a request was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// The sender's fault.
    Malformed(FieldError),
    /// The cookie is of a key that this server no longer has, or never had; or the request was not
    /// sealed with the keys in it. The client is told (section 5.7).
    Refused,
}

/// Opens a request. `scratch` is as long as the longest request at least.
pub(crate) fn open_request(
    packet: &[u8],
    extensions: &Extensions<'_>,
    fields: &NtsFields<'_>,
    jar: &mut CookieJar,
    scratch: &mut [u8],
) -> Result<OpenedRequest, Unopened> {
    let cookie = fields
        .cookie
        .ok_or(Unopened::Malformed(FieldError::NoCookie))?;
    let session = jar.open(cookie).ok_or(Unopened::Refused)?;
    let authenticator = fields.authenticator;
    if authenticator.room < session.algorithm().nonce_length() {
        return Err(Unopened::Malformed(FieldError::NoRoom));
    }
    let sealed = authenticator.ciphertext;
    let covered = packet.get(..authenticator.offset).unwrap_or_default();
    let buffer = scratch.get_mut(..sealed.len()).ok_or(Unopened::Refused)?;
    buffer.copy_from_slice(sealed);
    let hidden = Cipher::new(session.c2s())
        .open(authenticator.nonce, covered, buffer)
        .ok_or(Unopened::Refused)?;
    let hidden = sequence(hidden).map_err(|_| Unopened::Malformed(FieldError::Hidden))?;
    let open = extensions
        .fields()
        .take_while(|field| field.offset < authenticator.offset);
    let asked = 1 + open
        .chain(hidden)
        .filter(|field| field.kind == PLACEHOLDER && field.body.len() == cookie.len())
        .count();
    Ok(OpenedRequest {
        cookies: asked.min(COOKIES),
        session,
    })
}

/// An authenticator field of a reply that is written but for the sealing, which waits for the
/// transmit timestamp. The key is ready for it: its schedule is long to compute, and to move about.
#[derive(Debug)]
pub(crate) struct Unsealed {
    cipher: Cipher,
    /// Where the field begins in the packet.
    offset: usize,
    nonce_length: usize,
    sealed_length: usize,
}

/// Writes the reply's authenticator field at `offset` of `packet`, with as many of the wanted
/// cookies as there is room for, filling the packet to its end: a reply takes as long on the wire as
/// its request. `None` if there is no room even for the field itself.
pub(crate) fn write_authenticator(
    packet: &mut [u8],
    offset: usize,
    request: &OpenedRequest,
    jar: &mut CookieJar,
    entropy: &mut dyn Entropy,
) -> Option<Unsealed> {
    let algorithm = request.session.algorithm();
    let nonce_length = algorithm.nonce_length();
    let field = packet.get_mut(offset..)?;
    let field_length = field.len();
    let (head, rest) = field.split_at_mut_checked(FIELD_HEADER + LENGTHS + nonce_length)?;
    head.get_mut(..2)?
        .copy_from_slice(&AUTHENTICATOR.to_be_bytes());
    let wire_length = u16::try_from(field_length).ok()?;
    head.get_mut(2..FIELD_HEADER)?
        .copy_from_slice(&wire_length.to_be_bytes());
    entropy.fill(head.get_mut(FIELD_HEADER + LENGTHS..)?);
    let room = rest.len().checked_sub(TAG)?;
    let mut hidden = 0;
    for _ in 0..request.cookies {
        let each = FIELD_HEADER + super::cookie::cookie_length(algorithm);
        let Some(field) = rest
            .get_mut(hidden..hidden + each)
            .filter(|_| hidden + each <= room)
        else {
            break;
        };
        let (kind, body) = field.split_at_mut(FIELD_HEADER);
        kind.get_mut(..2)?.copy_from_slice(&COOKIE.to_be_bytes());
        kind.get_mut(2..)?
            .copy_from_slice(&u16::try_from(each).ok()?.to_be_bytes());
        jar.make(&request.session, entropy, body)?;
        hidden += each;
    }
    let sealed_length = hidden + TAG;
    rest.get_mut(sealed_length..)?.fill(0);
    write_lengths(head.get_mut(FIELD_HEADER..)?, nonce_length, sealed_length);
    Some(Unsealed {
        cipher: Cipher::new(request.session.s2c()),
        offset,
        nonce_length,
        sealed_length,
    })
}

impl Unsealed {
    /// Seals the packet, which is complete now.
    pub(crate) fn seal(&mut self, packet: &mut [u8]) {
        let (covered, field) = packet.split_at_mut(self.offset.min(packet.len()));
        let nonce_at = FIELD_HEADER + LENGTHS;
        let sealed_at = nonce_at + self.nonce_length;
        let Some((head, rest)) = field.split_at_mut_checked(sealed_at) else {
            return;
        };
        if let (Some(nonce), Some(sealed)) =
            (head.get(nonce_at..), rest.get_mut(..self.sealed_length))
        {
            // The lengths are those it was written with: this cannot fail, and if it did, the client
            // would refuse the reply.
            let _ = self.cipher.seal(nonce, covered, sealed);
        }
    }
}
