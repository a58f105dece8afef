//! The configuration: TOML files, read strictly, with errors that say where and what to do.

mod address;
mod change;
mod clock;
mod cross;
mod device;
mod follow;
mod gains;
mod load;
mod nts;
mod part;
mod planned;
mod problem;
mod rates;
mod refclock;
mod section;
mod selection;
mod serving;
mod settings;
mod source;
mod tables;
#[cfg(test)]
mod tests;
mod timestamping;
mod units;
mod value;
mod workers;

pub use address::{Host, KE_PORT, NTP_PORT, Network, ServerName};
pub use change::{Changes, FollowChanges, RefclockChanges};
pub use clock::{
    ClockConfig, ClockKind, LEAP_LIST, LeapMode, StepConfig, TemperatureConfig, VirtualClock,
};
pub use device::{InterfacePattern, PhcName, RefName, SourceLabel};
pub use follow::{FollowConfig, FollowSettings, Timescale};
pub use gains::GainsConfig;
pub use load::Loaded;
pub use nts::{NtsSettings, ServerNtsConfig};
pub use part::SourcePart;
pub use problem::{Invalid, Place, Problem};
pub use rates::{ClientsConfig, ConnectionRateConfig, NtsRateConfig, RateConfig};
pub use refclock::{PulseEdge, RefclockConfig, RefclockDevice, RefclockSettings};
pub use section::Key;
pub use selection::{Authentication, MAX_DISTANCE, SelectionConfig};
pub use settings::{
    Config, ControlConfig, LocalConfig, LogConfig, LogLevel, PollLimits, PortChoice, ServerConfig,
    SmearConfig, SourceSettings, StateConfig,
};
pub use source::{Source, SourceAddress, SourceConfig, SourceKind};
pub use timestamping::{InterfaceTimestamping, PtpTransport, RxFilterChoice, TimestampingConfig};
pub use units::{Frequency, parse_duration, parse_poll, show_duration};
pub use value::GroupName;
pub use workers::Workers;
