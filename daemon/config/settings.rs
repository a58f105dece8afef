//! The option table: every key, its type and its default.

use std::net::SocketAddr;
use std::path::PathBuf;

use clockwright_timebase::{Duration, Poll};

use super::address::{NTP_PORT, Network};
use super::clock::ClockConfig;
use super::follow::FollowConfig;
use super::nts::{NtsSettings, ServerNtsConfig};
use super::rates::{ClientsConfig, RateConfig};
use super::section::{Key, Value, section};
use super::selection::SelectionConfig;
use super::source::Source;
use super::timestamping::TimestampingConfig;
use super::value::{GroupName, choice};
use super::workers::Workers;

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
        /// Who of them is not, unless a longer prefix allows it again.
        "deny" => deny: Vec<Network> = Vec::new();
        /// How many threads answer.
        "workers" => workers: Workers = Workers::Auto;
        /// The DSCP of replies (RFC 2474), 0 to 63.
        "dscp" => dscp: u8 = 0, if dscp;
        /// How many replies each worker remembers the departure of, for interleaved mode.
        "interleaved_replies" => interleaved_replies: u32 = 32_768, if interleaved_replies;
        /// How many requests without NTS of one client are answered; `None`: all.
        "rate" => rate: Option<RateConfig> = None;
        /// What is remembered of clients.
        "clients" => clients: ClientsConfig = ClientsConfig::default();
        /// Serve this host's clock also while it is not synchronised.
        "local" => local: Option<LocalConfig> = None;
        /// Serve time without leap seconds on some addresses.
        "smear" => smear: Option<SmearConfig> = None;
        /// Hand out keys for NTS; `None`: nobody is answered with it.
        "nts" => nts: Option<ServerNtsConfig> = None;
    }
}

impl ServerConfig {
    /// Is a request from `address` answered? Loopback always is. Of anyone else the longest prefix
    /// among [`allow`](Self::allow) and [`deny`](Self::deny) decides; where there is none, no. This
    /// is the rule in its plainest form, which `serve::access::Access` is compared with.
    #[cfg(test)]
    pub(crate) fn allows(&self, address: std::net::IpAddr) -> bool {
        let address = address.to_canonical();
        let longest = |networks: &[Network]| {
            let around = networks.iter().filter(|network| network.contains(address));
            around.map(Network::prefix).max()
        };
        // No prefix (`None`) is less than any, and one that is in both lists is refused earlier.
        address.is_loopback() || longest(&self.allow) > longest(&self.deny)
    }

    /// The addresses that time is served on, with and without leap seconds.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let smeared = self.smear.iter().flat_map(|smear| &smear.listen);
        self.listen.iter().chain(smeared).copied()
    }

    /// Is time not served here, only the keys for another server's handed out?
    pub fn only_hands_out_keys(&self) -> bool {
        let nts = self.nts.as_ref();
        self.addresses().next().is_none() && nts.is_some_and(|nts| nts.ntp_server.is_some())
    }
}

section! {
    /// What is served while the clock is not synchronised.
    pub struct LocalConfig {
        /// The stratum served, 1 to 15.
        "stratum" => stratum: u8 = 10, if local_stratum;
        /// Of several such servers that have each other as sources, only one serves its own clock,
        /// and the others follow it.
        "orphan" => orphan: bool = false;
        /// How long the clock has to have been unsynchronised; `None`: see
        /// [`waits`](Self::waits).
        "wait" => wait: Option<Duration> = None, if not_negative;
    }
}

impl LocalConfig {
    /// How long the clock has to have been unsynchronised before it is served. Without a word
    /// about that, none; with `orphan` 5 min, for at the start none of them knows the others yet.
    pub fn waits(&self) -> Duration {
        let unsaid = if self.orphan { 300 } else { 0 };
        self.wait.unwrap_or(Duration::from_secs(unsaid))
    }
}

section! {
    /// Serving time in which leap seconds are spread over a day.
    pub struct SmearConfig {
        /// Addresses and ports where that is answered.
        "listen" => listen: Vec<SocketAddr> = Vec::new();
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

fn not_negative(wait: Option<Duration>) -> Result<(), String> {
    if wait.is_some_and(Duration::is_negative) {
        Err("must not be negative".to_owned())
    } else {
        Ok(())
    }
}

fn dscp(dscp: u8) -> Result<(), String> {
    if dscp < 64 {
        Ok(())
    } else {
        Err(format!("{dscp} is not between 0 and 63"))
    }
}

fn interleaved_replies(replies: u32) -> Result<(), String> {
    if replies <= 1 << 24 {
        Ok(())
    } else {
        Err(format!("{replies} is not between 0 and {}", 1 << 24))
    }
}
