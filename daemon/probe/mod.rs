//! `clockwright probe`: what this host can timestamp, what will be used of it, and the
//! configuration that does. Nothing is changed, and no privilege is needed; without the right to
//! open clocks these are not measured.

mod below;
mod clocks;
mod configuration;
mod judge;
mod report;
mod survey;

pub use report::{ClockProbe, InterfaceProbe, ProbeReport, Stamping};

use crate::cli::{Exit, ProbeArgs};
use crate::output::{Paint, complain, print, probe_lines};

/// Looks at the interfaces and says what it found.
pub fn main(args: &ProbeArgs) -> Exit {
    let report = match survey::survey(&args.interfaces) {
        Ok(report) => report,
        Err(error) => {
            complain(&error.to_string());
            return Exit::Failed;
        }
    };
    if args.json {
        match serde_json::to_string_pretty(&report) {
            Ok(text) => print(&[text]),
            Err(error) => {
                complain(&format!("cannot write JSON: {error}"));
                Exit::Failed
            }
        }
    } else {
        print(&probe_lines(&report, Paint::for_stdout()))
    }
}
