//! Responses: what `ResponseReader` makes of them.

use clockwright_ntp::nts::ke::client::{ErrorCode, Refusal, Response, ResponseReader, request};
use clockwright_ntp::nts::ke::record::{FramingError, Progress};
use clockwright_ntp::nts::{Algorithm, LONGEST_COOKIE};
use proptest::prelude::*;

use super::{
    AEAD, BOTH, COOKIE, END, ERROR, LONGEST, Message, NEXT_PROTOCOL, PORT, Record, SERVER, UNKNOWN,
    WARNING, read,
};

/// What the reader should make of a response: so many cookies, or a refusal.
type Case<'c> = (&'c str, Message, Result<usize, Refusal>);

const fn unframed(error: FramingError) -> Result<usize, Refusal> {
    Err(Refusal::Framing(error))
}

/// A proper response but for its end.
fn begun() -> Message {
    Message::new().ntpv4().siv().cookies(8, 100)
}

/// What the reader makes of a message that comes at once.
fn interpret(message: &Message) -> Result<Progress<Response>, Refusal> {
    ResponseReader::new(BOTH).read(&message.0)
}

/// Puts rules to the test, the message coming at once and octet by octet.
fn check(cases: Vec<Case<'_>>) {
    for (rule, message, expected) in cases {
        let result = interpret(&message);
        assert_ne!(
            result,
            Ok(Progress::Incomplete),
            "{rule}: it waits for more"
        );
        let found = result.clone().map(|progress| match progress {
            Progress::Complete(response) => response.cookies.len(),
            Progress::Incomplete => 0,
        });
        assert_eq!(found, expected, "{rule}");
        let mut reader = ResponseReader::new(BOTH);
        let early = (0..=message.0.len())
            .map(|length| reader.read(&message.0[..length]))
            .find(|result| *result != Ok(Progress::Incomplete));
        // What follows the end is not waited for; all else is the same.
        let after_end = expected == unframed(FramingError::AfterEnd);
        assert!(after_end || early == Some(result), "{rule}");
    }
}

#[test]
fn section_4_1_1_a_message_ends_once_and_at_its_end() {
    let after = unframed(FramingError::AfterEnd);
    check(vec![
        ("one end", begun().end(), Ok(8)),
        ("two", begun().end().end(), after),
        ("a cookie after it", begun().end().cookies(1, 100), after),
        ("an octet after it", begun().end().raw(&[0]), after),
        (
            "one that is not empty",
            begun().must(END, &[0; 2]),
            unframed(FramingError::EndNotEmpty),
        ),
        (
            "nothing but an end",
            Message::new().end(),
            Err(Refusal::Missing(NEXT_PROTOCOL)),
        ),
    ]);
    for message in [Message::new(), begun(), begun().raw(&[0x80, 0, 0])] {
        assert_eq!(interpret(&message), Ok(Progress::Incomplete), "no end");
    }
}

#[test]
fn a_message_has_a_length_that_can_be_kept() {
    let room = LONGEST - begun().0.len() - 4 - 4;
    let filled = |length: usize| begun().may(UNKNOWN, &vec![0; length]).end();
    let too_long = unframed(FramingError::TooLong);
    assert_eq!(filled(room).0.len(), LONGEST);
    check(vec![
        ("16 KiB", filled(room), Ok(8)),
        ("an octet more", filled(room + 1), too_long),
        (
            "a record that says it is longer",
            begun().record_of(false, COOKIE, 65_535, &[]),
            too_long,
        ),
        (
            "a thousand cookies of 100 octets",
            begun().cookies(1000, 100).end(),
            too_long,
        ),
        (
            "a thousand empty records",
            (0..1000).fold(begun(), |m, _| m.may(UNKNOWN, &[])).end(),
            Ok(8),
        ),
    ]);
}

#[test]
fn section_4_unknown_records_are_passed_over_unless_they_are_critical() {
    check(vec![
        ("unknown", begun().may(UNKNOWN, &[1; 300]).end(), Ok(8)),
        (
            "critical",
            begun().must(UNKNOWN, &[]).end(),
            Err(Refusal::UnknownCritical(UNKNOWN)),
        ),
        (
            "not critical where it should be",
            Message::new()
                .may(NEXT_PROTOCOL, &[0, 0])
                .may(AEAD, &[0, 15])
                .cookies(1, 100)
                .end(),
            Ok(1),
        ),
        (
            "critical where it need not be",
            Message::new().ntpv4().siv().must(COOKIE, &[7; 100]).end(),
            Ok(1),
        ),
    ]);
}

#[test]
fn sections_4_1_3_and_4_1_4_errors_and_warnings_end_it_wherever_they_are() {
    let error = |code| Err(Refusal::Server(Some(ErrorCode(code))));
    check(vec![
        ("alone", Message::new().must(ERROR, &[0, 1]).end(), error(1)),
        (
            "behind all that is needed",
            begun().must(ERROR, &[0, 0]).end(),
            error(0),
        ),
        (
            "before it",
            Message::new()
                .must(ERROR, &[0, 2])
                .ntpv4()
                .siv()
                .cookies(8, 100)
                .end(),
            error(2),
        ),
        ("not critical", begun().may(ERROR, &[0, 2]).end(), error(2)),
        (
            "of no known code",
            begun().must(ERROR, &[0xff, 0xff]).end(),
            error(0xffff),
        ),
        (
            "of no code",
            begun().must(ERROR, &[]).end(),
            Err(Refusal::Server(None)),
        ),
        (
            "of three octets",
            begun().must(ERROR, &[0, 0, 1]).end(),
            Err(Refusal::Server(None)),
        ),
        (
            "a warning",
            begun().must(WARNING, &[0, 9]).end(),
            Err(Refusal::Warning(Some(9))),
        ),
        (
            "one that is not critical",
            begun().may(WARNING, &[0, 9]).end(),
            Err(Refusal::Warning(Some(9))),
        ),
        (
            "of no code",
            begun().must(WARNING, &[9]).end(),
            Err(Refusal::Warning(None)),
        ),
    ]);
}

#[test]
fn section_4_1_2_the_protocol_is_the_one_that_was_asked_for() {
    let with = |message: Message| message.siv().cookies(8, 100).end();
    let list = |ids: &[u8]| with(Message::new().must(NEXT_PROTOCOL, ids));
    let malformed = Err(Refusal::Malformed(NEXT_PROTOCOL));
    check(vec![
        (
            "none",
            with(Message::new()),
            Err(Refusal::Missing(NEXT_PROTOCOL)),
        ),
        (
            "two",
            with(Message::new().ntpv4().ntpv4()),
            Err(Refusal::Duplicate(NEXT_PROTOCOL)),
        ),
        ("an empty list", list(&[]), Err(Refusal::NoNtpv4)),
        ("another", list(&[0x80, 1]), malformed),
        ("another, too", list(&[0, 0, 0x80, 1]), malformed),
        ("an octet", list(&[0]), malformed),
        ("three octets", list(&[0, 0, 0]), malformed),
    ]);
}

#[test]
fn section_4_1_5_the_algorithm_is_one_of_those_that_were_offered() {
    let with = |message: Message| message.ntpv4().cookies(8, 100).end();
    let list = |ids: &[u8]| with(Message::new().must(AEAD, ids));
    let malformed = Err(Refusal::Malformed(AEAD));
    check(vec![
        ("none", with(Message::new()), Err(Refusal::Missing(AEAD))),
        (
            "two",
            with(Message::new().siv().siv()),
            Err(Refusal::Duplicate(AEAD)),
        ),
        ("an empty list", list(&[]), Err(Refusal::NoAlgorithm)),
        ("two in a list", list(&[0, 15, 0, 30]), malformed),
        ("an octet", list(&[15]), malformed),
        ("three octets", list(&[0, 15, 0]), malformed),
        (
            "one that nobody has",
            list(&[0, 0]),
            Err(Refusal::NotOffered(0)),
        ),
        (
            "one that was not offered",
            list(&[0, 17]),
            Err(Refusal::NotOffered(17)),
        ),
    ]);
    let message = Message::new()
        .ntpv4()
        .must(AEAD, &[0, 30])
        .cookies(1, 100)
        .end();
    let refused = ResponseReader::new(&[Algorithm::AesSivCmac256]).read(&message.0);
    assert_eq!(refused, Err(Refusal::NotOffered(30)));
}

#[test]
fn section_4_1_6_cookies_can_be_carried_by_a_field_and_eight_are_kept() {
    let none = || Message::new().ntpv4().siv();
    let mut cases: Vec<Case<'_>> = vec![
        ("none", none().end(), Err(Refusal::Missing(COOKIE))),
        ("one", none().cookies(1, 100).end(), Ok(1)),
        ("nine", none().cookies(9, 100).end(), Ok(8)),
        (
            "a thousand small ones are too short",
            none().cookies(1000, 8).end(),
            Err(Refusal::CookieLength(8)),
        ),
        ("hundreds", none().cookies(800, 16).end(), Ok(8)),
        (
            "the longest",
            none().cookies(8, LONGEST_COOKIE).end(),
            Ok(8),
        ),
    ];
    for length in [0, 1, 4, 12, 15, 17, 99, 101, 102, 257, 260, 1000, 16_000] {
        let refused = Err(Refusal::CookieLength(length));
        cases.push(("by itself", none().cookies(1, length).end(), refused));
        cases.push((
            "behind good ones",
            none().cookies(2, 100).cookies(1, length).end(),
            refused,
        ));
    }
    check(cases);
}

#[test]
fn section_4_1_7_the_server_is_a_name_or_an_address() {
    let with = |name: &[u8]| begun().must(SERVER, name).end();
    let malformed = Err(Refusal::Malformed(SERVER));
    let label = "a".repeat(63);
    let long = [label.as_str(); 4].join(".");
    let mut cases: Vec<Case<'_>> = vec![
        ("none", begun().end(), Ok(8)),
        (
            "not critical",
            begun().may(SERVER, b"ntp.example").end(),
            Ok(8),
        ),
        (
            "two",
            begun().must(SERVER, b"a").must(SERVER, b"a").end(),
            Err(Refusal::Duplicate(SERVER)),
        ),
        ("an address", with(b"192.0.2.1"), Ok(8)),
        ("another", with(b"2001:db8::1"), Ok(8)),
        ("not UTF-8", with(&[0xc3, 0x28]), malformed),
        ("15000 octets", with(&[b'a'; 15_000]), malformed),
    ];
    for name in [
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "a b",
        " a",
        "a\n",
        "ntp.example\0",
        "\0",
        "ntp\0.example",
        "ntp.example:123",
        "[::1]",
        "::1%lo",
        "ntp/example",
        "ntp.example/..",
        "a,b",
        "\u{e4}.example",
        "1.2.3",
        "1.2.3.4.5",
        "256.0.0.1",
        "0x7f.1",
        "1",
        &long,
        &"a".repeat(64),
        "a;reboot",
        "$(reboot)",
        "%s",
    ] {
        let told = with(name.as_bytes());
        assert_eq!(
            interpret(&told),
            Err(Refusal::Malformed(SERVER)),
            "{name:?}"
        );
        cases.push(("no name", told, malformed));
    }
    check(cases);
}

#[test]
fn section_4_1_8_a_port_is_a_number_and_not_0() {
    let with = |port: &[u8]| begun().must(PORT, port).end();
    let malformed = Err(Refusal::Malformed(PORT));
    check(vec![
        ("a port", with(&[0x30, 0x39]), Ok(8)),
        ("the highest", with(&[0xff, 0xff]), Ok(8)),
        ("0", with(&[0, 0]), malformed),
        ("of no octets", with(&[]), malformed),
        ("of one", with(&[123]), malformed),
        ("of three", with(&[0, 0, 123]), malformed),
        ("of four", with(&[0, 0, 0, 123]), malformed),
        ("that of NTP", with(&[0, 123]), Ok(8)),
        (
            "twice",
            begun().must(PORT, &[0, 123]).must(PORT, &[0, 123]).end(),
            Err(Refusal::Duplicate(PORT)),
        ),
    ]);
}

#[test]
fn a_proper_request_is_read_by_another_codec() {
    let siv: Record = (true, AEAD, vec![0, 15]);
    let next: Record = (true, NEXT_PROTOCOL, vec![0, 0]);
    let octets = request(&[Algorithm::AesSivCmac256]);
    assert_eq!(read(&octets), Some(vec![next.clone(), siv]));
    let both: Record = (true, AEAD, vec![0, 30, 0, 15]);
    let compliant: Record = (false, 1024, vec![]);
    assert_eq!(read(&request(BOTH)), Some(vec![next, both, compliant]));
}

/// Any record, likely one that is known.
fn record() -> impl Strategy<Value = Record> {
    let kind = prop_oneof![6 => 1u16..8, 1 => Just(1024), 1 => 0u16..0x8000];
    let body = prop_oneof![
        prop::sample::select(vec![
            vec![],
            vec![0, 0],
            vec![0, 15],
            vec![0, 30],
            vec![7; 100]
        ]),
        prop::collection::vec(any::<u8>(), 0..40),
        Just(b"ntp.example".to_vec()),
    ];
    (any::<bool>(), kind, body)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is answered: what is taken over can be used.
    #[test]
    fn any_records_are_interpreted_properly(
        good: bool, records in prop::collection::vec(record(), 0..8),
    ) {
        let begin = if good { begun() } else { Message::new() };
        let message = records.iter().fold(begin, |message, (critical, kind, body)| {
            message.record(*critical, *kind, body)
        });
        let result = interpret(&message.end());
        prop_assert_ne!(&result, &Ok(Progress::Incomplete));
        if let Ok(Progress::Complete(response)) = result {
            prop_assert!((1..=8).contains(&response.cookies.len()));
            for cookie in &response.cookies {
                let length = cookie.expose().len();
                prop_assert!(length % 4 == 0 && (16..=LONGEST_COOKIE).contains(&length));
            }
            prop_assert!(response.port != Some(0));
            let odd = |c: char| !(c.is_ascii_alphanumeric() || "-_.:".contains(c));
            prop_assert!(!response.server.is_some_and(|name| name.is_empty() || name.contains(odd)));
        }
    }
}
