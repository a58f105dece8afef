//! Key establishment (RFC 8915 sections 4 and 5.1), without the TLS it runs in.
//!
//! A client connects with TLS 1.3, says [`client::request`], is answered once, and both export
//! their keys from the connection. The octets of the stream are handed to a reader as they come.
//!
//! - [`record`]: records, and where a message ends.
//! - [`client`]: the request, and what its answer says.
//! - [`server`]: what a request asks for, and the answer.

pub mod client;
pub mod record;
mod refusal;
pub mod server;

use zeroize::Zeroizing;

use super::aead::LONGEST_KEY;
use super::{Algorithm, Key, SessionKeys};

/// What both ends have to agree on by ALPN (RFC 8915 section 4).
pub const ALPN: &[u8] = b"ntske/1";
/// The TCP port (RFC 8915 section 7.1).
pub const PORT: u16 = 4460;
/// The label of the exporter (RFC 8915 section 5.1).
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-network-time-security";

/// The protocol whose keys are established: NTPv4 (RFC 8915 section 7.7).
const NTPV4: u16 = 0;

/// Whose messages a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    ClientToServer,
    ServerToClient,
}

/// The exporter's context for one key (RFC 8915 section 5.1).
///
/// chrony up to 4.6 named AES-SIV-CMAC-256 in it even where AES-128-GCM-SIV had been negotiated.
/// `compliant` says that both ends sent [`record::COMPLIANT_EXPORT`], by which they tell each other
/// that they do as the RFC says; where one did not, the other has to err with it.
fn exporter_context(algorithm: Algorithm, compliant: bool, direction: Direction) -> [u8; 5] {
    let named = if compliant {
        algorithm
    } else {
        Algorithm::AesSivCmac256
    };
    let [protocol_high, protocol_low] = NTPV4.to_be_bytes();
    let [high, low] = named.id().to_be_bytes();
    let direction = match direction {
        Direction::ClientToServer => 0,
        Direction::ServerToClient => 1,
    };
    [protocol_high, protocol_low, high, low, direction]
}

/// Exports the keys of both directions. `export` is TLS's exporter (RFC 8446 section 7.5) with
/// [`EXPORTER_LABEL`]: it is given the context, and fills all of the buffer or fails.
///
/// `compliant` is what [`client::Response`] and [`server::Accepted`] say.
pub fn session_keys<E>(
    algorithm: Algorithm,
    compliant: bool,
    mut export: impl FnMut(&[u8], &mut [u8]) -> Result<(), E>,
) -> Result<SessionKeys, E> {
    let mut key = |direction| {
        let context = exporter_context(algorithm, compliant, direction);
        let mut octets = Zeroizing::new([0; LONGEST_KEY]);
        let octets = octets
            .get_mut(..algorithm.key_length())
            .unwrap_or_else(|| unreachable!("no key is longer than the longest"));
        export(&context, octets)?;
        let key = Key::new(algorithm, octets);
        Ok(key.unwrap_or_else(|| unreachable!("a key of its algorithm's length")))
    };
    let keys = SessionKeys::new(
        key(Direction::ClientToServer)?,
        key(Direction::ServerToClient)?,
    );
    Ok(keys.unwrap_or_else(|| unreachable!("two keys of one algorithm")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contexts asked for, and the keys that a make-believe exporter gave for them.
    fn contexts(algorithm: Algorithm, compliant: bool) -> (Vec<Vec<u8>>, SessionKeys) {
        let mut asked = Vec::new();
        let keys = session_keys(algorithm, compliant, |context, key| {
            asked.push(context.to_vec());
            key.fill(0xa0 + u8::try_from(asked.len()).unwrap());
            Ok::<(), ()>(())
        });
        (asked, keys.unwrap())
    }

    #[test]
    fn the_context_names_protocol_algorithm_and_direction() {
        let (asked, keys) = contexts(Algorithm::AesSivCmac256, true);
        assert_eq!(asked, [[0, 0, 0, 15, 0], [0, 0, 0, 15, 1]]);
        assert_eq!(keys.c2s().expose(), [0xa1; 32]);
        assert_eq!(keys.s2c().expose(), [0xa2; 32]);
        assert_eq!(contexts(Algorithm::AesSivCmac256, false).0, asked);
    }

    #[test]
    fn gcm_siv_is_named_as_such_only_where_both_say_so() {
        let (asked, keys) = contexts(Algorithm::Aes128GcmSiv, true);
        assert_eq!(asked, [[0, 0, 0, 30, 0], [0, 0, 0, 30, 1]]);
        assert_eq!(keys.algorithm(), Algorithm::Aes128GcmSiv);
        assert_eq!(keys.c2s().expose(), [0xa1; 16]);
        let (asked, keys) = contexts(Algorithm::Aes128GcmSiv, false);
        assert_eq!(asked, [[0, 0, 0, 15, 0], [0, 0, 0, 15, 1]]);
        assert_eq!(keys.algorithm(), Algorithm::Aes128GcmSiv);
    }

    #[test]
    fn what_the_exporter_says_is_passed_on() {
        let failed = session_keys(Algorithm::Aes128GcmSiv, true, |_, _| Err("too early"));
        assert_eq!(failed, Err("too early"));
    }
}
