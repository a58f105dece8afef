//! Requests of key establishment, in any pieces.
#![no_main]

use clockwright_fuzz::record::{Stream, lengths};
use clockwright_ntp::nts::Algorithm;
use clockwright_ntp::nts::ke::record::{FramingError, LONGEST_MESSAGE, Progress};
use clockwright_ntp::nts::ke::server::{Fault, Refused, RequestReader, response};
use libfuzzer_sys::fuzz_target;

const BOTH: &[Algorithm] = &Algorithm::ALL;

fuzz_target!(|input: (Stream<'_>, Vec<u16>)| {
    let (stream, cuts) = input;
    let octets = stream.octets();
    let read = |octets: &[u8]| RequestReader::new(BOTH).read(octets);
    let at_once = read(&octets);
    assert!(octets.len() < LONGEST_MESSAGE || at_once != Progress::Incomplete);
    let after_end = Refused::BadRequest(Fault::Framing(FramingError::AfterEnd));
    let mut reader = RequestReader::new(BOTH);
    for length in lengths(&cuts, &octets) {
        let received = &octets[..length];
        let progress = reader.read(received);
        assert_eq!(progress, read(received));
        if progress != Progress::Incomplete {
            assert!(progress == at_once || at_once == Progress::Complete(Err(after_end)));
            break;
        }
    }
    match at_once {
        Progress::Complete(Ok(accepted)) => {
            let answer = response(accepted, None, 123, [[1; 100]; 8]);
            assert!(answer.ends_with(&[0x80, 0, 0, 0]));
        }
        Progress::Complete(Err(refused)) => {
            assert!(refused.answer().ends_with(&[0x80, 0, 0, 0]));
            assert!(!refused.to_string().is_empty());
        }
        Progress::Incomplete => {}
    }
});
