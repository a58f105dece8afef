//! The command line, as types.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::ServerName;

/// Where `run` and `check` look for the configuration when `-c` is not given.
pub const DEFAULT_CONFIG: &str = "/etc/clockwright/clockwright.toml";
/// Where `status`, `sources` and their like look for the daemon when `--socket` is not given.
pub const DEFAULT_SOCKET: &str = "/run/clockwright/control.sock";

/// Exit codes, at the end of every `--help`.
const EXIT_CODES: &str =
    "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 not synchronised.";

/// How servers are written, in `--help`.
const SERVERS: &str = "Servers: HOST, HOST:PORT or [IPV6]:PORT";

/// Keeps this host's clock right, and says truthfully how right it is.
#[derive(Debug, Clone, Parser)]
#[command(name = "clockwright", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Run the daemon in the foreground
    Run(RunArgs),
    /// Validate a configuration: where it is wrong, why, and what is allowed
    Check(CheckArgs),
    /// Ask servers for the time and print what they say; the clock stays untouched
    Query(QueryArgs),
    /// Correct the clock once and exit
    Set(SetArgs),
    /// How right the clock is, as the running daemon sees it
    Status(ViewArgs),
    /// The time sources of the running daemon, and what it thinks of each
    Sources(ViewArgs),
    /// How the sources prove who they are: keys, cookies, and what is amiss
    Auth(ViewArgs),
    /// Who has asked this host for time and keys, and what became of it
    Server(ServerArgs),
    /// Who stamps packets on which interface, and why not better
    Timestamps(ViewArgs),
    /// What this host can timestamp, what will be used, and the configuration that makes use of it
    Probe(ProbeArgs),
    /// Watch three hosts in a private network find the time, without touching this one
    Demo(DemoArgs),
    /// A host of the demo: how `demo` starts `run` in a network of its own
    #[command(hide = true)]
    DemoHost(DemoHostArgs),
    /// Run a simulated scenario and print the true error
    Sim(SimArgs),
}

/// `clockwright run`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RunArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Measure and report, but never touch the clock
    #[arg(long)]
    pub no_adjust: bool,
}

/// `clockwright check`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CheckArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
}

/// `clockwright server`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct ServerArgs {
    /// As the other views.
    #[command(flatten)]
    pub view: ViewArgs,
    /// Name the N clients that ask most (10 without N)
    #[arg(
        long,
        value_name = "N",
        num_args = 0..=1,
        default_missing_value = "10",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(crate::control::MOST_TALKERS))
    )]
    pub talkers: Option<u32>,
}

/// `-4` and `-6`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Args)]
pub struct FamilyArgs {
    /// Use IPv4 addresses only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// Use IPv6 addresses only
    #[arg(short = '6', long)]
    pub ipv6: bool,
}

/// `--nts` and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct NtsArgs {
    /// Authenticate the servers by NTS; a port is then that of the key establishment (4460)
    #[arg(long)]
    pub nts: bool,
    /// Trust the certificates in FILE (PEM), too
    #[arg(long, value_name = "FILE", requires = "nts")]
    pub trust: Vec<PathBuf>,
}

/// `clockwright query`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct QueryArgs {
    /// The servers to ask.
    #[arg(value_name = "SERVER", required = true, help = SERVERS)]
    pub servers: Vec<ServerName>,
    /// Requests to each server
    #[arg(short = 'n', long = "count", value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub count: u32,
    /// Use interleaved mode where the server offers it
    #[arg(long)]
    pub interleaved: bool,
    /// Authentication.
    #[command(flatten)]
    pub nts: NtsArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// IPv4 or IPv6 only.
    #[command(flatten)]
    pub family: FamilyArgs,
}

/// `clockwright set`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct SetArgs {
    /// The servers to ask.
    #[arg(value_name = "SERVER", required = true, help = SERVERS)]
    pub servers: Vec<ServerName>,
    /// Requests to each server
    #[arg(short = 'n', long = "count", value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub count: u32,
    /// Say what would be done, and leave the clock alone
    #[arg(long)]
    pub no_adjust: bool,
    /// Authentication.
    #[command(flatten)]
    pub nts: NtsArgs,
    /// IPv4 or IPv6 only.
    #[command(flatten)]
    pub family: FamilyArgs,
}

/// `clockwright probe`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ProbeArgs {
    /// The interfaces to look at; all that have a device if none is given
    #[arg(value_name = "IFACE")]
    pub interfaces: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `clockwright status` and the other questions to the running daemon.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct ViewArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Repeat every SECONDS (1 if not given) until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", value_parser = seconds)]
    pub watch: Option<f64>,
    /// The daemon's control socket
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    pub socket: PathBuf,
}

/// `clockwright demo`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DemoArgs {
    /// How long to run
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(5..=86_400))]
    pub seconds: u32,
    /// Print JSON, one object per line
    #[arg(long)]
    pub json: bool,
}

/// `clockwright demo-host`, which only `clockwright demo` calls, with an open network namespace
/// as standard input.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct DemoHostArgs {
    /// Process id of the demo
    #[arg(long)]
    pub parent: i32,
    /// The configuration
    #[arg(long)]
    pub config: PathBuf,
    /// Measure and report, but never touch the clock
    #[arg(long)]
    pub no_adjust: bool,
}

/// `clockwright sim`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct SimArgs {
    /// The scenario file (TOML)
    #[arg(value_name = "SCENARIO")]
    pub scenario: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Draw true error, bound and events into this file (SVG)
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    /// Write the course of true error and bound into this file (JSON)
    #[arg(long, value_name = "FILE.json")]
    pub series: Option<PathBuf>,
    /// Random seed, instead of the scenario's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// An interval of `--watch`: a tenth of a second to a day.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("give seconds between 0.1 and 86400".to_owned()),
    }
}
