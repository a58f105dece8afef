//! What a server makes of a request, and its answer.

use core::fmt;

use zeroize::Zeroizing;

use super::NTPV4;
use super::record::{self, FramingError, Message, Progress, Reader, Record, Writer};
use crate::nts::Algorithm;

/// The port that need not be named in an answer.
const NTP_PORT: u16 = 123;
/// Codes of Error records (RFC 8915 section 7.8).
const UNRECOGNIZED_CRITICAL: u16 = 0;
const BAD_REQUEST: u16 = 1;
const INTERNAL_ERROR: u16 = 2;

/// What a client is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The first of the client's algorithms that is enabled.
    pub algorithm: Algorithm,
    /// The client puts that algorithm in the exporter's context, as the RFC says: see
    /// [`session_keys`](super::session_keys).
    pub compliant: bool,
}

/// Reads a request that comes in pieces.
#[derive(Debug, Clone)]
pub struct RequestReader {
    framing: Reader,
    enabled: &'static [Algorithm],
}

impl RequestReader {
    /// Only `enabled` algorithms are accepted; their order does not matter.
    pub fn new(enabled: &'static [Algorithm]) -> Self {
        Self {
            framing: Reader::default(),
            enabled,
        }
    }

    /// Looks at all that has been `received` of the stream, from its first octet on. With
    /// [`record::LONGEST_MESSAGE`] octets at hand it is never incomplete.
    ///
    /// Nothing more should be read then: a message that goes on is refused only as far as it came
    /// with its end.
    pub fn read(&mut self, received: &[u8]) -> Progress<Result<Accepted, Refused>> {
        match self.framing.read(received) {
            Ok(progress) => progress.map(|message| decide(&message, self.enabled)),
            Err(error) => Progress::Complete(Err(Refused::BadRequest(Fault::Framing(error)))),
        }
    }
}

fn decide(message: &Message, enabled: &[Algorithm]) -> Result<Accepted, Refused> {
    let mut protocols = None;
    let mut algorithms = None;
    let mut compliant = false;
    for record in message.records() {
        match record.kind {
            record::NEXT_PROTOCOL => list(&mut protocols, record)?,
            record::AEAD => list(&mut algorithms, record)?,
            record::COMPLIANT_EXPORT => compliant = true,
            // Which server and port it would like is the client's to say, and ours to pass over
            // (RFC 8915 sections 4.1.7 and 4.1.8).
            record::SERVER | record::PORT => {}
            record::ERROR | record::WARNING | record::COOKIE => {
                return Err(Refused::BadRequest(Fault::ServersOnly(record.kind)));
            }
            kind if record.critical => return Err(Refused::UnknownCritical(kind)),
            _ => {}
        }
    }
    let missing = |kind| Refused::BadRequest(Fault::Missing(kind));
    if !numbers(protocols.ok_or(missing(record::NEXT_PROTOCOL))?).any(|id| id == NTPV4) {
        return Err(Refused::NoProtocol);
    }
    let algorithm = numbers(algorithms.ok_or(missing(record::AEAD))?)
        .filter_map(Algorithm::from_id)
        .find(|algorithm| enabled.contains(algorithm))
        .ok_or(Refused::NoAlgorithm)?;
    Ok(Accepted {
        algorithm,
        compliant: compliant && algorithm == Algorithm::Aes128GcmSiv,
    })
}

/// Takes a record that occurs once, and lists one number or more.
fn list<'m>(slot: &mut Option<Record<'m>>, record: Record<'m>) -> Result<(), Refused> {
    if slot.is_some() {
        return Err(Refused::BadRequest(Fault::Duplicate(record.kind)));
    }
    if record.body.is_empty() || record.numbers().is_none() {
        return Err(Refused::BadRequest(Fault::Malformed(record.kind)));
    }
    *slot = Some(record);
    Ok(())
}

/// The numbers of a record that [`list`] took.
fn numbers(record: Record<'_>) -> impl Iterator<Item = u16> {
    record.numbers().into_iter().flatten()
}

/// The answer to a request that was accepted. `server` is where the NTP server is, if not at the
/// address the client connected to; `port` its UDP port. Cookies longer than a record holds would
/// be cut.
pub fn response<C: AsRef<[u8]>>(
    accepted: Accepted,
    server: Option<&str>,
    port: u16,
    cookies: impl IntoIterator<Item = C>,
) -> Zeroizing<Vec<u8>> {
    let mut message = Writer::new()
        .numbers(record::NEXT_PROTOCOL, [NTPV4])
        .numbers(record::AEAD, [accepted.algorithm.id()]);
    if accepted.compliant {
        message = message.optional(record::COMPLIANT_EXPORT, &[]);
    }
    if port != NTP_PORT {
        message = message.numbers(record::PORT, [port]);
    }
    if let Some(server) = server {
        message = message.critical(record::SERVER, server.as_bytes());
    }
    for cookie in cookies {
        message = message.optional(record::COOKIE, cookie.as_ref());
    }
    message.end()
}

/// The answer if the keys could not be exported or the cookies not be made.
pub fn internal_error() -> Vec<u8> {
    error(INTERNAL_ERROR)
}

fn error(code: u16) -> Vec<u8> {
    Writer::new().numbers(record::ERROR, [code]).end().to_vec()
}

/// Why a client is given no keys; always its own doing, or its being another kind of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// A record of this unknown type has the critical bit set.
    UnknownCritical(u16),
    /// The request is not as the RFC says.
    BadRequest(Fault),
    /// It asks for other protocols than `NTPv4`.
    NoProtocol,
    /// It has none of the algorithms that are enabled.
    NoAlgorithm,
}

impl Refused {
    /// What it is answered (RFC 8915 sections 4.1.2, 4.1.3 and 4.1.5).
    pub fn answer(&self) -> Vec<u8> {
        match self {
            Self::UnknownCritical(_) => error(UNRECOGNIZED_CRITICAL),
            Self::BadRequest(_) => error(BAD_REQUEST),
            Self::NoProtocol => Writer::new()
                .numbers(record::NEXT_PROTOCOL, [])
                .end()
                .to_vec(),
            Self::NoAlgorithm => Writer::new()
                .numbers(record::NEXT_PROTOCOL, [NTPV4])
                .numbers(record::AEAD, [])
                .end()
                .to_vec(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCritical(kind) => write!(f, "unknown critical record, type {kind}"),
            Self::BadRequest(fault) => write!(f, "bad request: {fault}"),
            Self::NoProtocol => f.write_str("asks for other protocols than NTPv4"),
            Self::NoAlgorithm => f.write_str("has no AEAD algorithm in common with this server"),
        }
    }
}

impl std::error::Error for Refused {}

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The records are not framed as they should be.
    Framing(FramingError),
    /// A record of this type is needed.
    Missing(u16),
    /// More than one record of this type.
    Duplicate(u16),
    /// A record of this type does not hold a list of numbers.
    Malformed(u16),
    /// Only servers send records of this type.
    ServersOnly(u16),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Framing(error) => error.fmt(f),
            Self::Missing(kind) => write!(f, "no record of type {kind}"),
            Self::Duplicate(kind) => write!(f, "two records of type {kind}"),
            Self::Malformed(kind) => write!(f, "malformed record of type {kind}"),
            Self::ServersOnly(kind) => write!(f, "a record of type {kind}, which servers send"),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nts::ke::client;

    const BOTH: &[Algorithm] = &Algorithm::ALL;
    const NEXT: &[u8] = &[0x80, 1, 0, 2, 0, 0];
    const SIV: &[u8] = &[0x80, 4, 0, 2, 0, 15];
    const END: &[u8] = &[0x80, 0, 0, 0];

    fn read(records: &[&[u8]]) -> Result<Accepted, Refused> {
        match RequestReader::new(BOTH).read(&records.concat()) {
            Progress::Complete(decision) => decision,
            Progress::Incomplete => panic!("incomplete"),
        }
    }

    fn bad(records: &[&[u8]]) -> Fault {
        match read(records) {
            Err(refused @ Refused::BadRequest(fault)) => {
                let error = [0x80, 2, 0, 2, 0, 1, 0x80, 0, 0, 0];
                assert_eq!(refused.answer(), error);
                fault
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_chrony_asks_for_it_gets() {
        let request = [
            0x80, 1, 0, 2, 0, 0, 0x80, 4, 0, 4, 0, 30, 0, 15, 4, 0, 0, 0, 0x80, 0, 0, 0,
        ];
        let accepted = read(&[&request]).unwrap();
        let expected = Accepted {
            algorithm: Algorithm::Aes128GcmSiv,
            compliant: true,
        };
        assert_eq!(accepted, expected);
        let answer = response(accepted, Some("192.0.2.7"), 1123, [[1; 4], [2; 4]]);
        let expected: &[&[u8]] = &[
            &[0x80, 1, 0, 2, 0, 0],
            &[0x80, 4, 0, 2, 0, 30],
            &[4, 0, 0, 0],
            &[0x80, 7, 0, 2, 4, 99],
            &[0x80, 6, 0, 9],
            b"192.0.2.7",
            &[0, 5, 0, 4, 1, 1, 1, 1],
            &[0, 5, 0, 4, 2, 2, 2, 2],
            &[0x80, 0, 0, 0],
        ];
        assert_eq!(*answer, expected.concat());
    }

    #[test]
    fn an_answer_says_nothing_that_goes_without_saying() {
        let accepted = Accepted {
            algorithm: Algorithm::AesSivCmac256,
            compliant: false,
        };
        let answer = response(accepted, None, 123, [[1; 4]]);
        assert_eq!(
            *answer,
            [NEXT, SIV, &[0, 5, 0, 4, 1, 1, 1, 1], END].concat()
        );
    }

    #[test]
    fn the_first_of_the_clients_algorithms_that_is_enabled_is_taken() {
        let chosen = |enabled, ids: &[u8], compliant: &[u8]| {
            let list = [&[0x80, 4, 0, u8::try_from(ids.len()).unwrap()], ids].concat();
            let request = [NEXT, &list, compliant, END].concat();
            match RequestReader::new(enabled).read(&request) {
                Progress::Complete(Ok(it)) => Some((it.algorithm.id(), it.compliant)),
                Progress::Complete(Err(Refused::NoAlgorithm)) => None,
                other => panic!("{other:?}"),
            }
        };
        let says: &[u8] = &[4, 0, 0, 0];
        assert_eq!(chosen(BOTH, &[0, 17, 0, 15, 0, 30], &[]), Some((15, false)));
        assert_eq!(chosen(BOTH, &[0, 30, 0, 15], &[]), Some((30, false)));
        assert_eq!(chosen(BOTH, &[0, 30], says), Some((30, true)));
        assert_eq!(chosen(BOTH, &[0, 15], says), Some((15, false)));
        let siv = &[Algorithm::AesSivCmac256];
        assert_eq!(chosen(siv, &[0, 30, 0, 15], says), Some((15, false)));
        assert_eq!(chosen(siv, &[0, 30], says), None);
        let answer = Refused::NoAlgorithm.answer();
        assert_eq!(answer, [NEXT, &[0x80, 4, 0, 0], END].concat());
    }

    #[test]
    fn other_protocols_have_no_keys_here() {
        let other: &[u8] = &[0x80, 1, 0, 2, 0x80, 1];
        // Whatever else such a protocol needs or does not need.
        assert_eq!(read(&[other, END]), Err(Refused::NoProtocol));
        assert_eq!(read(&[other, SIV, END]), Err(Refused::NoProtocol));
        let answer = [0x80, 1, 0, 0, 0x80, 0, 0, 0];
        assert_eq!(Refused::NoProtocol.answer(), answer);
        let both: &[u8] = &[0x80, 1, 0, 4, 0x80, 1, 0, 0];
        assert!(read(&[both, SIV, END]).is_ok());
    }

    #[test]
    fn records_unknown_are_passed_over_unless_critical() {
        let odd: &[u8] = &[0x12, 0x34, 0, 1, 9];
        assert!(read(&[odd, NEXT, SIV, END]).is_ok());
        let odd: &[u8] = &[0x92, 0x34, 0, 1, 9];
        let refused = read(&[NEXT, SIV, odd, END]).unwrap_err();
        assert_eq!(refused, Refused::UnknownCritical(0x1234));
        let error = [0x80, 2, 0, 2, 0, 0, 0x80, 0, 0, 0];
        assert_eq!(refused.answer(), error);
    }

    #[test]
    fn what_is_needed_is_there_once() {
        assert_eq!(bad(&[END]), Fault::Missing(1));
        assert_eq!(bad(&[SIV, END]), Fault::Missing(1));
        assert_eq!(bad(&[NEXT, END]), Fault::Missing(4));
        assert_eq!(bad(&[NEXT, NEXT, SIV, END]), Fault::Duplicate(1));
        assert_eq!(bad(&[NEXT, SIV, SIV, END]), Fault::Duplicate(4));
        assert_eq!(bad(&[&[0x80, 1, 0, 0], SIV, END]), Fault::Malformed(1));
        assert_eq!(bad(&[NEXT, &[0x80, 4, 0, 0], END]), Fault::Malformed(4));
        assert_eq!(
            bad(&[NEXT, &[0x80, 4, 0, 3, 0, 15, 0], END]),
            Fault::Malformed(4)
        );
    }

    #[test]
    fn what_only_servers_say_is_not_for_clients_to_say() {
        for kind in [2, 3, 5] {
            let record: &[u8] = &[0, kind, 0, 2, 0, 0];
            assert_eq!(
                bad(&[NEXT, SIV, record, END]),
                Fault::ServersOnly(kind.into())
            );
        }
    }

    #[test]
    fn a_client_may_have_wishes() {
        let server: &[u8] = &[0, 6, 0, 1, b'a'];
        let port: &[u8] = &[0, 7, 0, 2, 0, 99];
        assert!(read(&[NEXT, SIV, server, port, END]).is_ok());
    }

    #[test]
    fn a_request_ends_once() {
        let framing = Fault::Framing(FramingError::AfterEnd);
        assert_eq!(bad(&[NEXT, SIV, END, END]), framing);
        assert_eq!(bad(&[NEXT, SIV, END, NEXT]), framing);
        let framing = Fault::Framing(FramingError::EndNotEmpty);
        assert_eq!(bad(&[NEXT, SIV, &[0x80, 0, 0, 1, 0]]), framing);
        let framing = Fault::Framing(FramingError::TooLong);
        assert_eq!(bad(&[NEXT, &[0, 9, 0x40, 0]]), framing);
    }

    #[test]
    fn trouble_of_the_servers_own_is_told() {
        let error = [0x80, 2, 0, 2, 0, 2, 0x80, 0, 0, 0];
        assert_eq!(internal_error(), error);
    }

    proptest! {
        #[test]
        fn what_a_client_asks_is_read_in_any_pieces(
            algorithms in prop::sample::subsequence(BOTH.to_vec(), 1..=2),
        ) {
            let request = client::request(&algorithms);
            let mut reader = RequestReader::new(BOTH);
            for length in 0..request.len() {
                prop_assert_eq!(reader.read(&request[..length]), Progress::Incomplete);
            }
            let expected = Accepted {
                algorithm: algorithms[0],
                compliant: algorithms[0] == Algorithm::Aes128GcmSiv,
            };
            prop_assert_eq!(reader.read(&request), Progress::Complete(Ok(expected)));
        }

        #[test]
        fn no_octets_make_it_panic(
            octets in prop::collection::vec(
                prop_oneof![Just(0u8), Just(0x80), 1u8..8, any::<u8>()], 0..300,
            ),
        ) {
            let mut reader = RequestReader::new(BOTH);
            for length in 0..=octets.len() {
                let piecewise = reader.read(&octets[..length]);
                prop_assert_eq!(&piecewise, &RequestReader::new(BOTH).read(&octets[..length]));
                if let Progress::Complete(decision) = piecewise {
                    if let Err(refused) = decision {
                        prop_assert!(refused.answer().ends_with(END));
                    }
                    break;
                }
            }
        }
    }
}
