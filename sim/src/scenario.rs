//! What a scenario file says.
//!
//! TOML; every number has its unit in its name. All keys have defaults but `source`.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A whole scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// What the report is headed with.
    pub name: String,
    /// All randomness follows from it.
    pub seed: u64,
    /// Length, s.
    pub duration_s: f64,
    /// The first part, which the statistics leave out, s.
    pub settle_s: f64,
    /// How often the true error is looked at, s.
    pub probe_s: f64,
    /// The error below which the clock counts as converged, s.
    pub converged_s: f64,
    /// The host's oscillator.
    pub oscillator: OscillatorScenario,
    /// The host's clock.
    pub clock: ClockScenario,
    /// The servers that it asks.
    pub source: Vec<SourceScenario>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            name: String::from("unnamed"),
            seed: 1,
            duration_s: 3600.0,
            settle_s: 600.0,
            probe_s: 0.13,
            converged_s: 10e-6,
            oscillator: OscillatorScenario::default(),
            clock: ClockScenario::default(),
            source: Vec::new(),
        }
    }
}

/// The host's oscillator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OscillatorScenario {
    /// How fast it runs at first, ppm.
    pub frequency_ppm: f64,
    /// Random walk of its frequency, s/s per √s.
    pub wander: f64,
    /// When its frequency changes at once, s.
    pub step_at_s: Option<f64>,
    /// By how much, ppm.
    pub step_ppm: f64,
}

impl Default for OscillatorScenario {
    fn default() -> Self {
        Self {
            frequency_ppm: 10.0,
            wander: 1e-9,
            step_at_s: None,
            step_ppm: 0.0,
        }
    }
}

/// The host's clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockScenario {
    /// How far it is ahead at first, s.
    pub initial_error_s: f64,
    /// An offset above this is stepped, s …
    pub step_above_s: f64,
    /// … in this many first updates.
    pub step_first: u32,
    /// Fastest slew, ppm.
    pub max_slew_ppm: f64,
}

impl Default for ClockScenario {
    fn default() -> Self {
        Self {
            initial_error_s: 0.0,
            step_above_s: 0.1,
            step_first: 3,
            max_slew_ppm: 50_000.0,
        }
    }
}

/// One server and the way to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceScenario {
    /// How far its clock is ahead, s.
    pub error_s: f64,
    /// Its stratum.
    pub stratum: u8,
    /// Its root dispersion, s.
    pub root_dispersion_s: f64,
    /// Shortest poll interval, log2 s.
    pub poll_min: i8,
    /// Longest poll interval, log2 s.
    pub poll_max: i8,
    /// Interleaved mode.
    pub interleaved: bool,
    /// A burst at the start.
    pub iburst: bool,
    /// The way to it.
    pub path: PathScenario,
}

impl Default for SourceScenario {
    fn default() -> Self {
        Self {
            error_s: 0.0,
            stratum: 1,
            root_dispersion_s: 0.0,
            poll_min: 6,
            poll_max: 10,
            interleaved: true,
            iburst: true,
            path: PathScenario::default(),
        }
    }
}

/// A network path; both ways are alike but for the asymmetry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PathScenario {
    /// Least delay of one way, s.
    pub delay_s: f64,
    /// What is added to it at random: the deviation (`normal`) or the mean (`exponential`), s.
    pub jitter_s: f64,
    /// How.
    pub distribution: Distribution,
    /// Part of the packets that are delayed at random; the others take the least delay.
    pub queued: f64,
    /// Part of the packets that are lost.
    pub loss: f64,
    /// By how much the way there is longer than half of both, s.
    pub asymmetry_s: f64,
}

impl Default for PathScenario {
    fn default() -> Self {
        Self {
            delay_s: 100e-6,
            jitter_s: 10e-6,
            distribution: Distribution::Exponential,
            queued: 1.0,
            loss: 0.0,
            asymmetry_s: 0.0,
        }
    }
}

/// How a delay varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Both ways about the least delay, as with jitter of stamps.
    Normal,
    /// Only more than the least delay, as with queues.
    Exponential,
}

/// Why a scenario can't be run: its author is at fault.
#[derive(Debug)]
pub enum ScenarioError {
    /// It is not TOML, or has unknown keys or wrong types.
    Syntax(toml::de::Error),
    /// A value can't be.
    Value {
        /// Which key.
        key: &'static str,
        /// What it may be.
        allowed: &'static str,
    },
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(error) => write!(f, "{error}"),
            Self::Value { key, allowed } => write!(f, "`{key}` must be {allowed}"),
        }
    }
}

impl core::error::Error for ScenarioError {}

impl Scenario {
    /// Reads a scenario file's text.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text).map_err(ScenarioError::Syntax)?;
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), ScenarioError> {
        let positive = "a positive number";
        let not_negative = "zero or a positive number";
        let part = "between 0 and 1";
        let positive_ones = [
            ("duration_s", self.duration_s),
            ("probe_s", self.probe_s),
            ("converged_s", self.converged_s),
            ("max_slew_ppm", self.clock.max_slew_ppm),
        ];
        ensure(&positive_ones, positive, |v| v > 0.0)?;
        let others = [
            ("settle_s", self.settle_s),
            ("wander", self.oscillator.wander),
            ("step_above_s", self.clock.step_above_s),
        ];
        ensure(&others, not_negative, |v| v >= 0.0)?;
        let ends = [("duration_s", self.duration_s)];
        ensure(&ends, "at most 1e8", |v| v <= 1e8)?;
        let probes = [("probe_s", self.duration_s / self.probe_s)];
        ensure(&probes, "at least duration_s/1e8", |v| v <= 1e8)?;
        for source in &self.source {
            let path = &source.path;
            let delays = [("delay_s", path.delay_s), ("jitter_s", path.jitter_s)];
            ensure(&delays, not_negative, |v| v >= 0.0)?;
            let parts = [("queued", path.queued), ("loss", path.loss)];
            ensure(&parts, part, |v| (0.0..=1.0).contains(&v))?;
            let asymmetry = [("asymmetry_s", path.asymmetry_s.abs())];
            ensure(&asymmetry, "at most delay_s", |v| v <= path.delay_s)?;
        }
        if self.source.is_empty() {
            return Err(ScenarioError::Value {
                key: "source",
                allowed: "given at least once: [[source]]",
            });
        }
        Ok(())
    }
}

fn ensure(
    values: &[(&'static str, f64)],
    allowed: &'static str,
    is_allowed: impl Fn(f64) -> bool,
) -> Result<(), ScenarioError> {
    match values.iter().find(|(_, value)| !is_allowed(*value)) {
        Some((key, _)) => Err(ScenarioError::Value { key, allowed }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_needs_only_its_sources() {
        let scenario = Scenario::parse("[[source]]\n").ok();
        assert!(scenario.is_some_and(|s| s.source.len() == 1 && s.seed == 1));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, says) in [
            ("", "`source`"),
            ("[[source]]\npolls = 3\n", "unknown field `polls`"),
            ("probe_s = 0\n[[source]]\n", "`probe_s` must be a positive"),
            (
                "[[source]]\npath = { loss = 1.5 }\n",
                "`loss` must be between",
            ),
            ("duration_s = nan\n[[source]]\n", "`duration_s`"),
        ] {
            let error = Scenario::parse(text).err().map(|e| e.to_string());
            assert!(
                error.as_ref().is_some_and(|e| e.contains(says)),
                "{error:?}"
            );
        }
    }
}
