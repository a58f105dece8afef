//! Build script of the program: notes the time of the build, before which no clock is right.
//!
//! `SOURCE_DATE_EPOCH` (seconds since 1970) takes its place where builds are to be reproducible.

use std::env;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// What reproducible builds set.
const GIVEN: &str = "SOURCE_DATE_EPOCH";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=daemon/build.rs");
    println!("cargo::rerun-if-env-changed={GIVEN}");
    match built() {
        Ok(seconds) => {
            println!("cargo::rustc-env=CLOCKWRIGHT_BUILT={seconds}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("\nclockwright cannot be built: {message}\n");
            ExitCode::FAILURE
        }
    }
}

/// The time of the build, seconds since 1970.
fn built() -> Result<u64, String> {
    if let Some(given) = env::var_os(GIVEN) {
        let given = given.to_string_lossy();
        let seconds = given.trim().parse();
        return seconds.map_err(|_| format!("{GIVEN} is `{given}`, not seconds since 1970"));
    }
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(|since| since.as_secs())
        .map_err(|_| "this host's clock is before 1970".to_owned())
}
