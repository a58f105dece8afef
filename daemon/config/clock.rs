//! `[clock]`: the clock that is disciplined.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clockwright_timebase::Duration;

use super::device::PhcName;
use super::follow::Timescale;
use super::gains::GainsConfig;
use super::problem::did_you_mean;
use super::section::section;
use super::settings::some_above_zero;
use super::units::{Frequency, show_duration};
use super::value::choice;

section! {
    /// The clock that is disciplined.
    pub struct ClockConfig {
        /// Which clock.
        "kind" => kind: ClockKind = ClockKind::System;
        /// Of a PTP hardware clock: what it is to show.
        "timescale" => timescale: Timescale = Timescale::Tai;
        /// Of the virtual clock: how wrong it starts.
        "virtual" => virtual_clock: VirtualClock = VirtualClock::default();
        /// When to step rather than slew.
        "step" => step: StepConfig = StepConfig::default();
        /// The same after the host slept, was moved or had its clock set by others; `None`: as `step`
        /// says.
        "resume" => resume: Option<StepConfig> = None;
        /// Fastest correction by frequency.
        "max_slew" => max_slew: Frequency = Frequency::from_ppm(50_000.0), if slew_rate;
        /// How the clock gets over a leap second.
        "leap" => leap: LeapMode = LeapMode::Kernel;
        /// The list of leap seconds.
        "leap_list" => leap_list: PathBuf = PathBuf::from(LEAP_LIST);
        /// How far the oscillator's frequency may jump at once; the bound grows by so much between
        /// samples.
        "max_frequency_step" => max_frequency_step: Frequency = Frequency::from_ppm(0.0), if frequency_step;
        /// The gains of the loop; `None`: those that suit noise and wander.
        "gains" => gains: Option<GainsConfig> = None;
        /// Start no earlier than the time that was saved last, where the host does not keep time
        /// while it is off.
        "restore" => restore: bool = false;
        /// What shows the temperature of its oscillator.
        "temperature" => temperature: TemperatureConfig = TemperatureConfig::default();
    }
}

/// Where tzdata puts the list of leap seconds.
pub const LEAP_LIST: &str = "/usr/share/zoneinfo/leap-seconds.list";

choice! {
    /// How the clock gets over a leap second.
    pub enum LeapMode {
        /// The kernel inserts it or leaves it out; a clock that is not the kernel's is stepped.
        Kernel = "kernel",
        /// The daemon steps the clock at the instant.
        Step = "step",
        /// The clock goes on, is a second off, and that is slewed.
        Slew = "slew",
        /// Nothing is done about it; once the sources have made it the clock follows them.
        Ignore = "ignore",
    }
}

/// Which clock is disciplined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClockKind {
    /// `CLOCK_REALTIME`.
    System,
    /// A clock of the daemon's own that counts `CLOCK_MONOTONIC_RAW`; the host's clock is not
    /// touched, no privilege is needed, and its true error is known.
    Virtual,
    /// A PTP hardware clock; the host's clock is not touched.
    Phc(PhcName),
}

impl fmt::Display for ClockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.pad("system"),
            Self::Virtual => f.pad("virtual"),
            Self::Phc(name) => name.fmt(f),
        }
    }
}

impl FromStr for ClockKind {
    type Err = String;

    /// Any word may be the name of a clock, but one that is nearly `system` hardly is.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "system" => return Ok(Self::System),
            "virtual" => return Ok(Self::Virtual),
            _ => {}
        }
        if let Some(meant) = did_you_mean(text, ["system", "virtual"]) {
            let shown = text.escape_debug();
            return Err(format!(
                "`{shown}` is not a kind of clock; did you mean \"{meant}\"?"
            ));
        }
        text.parse().map(Self::Phc)
    }
}

section! {
    /// How wrong the virtual clock is when the daemon starts.
    pub struct VirtualClock {
        /// What it shows minus what the host's clock shows.
        "error" => error: Duration = Duration::ZERO;
        /// Its frequency against the host's oscillator; positive is fast.
        "drift" => drift: Frequency = Frequency::from_ppm(0.0), if drift_rate;
    }
}

section! {
    /// When the clock is stepped: only among the first updates, and only for a large offset.
    pub struct StepConfig {
        /// Step where the offset is larger than this.
        "above" => above: Duration = Duration::from_millis(100), if some_above_zero;
        /// Only in this many updates from the start; 0: never.
        "first" => first: u32 = 3;
    }
}

section! {
    /// A sensor near the oscillator, from which is learnt what the temperature does to it.
    pub struct TemperatureConfig {
        /// A file that says the temperature in thousandths of a degree Celsius, as those of Linux
        /// do; `None`: nothing is read.
        "sensor" => sensor: Option<PathBuf> = None;
        /// How often it is read.
        "every" => every: Duration = Duration::from_secs(10), if reading_interval;
    }
}

/// Rarer readings would say too little, more frequent ones nothing more.
fn reading_interval(every: Duration) -> Result<(), String> {
    if (Duration::from_secs(1)..=Duration::from_secs(120)).contains(&every) {
        Ok(())
    } else {
        Err(format!(
            "{} is not between 1s and 120s",
            show_duration(every)
        ))
    }
}

/// Up to what `ADJ_TICK` can do: 10 %.
fn slew_rate(rate: Frequency) -> Result<(), String> {
    if rate.as_ppm() > 0.0 && rate.as_ppm() <= 100_000.0 {
        Ok(())
    } else {
        Err(format!(
            "{rate} is not between 0ppm (not included) and 100000ppm"
        ))
    }
}

/// Beyond what any oscillator is off by, nothing is to be had.
fn frequency_step(rate: Frequency) -> Result<(), String> {
    if (0.0..=500.0).contains(&rate.as_ppm()) {
        Ok(())
    } else {
        Err(format!("{rate} is not between 0ppm and 500ppm"))
    }
}

fn drift_rate(rate: Frequency) -> Result<(), String> {
    if rate.as_ppm().abs() <= 1_000.0 {
        Ok(())
    } else {
        Err(format!("{rate} is not between -1000ppm and 1000ppm"))
    }
}
