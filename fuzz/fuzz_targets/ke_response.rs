//! Answers of key establishment, in any pieces.
#![no_main]

use clockwright_fuzz::record::{Stream, lengths};
use clockwright_ntp::nts::ke::client::{Refusal, Response, ResponseReader};
use clockwright_ntp::nts::ke::record::{FramingError, LONGEST_MESSAGE, Progress};
use clockwright_ntp::nts::{Algorithm, COOKIES, LONGEST_COOKIE};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, Stream<'_>, Vec<u16>)| {
    let (siv_only, stream, cuts) = input;
    let offered: &[Algorithm] = if siv_only {
        &[Algorithm::AesSivCmac256]
    } else {
        &Algorithm::ALL
    };
    let octets = stream.octets();
    let read = |octets: &[u8]| ResponseReader::new(offered).read(octets);
    let at_once = read(&octets);
    assert!(octets.len() < LONGEST_MESSAGE || at_once != Ok(Progress::Incomplete));
    let after_end = Err(Refusal::Framing(FramingError::AfterEnd));
    let mut reader = ResponseReader::new(offered);
    for length in lengths(&cuts, &octets) {
        let received = &octets[..length];
        let progress = reader.read(received);
        assert_eq!(progress, read(received));
        if progress != Ok(Progress::Incomplete) {
            assert!(progress == at_once || at_once == after_end);
            break;
        }
    }
    match at_once {
        Ok(Progress::Complete(response)) => check(response, offered),
        Ok(Progress::Incomplete) => {}
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
    }
});

/// What was taken over can be used.
fn check(response: Response, offered: &[Algorithm]) {
    assert!(offered.contains(&response.algorithm));
    assert!((1..=COOKIES).contains(&response.cookies.len()));
    for cookie in &response.cookies {
        let length = cookie.expose().len();
        assert!(length % 4 == 0 && (16..=LONGEST_COOKIE).contains(&length));
    }
    assert!(response.port != Some(0));
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "-_.:".contains(c));
    let name = response.server.as_deref();
    assert!(name.is_none_or(|name| !name.is_empty() && !name.contains(odd)));
    let session = response.session(|_, key| {
        key.fill(1);
        Ok::<(), ()>(())
    });
    assert!(session.is_ok());
}
