//! What the daemon keeps across a restart, and cookie keys: any file is taken over, or refused with
//! a reason.
#![no_main]

use clockwright::nts::server::fuzzing::{key_file, shared_keys};
use clockwright::run::fuzzing::{directory, drift, put, sessions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // The first octet says which file the others are, so that seeds can be written by hand.
    let Some((which, content)) = input.split_first() else {
        return;
    };
    match which {
        b'd' => drift(content),
        b's' => sessions(content),
        b'k' => {
            put("nts-server-keys.json", content);
            key_file(&directory());
        }
        b'h' => {
            put("shared-keys", content);
            shared_keys(&directory().join("shared-keys"));
        }
        _ => {}
    }
});
