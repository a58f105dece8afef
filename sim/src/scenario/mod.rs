//! What a scenario file says.
//!
//! TOML; every number has its unit in its name. All keys have defaults but `source`.

use core::fmt;

use serde::{Deserialize, Serialize};

mod disruption;
mod host;
mod nic;
mod path;
mod source;
mod temperature;

pub use disruption::Disruption;
pub use host::{ClockScenario, FrequencyStep, OscillatorScenario, StampScenario};
pub use nic::{Counts, NicScenario};
pub use path::{Attack, Distribution, LossBurst, PathScenario, RouteChange, Way, WayScenario};
pub use source::{ErrorChange, ErrorWander, SourceScenario};
pub use temperature::{SensorScenario, TemperatureScenario, TemperatureStep};

pub(crate) use path::OneWay;

use ScenarioError as Trouble;

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
    /// The error below which the clock counts as recovered from an event, s.
    pub recovered_s: f64,
    /// The host's oscillator.
    pub oscillator: OscillatorScenario,
    /// Its temperature.
    pub temperature: TemperatureScenario,
    /// The host's clock.
    pub clock: ClockScenario,
    /// The host's stamps.
    pub stamps: StampScenario,
    /// The NIC's clock, if the host can compare its oscillator with that.
    pub nic: Option<NicScenario>,
    /// When nothing gets through to any server.
    pub outage: Vec<Span>,
    /// When the host sleeps, or is moved; in order.
    pub disruption: Vec<Disruption>,
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
            recovered_s: 100e-9,
            oscillator: OscillatorScenario::default(),
            temperature: TemperatureScenario::default(),
            clock: ClockScenario::default(),
            stamps: StampScenario::default(),
            nic: None,
            outage: Vec::new(),
            disruption: Vec::new(),
            source: Vec::new(),
        }
    }
}

/// A part of the time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Its beginning, s.
    pub from_s: f64,
    /// Its end, s.
    pub until_s: f64,
}

impl Span {
    /// Is an instant within it?
    pub(crate) fn contains(&self, at_s: f64) -> bool {
        (self.from_s..self.until_s).contains(&at_s)
    }

    fn check(&self, key: &'static str) -> Result<(), Trouble> {
        not_negative("from_s", self.from_s)?;
        if self.until_s > self.from_s {
            Ok(())
        } else {
            Err(Trouble::value(key, "later than from_s"))
        }
    }
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
    /// The same with another seed.
    #[must_use]
    pub fn with_seed(&self, seed: u64) -> Self {
        Self {
            seed,
            ..self.clone()
        }
    }

    /// Reads a scenario file's text.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text).map_err(ScenarioError::Syntax)?;
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), Trouble> {
        positive("duration_s", self.duration_s)?;
        positive("probe_s", self.probe_s)?;
        positive("converged_s", self.converged_s)?;
        positive("recovered_s", self.recovered_s)?;
        positive("max_slew_ppm", self.clock.max_slew_ppm)?;
        not_negative("settle_s", self.settle_s)?;
        not_negative("step_above_s", self.clock.step_above_s)?;
        if self.duration_s > 1e8 {
            return Err(Trouble::value("duration_s", "at most 1e8"));
        }
        if self.duration_s / self.probe_s > 1e8 {
            return Err(Trouble::value("probe_s", "at least duration_s/1e8"));
        }
        self.oscillator.check()?;
        self.temperature.check()?;
        self.stamps.check()?;
        if let Some(nic) = &self.nic {
            nic.check()?;
        }
        for outage in &self.outage {
            outage.check("outage.until_s")?;
        }
        disruption::check(&self.disruption)?;
        for source in &self.source {
            source.check()?;
        }
        if self.source.is_empty() {
            return Err(Trouble::value("source", "given at least once: [[source]]"));
        }
        Ok(())
    }
}

impl ScenarioError {
    fn value(key: &'static str, allowed: &'static str) -> Self {
        Self::Value { key, allowed }
    }
}

fn positive(key: &'static str, value: f64) -> Result<(), Trouble> {
    ensure(value > 0.0, key, "a positive number")
}

fn not_negative(key: &'static str, value: f64) -> Result<(), Trouble> {
    ensure(value >= 0.0, key, "zero or a positive number")
}

fn part(key: &'static str, value: f64) -> Result<(), Trouble> {
    ensure((0.0..=1.0).contains(&value), key, "between 0 and 1")
}

fn ensure(is_allowed: bool, key: &'static str, allowed: &'static str) -> Result<(), Trouble> {
    if is_allowed {
        Ok(())
    } else {
        Err(Trouble::value(key, allowed))
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
            (
                "[[source]]\npath = { load = 1.0 }\n",
                "`load` must be between 0 and 0.99",
            ),
            (
                "[[source]]\npath = { back = { jitter_s = -1.0 } }\n",
                "`jitter_s` must be zero or",
            ),
            (
                "[[source]]\nfrom_s = 10\nuntil_s = 5\n",
                "`until_s` must be later than from_s",
            ),
            (
                "[stamps]\nread_s = 1e-6\nread_noise_s = 1e-6\n[[source]]\n",
                "`read_noise_s` must be at most a quarter",
            ),
            (
                "[[source]]\n[[source.path.attack]]\nway = \"up\"\n",
                "unknown variant `up`, expected `there` or `back`",
            ),
        ] {
            let error = Scenario::parse(text).err().map(|e| e.to_string());
            assert!(
                error.as_ref().is_some_and(|e| e.contains(says)),
                "{error:?}"
            );
        }
    }
}
