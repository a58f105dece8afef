//! Requests: what `RequestReader` makes of them, and what is answered.

use clockwright_ntp::nts::ke::record::{FramingError, Progress};
use clockwright_ntp::nts::ke::server::{Accepted, Fault, Refused, RequestReader, response};
use clockwright_ntp::nts::{Algorithm, ke};
use proptest::prelude::*;

use super::{
    AEAD, BOTH, COOKIE, END, ERROR, LONGEST, Message, NEXT_PROTOCOL, PORT, Record, SERVER, UNKNOWN,
    WARNING, read,
};

/// A request that should be accepted, or why it is refused.
type Case<'c> = (&'c str, Message, Result<(), Refused>);

const fn bad(fault: Fault) -> Result<(), Refused> {
    Err(Refused::BadRequest(fault))
}

const fn unframed(error: FramingError) -> Result<(), Refused> {
    bad(Fault::Framing(error))
}

/// A proper request but for its end.
fn begun() -> Message {
    Message::new().ntpv4().siv()
}

/// What the reader makes of a message that comes at once.
fn decide(message: &Message) -> Progress<Result<Accepted, Refused>> {
    RequestReader::new(BOTH).read(&message.0)
}

/// Puts rules to the test, the message coming at once and octet by octet.
fn check(cases: Vec<Case<'_>>) {
    for (rule, message, expected) in cases {
        let Progress::Complete(decision) = decide(&message) else {
            unreachable!("{rule}: it waits for more");
        };
        assert_eq!(decision.map(|_| ()), expected, "{rule}");
        if let Err(refused) = decision {
            answers_properly(refused);
        }
        let mut reader = RequestReader::new(BOTH);
        let early = (0..=message.0.len())
            .map(|length| reader.read(&message.0[..length]))
            .find(|progress| *progress != Progress::Incomplete);
        // What follows the end is not waited for; all else is the same.
        let after_end = expected == unframed(FramingError::AfterEnd);
        assert!(
            after_end || early == Some(Progress::Complete(decision)),
            "{rule}"
        );
    }
}

/// RFC 8915 sections 4.1.2, 4.1.3 and 4.1.5: what those who are refused are told.
fn answers_properly(refused: Refused) {
    let records = read(&refused.answer()).expect("a whole message");
    let error = |code: u8| -> Vec<Record> { vec![(true, ERROR, vec![0, code])] };
    let expected = match refused {
        Refused::UnknownCritical(_) => error(0),
        Refused::BadRequest(_) => error(1),
        Refused::NoProtocol => vec![(true, NEXT_PROTOCOL, vec![])],
        Refused::NoAlgorithm => vec![(true, NEXT_PROTOCOL, vec![0, 0]), (true, AEAD, vec![])],
    };
    assert_eq!(records, expected);
}

#[test]
fn section_4_1_1_a_message_ends_once_and_at_its_end() {
    let after = unframed(FramingError::AfterEnd);
    check(vec![
        ("one end", begun().end(), Ok(())),
        ("two", begun().end().end(), after),
        ("a record after it", begun().end().ntpv4(), after),
        ("an octet after it", begun().end().raw(&[0]), after),
        ("16 KiB after it", begun().end().raw(&[0; LONGEST]), after),
        (
            "one that is not empty",
            begun().must(END, &[0]),
            unframed(FramingError::EndNotEmpty),
        ),
        ("one that is not critical", begun().may(END, &[]), Ok(())),
        (
            "nothing but an end",
            Message::new().end(),
            bad(Fault::Missing(NEXT_PROTOCOL)),
        ),
    ]);
}

#[test]
fn a_message_without_end_is_waited_for() {
    for message in [
        Message::new(),
        begun(),
        begun().raw(&[0x80]),
        begun().raw(&[0x80, 0, 0]),
        begun().record_of(false, UNKNOWN, 100, &[0; 99]),
        begun().may(UNKNOWN, &[0; 16_000]),
    ] {
        assert_eq!(decide(&message), Progress::Incomplete);
    }
}

#[test]
fn a_message_has_a_length_that_can_be_kept() {
    let room = LONGEST - begun().0.len() - 4 - 4;
    let filled = |length: usize| begun().may(UNKNOWN, &vec![0; length]).end();
    let too_long = unframed(FramingError::TooLong);
    assert_eq!(filled(room).0.len(), LONGEST);
    check(vec![
        ("16 KiB", filled(room), Ok(())),
        ("an octet more", filled(room + 1), too_long),
        ("a record as long as can be", filled(65_535), too_long),
        (
            "one that only says so",
            begun().record_of(false, UNKNOWN, 65_535, &[]),
            too_long,
        ),
        (
            "thousands of empty records",
            (0..5000).fold(begun(), |m, _| m.may(UNKNOWN, &[])),
            too_long,
        ),
    ]);
    let many = (0..4000).fold(Message::new(), |message, _| message.may(UNKNOWN, &[]));
    check(vec![(
        "four thousand of them",
        many.ntpv4().siv().end(),
        Ok(()),
    )]);
}

#[test]
fn section_4_unknown_records_are_passed_over_unless_they_are_critical() {
    let critical = Err(Refused::UnknownCritical(UNKNOWN));
    check(vec![
        ("unknown", begun().may(UNKNOWN, &[1]).end(), Ok(())),
        (
            "the same twice",
            begun().may(UNKNOWN, &[]).may(UNKNOWN, &[]).end(),
            Ok(()),
        ),
        ("critical", begun().must(UNKNOWN, &[1]).end(), critical),
        (
            "critical, before all else",
            Message::new().must(UNKNOWN, &[]).end(),
            critical,
        ),
        (
            "critical, though it is of the highest type",
            begun().must(0x7fff, &[]).end(),
            Err(Refused::UnknownCritical(0x7fff)),
        ),
        (
            "known, and not critical",
            Message::new()
                .may(NEXT_PROTOCOL, &[0, 0])
                .may(AEAD, &[0, 15])
                .end(),
            Ok(()),
        ),
    ]);
}

#[test]
fn section_4_1_2_there_is_one_list_of_protocols_with_ntpv4_in_it() {
    let with = |message: Message| message.siv().end();
    let list = |ids: &[u8]| with(Message::new().must(NEXT_PROTOCOL, ids));
    let malformed = bad(Fault::Malformed(NEXT_PROTOCOL));
    let long: Vec<u8> = (1..8000u16).flat_map(u16::to_be_bytes).collect();
    check(vec![
        (
            "none",
            with(Message::new()),
            bad(Fault::Missing(NEXT_PROTOCOL)),
        ),
        (
            "two",
            with(Message::new().ntpv4().ntpv4()),
            bad(Fault::Duplicate(NEXT_PROTOCOL)),
        ),
        ("an empty one", list(&[]), malformed),
        ("an octet", list(&[0]), malformed),
        ("three octets", list(&[0, 0, 0]), malformed),
        (
            "another protocol",
            list(&[0x80, 1]),
            Err(Refused::NoProtocol),
        ),
        ("thousands of others", list(&long), Err(Refused::NoProtocol)),
        (
            "NTPv4 behind thousands",
            list(&[&long[..], &[0, 0]].concat()),
            Ok(()),
        ),
        ("NTPv4 twice", list(&[0, 0, 0, 0]), Ok(())),
    ]);
}

#[test]
fn section_4_1_5_there_is_one_list_of_algorithms() {
    let with = |message: Message| message.ntpv4().end();
    let list = |ids: &[u8]| with(Message::new().must(AEAD, ids));
    let malformed = bad(Fault::Malformed(AEAD));
    let others: Vec<u8> = (100..8000u16).flat_map(u16::to_be_bytes).collect();
    check(vec![
        ("none", with(Message::new()), bad(Fault::Missing(AEAD))),
        (
            "two",
            with(Message::new().siv().siv()),
            bad(Fault::Duplicate(AEAD)),
        ),
        ("an empty one", list(&[]), malformed),
        ("an octet", list(&[15]), malformed),
        ("three octets", list(&[0, 15, 0]), malformed),
        (
            "none that is known",
            list(&[0, 17, 0xff, 0xff]),
            Err(Refused::NoAlgorithm),
        ),
        (
            "thousands that are not",
            list(&others),
            Err(Refused::NoAlgorithm),
        ),
        (
            "one behind thousands",
            list(&[&others[..], &[0, 15]].concat()),
            Ok(()),
        ),
    ]);
}

#[test]
fn what_only_servers_say_no_client_says() {
    let servers_only = |kind| bad(Fault::ServersOnly(kind));
    check(vec![
        (
            "an error",
            begun().must(ERROR, &[0, 1]).end(),
            servers_only(ERROR),
        ),
        (
            "an error of nothing",
            begun().must(ERROR, &[]).end(),
            servers_only(ERROR),
        ),
        (
            "a warning",
            begun().may(WARNING, &[0, 1]).end(),
            servers_only(WARNING),
        ),
        (
            "a cookie",
            begun().cookies(1, 100).end(),
            servers_only(COOKIE),
        ),
        (
            "a thousand",
            begun().cookies(1000, 8).end(),
            servers_only(COOKIE),
        ),
    ]);
}

#[test]
fn sections_4_1_7_and_4_1_8_whatever_a_client_wishes_is_passed_over() {
    check(vec![
        ("a name", begun().may(SERVER, b"ntp.example").end(), Ok(())),
        (
            "octets that are no name",
            begun().must(SERVER, &[0, 0xff]).end(),
            Ok(()),
        ),
        (
            "a name of 16000 octets",
            begun().must(SERVER, &[b'a'; 16_000]).end(),
            Ok(()),
        ),
        ("port 0", begun().must(PORT, &[0, 0]).end(), Ok(())),
        (
            "a port of three octets",
            begun().must(PORT, &[0, 0, 1]).end(),
            Ok(()),
        ),
    ]);
}

#[test]
fn a_proper_answer_is_read_by_another_codec() {
    let accepted = match decide(&begun().end()) {
        Progress::Complete(Ok(accepted)) => accepted,
        other => unreachable!("{other:?}"),
    };
    assert_eq!(accepted.algorithm, Algorithm::AesSivCmac256);
    let cookies: Vec<Vec<u8>> = (0..8).map(|n| vec![n; 100]).collect();
    let octets = response(accepted, Some("192.0.2.1"), 1123, &cookies);
    let mut expected: Vec<Record> = vec![
        (true, NEXT_PROTOCOL, vec![0, 0]),
        (true, AEAD, vec![0, 15]),
        (true, PORT, 1123u16.to_be_bytes().to_vec()),
        (true, SERVER, b"192.0.2.1".to_vec()),
    ];
    expected.extend(cookies.into_iter().map(|cookie| (false, COOKIE, cookie)));
    assert_eq!(read(&octets), Some(expected));
    let trouble = read(&ke::server::internal_error());
    assert_eq!(trouble, Some(vec![(true, ERROR, vec![0, 2])]));
}

/// Any record, likely one that is known.
fn record() -> impl Strategy<Value = Record> {
    let kind = prop_oneof![4 => 0u16..9, 1 => Just(1024), 1 => 0u16..0x8000];
    let body = prop_oneof![
        prop::sample::select(vec![
            vec![],
            vec![0, 0],
            vec![0, 15],
            vec![0, 30, 0, 15],
            vec![15]
        ]),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    (any::<bool>(), kind, body)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is asked: what is accepted could be accepted, and all others are told why.
    #[test]
    fn any_records_are_decided_properly(records in prop::collection::vec(record(), 0..8)) {
        let message = records.iter().fold(Message::new(), |message, (critical, kind, body)| {
            message.record(*critical, *kind, body)
        });
        let message = message.end();
        let Progress::Complete(decision) = decide(&message) else {
            return Err(TestCaseError::fail("it waits for more"));
        };
        match decision {
            Err(refused) => answers_properly(refused),
            Ok(accepted) => {
                let bodies = |wanted: u16| {
                    let found = records.iter().filter(move |(_, kind, _)| *kind == wanted);
                    found.map(|(_, _, body)| body.clone()).collect::<Vec<_>>()
                };
                let (next, aead) = (bodies(NEXT_PROTOCOL), bodies(AEAD));
                prop_assert!(next.len() == 1 && next[0].chunks(2).any(|id| id == [0, 0]));
                let id = accepted.algorithm.id().to_be_bytes();
                prop_assert!(aead.len() == 1 && aead[0].chunks(2).any(|it| it == id));
                let known = |kind: u16| kind < 8 || kind == 1024;
                prop_assert!(records.iter().all(|(critical, kind, _)| !critical || known(*kind)));
            }
        }
    }
}
