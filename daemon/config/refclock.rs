//! `[[source]]` with `phc`, `pps`, `sock` or `shm`: reference clocks of this host.

use std::fmt;
use std::path::PathBuf;

use clockwright_timebase::{Duration, Poll};

use super::device::{PhcName, RefName, SourceLabel};
use super::follow::Timescale;
use super::part::SourcePart;
use super::section::section;
use super::settings::{PollLimits, above_zero};
use super::value::{GroupName, choice};

/// A `[[source]]` that is read from a device of this host.
#[derive(Debug, Clone, PartialEq)]
pub struct RefclockConfig {
    /// Which device: its identity across reloads.
    pub device: RefclockDevice,
    /// How often a sample is made of its readings.
    pub poll: PollLimits,
    /// What it is to the other sources.
    pub part: SourcePart,
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
    /// `sock = ...`: a socket on which another program gives time, as it does to chrony.
    Sock(PathBuf),
    /// `shm = ...`: the unit of a shared memory segment in which another program gives time, as it
    /// does to ntpd.
    Shm(u8),
}

section! {
    /// What a reload may change about a reference clock without starting it afresh.
    pub struct RefclockSettings {
        /// What must be added to what it tells to make it right; positive: it is behind.
        "offset" => offset: Duration = Duration::ZERO;
        /// How long the true second may take to here, in all: half of it is how wrong the time may
        /// be for that.
        "delay" => delay: Duration = Duration::ZERO, if not_negative;
        /// What it shows; not of a pulse, which is the same in all of them.
        "timescale" => timescale: Timescale = Timescale::Utc;
        /// Of a pulse: which end of it is the beginning of the second.
        "edge" => edge: PulseEdge = PulseEdge::Assert;
        /// Of pulses: the source that says which second it begins; `None`: the clock that is
        /// disciplined, once it is right to a fraction of a second.
        "lock" => lock: Option<SourceLabel> = None;
        /// What this host tells others that it follows; `None`: `PHC`, `PPS`, `SOCK` or
        /// `SHM`.
        "refid" => refid: Option<RefName> = None;
        /// Its distance from a clock that is right by itself, 0 to 14.
        "stratum" => stratum: u8 = 0, if stratum;
        /// How exactly it tells time, one standard deviation; `None`: as measured.
        "precision" => precision: Option<Duration> = None, if above_zero;
        /// How many readings or pulses make one sample, at most.
        "filter" => filter: u32 = 8, if filter_length;
        /// Readings that scatter more than this, one standard deviation, make no sample.
        "max_dispersion" => max_dispersion: Option<Duration> = None, if above_zero;
        /// Of a socket: who may send to it, besides this program's user and root.
        "group" => group: Option<GroupName> = None;
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
            RefclockDevice::Sock(_) => RefName::SOCK,
            RefclockDevice::Shm(_) => RefName::SHM,
        })
    }
}

impl RefclockDevice {
    /// The device as configured; of shared memory, which has no name of its own, `shm 0`.
    pub fn label(&self) -> String {
        match self {
            Self::Phc(name) => name.to_string(),
            Self::Pps(path) | Self::Sock(path) => path.display().to_string(),
            Self::Shm(unit) => format!("shm {unit}"),
        }
    }
}

impl RefclockDevice {
    /// Is it for root, this program's user and whom they let alone? Shared memory is not from unit 2
    /// on.
    pub const fn is_private(&self) -> bool {
        !matches!(self, Self::Shm(2..))
    }
}

impl fmt::Display for RefclockDevice {
    /// `phc eth0`, `pps /dev/pps0`, `sock /run/gps.sock`, `shm 0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Phc(_) => "phc",
            Self::Pps(_) => "pps",
            Self::Sock(_) => "sock",
            Self::Shm(_) => return f.write_str(&self.label()),
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

fn stratum(stratum: u8) -> Result<(), String> {
    if stratum <= 14 {
        Ok(())
    } else {
        Err(format!("stratum {stratum} is not between 0 and 14"))
    }
}

fn not_negative(delay: Duration) -> Result<(), String> {
    if delay.is_negative() {
        Err("must not be negative".to_owned())
    } else {
        Ok(())
    }
}
