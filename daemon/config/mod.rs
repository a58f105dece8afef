//! The configuration: TOML files, read strictly, with errors that say where and what to do.

mod address;
mod change;
mod cross;
mod load;
mod planned;
mod problem;
mod section;
mod settings;
mod source;
#[cfg(test)]
mod tests;
mod units;
mod value;

pub use address::{Host, NTP_PORT, Network, ServerName};
pub use change::Changes;
pub use load::Loaded;
pub use problem::{Invalid, Place, Problem};
pub use section::Key;
pub use settings::{
    ClockConfig, ClockKind, Config, ControlConfig, LocalConfig, LogConfig, LogLevel, PollLimits,
    PortChoice, ServerConfig, SourceSettings, StateConfig, StepConfig, VirtualClock,
};
pub use source::{SourceAddress, SourceConfig, SourceKind};
pub use units::{Frequency, parse_duration, parse_poll, show_duration};
pub use value::GroupName;
