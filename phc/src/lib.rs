//! PTP hardware clocks: find, describe, read.

use std::fmt;
use std::path::PathBuf;

use clockwright_timebase::{Duration, Phc, Raw, Timestamp};

/// A PTP hardware clock this host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// N of `/dev/ptpN`.
    pub index: u32,
    /// The driver's name for it, such as `KVM virtual PTP`.
    pub name: String,
    /// The character device.
    pub path: PathBuf,
}

/// Why a clock could not be found, opened or read.
#[derive(Debug)]
#[non_exhaustive]
pub enum PhcError {
    /// The interface has no PTP hardware clock.
    NoneOnInterface(String),
}

impl fmt::Display for PhcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoneOnInterface(name) => write!(f, "{name} has no PTP hardware clock"),
        }
    }
}

impl std::error::Error for PhcError {}

/// The PTP hardware clocks of this host, by index.
pub fn list() -> Result<Vec<Found>, PhcError> {
    Ok(Vec::new())
}

/// The index of the clock that stamps for `interface`.
pub fn of_interface(interface: &str) -> Result<u32, PhcError> {
    Err(PhcError::NoneOnInterface(interface.into()))
}

/// One reading of a PTP hardware clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What the clock showed.
    pub phc: Timestamp<Phc>,
    /// The raw instant at which it did.
    pub raw: Timestamp<Raw>,
    /// How far the true raw instant can lie from `raw`.
    pub half_width: Duration,
}
