//! `clockwright status`, `sources`, `auth`, `server` and `timestamps`: ask the daemon and show its answer.

use std::io;
use std::time::Duration;

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::{Exit, ViewArgs};
use crate::control::{
    AskError, AuthEntry, Request, ServerReport, SourceReport, StatusReport, TimestampsReport, ask,
};
use crate::output::{
    Paint, Screen, after_writing, auth_lines, complain, print, server_lines, source_lines,
    status_lines, timestamp_lines,
};

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// The clock.
    Status,
    /// The sources.
    Sources,
    /// How sources prove themselves.
    Auth,
    /// Who asks this host, and so many of those who ask most.
    Server {
        /// How many.
        talkers: u32,
    },
    /// The timestamps.
    Timestamps,
}

/// One answer of the daemon as lines, and the exit code it means.
type Picture = (Vec<String>, Exit);

/// Shows `subject` once, or again and again.
pub(super) fn main(args: &ViewArgs, subject: Subject) -> Exit {
    if let Some(seconds) = args.watch {
        return watch(args, subject, Duration::from_secs_f64(seconds));
    }
    match picture(args, subject) {
        Ok((lines, meaning)) => match print(&lines) {
            Exit::Done => meaning,
            failed => failed,
        },
        Err(error) => {
            complain(&error.to_string());
            Exit::Failed
        }
    }
}

/// Asks once.
fn picture(args: &ViewArgs, subject: Subject) -> Result<Picture, AskError> {
    let paint = Paint::for_stdout();
    Ok(match subject {
        Subject::Status => {
            let status: StatusReport = ask(&args.socket, Request::Status)?;
            // Who has the daemon serve its own clock wants that, and finds it done.
            let meaning = if status.synchronized || status.local_stratum.is_some() {
                Exit::Done
            } else {
                Exit::Unsynchronized
            };
            (
                lines(args, &status, || status_lines(&status, paint)),
                meaning,
            )
        }
        Subject::Sources => {
            let sources: Vec<SourceReport> = ask(&args.socket, Request::Sources)?;
            (
                lines(args, &sources, || source_lines(&sources, paint)),
                Exit::Done,
            )
        }
        Subject::Auth => {
            let sources: Vec<AuthEntry> = ask(&args.socket, Request::Auth)?;
            (
                lines(args, &sources, || auth_lines(&sources, paint)),
                Exit::Done,
            )
        }
        Subject::Server { talkers } => {
            let report: ServerReport = ask(&args.socket, Request::Server { talkers })?;
            (
                lines(args, &report, || server_lines(&report, paint)),
                Exit::Done,
            )
        }
        Subject::Timestamps => {
            let report: TimestampsReport = ask(&args.socket, Request::Timestamps)?;
            (
                lines(args, &report, || timestamp_lines(&report, paint)),
                Exit::Done,
            )
        }
    })
}

/// An answer as JSON, or as `human` writes it. Watched JSON is one line each time.
fn lines<T: Serialize>(
    args: &ViewArgs,
    answer: &T,
    human: impl FnOnce() -> Vec<String>,
) -> Vec<String> {
    let json = match (args.json, args.watch) {
        (false, _) => return human(),
        (true, None) => serde_json::to_string_pretty(answer),
        (true, Some(_)) => serde_json::to_string(answer),
    };
    // Reports have string keys and no I/O behind them: this cannot fail.
    vec![json.unwrap_or_default()]
}

/// Shows the daemon's answers until Ctrl-C. A daemon that is there at first may go and come back.
fn watch(args: &ViewArgs, subject: Subject, interval: Duration) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("cannot wait for Ctrl-C: {error}"));
            return Exit::Failed;
        }
    };
    let shown = runtime.block_on(async {
        // From here on these signals end the wait, not the process: the screen is restored.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut ticks = tokio::time::interval(interval);
        let mut screen = Screen::stdout();
        let mut seen = false;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
            }
            match picture(args, subject) {
                Ok((lines, _)) => show(&mut screen, lines, seen && !args.json)?,
                Err(error) if seen => {
                    trouble(&mut screen, &error.to_string())?;
                    continue;
                }
                Err(error) => return Err(io::Error::other(error.to_string())),
            }
            seen = true;
        }
    });
    match shown {
        Err(error) if error.kind() == io::ErrorKind::Other => {
            complain(&error.to_string());
            Exit::Failed
        }
        written => after_writing(&written),
    }
}

/// Draws a picture; where pictures are appended, an empty line parts it from the one before.
fn show(screen: &mut Screen, mut lines: Vec<String>, parted: bool) -> io::Result<()> {
    if parted && !screen.is_in_place() {
        lines.insert(0, String::new());
    }
    screen.draw(&lines)
}

/// Says that the daemon does not answer at present, where it does not spoil the output.
fn trouble(screen: &mut Screen, message: &str) -> io::Result<()> {
    if screen.is_in_place() {
        let lines: Vec<String> = message.lines().map(str::to_owned).collect();
        screen.draw(&lines)
    } else {
        complain(message);
        Ok(())
    }
}
