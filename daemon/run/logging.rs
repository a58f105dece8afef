//! Where messages go: standard error, in the form that whoever reads it wants.

use std::fmt;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

use crate::config::LogLevel;

/// Changes the least important level that is logged, in the running process.
#[derive(Debug, Clone)]
pub(super) struct LevelSwitch(Option<reload::Handle<LevelFilter, Registry>>);

impl LevelSwitch {
    /// Logs messages of `level` and above from now on.
    pub(super) fn set(&self, level: LogLevel) {
        if let Some(handle) = &self.0 {
            // Fails only when there is no subscriber any more to log to.
            let _ = handle.modify(|filter| *filter = LevelFilter::from_level(level.as_tracing()));
        }
    }
}

/// Begins to log to standard error. Where that is the journal's, with the journal's priorities;
/// else with time and level. If the process logs already, that stays as it is.
pub(super) fn begin(level: LogLevel) -> LevelSwitch {
    let filter = LevelFilter::from_level(level.as_tracing());
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let begun = if is_journal() {
        registry.with(lines.event_format(Priorities)).try_init()
    } else {
        let coloured = io::stderr().is_terminal();
        registry
            .with(lines.with_target(false).with_ansi(coloured))
            .try_init()
    };
    LevelSwitch(begun.ok().map(|()| handle))
}

/// Is standard error the stream that systemd gave us for the journal (`JOURNAL_STREAM`)?
fn is_journal() -> bool {
    let Ok(named) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(stderr) = std::fs::metadata("/proc/self/fd/2") else {
        return false;
    };
    named == format!("{}:{}", stderr.dev(), stderr.ino())
}

/// `<4>message`: what the journal reads as a priority (sd-daemon(3)); it knows the time itself.
struct Priorities;

impl<S, N> FormatEvent<S, N> for Priorities
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            _ => 7,
        };
        write!(writer, "<{priority}>")?;
        context
            .field_format()
            .format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
