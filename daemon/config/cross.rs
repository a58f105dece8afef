//! What can only be judged when all files have been read.

use std::collections::BTreeMap;
use std::path::Path;

use super::problem::Problem;
use super::section::Origins;
use super::settings::{ClockKind, Config};

/// Settings that contradict each other. Those that involve a key of `bad`, whose value could not
/// be read, are not judged.
pub(super) fn check(config: &Config, origins: &Origins, bad: &[String]) -> Vec<Problem> {
    let mut problems = duplicate_sources(config, origins);
    let is_bad = |path: &str| {
        bad.iter()
            .any(|b| b.starts_with(path) || path.starts_with(b))
    };
    if config.clock.kind == ClockKind::System && !is_bad("clock.kind") {
        let message = "`clock.virtual` is given, and the clock is not virtual";
        let found = problem_at(origins, "clock.virtual", message);
        problems.extend(found.map(|p| p.with_help("add kind = \"virtual\" to [clock]")));
    }
    if let Some(server) = &config.server
        && server.listen.is_empty()
        && !is_bad("server.listen")
    {
        let message = "[server] does not say where to listen";
        let found = problem_at(origins, "server", message);
        problems.extend(
            found.map(|p| {
                p.with_help("for all addresses: listen = [\"[::]:123\", \"0.0.0.0:123\"]")
            }),
        );
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
        Some(server) if server.local.is_none() => problem_at(
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

/// Sources given twice, in one file or in several.
fn duplicate_sources(config: &Config, origins: &Origins) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen = BTreeMap::new();
    for (index, source) in config.sources.iter().enumerate() {
        let Some(first) = seen.insert(&source.address, index) else {
            continue;
        };
        seen.insert(&source.address, first);
        let message = format!("{} is a source already", source.address);
        let found = problem_at(origins, &format!("source[{index}]"), &message);
        let before = origins.get(&format!("source[{first}]"));
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
fn problem_at(origins: &Origins, path: &str, message: &str) -> Option<Problem> {
    let (file, place) = origins.get(path)?;
    Some(Problem {
        place: Some(place.clone()),
        ..Problem::of_file(file, message)
    })
}
