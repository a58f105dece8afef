//! What the daemon reports about itself: the objects of `status --json` and
//! `sources --json`.
//!
//! Field names and meanings are stable. Numbers are in SI base units with the unit in the name;
//! an offset is what must be added to the local clock to make it right. A value that is not
//! known is `null`, never zero.

use std::collections::BTreeMap;

use clockwright_timebase::StampKind;
use serde::{Deserialize, Serialize};

/// The clock that is disciplined; in JSON `"system"`, `"virtual"` or the device of a PTP hardware
/// clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ClockName {
    /// `CLOCK_REALTIME`.
    System,
    /// The daemon's own simulated clock; the host is not touched.
    Virtual,
    /// A PTP hardware clock, by its device: `/dev/ptp0`.
    Phc(String),
}

impl From<String> for ClockName {
    fn from(name: String) -> Self {
        match name.as_str() {
            "system" => Self::System,
            "virtual" => Self::Virtual,
            _ => Self::Phc(name),
        }
    }
}

impl From<ClockName> for String {
    fn from(clock: ClockName) -> Self {
        match clock {
            ClockName::System => "system".to_owned(),
            ClockName::Virtual => "virtual".to_owned(),
            ClockName::Phc(device) => device,
        }
    }
}

/// The leap second announced for the end of the current month (RFC 5905 section 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeapReport {
    /// None is announced.
    None,
    /// The last minute of the month has 61 seconds.
    Insert,
    /// The last minute of the month has 59 seconds.
    Delete,
    /// Leap indicator 3: the clock this is about is not synchronised.
    Unsynchronized,
}

/// A list of leap seconds (`leap-seconds.list`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeapListReport {
    /// The file.
    pub path: String,
    /// When its publisher changed it, s since 1970-01-01.
    pub updated_unix_s: i64,
    /// Until when it counts, s since 1970-01-01.
    pub expires_unix_s: i64,
    /// Does it still count?
    pub valid: bool,
    /// The end of the day with the next leap second that it knows of, s since 1970-01-01.
    pub next_leap_unix_s: Option<i64>,
}

/// Whether the daemon steers its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Steering {
    /// The clock is steered.
    Adjusting,
    /// `--no-adjust` was given: measuring only.
    Disabled,
    /// The kernel refuses: no `CAP_SYS_TIME`. Measuring only.
    NotPermitted,
}

/// `clockwright status --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    /// The daemon's version.
    pub version: String,
    /// Since the daemon started, s.
    pub uptime_s: f64,
    /// The clock that is disciplined.
    pub clock: ClockName,
    /// Whether that clock is steered, and why not.
    pub steering: Steering,
    /// Is the clock synchronised to a source, with the bound below?
    pub synchronized: bool,
    /// Stratum this host serves: 1 to 15, or 16 while not synchronised.
    pub stratum: u8,
    /// The stratum at which this host serves its own clock while it is not synchronised, as
    /// `server.local` says; null if it does not.
    pub local_stratum: Option<u8>,
    /// Is the source followed an orphan, a server of a group that serves its own clock for want of a
    /// source? Then all bounds are of the distance from its clock, and nothing is known of UTC.
    pub orphan: bool,
    /// The reference as NTP carries it: an IPv4 address, the hash of an IPv6 address in the same
    /// notation, or four letters for stratum 1. Null while not synchronised.
    pub reference_id: Option<String>,
    /// Configured name of the source followed most. Null while not synchronised.
    pub reference_name: Option<String>,
    /// The leap second at the end of this day.
    pub leap: LeapReport,
    /// TAI minus UTC, s, by a list of leap seconds that is valid. Null while not synchronised.
    pub tai_offset_s: Option<i32>,
    /// The list of leap seconds that counts. Null: none.
    #[serde(default)]
    pub leap_list: Option<LeapListReport>,
    /// Why the list that is configured was refused when it was last read.
    #[serde(default)]
    pub leap_list_error: Option<String>,
    /// Which sources do not agree about a leap second at the end of this day, and what is done. Null:
    /// they do.
    #[serde(default)]
    pub leap_disagreement: Option<String>,
    /// What must still be added to the clock to make it right, by the current estimate, s.
    pub offset_s: Option<f64>,
    /// What the clock is steered by: positive makes it run faster than the oscillator, ppm.
    pub frequency_ppm: Option<f64>,
    /// One standard deviation of the frequency estimate, ppm.
    pub frequency_uncertainty_ppm: Option<f64>,
    /// For how long no source could be followed any more, s: since the last update. Null while one
    /// is followed, and before the first.
    pub holdover_s: Option<f64>,
    /// What the sensor of `clock.temperature` shows, smoothed, °C. Null without one.
    pub temperature_c: Option<f64>,
    /// By how much `frequency_ppm` changes with each degree, ppm/K, at that temperature. Null until
    /// it has been found to matter.
    pub temperature_ppm_per_k: Option<f64>,
    /// Round trip to the primary reference, s.
    pub root_delay_s: Option<f64>,
    /// Dispersion accumulated from the primary reference, s.
    pub root_dispersion_s: Option<f64>,
    /// The clock differs from UTC by no more than this, s.
    pub error_bound_s: Option<f64>,
    /// What the clock shows minus the truth, s: known for the virtual clock only, else null.
    pub true_error_s: Option<f64>,
    /// Since the clock estimate was last updated by a sample, s.
    pub last_update_age_s: Option<f64>,
    /// Samples used since the start.
    pub samples: u64,
    /// Steps of the clock since the start.
    pub steps: u64,
    /// How often the host slept, was moved, or had its clock set by another program, since the start.
    pub disruptions: u64,
    /// The last of them, newest first.
    pub last_disruptions: Vec<DisruptionReport>,
    /// What another program was last found to have done to the clock, and who it may have been; null:
    /// nothing.
    pub other_steerer: Option<String>,
    /// Sources that have an address, pool members counted one by one. A name that is not resolved
    /// is in the list of sources, and not counted here.
    pub sources: u32,
    /// Sources that answered one of the last eight requests.
    pub sources_reachable: u32,
    /// Sources that the clock follows at present.
    pub sources_used: u32,
}

/// What happened to a host's time from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisruptionKind {
    /// The host slept.
    Suspended,
    /// The hypervisor moved it, or went on from a snapshot.
    Moved,
    /// Another program set the clock.
    ClockSet,
}

/// One such event.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DisruptionReport {
    /// What it was.
    pub kind: DisruptionKind,
    /// How long ago, s.
    pub age_s: f64,
    /// How long the host slept, or what was added to the clock, s; null where that is not known.
    pub by_s: Option<f64>,
}

/// What the daemon thinks of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// Followed, and the one whose reference this host passes on.
    Selected,
    /// Followed, together with the selected one.
    Combined,
    /// Agrees with the others, and is not followed at present.
    Candidate,
    /// Its interval of possible times excludes that of the majority.
    Falseticker,
    /// Answers, but cannot be used or may not be followed: not synchronised, not authenticated, ...
    Unusable,
    /// Asked, and too few samples yet to judge.
    Starting,
    /// Did not answer the last eight requests.
    Unreachable,
    /// Its name has not been resolved yet.
    Unresolved,
}

impl SourceState {
    /// The name in JSON and on the screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Selected => "selected",
            Self::Combined => "combined",
            Self::Candidate => "candidate",
            Self::Falseticker => "falseticker",
            Self::Unusable => "unusable",
            Self::Starting => "starting",
            Self::Unreachable => "unreachable",
            Self::Unresolved => "unresolved",
        }
    }
}

/// How a source proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthReport {
    /// It does not.
    None,
    /// By Network Time Security (RFC 8915).
    Nts,
}

/// Who took a packet's timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StampReport {
    /// The network card.
    Hardware,
    /// The kernel.
    Kernel,
    /// The daemon, around its system call.
    Daemon,
}

impl From<StampKind> for StampReport {
    fn from(kind: StampKind) -> Self {
        match kind {
            StampKind::Hardware => Self::Hardware,
            StampKind::Kernel => Self::Kernel,
            StampKind::Daemon => Self::Daemon,
        }
    }
}

impl StampReport {
    /// The name in JSON and on the screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hardware => "hardware",
            Self::Kernel => "kernel",
            Self::Daemon => "daemon",
        }
    }
}

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KindReport {
    /// An NTP server, also one of a pool.
    Server,
    /// A PTP hardware clock of this host.
    Phc,
    /// A pulse per second.
    Pps,
    /// A socket on which another program of this host gives time.
    Sock,
    /// Shared memory in which another program of this host gives time.
    Shm,
}

/// What carries NTP to and from a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransportReport {
    /// UDP, as ever.
    Udp,
    /// PTP messages (RFC 10030), which more NICs stamp.
    Ptp,
}

/// One element of `clockwright sources --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceReport {
    /// The name as configured (of a pool member: the pool's name; of a reference clock: its
    /// device).
    pub name: String,
    /// What it is.
    pub kind: KindReport,
    /// Is it a member of a pool?
    pub pool: bool,
    /// Its IP address; null while the name is not resolved, and of a reference clock.
    pub address: Option<String>,
    /// Its UDP port; null of a reference clock.
    pub port: Option<u16>,
    /// What the daemon thinks of it.
    pub state: SourceState,
    /// Why it is in that state, in words; null where the state says all.
    pub reason: Option<String>,
    /// What it was given of `prefer`, `trust`, `require` and `noselect`.
    #[serde(default)]
    pub options: Vec<String>,
    /// Its stratum: 1 is attached to a reference clock.
    pub stratum: Option<u8>,
    /// The leap second it announces.
    pub leap: Option<LeapReport>,
    /// What it follows, in the notation of [`StatusReport::reference_id`].
    pub reference_id: Option<String>,
    /// Base-2 logarithm of the poll interval in seconds.
    pub poll: i8,
    /// The poll interval, s.
    pub poll_s: f64,
    /// The last eight requests, the newest in bit 0; a one was answered (RFC 5905 section 9.2).
    pub reach: u8,
    /// Was any of the last eight requests answered?
    pub reachable: bool,
    /// How it proves who it is.
    pub auth: AuthReport,
    /// Was the last exchange in interleaved mode (RFC 9769)?
    pub interleaved: bool,
    /// What carried the last exchange; null before the first, and of a reference clock.
    pub transport: Option<TransportReport>,
    /// The interface that its packets go by, of a VLAN or bond the device below; null while no
    /// stamp has told.
    pub interface: Option<String>,
    /// Who stamped the last request's departure here.
    pub tx_stamp: Option<StampReport>,
    /// Who stamped the last reply's arrival here.
    pub rx_stamp: Option<StampReport>,
    /// What must be added to the local clock by this source's estimate, s.
    pub offset_s: Option<f64>,
    /// Round trip of the last sample, s.
    pub delay_s: Option<f64>,
    /// Standard deviation of this source's offsets, s.
    pub jitter_s: Option<f64>,
    /// This source's time against the local oscillator, ppm.
    pub frequency_ppm: Option<f64>,
    /// Its own round trip to the primary reference, s.
    pub root_delay_s: Option<f64>,
    /// Its own dispersion, s.
    pub root_dispersion_s: Option<f64>,
    /// The local clock differs from UTC by no more than this, were this source the only one, s.
    pub error_bound_s: Option<f64>,
    /// Since its last accepted sample, s.
    pub last_sample_age_s: Option<f64>,
    /// Requests sent.
    pub sent: u64,
    /// Replies accepted.
    pub received: u64,
    /// Datagrams rejected, by reason (`duplicate`, `bogus_origin`, ...).
    pub rejected: BTreeMap<String, u64>,
    /// The last rejection, in words.
    pub last_rejection: Option<String>,
    /// The last local failure (name not found, network unreachable), in words.
    pub last_error: Option<String>,
}
