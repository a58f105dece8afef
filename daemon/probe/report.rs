//! What was found: the object of `probe --json`. Names and meanings are stable; numbers are in SI
//! base units with the unit in the name; what is not known is `null`.

use serde::Serialize;

/// `clockwright probe --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProbeReport {
    /// The kernel's release, such as `6.12.57`.
    pub kernel: String,
    /// May this user configure hardware timestamping (`CAP_NET_ADMIN`)?
    pub net_admin: bool,
    /// The interfaces, by their kernel's index.
    pub interfaces: Vec<InterfaceProbe>,
    /// PTP hardware clocks: of these interfaces and, if none was named, all others.
    pub clocks: Vec<ClockProbe>,
    /// A configuration that makes use of what was found, as TOML.
    pub configuration: String,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each a field of the JSON"
)]
pub struct InterfaceProbe {
    /// Its name.
    pub name: String,
    /// The kernel's index of it.
    pub index: u32,
    /// What it is: `device`, `vlan`, `bond`, ...
    pub kind: String,
    /// Has it a carrier?
    pub running: bool,
    /// Its driver.
    pub driver: Option<String>,
    /// Its link speed, bit/s.
    pub link_speed_bps: Option<f64>,
    /// The bond or bridge that it belongs to.
    pub master: Option<String>,
    /// Of a VLAN, a bond and the like: the devices below, which stamp its packets.
    pub below: Vec<String>,
    /// Can what is sent be stamped in hardware?
    pub tx_hardware: bool,
    /// Can anything that is received be stamped in hardware?
    pub rx_hardware: bool,
    /// Can the kernel stamp what is sent?
    pub tx_kernel: bool,
    /// Can the kernel stamp what is received?
    pub rx_kernel: bool,
    /// The transmit types offered.
    pub tx_types: Vec<String>,
    /// The receive filters offered.
    pub rx_filters: Vec<String>,
    /// The transmit type that is set; null where the driver does not say.
    pub tx_type: Option<String>,
    /// The receive filter that is set.
    pub rx_filter: Option<String>,
    /// The transmit type that the daemon will have set; null where it sets nothing.
    pub tx_type_wanted: Option<String>,
    /// The receive filter that the daemon will have set.
    pub rx_filter_wanted: Option<String>,
    /// The device of the clock that it stamps by.
    pub clock: Option<String>,
    /// The timestamps that NTP gets here.
    pub stamping: Stamping,
    /// The same in words.
    pub judgement: String,
    /// Why not better, and what is to be known besides.
    pub reasons: Vec<String>,
}

/// The timestamps that NTP gets on an interface, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stamping {
    /// The kernel's, or the daemon's own.
    Software,
    /// The hardware's where NTP travels in PTP messages, otherwise the kernel's.
    HardwareOverPtp,
    /// The hardware's.
    Hardware,
}

impl Stamping {
    /// The same in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Software => "software timestamps",
            Self::HardwareOverPtp => "hardware timestamps by NTP over PTP",
            Self::Hardware => "hardware timestamps",
        }
    }
}

/// A PTP hardware clock.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClockProbe {
    /// Its device.
    pub path: String,
    /// The driver's name for it.
    pub name: Option<String>,
    /// The interfaces whose packets it stamps, of those that were looked at.
    pub interfaces: Vec<String>,
    /// How it is read: `precise`, `extended`, `extended-utc` or `basic`.
    pub method: Option<String>,
    /// How long a reading takes, s; zero where hardware compares the clocks.
    pub read_delay_s: Option<f64>,
    /// Standard deviation of readings about a straight line, s.
    pub noise_s: Option<f64>,
    /// Its frequency against the host's oscillator, positive is fast, ppm.
    pub frequency_ppm: Option<f64>,
    /// What it shows minus what the system clock shows, s.
    pub offset_s: Option<f64>,
    /// How far its frequency can be steered either way, ppm; zero: not at all.
    pub max_adjustment_ppm: Option<f64>,
    /// Does hardware compare it with the host's oscillator?
    pub cross_timestamps: bool,
    /// Inputs that stamp pulses.
    pub external_timestamps: u32,
    /// The virtual clocks made of it.
    pub virtual_clocks: Vec<String>,
    /// Why it could not be measured.
    pub error: Option<String>,
}
