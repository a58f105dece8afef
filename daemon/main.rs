//! The `clockwright` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    clockwright::cli::main().into()
}
