//! `[[source]]` with `phc` or `pps`: reference clocks of this host.

use std::fmt;
use std::path::PathBuf;

use clockwright_timebase::{Duration, Poll};

use super::device::{PhcName, RefName, SourceLabel};
use super::follow::Timescale;
use super::section::section;
use super::settings::{PollLimits, above_zero};
use super::value::choice;

/// A `[[source]]` that is read from a device of this host.
#[derive(Debug, Clone, PartialEq)]
pub struct RefclockConfig {
    /// Which device: its identity across reloads.
    pub device: RefclockDevice,
    /// How often a sample is made of its readings.
    pub poll: PollLimits,
    /// How it is used.
    pub settings: RefclockSettings,
}

/// Which device: two with the same are the same source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefclockDevice {
    /// `phc = ...`: a PTP hardware clock.
    Phc(PhcName),
    /// `pps = ...`: a pulse at the beginning of each second.
    Pps(PathBuf),
}

section! {
    /// What a reload may change about a reference clock without starting it afresh.
    pub struct RefclockSettings {
        /// What must be added to what it tells to make it right; positive: it is behind.
        "offset" => offset: Duration = Duration::ZERO;
        /// Of a PTP hardware clock: what it shows.
        "timescale" => timescale: Timescale = Timescale::Utc;
        /// Of a pulse: which end of it is the beginning of the second.
        "edge" => edge: PulseEdge = PulseEdge::Assert;
        /// Of a pulse: the source that says which second it begins; `None`: the clock that is
        /// disciplined, once it is right to a fraction of a second.
        "lock" => lock: Option<SourceLabel> = None;
        /// What this host tells others that it follows; `None`: `PHC` or `PPS`.
        "refid" => refid: Option<RefName> = None;
        /// How exactly it tells time, one standard deviation; `None`: as measured.
        "precision" => precision: Option<Duration> = None, if above_zero;
        /// How many readings or pulses make one sample, at most.
        "filter" => filter: u32 = 8, if filter_length;
    }
}

choice! {
    /// Which end of a pulse is the beginning of the second.
    pub enum PulseEdge {
        /// Its beginning.
        Assert = "assert",
        /// Its end.
        Clear = "clear",
    }
}

impl RefclockConfig {
    /// Of a source whose `poll` is not given: reading a clock of this host costs next to nothing.
    pub(super) const DEFAULT_POLL: PollLimits = PollLimits {
        min: Poll::new(0),
        max: Poll::new(4),
    };

    /// What this host tells others that it follows.
    pub fn reference_id(&self) -> RefName {
        self.settings.refid.unwrap_or(match self.device {
            RefclockDevice::Phc(_) => RefName::PHC,
            RefclockDevice::Pps(_) => RefName::PPS,
        })
    }
}

impl RefclockDevice {
    /// The device as configured.
    pub fn label(&self) -> String {
        match self {
            Self::Phc(name) => name.to_string(),
            Self::Pps(path) => path.display().to_string(),
        }
    }
}

impl fmt::Display for RefclockDevice {
    /// `phc eth0`, `pps /dev/pps0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Phc(_) => "phc",
            Self::Pps(_) => "pps",
        };
        write!(f, "{kind} {}", self.label())
    }
}

fn filter_length(length: u32) -> Result<(), String> {
    if (1..=64).contains(&length) {
        Ok(())
    } else {
        Err(format!("{length} is not between 1 and 64"))
    }
}
