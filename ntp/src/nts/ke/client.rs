//! What a client says, and what it makes of the answer.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::record::{self, Message, Progress, Reader, Record, Writer};
use super::{NTPV4, session_keys};
use crate::nts::{Algorithm, COOKIES, Cookie, Session};

pub use super::refusal::{ErrorCode, Refusal};

/// The longest name of a server, octets (RFC 1035 section 3.1, without the final dot).
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// The request: `NTPv4`, with one of `algorithms`, the first being the one liked best.
pub fn request(algorithms: &[Algorithm]) -> Vec<u8> {
    let mut message = Writer::new()
        .numbers(record::NEXT_PROTOCOL, [NTPV4])
        .numbers(record::AEAD, algorithms.iter().map(|a| a.id()));
    if algorithms.contains(&Algorithm::Aes128GcmSiv) {
        message = message.optional(record::COMPLIANT_EXPORT, &[]);
    }
    message.end().to_vec()
}

/// What a server answered, if all of it can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// What the keys are for.
    pub algorithm: Algorithm,
    /// The server names that algorithm in the exporter's context, as the RFC says. If not, it may
    /// be one that does or one that does not: [`Response::session`] has the keys of both.
    pub compliant: bool,
    /// One to [`COOKIES`] of them.
    pub cookies: Vec<Cookie>,
    /// Where its NTP server is: an IP address or a DNS name without a final dot. `None`: at the
    /// address that was connected to.
    pub server: Option<String>,
    /// The UDP port of its NTP server; never 0. `None`: 123.
    pub port: Option<u16>,
}

impl Response {
    /// The session that was established. `export` is that of [`session_keys`].
    pub fn session<E>(
        self,
        mut export: impl FnMut(&[u8], &mut [u8]) -> Result<(), E>,
    ) -> Result<Session, E> {
        let keys = session_keys(self.algorithm, self.compliant, &mut export)?;
        let doubtful = self.algorithm == Algorithm::Aes128GcmSiv && !self.compliant;
        let alternative = doubtful
            .then(|| session_keys(self.algorithm, true, &mut export))
            .transpose()?;
        Ok(Session {
            keys,
            alternative,
            cookies: self.cookies,
        })
    }
}

/// Reads an answer that comes in pieces.
#[derive(Debug, Clone)]
pub struct ResponseReader {
    framing: Reader,
    offered: Vec<Algorithm>,
}

impl ResponseReader {
    /// Reads the answer to [`request`] with these algorithms.
    pub fn new(offered: &[Algorithm]) -> Self {
        Self {
            framing: Reader::default(),
            offered: offered.to_vec(),
        }
    }

    /// Looks at all that has been `received` of the stream, from its first octet on. With
    /// [`record::LONGEST_MESSAGE`] octets at hand it is never incomplete. If the stream ends while
    /// it is, the answer is [`Refusal::Truncated`].
    pub fn read(&mut self, received: &[u8]) -> Result<Progress<Response>, Refusal> {
        match self.framing.read(received).map_err(Refusal::Framing)? {
            Progress::Incomplete => Ok(Progress::Incomplete),
            Progress::Complete(message) => {
                Ok(Progress::Complete(interpret(&message, &self.offered)?))
            }
        }
    }
}

/// What the records say, before it is known that nothing is missing.
#[derive(Default)]
struct Found {
    protocol: Option<()>,
    algorithm: Option<Algorithm>,
    compliant: bool,
    cookies: Vec<Cookie>,
    server: Option<String>,
    port: Option<u16>,
}

fn interpret(message: &Message, offered: &[Algorithm]) -> Result<Response, Refusal> {
    let mut found = Found::default();
    for record in message.records() {
        match record.kind {
            record::NEXT_PROTOCOL => once(&mut found.protocol, record, protocol)?,
            record::AEAD => once(&mut found.algorithm, record, |it| algorithm(it, offered))?,
            record::COOKIE => keep(&mut found.cookies, record)?,
            record::SERVER => once(&mut found.server, record, server)?,
            record::PORT => once(&mut found.port, record, port)?,
            record::COMPLIANT_EXPORT => found.compliant = true,
            record::ERROR => return Err(Refusal::Server(record.number().map(ErrorCode))),
            record::WARNING => return Err(Refusal::Warning(record.number())),
            kind if record.critical => return Err(Refusal::UnknownCritical(kind)),
            _ => {}
        }
    }
    found
        .protocol
        .ok_or(Refusal::Missing(record::NEXT_PROTOCOL))?;
    let algorithm = found.algorithm.ok_or(Refusal::Missing(record::AEAD))?;
    if found.cookies.is_empty() {
        return Err(Refusal::Missing(record::COOKIE));
    }
    Ok(Response {
        algorithm,
        compliant: found.compliant && algorithm == Algorithm::Aes128GcmSiv,
        cookies: found.cookies,
        server: found.server,
        port: found.port,
    })
}

/// Takes a record that may occur once.
fn once<T>(
    slot: &mut Option<T>,
    record: Record,
    read: impl FnOnce(Record) -> Result<T, Refusal>,
) -> Result<(), Refusal> {
    if slot.is_some() {
        return Err(Refusal::Duplicate(record.kind));
    }
    *slot = Some(read(record)?);
    Ok(())
}

/// The list must be what was asked for, or empty (RFC 8915 section 4.1.2).
fn protocol(record: Record) -> Result<(), Refusal> {
    match record.body {
        [] => Err(Refusal::NoNtpv4),
        _ if record.number() == Some(NTPV4) => Ok(()),
        _ => Err(Refusal::Malformed(record.kind)),
    }
}

/// The list must be one of those offered, or empty (RFC 8915 section 4.1.5).
fn algorithm(record: Record, offered: &[Algorithm]) -> Result<Algorithm, Refusal> {
    if record.body.is_empty() {
        return Err(Refusal::NoAlgorithm);
    }
    let id = record.number().ok_or(Refusal::Malformed(record.kind))?;
    Algorithm::from_id(id)
        .filter(|algorithm| offered.contains(algorithm))
        .ok_or(Refusal::NotOffered(id))
}

/// Keeps a cookie if there are not enough yet; one that no packet could carry is refused anyhow.
fn keep(cookies: &mut Vec<Cookie>, record: Record) -> Result<(), Refusal> {
    let cookie = Cookie::new(record.body).ok_or(Refusal::CookieLength(record.body.len()))?;
    if cookies.len() < COOKIES {
        cookies.push(cookie);
    }
    Ok(())
}

fn port(record: Record) -> Result<u16, Refusal> {
    record
        .number()
        .filter(|port| *port != 0)
        .ok_or(Refusal::Malformed(record.kind))
}

/// An IPv4 or IPv6 address without brackets or zone, or a DNS name (RFC 8915 section 4.1.7).
fn server(record: Record) -> Result<String, Refusal> {
    core::str::from_utf8(record.body)
        .ok()
        .map(|name| name.strip_suffix('.').unwrap_or(name))
        .filter(|name| is_address(name) || is_dns_name(name))
        .map(str::to_owned)
        .ok_or(Refusal::Malformed(record.kind))
}

fn is_address(name: &str) -> bool {
    name.parse::<Ipv4Addr>().is_ok() || name.parse::<Ipv6Addr>().is_ok()
}

/// Letters, digits, `-` and `_` between dots, and not an address gone wrong (RFC 1123 section 2.1).
fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let allowed = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        (1..=LONGEST_LABEL).contains(&label.len()) && label.bytes().all(allowed)
    };
    let is_number = |label: &str| label.bytes().all(|octet| octet.is_ascii_digit());
    name.len() <= LONGEST_NAME
        && name.split('.').all(is_label)
        && !name.rsplit('.').next().is_none_or(is_number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nts::ke::record::FramingError;
    use crate::nts::ke::server;

    const BOTH: [Algorithm; 2] = Algorithm::ALL;
    const NEXT: &[u8] = &[0x80, 1, 0, 2, 0, 0];
    const SIV: &[u8] = &[0x80, 4, 0, 2, 0, 15];
    const GCM: &[u8] = &[0x80, 4, 0, 2, 0, 30];
    const END: &[u8] = &[0x80, 0, 0, 0];

    fn read(records: &[&[u8]]) -> Result<Progress<Response>, Refusal> {
        ResponseReader::new(&BOTH).read(&records.concat())
    }

    fn refused(records: &[&[u8]]) -> Refusal {
        match read(records) {
            Err(refusal) => refusal,
            other => panic!("{other:?}"),
        }
    }

    fn accepted(records: &[&[u8]]) -> Response {
        match read(records) {
            Ok(Progress::Complete(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    fn record(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&kind.to_be_bytes(), &length, body].concat()
    }

    fn cookie(fill: u8) -> Vec<u8> {
        record(5, &[fill; 100])
    }

    #[test]
    fn the_request_is_what_chrony_sends() {
        let both = [
            0x80, 0x01, 0, 2, 0, 0, // NTPv4
            0x80, 0x04, 0, 4, 0, 30, 0, 15, // the algorithms
            0x04, 0x00, 0, 0, // exports as the RFC says
            0x80, 0x00, 0, 0,
        ];
        assert_eq!(request(&BOTH), both);
        let siv = [0x80, 1, 0, 2, 0, 0, 0x80, 4, 0, 2, 0, 15, 0x80, 0, 0, 0];
        assert_eq!(request(&[Algorithm::AesSivCmac256]), siv);
    }

    #[test]
    fn an_answer_may_have_all_its_records() {
        let response = accepted(&[
            NEXT,
            GCM,
            &[0x04, 0, 0, 0],
            &[0x80, 7, 0, 2, 0x30, 0x39],
            &record(0x8006, b"ntp.example.net."),
            &cookie(1),
            &cookie(2),
            END,
        ]);
        let expected = Response {
            algorithm: Algorithm::Aes128GcmSiv,
            compliant: true,
            cookies: [1, 2].map(|n| Cookie::new(&[n; 100]).unwrap()).to_vec(),
            server: Some("ntp.example.net".to_owned()),
            port: Some(12345),
        };
        assert_eq!(response, expected);
    }

    #[test]
    fn an_answer_may_have_the_least() {
        let response = accepted(&[NEXT, SIV, &cookie(1), END]);
        assert_eq!((response.server, response.port), (None, None));
        assert!(!response.compliant);
    }

    #[test]
    fn unknown_records_are_passed_over_unless_critical() {
        let odd = record(0x1234, b"what");
        accepted(&[&odd, NEXT, SIV, &cookie(1), END]);
        let odd = record(0x9234, b"what");
        assert_eq!(
            refused(&[NEXT, SIV, &odd, &cookie(1), END]),
            Refusal::UnknownCritical(0x1234)
        );
    }

    #[test]
    fn what_the_server_says_is_wrong_is_told() {
        for code in [0, 1, 2, 7] {
            let error = record(0x8002, &[0, code]);
            let expected = Refusal::Server(Some(ErrorCode(code.into())));
            assert_eq!(refused(&[&error, END]), expected);
            // Nothing else in the answer counts.
            assert_eq!(refused(&[NEXT, SIV, &cookie(1), &error, END]), expected);
        }
        assert_eq!(refused(&[&[0x80, 2, 0, 0], END]), Refusal::Server(None));
        let warning = record(0x8003, &[0, 5]);
        assert_eq!(
            refused(&[NEXT, SIV, &cookie(1), &warning, END]),
            Refusal::Warning(Some(5))
        );
        let names = [0, 1, 2].map(|code| Refusal::Server(Some(ErrorCode(code))).to_string());
        assert!(names[0].contains("critical") && names[1].contains("bad request"));
        assert!(names[2].contains("internal"));
    }

    #[test]
    fn the_protocol_is_ntpv4_said_once() {
        let cookie = cookie(1);
        let rest: [&[u8]; 3] = [SIV, &cookie, END];
        let with = |next: &[&[u8]]| refused(&[next, rest.as_slice()].concat());
        assert_eq!(with(&[]), Refusal::Missing(1));
        assert_eq!(with(&[NEXT, NEXT]), Refusal::Duplicate(1));
        assert_eq!(with(&[&[0x80, 1, 0, 0]]), Refusal::NoNtpv4);
        let malformed = Refusal::Malformed(1);
        assert_eq!(with(&[&record(0x8001, &[0, 1])]), malformed);
        assert_eq!(with(&[&record(0x8001, &[0])]), malformed);
        assert_eq!(with(&[&record(0x8001, &[0, 0, 0x80, 1])]), malformed);
    }

    #[test]
    fn the_algorithm_is_one_of_those_offered_said_once() {
        let cookie = cookie(1);
        let with = |aead: &[&[u8]]| refused(&[&[NEXT], aead, &[&cookie, END]].concat());
        assert_eq!(with(&[]), Refusal::Missing(4));
        assert_eq!(with(&[SIV, SIV]), Refusal::Duplicate(4));
        assert_eq!(with(&[&[0x80, 4, 0, 0]]), Refusal::NoAlgorithm);
        assert_eq!(with(&[&record(0x8004, &[0, 17])]), Refusal::NotOffered(17));
        assert_eq!(
            with(&[&record(0x8004, &[0, 15, 0, 30])]),
            Refusal::Malformed(4)
        );
        assert_eq!(with(&[&record(0x8004, &[15])]), Refusal::Malformed(4));
        let mut reader = ResponseReader::new(&[Algorithm::AesSivCmac256]);
        assert_eq!(
            reader.read(&[NEXT, GCM, &cookie, END].concat()),
            Err(Refusal::NotOffered(30))
        );
    }

    #[test]
    fn cookies_can_be_carried_and_eight_are_kept() {
        assert_eq!(refused(&[NEXT, SIV, END]), Refusal::Missing(5));
        for length in [0, 12, 99, 260, 16_000] {
            let odd = record(5, &vec![7; length]);
            assert_eq!(
                refused(&[NEXT, SIV, &cookie(1), &odd, END]),
                Refusal::CookieLength(length)
            );
        }
        let many: Vec<u8> = (0..20).flat_map(cookie).collect();
        let response = accepted(&[NEXT, SIV, &many, END]);
        let first: Vec<_> = response.cookies.iter().map(|it| it.expose()[0]).collect();
        assert_eq!(first, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn the_server_is_an_address_or_a_name() {
        let cookie = cookie(1);
        let with = |name: &[u8]| read(&[NEXT, SIV, &record(0x8006, name), &cookie, END]);
        let long = format!("{}.example", ["a".repeat(63).as_str(); 3].join("."));
        for good in [
            "192.0.2.7",
            "2001:db8::7",
            "ntp",
            "ntp-1.example.net",
            "xn--bcher-kva.example",
            &long,
        ] {
            let Ok(Progress::Complete(response)) = with(good.as_bytes()) else {
                panic!("{good} is refused");
            };
            assert_eq!(response.server.as_deref(), Some(good));
        }
        let long = ["a".repeat(63).as_str(); 4].join(".");
        for bad in [
            "",
            ".",
            "a..b",
            "192.0.2",
            "192.0.2.256",
            "[2001:db8::7]",
            "fe80::1%eth0",
            "a b",
            "b\u{fc}cher.example",
            "ntp.example\0",
            "a/b",
            &long,
            &"a".repeat(64),
        ] {
            let refused = with(bad.as_bytes());
            assert_eq!(refused, Err(Refusal::Malformed(6)), "{bad:?}");
        }
        assert_eq!(with(&[0xff, 0xfe]), Err(Refusal::Malformed(6)));
    }

    #[test]
    fn server_and_port_are_said_once_and_the_port_is_one() {
        let cookie = cookie(1);
        let with = |records: &[&[u8]]| refused(&[&[NEXT, SIV], records, &[&cookie, END]].concat());
        let (name, port) = (record(6, b"a"), record(7, &[0, 123]));
        assert_eq!(with(&[&name, &name]), Refusal::Duplicate(6));
        assert_eq!(with(&[&port, &port]), Refusal::Duplicate(7));
        assert_eq!(with(&[&record(7, &[0, 0])]), Refusal::Malformed(7));
        assert_eq!(with(&[&record(7, &[123])]), Refusal::Malformed(7));
    }

    #[test]
    fn an_answer_ends_once() {
        let framing = Refusal::Framing(FramingError::AfterEnd);
        assert_eq!(refused(&[NEXT, SIV, &cookie(1), END, END]), framing);
        assert_eq!(
            read(&[NEXT, SIV, &cookie(1)]),
            Ok(Progress::Incomplete),
            "an answer without an end"
        );
    }

    #[test]
    fn a_server_that_does_not_say_how_it_exports_is_tried_both_ways() {
        let session = |records: &[&[u8]]| {
            let response = accepted(&[&[NEXT], records, &[&cookie(1), END]].concat());
            let export = |context: &[u8], key: &mut [u8]| {
                key.fill(context[3]);
                Ok::<(), ()>(())
            };
            let session = response.session(export).unwrap();
            let first = session.keys.c2s().expose()[0];
            (first, session.alternative.map(|it| it.c2s().expose()[0]))
        };
        let compliant: &[u8] = &[4, 0, 0, 0];
        assert_eq!(session(&[SIV]), (15, None));
        assert_eq!(session(&[SIV, compliant]), (15, None));
        assert_eq!(session(&[GCM, compliant]), (30, None));
        assert_eq!(session(&[GCM]), (15, Some(30)));
    }

    #[test]
    fn no_cookie_is_shown() {
        let shown = format!("{:?}", accepted(&[NEXT, SIV, &cookie(0x5a), END]));
        assert!(!shown.contains("90, 90"), "{shown}");
    }

    proptest! {
        #[test]
        fn what_a_server_answers_is_read(
            gcm: bool, compliant: bool, port in 1u16.., name in prop::option::of("[a-z]{1,20}\\.net"),
            count in 1usize..=8,
        ) {
            let algorithm = if gcm { Algorithm::Aes128GcmSiv } else { Algorithm::AesSivCmac256 };
            let accepted = server::Accepted { algorithm, compliant: compliant && gcm };
            let cookies = vec![[9; 68]; count];
            let octets = server::response(accepted, name.as_deref(), port, &cookies);
            let mut reader = ResponseReader::new(&BOTH);
            for length in 0..octets.len() {
                prop_assert_eq!(reader.read(&octets[..length]), Ok(Progress::Incomplete));
            }
            let expected = Response {
                algorithm,
                compliant: compliant && gcm,
                cookies: vec![Cookie::new(&[9; 68]).unwrap(); count],
                server: name,
                port: (port != 123).then_some(port),
            };
            prop_assert_eq!(reader.read(&octets), Ok(Progress::Complete(expected)));
        }

        #[test]
        fn records_of_any_kind_do_no_harm(
            records in prop::collection::vec(
                (prop_oneof![0u16..10, 0x8000u16..0x800a, any::<u16>()],
                 prop::collection::vec(any::<u8>(), 0..40)),
                0..12,
            ),
        ) {
            let octets: Vec<u8> = records.iter().flat_map(|(kind, body)| record(*kind, body)).collect();
            for length in 0..=octets.len() {
                if let Ok(Progress::Complete(response)) = ResponseReader::new(&BOTH).read(&octets[..length]) {
                    prop_assert!((1..=COOKIES).contains(&response.cookies.len()));
                    prop_assert_ne!(response.port, Some(0));
                }
            }
        }

        #[test]
        fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = ResponseReader::new(&BOTH).read(&octets);
        }
    }
}
