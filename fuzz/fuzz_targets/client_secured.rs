//! A client that authenticates its server: it believes nothing that is not sealed.
#![no_main]

use clockwright_fuzz::drive::{History, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|history: History| run(&history, true));
