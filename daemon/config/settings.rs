//! The option table: every key, its type and its default.

use std::net::SocketAddr;
use std::path::PathBuf;

use clockwright_timebase::{Duration, Poll};

use super::address::{NTP_PORT, Network};
use super::clock::ClockConfig;
use super::follow::FollowConfig;
use super::nts::{NtsSettings, ServerNtsConfig};
use super::section::{Key, Value, section};
use super::selection::SelectionConfig;
use super::source::Source;
use super::timestamping::TimestampingConfig;
use super::value::{GroupName, choice};

section! {
    /// Everything that can be configured.
    pub struct Config {
        /// Where time comes from, in the order of the files.
        "source" => sources: Vec<Source> = Vec::new();
        /// Which of them the clock follows.
        "selection" => selection: SelectionConfig = SelectionConfig::default();
        /// The clock that is disciplined.
        "clock" => clock: ClockConfig = ClockConfig::default();
        /// PTP hardware clocks that are kept equal to it.
        "follow" => follow: Vec<FollowConfig> = Vec::new();
        /// Where packets get their timestamps.
        "timestamping" => timestamping: TimestampingConfig = TimestampingConfig::default();
        /// Whom to serve; `None`: no port is opened.
        "server" => server: Option<ServerConfig> = None;
        /// What survives a restart.
        "state" => state: StateConfig = StateConfig::default();
        /// The control socket.
        "control" => control: ControlConfig = ControlConfig::default();
        /// What is logged.
        "log" => log: LogConfig = LogConfig::default();
    }
}

section! {
    /// What a reload may change about a source without starting it afresh.
    pub struct SourceSettings {
        /// Ask with NTS, and how its keys are got; `None`: without authentication.
        "nts" => nts: Option<NtsSettings> = None;
        /// Use interleaved mode (RFC 9769) where the server offers it; where it does not, the
        /// client falls back by itself.
        "interleaved" => interleaved: bool = true;
        /// Ask quickly a few times at the start, to have a first estimate in seconds.
        "iburst" => iburst: bool = true;
        /// How often to ask.
        "poll" => poll: PollLimits = PollLimits::default();
        /// Where requests are sent from.
        "ports" => ports: PortChoice = PortChoice::PerRequest;
        /// Ignore answers that took longer than this to come back.
        "max_delay" => max_delay: Option<Duration> = None, if above_zero;
        /// Of a pool: how many of its servers to use.
        "pool_size" => pool_size: u32 = 4, if pool_size;
    }
}

section! {
    /// The limits of the poll interval; the discipline chooses between them.
    pub struct PollLimits {
        /// Shortest.
        "min" => min: Poll = Poll::new(6);
        /// Longest.
        "max" => max: Poll = Poll::new(10);
    }
}

choice! {
    /// Which local UDP port requests come from (RFC 9109).
    pub enum PortChoice {
        /// A new random port for every request.
        PerRequest = "per-request",
        /// One random port for as long as the source lives: every packet takes the same path
        /// through a network that balances load by port.
        Sticky = "sticky",
    }
}

section! {
    /// Serving time to others.
    pub struct ServerConfig {
        /// Addresses and ports to answer on.
        "listen" => listen: Vec<SocketAddr> = Vec::new();
        /// Who is answered, besides this host itself.
        "allow" => allow: Vec<Network> = Vec::new();
        /// Serve this host's clock also while it is not synchronised.
        "local" => local: Option<LocalConfig> = None;
        /// Hand out keys for NTS; `None`: nobody is answered with it.
        "nts" => nts: Option<ServerNtsConfig> = None;
    }
}

impl ServerConfig {
    /// Is a request from `address` answered? Loopback always is, anyone else only if
    /// [`allow`](Self::allow) says so.
    pub fn allows(&self, address: std::net::IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_loopback() || self.allow.iter().any(|network| network.contains(address))
    }

    /// Is time not served here, only the keys for another server's handed out?
    pub fn only_hands_out_keys(&self) -> bool {
        let nts = self.nts.as_ref();
        self.listen.is_empty() && nts.is_some_and(|nts| nts.ntp_server.is_some())
    }
}

section! {
    /// What is served while the clock is not synchronised.
    pub struct LocalConfig {
        /// The stratum served, 1 to 15.
        "stratum" => stratum: u8 = 10, if local_stratum;
    }
}

section! {
    /// What survives a restart.
    pub struct StateConfig {
        /// Where the frequency and its uncertainty are kept.
        "directory" => directory: PathBuf = PathBuf::from("/var/lib/clockwright");
    }
}

section! {
    /// The control socket.
    pub struct ControlConfig {
        /// Its path. Run-time source files are read from `sources.d` beside it.
        "socket" => socket: PathBuf = PathBuf::from(crate::cli::DEFAULT_SOCKET);
        /// Who may ask besides the daemon's own user and group: the members of this group.
        "group" => group: Option<GroupName> = None;
    }
}

section! {
    /// What is logged.
    pub struct LogConfig {
        /// The least important messages that are logged.
        "level" => level: LogLevel = LogLevel::Info;
    }
}

choice! {
    /// How important a log message is.
    pub enum LogLevel {
        /// Something does not work.
        Error = "error",
        /// Something is not as it should be.
        Warn = "warn",
        /// What an operator wants to know: synchronised, sources lost and found, steps.
        Info = "info",
        /// Every decision.
        Debug = "debug",
        /// Every packet.
        Trace = "trace",
    }
}

impl LogLevel {
    /// As the `tracing` crate calls it.
    pub const fn as_tracing(self) -> tracing::Level {
        match self {
            Self::Error => tracing::Level::ERROR,
            Self::Warn => tracing::Level::WARN,
            Self::Info => tracing::Level::INFO,
            Self::Debug => tracing::Level::DEBUG,
            Self::Trace => tracing::Level::TRACE,
        }
    }
}

section! {
    /// What a file says about itself, besides settings.
    pub(super) struct FileDirectives {
        /// What becomes of the sources of earlier files.
        "sources" => sources: EarlierSources = EarlierSources::Append;
    }
}

choice! {
    /// What becomes of the sources of earlier files.
    pub(super) enum EarlierSources {
        /// This file's sources come after them.
        Append = "append",
        /// They are forgotten; this file's sources are used in their place.
        Replace = "replace",
    }
}

impl Config {
    /// Every key there is, in the order of the documentation.
    pub fn keys() -> Vec<Key> {
        let mut keys = Vec::new();
        FileDirectives::default().describe("", &mut keys);
        Self::default().describe("", &mut keys);
        keys
    }
}

/// The port a source is asked on.
pub(super) fn source_port(port: u16) -> Result<(), String> {
    if port == 0 {
        Err(format!("port 0 is not a port; NTP is served on {NTP_PORT}"))
    } else {
        Ok(())
    }
}

pub(super) fn above_zero(duration: Option<Duration>) -> Result<(), String> {
    duration.map_or(Ok(()), some_above_zero)
}

pub(super) fn some_above_zero(duration: Duration) -> Result<(), String> {
    if duration > Duration::ZERO {
        Ok(())
    } else {
        Err("must be longer than 0s".to_owned())
    }
}

fn pool_size(size: u32) -> Result<(), String> {
    if (1..=16).contains(&size) {
        Ok(())
    } else {
        Err(format!("{size} is not between 1 and 16"))
    }
}

fn local_stratum(stratum: u8) -> Result<(), String> {
    if (1..=15).contains(&stratum) {
        Ok(())
    } else {
        Err(format!("stratum {stratum} is not between 1 and 15"))
    }
}
