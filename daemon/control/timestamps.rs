//! What the daemon reports about its timestamps: the object of `timestamps --json`.
//!
//! The rules of `report` hold here too: stable names, SI base units with the unit in the name,
//! `null` for what is not known.

use serde::{Deserialize, Serialize};

use super::report::StampReport;

/// `clockwright timestamps --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimestampsReport {
    /// The interfaces that packets have come or gone by, and those that stamp in hardware.
    pub interfaces: Vec<InterfaceReport>,
}

/// One network interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InterfaceReport {
    /// Its name now.
    pub name: String,
    /// The kernel's index of it.
    pub index: u32,
    /// Has it a carrier?
    pub running: bool,
    /// Its link speed, bit/s; null while unknown. Then receive stamps are not moved to the end of
    /// the frame, and are less certain by that.
    pub link_speed_bps: Option<f64>,
    /// Of a VLAN or another interface on top of one: the interface below.
    pub lower: Option<String>,
    /// The bond or bridge that it belongs to.
    pub master: Option<String>,
    /// Who stamps at best what is sent by it.
    pub tx_best: StampReport,
    /// Who stamps at best what is received by it, and which packets.
    pub rx_best: RxReport,
    /// The transmit type granted by the driver, as the kernel calls it: `off`, `on`.
    pub tx_type: Option<String>,
    /// The receive filter granted by the driver, as the kernel calls it: `all`, `none`, ...
    pub rx_filter: Option<String>,
    /// Why not better, in words; null where both directions are stamped in hardware.
    pub reason: Option<String>,
    /// The clock of its hardware stamps.
    pub phc: Option<PhcReport>,
    /// Packets sent, by who stamped them.
    pub tx: StampCounts,
    /// Packets received, by who stamped them.
    pub rx: StampCounts,
    /// How hardware transmit stamps come.
    pub tx_stamps: TxStampReport,
    /// Why packets had no hardware stamp that could be used: the reasons that have occurred.
    pub fallbacks: Vec<FallbackReport>,
    /// The last time that a packet had none: which way it went, and why, in words.
    pub last_fallback: Option<String>,
}

/// Which received packets the hardware stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RxReport {
    /// All of them.
    All,
    /// NTP's.
    Ntp,
    /// PTP's over UDP, so also NTP's that travel in PTP messages.
    Ptp,
    /// None that carry NTP: the kernel stamps.
    None,
}

impl RxReport {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Ntp => "ntp",
            Self::Ptp => "ptp",
            Self::None => "none",
        }
    }
}

/// A PTP hardware clock and how well it is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhcReport {
    /// Its device.
    pub path: String,
    /// How it is read: `precise`, `extended`, `extended-utc` or `basic`; null before it was.
    pub method: Option<String>,
    /// A stamp of it is placed on the local timescale with an error of no more than this, s.
    pub error_bound_s: Option<f64>,
    /// Standard deviation of its readings, s.
    pub noise_s: Option<f64>,
    /// How long the last reading took, s.
    pub read_delay_s: Option<f64>,
    /// Its frequency against the host's oscillator; positive is fast, ppm.
    pub frequency_ppm: Option<f64>,
    /// How that wanders, s/s per √s: the most that the host's oscillator does, if it is independent of
    /// this clock's; null before it has been seen.
    pub wander: Option<f64>,
    /// Since it was last read, s.
    pub last_reading_age_s: Option<f64>,
    /// Readings taken.
    pub readings: u64,
    /// Readings that took too long to be of use.
    pub poor_readings: u64,
    /// How often it was set or stepped by somebody.
    pub jumps: u64,
    /// Why it cannot be read at present, in words.
    pub error: Option<String>,
}

/// Packets by who stamped them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StampCounts {
    /// By the network card.
    pub hardware: u64,
    /// By the kernel.
    pub kernel: u64,
    /// By the daemon, around its system call.
    pub daemon: u64,
}

/// How hardware transmit stamps come.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct TxStampReport {
    /// Asked for and never come.
    pub missing: u64,
    /// Come when they were not waited for any more.
    pub late: u64,
    /// Packets that the driver says it could not stamp; null where it does not count them.
    pub lost_by_driver: Option<u64>,
    /// Median of the time from sending to having the stamp, s.
    pub latency_p50_s: Option<f64>,
    /// 99 of 100 take no longer, s.
    pub latency_p99_s: Option<f64>,
    /// The longest so far, s.
    pub latency_max_s: Option<f64>,
    /// How long a reply is held at present for the stamp of its request, s.
    pub wait_s: Option<f64>,
}

/// A reason for packets to have no hardware stamp that could be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FallbackReport {
    /// Its name: `missing`, `filter`, ...
    pub reason: String,
    /// The same in words.
    pub words: String,
    /// How many packets.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json() {
        for rx in [RxReport::All, RxReport::Ntp, RxReport::Ptp, RxReport::None] {
            assert_eq!(
                serde_json::to_string(&rx).unwrap(),
                format!("\"{}\"", rx.name())
            );
        }
    }
}
