//! What a network interface can stamp, and what it is set to stamp.

use std::{fmt, io};

/// Why an interface's stamping could not be read or set.
#[derive(Debug)]
#[non_exhaustive]
pub enum HwtstampError {
    /// There is no interface of this name.
    NoSuchInterface(String),
    /// The driver cannot do this at all (`EOPNOTSUPP`).
    NotSupported(String),
    /// The NIC cannot stamp with this receive filter or transmit type (`ERANGE`).
    FilterImpossible(String, Config),
    /// Changing the configuration needs `CAP_NET_ADMIN`.
    NotPermitted(String),
    /// The kernel refused for another reason.
    Kernel(String, io::Error),
}

impl fmt::Display for HwtstampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchInterface(name) => write!(f, "there is no network interface {name:?}"),
            Self::NotSupported(name) => {
                write!(
                    f,
                    "{name}: the driver does not support hardware timestamping"
                )
            }
            Self::FilterImpossible(name, config) => write!(
                f,
                "{name}: the NIC cannot stamp transmit {} with receive filter {}",
                config.tx, config.rx
            ),
            Self::NotPermitted(name) => write!(
                f,
                "{name}: not permitted to configure hardware timestamping: CAP_NET_ADMIN is missing"
            ),
            Self::Kernel(name, error) => write!(f, "{name}: {error}"),
        }
    }
}

impl std::error::Error for HwtstampError {}

/// Which transmitted packets the NIC stamps (`HWTSTAMP_TX_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TxType {
    /// None.
    Off,
    /// Those for which a socket asks.
    On,
    /// As `On`, and PTP Sync is stamped in flight.
    OneStepSync,
    /// As `OneStepSync`, and peer delay responses too.
    OneStepP2p,
    /// One this version does not know.
    Unknown(i32),
}

impl fmt::Display for TxType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Which received packets the NIC stamps (`HWTSTAMP_FILTER_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RxFilter {
    /// None.
    None,
    /// All.
    All,
    /// One this version does not know.
    Unknown(i32),
}

impl fmt::Display for RxFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// An interface's stamping configuration (`struct hwtstamp_config`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// `HWTSTAMP_FLAG_*`; unknown bits are kept as they are.
    pub flags: i32,
    /// Which transmitted packets.
    pub tx: TxType,
    /// Which received packets.
    pub rx: RxFilter,
}

/// What an interface can do (`ETHTOOL_GET_TS_INFO`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// `SOF_TIMESTAMPING_*` the driver supports.
    pub timestamping: u32,
    /// The NIC's PTP hardware clock: N of `/dev/ptpN`.
    pub phc_index: Option<u32>,
    /// Bit n set: transmit type n is supported.
    pub tx_types: u32,
    /// Bit n set: receive filter n is supported.
    pub rx_filters: u32,
}

/// Reads what `interface` is set to stamp.
pub fn config(interface: &str) -> Result<Config, HwtstampError> {
    Err(HwtstampError::NotSupported(interface.into()))
}

/// Sets what `interface` stamps and returns what the driver made of it: it may stamp more than
/// was asked for. Other programs may rely on the present setting: read [`config`] first.
pub fn set_config(interface: &str, config: Config) -> Result<Config, HwtstampError> {
    let _ = config;
    Err(HwtstampError::NotSupported(interface.into()))
}

/// Asks the driver what `interface` can stamp.
pub fn capabilities(interface: &str) -> Result<Capabilities, HwtstampError> {
    Err(HwtstampError::NotSupported(interface.into()))
}
