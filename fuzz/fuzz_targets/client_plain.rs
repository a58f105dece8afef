//! A client that believes who names its request.
#![no_main]

use clockwright_fuzz::drive::{History, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|history: History| run(&history, false));
