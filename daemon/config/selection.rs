//! `[selection]`: which sources the clock follows.

use clockwright_timebase::Duration;

use super::cross::problem_at;
use super::problem::Problem;
use super::section::{Origins, section};
use super::settings::{Config, above_zero};
use super::source::Source;
use super::value::choice;

section! {
    /// Which sources the clock follows.
    pub struct SelectionConfig {
        /// What authentication is worth.
        "authentication" => authentication: Authentication = Authentication::Mix;
        /// Fewest sources that must agree before the clock is updated.
        "min_sources" => min_sources: u32 = 1, if min_sources;
        /// The lowest stratum that is followed.
        "min_stratum" => min_stratum: u8 = 0, if stratum;
        /// The highest stratum that is followed.
        "max_stratum" => max_stratum: u8 = 15, if stratum;
        /// A source that may be further off than this is not believed; `None`: 3 s.
        "max_distance" => max_distance: Option<Duration> = None, if max_distance;
        /// Every source counts as uncertain by at least this.
        "min_distance" => min_distance: Duration = Duration::ZERO, if not_negative;
        /// A source this many times more distant than the best is not combined with it.
        "combine_limit" => combine_limit: u32 = 3, if combine_limit;
        /// By how much more than the selected one all others count as distant.
        "reselect_distance" => reselect_distance: Duration = Duration::ZERO, if not_negative;
        /// How much more distant a source counts as with each stratum.
        "stratum_weight" => stratum_weight: Duration = Duration::ZERO, if not_negative;
    }
}

choice! {
    /// How sources that prove who they are (NTS), and clocks of this host, stand to those that
    /// anybody on the way can forge.
    pub enum Authentication {
        /// The others are never followed.
        Require = "require",
        /// The others are followed only where no source uses NTS.
        Prefer = "prefer",
        /// The others must agree with them.
        Mix = "mix",
        /// All are the same.
        Ignore = "ignore",
    }
}

impl SelectionConfig {
    /// The root distance that a source must be below.
    pub fn largest_distance(&self) -> Duration {
        self.max_distance.unwrap_or(MAX_DISTANCE)
    }
}

/// What is asked for and could never be had.
pub(super) fn check(config: &Config, origins: &Origins) -> Vec<Problem> {
    let selection = &config.selection;
    let mut problems = Vec::new();
    if selection.min_stratum > selection.max_stratum {
        let (min, max) = (selection.min_stratum, selection.max_stratum);
        let message =
            format!("the lowest stratum that is followed, {min}, is above the highest, {max}");
        let place = ["selection.max_stratum", "selection.min_stratum"];
        let found = place
            .iter()
            .find_map(|key| problem_at(origins, key, &message));
        problems.extend(found);
    }
    if selection.min_distance >= selection.largest_distance() {
        let message = "no source would ever be near enough: `selection.min_distance` is not below \
                       `selection.max_distance`";
        let place = ["selection.min_distance", "selection.max_distance"];
        problems.extend(
            place
                .iter()
                .find_map(|key| problem_at(origins, key, message)),
        );
    }
    problems.extend(too_many_wanted(config, origins));
    problems
}

/// More sources that must agree than can be followed. Sources that only appear at run time are not
/// known here: where there are none at all, nothing is wrong.
fn too_many_wanted(config: &Config, origins: &Origins) -> Option<Problem> {
    let followed = config
        .sources
        .iter()
        .filter(|source| !source.part().noselect);
    let have: u32 = followed.map(Source::most).sum();
    let need = config.selection.min_sources;
    if config.sources.is_empty() || have >= need.max(1) {
        return None;
    }
    let message = match have {
        0 => "every source has `noselect`: none could ever be followed".to_owned(),
        _ => format!("{need} sources must agree, and {have} can be followed at most"),
    };
    let last = config.sources.len() - 1;
    let found = match have {
        0 => problem_at(origins, &format!("source[{last}].noselect"), &message),
        _ => problem_at(origins, "selection.min_sources", &message),
    };
    Some(found?.with_help("add sources, or ask for less"))
}

/// The root distance that is believed at most, and where none is given.
pub const MAX_DISTANCE: Duration = Duration::from_secs(3);

fn min_sources(sources: u32) -> Result<(), String> {
    if (1..=64).contains(&sources) {
        Ok(())
    } else {
        Err(format!("{sources} is not between 1 and 64"))
    }
}

fn stratum(stratum: u8) -> Result<(), String> {
    if stratum <= 15 {
        Ok(())
    } else {
        Err(format!(
            "stratum {stratum} is not between 0, a clock of this host, and 15"
        ))
    }
}

fn max_distance(distance: Option<Duration>) -> Result<(), String> {
    above_zero(distance)?;
    if distance.is_some_and(|distance| distance > MAX_DISTANCE) {
        Err("must not be longer than 3s: nothing is believed beyond that".to_owned())
    } else {
        Ok(())
    }
}

fn not_negative(distance: Duration) -> Result<(), String> {
    if distance < Duration::ZERO {
        Err("must not be negative".to_owned())
    } else if distance >= MAX_DISTANCE {
        Err("must be shorter than 3s".to_owned())
    } else {
        Ok(())
    }
}

fn combine_limit(limit: u32) -> Result<(), String> {
    if limit <= 1000 {
        Ok(())
    } else {
        Err(format!("{limit} is not between 0 and 1000"))
    }
}
