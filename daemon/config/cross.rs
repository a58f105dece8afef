//! What can only be judged when all files have been read.

use std::path::Path;

use super::clock::ClockKind;
use super::gains;
use super::problem::{Problem, did_you_mean};
use super::refclock::{RefclockConfig, RefclockDevice};
use super::section::Origins;
use super::selection::{self, Authentication};
use super::serving;
use super::settings::Config;
use super::source::Source;

/// Settings that contradict each other. Those that involve a key of `bad`, whose value could not
/// be read, are not judged.
pub(super) fn check(config: &Config, origins: &Origins, bad: &[String]) -> Vec<Problem> {
    let mut problems = duplicates(config, origins);
    let is_bad = |path: &str| {
        bad.iter()
            .any(|b| b.starts_with(path) || path.starts_with(b))
    };
    if !is_bad("clock.kind") {
        problems.extend(clock_keys(config, origins));
        problems.extend(circles(config, origins));
    }
    if !is_bad("clock.gains") {
        problems.extend(gains::check(config, origins));
    }
    if !is_bad("source") {
        problems.extend(locks(config, origins));
    }
    if !is_bad("source") && !is_bad("selection") {
        problems.extend(nothing_to_select(config, origins));
        problems.extend(selection::check(config, origins));
    }
    if let Some(server) = &config.server {
        problems.extend(serving::check(server, origins, is_bad));
    }
    problems
}

/// Authentication that is required, and that no source has.
fn nothing_to_select(config: &Config, origins: &Origins) -> Option<Problem> {
    let required = config.selection.authentication == Authentication::Require;
    if !required || config.sources.is_empty() {
        return None;
    }
    if config.sources.iter().any(Source::is_authenticated) {
        return None;
    }
    let message = "authentication is required, and no source has it: none could be followed";
    let found = problem_at(origins, "selection.authentication", message)?;
    Some(found.with_help("add nts = true to the sources whose servers offer NTS"))
}

/// Keys of `[clock]` that are for another kind of clock.
fn clock_keys(config: &Config, origins: &Origins) -> Vec<Problem> {
    let kind = &config.clock.kind;
    let mut problems = Vec::new();
    if *kind != ClockKind::Virtual {
        let message = "`clock.virtual` is given, and the clock is not virtual";
        let found = problem_at(origins, "clock.virtual", message);
        problems.extend(found.map(|p| p.with_help("add kind = \"virtual\" to [clock]")));
    }
    if !matches!(kind, ClockKind::Phc(_)) {
        let message = "`clock.timescale` is given, and the clock is no PTP hardware clock";
        let found = problem_at(origins, "clock.timescale", message);
        let help = "the system clock and the virtual clock show UTC; remove it";
        problems.extend(found.map(|p| p.with_help(help)));
    }
    problems
}

/// Clocks that would be steered twice, or by themselves.
fn circles(config: &Config, origins: &Origins) -> Vec<Problem> {
    let disciplined = match &config.clock.kind {
        ClockKind::Phc(name) => Some(name),
        _ => None,
    };
    let mut problems = Vec::new();
    for (index, follow) in config.follow.iter().enumerate() {
        if disciplined == Some(&follow.clock) {
            let message = format!("{} is the clock that is disciplined", follow.clock);
            let found = problem_at(origins, &format!("follow[{index}]"), &message);
            let help = "it cannot follow itself; remove this [[follow]] or `clock.kind`";
            problems.extend(found.map(|p| p.with_help(help)));
        }
    }
    for (index, source) in config.sources.iter().enumerate() {
        let Source::Refclock(RefclockConfig {
            device: RefclockDevice::Phc(name),
            ..
        }) = source
        else {
            continue;
        };
        let steered = if disciplined == Some(name) {
            "is the clock that is disciplined"
        } else if config.follow.iter().any(|follow| follow.clock == *name) {
            "follows this host's clock by a [[follow]]"
        } else {
            continue;
        };
        let message = format!("{name} {steered}, and cannot be a source of time");
        problems.extend(problem_at(origins, &format!("source[{index}]"), &message));
    }
    problems
}

/// Pulses whose `lock` is no source that could number seconds.
fn locks(config: &Config, origins: &Origins) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, source) in config.sources.iter().enumerate() {
        let Source::Refclock(clock) = source else {
            continue;
        };
        let Some(lock) = &clock.settings.lock else {
            continue;
        };
        let path = format!("source[{index}].lock");
        let labels: Vec<String> = config
            .sources
            .iter()
            .enumerate()
            // Not by itself: pulses that come by a socket.
            .filter(|(other, source)| *other != index && source.numbers_seconds())
            .map(|(_, source)| source.label())
            .collect();
        if labels.iter().any(|label| label == lock.as_str()) {
            continue;
        }
        let message = format!("there is no source {}", lock.as_str());
        let known = labels.iter().map(String::as_str);
        let found = problem_at(origins, &path, &message).map(|problem| {
            match did_you_mean(lock.as_str(), known) {
                Some(meant) => problem.with_help(format!("did you mean \"{meant}\"?")),
                None => problem,
            }
        });
        let help = "a pulse is numbered by a `server`, `pool`, `phc` or `sock`, named as there, or by \
                    shared memory, \"shm 0\"";
        problems.extend(found.map(|problem| problem.with_help(help)));
    }
    problems
}

/// A configuration with which nothing could be done; judged only if all else is right.
pub(super) fn check_purpose(config: &Config, main: &Path, origins: &Origins) -> Option<Problem> {
    match &config.server {
        _ if !config.sources.is_empty() => None,
        None => Some(
            Problem::of_file(
                main,
                "there is neither a [[source]] nor a [server]: nothing to do",
            )
            .with_help("add [[source]] with server = \"...\" here or in a drop-in"),
        ),
        Some(server) if server.local.is_none() && !server.only_hands_out_keys() => problem_at(
            origins,
            "server",
            "without any [[source]] the clock is never synchronised and would not be served",
        )
        .map(|problem| {
            problem
                .with_help("add a [[source]], or local = { stratum = 10 } to serve it regardless")
        }),
        Some(_) => None,
    }
}

/// Sources, followers and interfaces given twice, in one file or in several.
fn duplicates(config: &Config, origins: &Origins) -> Vec<Problem> {
    let sources = given_twice(
        &config.sources,
        Source::is_same,
        "source",
        origins,
        |source| format!("{source} is a source already"),
    );
    let follow = given_twice(
        &config.follow,
        |one, two| one.clock == two.clock,
        "follow",
        origins,
        |follow| format!("{} follows already", follow.clock),
    );
    let interfaces = given_twice(
        &config.timestamping.interface,
        |one, two| one.name == two.name,
        "timestamping.interface",
        origins,
        |own| format!("there is a table for {} already", own.name),
    );
    [sources, follow, interfaces].concat()
}

/// Entries of the list at `path` that are the same as an earlier one, each with what `complaint`
/// says of it.
fn given_twice<T>(
    list: &[T],
    same: impl Fn(&T, &T) -> bool,
    path: &str,
    origins: &Origins,
    complaint: impl Fn(&T) -> String,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, entry) in list.iter().enumerate() {
        let Some(first) = list
            .iter()
            .take(index)
            .position(|before| same(before, entry))
        else {
            continue;
        };
        let found = problem_at(origins, &format!("{path}[{index}]"), &complaint(entry));
        let before = origins.get(&format!("{path}[{first}]"));
        problems.extend(found.map(|problem| match before {
            Some((file, place)) => problem.with_help(format!(
                "first given at {}:{}:{}",
                file.display(),
                place.line,
                place.column
            )),
            None => problem,
        }));
    }
    problems
}

/// A problem at the place where `path` was given; none if it was not.
pub(super) fn problem_at(origins: &Origins, path: &str, message: &str) -> Option<Problem> {
    let (file, place) = origins.get(path)?;
    Some(Problem {
        place: Some(place.clone()),
        ..Problem::of_file(file, message)
    })
}
