//! The configuration: any text is accepted, or refused with reasons.
#![no_main]

use std::path::Path;

use clockwright::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Config::from_text(Path::new("fuzz.toml"), text) {
        Ok(config) => {
            // What was accepted is accepted again, and is the same.
            let again = Config::from_text(Path::new("fuzz.toml"), text).unwrap();
            assert_eq!(config, again);
        }
        Err(invalid) => assert!(!invalid.to_string().is_empty()),
    }
});
