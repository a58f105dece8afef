//! What a network interface can stamp, and what it is set to stamp.

mod policy;

use std::{fmt, io};

pub use policy::{FilterChoice, Lack, Plan, Receives, receives, wanted};

use crate::ethtool::Ethtool;
use crate::uapi;

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
                    "{name}: its driver does not support hardware timestamping"
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

/// An enum over kernel numbers: each variant with its number and the name shown to people.
macro_rules! kernel_enum {
    (
        $(#[$doc:meta])*
        $name:ident { $( $(#[$variant_doc:meta])* $variant:ident = $number:path, $shown:literal; )* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[$variant_doc])* $variant, )*
            /// One this version does not know, by the kernel's number.
            Unknown(i32),
        }

        impl $name {
            /// Those with a name here, in the order of their numbers.
            pub const KNOWN: &[Self] = &[$( Self::$variant ),*];

            /// From the kernel's number.
            pub const fn from_raw(number: i32) -> Self {
                match number.cast_unsigned() {
                    $( $number => Self::$variant, )*
                    _ => Self::Unknown(number),
                }
            }

            /// The kernel's number.
            pub const fn as_raw(self) -> i32 {
                match self {
                    $( Self::$variant => $number.cast_signed(), )*
                    Self::Unknown(number) => number,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $( Self::$variant => f.pad($shown), )*
                    Self::Unknown(number) => write!(f, "unknown({number})"),
                }
            }
        }
    };
}

kernel_enum! {
    /// Which transmitted packets the NIC stamps (`HWTSTAMP_TX_*` of `linux/net_tstamp.h`).
    TxType {
        /// None.
        Off = uapi::HWTSTAMP_TX_OFF, "off";
        /// Those for which a socket asks.
        On = uapi::HWTSTAMP_TX_ON, "on";
        /// As `On`, and PTP Sync is stamped in flight.
        OneStepSync = uapi::HWTSTAMP_TX_ONESTEP_SYNC, "onestep-sync";
        /// As `OneStepSync`, and peer delay responses too.
        OneStepP2p = uapi::HWTSTAMP_TX_ONESTEP_P2P, "onestep-p2p";
    }
}

kernel_enum! {
    /// Which received packets the NIC stamps (`HWTSTAMP_FILTER_*` of `linux/net_tstamp.h`).
    RxFilter {
        /// None.
        None = uapi::HWTSTAMP_FILTER_NONE, "none";
        /// All.
        All = uapi::HWTSTAMP_FILTER_ALL, "all";
        /// What was asked for and more; only ever an answer.
        Some = uapi::HWTSTAMP_FILTER_SOME, "some";
        /// PTP version 1 over UDP: event messages.
        PtpV1L4Event = uapi::HWTSTAMP_FILTER_PTP_V1_L4_EVENT, "ptpv1-l4-event";
        /// PTP version 1 over UDP: Sync.
        PtpV1L4Sync = uapi::HWTSTAMP_FILTER_PTP_V1_L4_SYNC, "ptpv1-l4-sync";
        /// PTP version 1 over UDP: `Delay_Req`.
        PtpV1L4DelayReq = uapi::HWTSTAMP_FILTER_PTP_V1_L4_DELAY_REQ, "ptpv1-l4-delay-req";
        /// PTP version 2 over UDP: event messages.
        PtpV2L4Event = uapi::HWTSTAMP_FILTER_PTP_V2_L4_EVENT, "ptpv2-l4-event";
        /// PTP version 2 over UDP: Sync.
        PtpV2L4Sync = uapi::HWTSTAMP_FILTER_PTP_V2_L4_SYNC, "ptpv2-l4-sync";
        /// PTP version 2 over UDP: `Delay_Req`.
        PtpV2L4DelayReq = uapi::HWTSTAMP_FILTER_PTP_V2_L4_DELAY_REQ, "ptpv2-l4-delay-req";
        /// PTP version 2 over Ethernet: event messages.
        PtpV2L2Event = uapi::HWTSTAMP_FILTER_PTP_V2_L2_EVENT, "ptpv2-l2-event";
        /// PTP version 2 over Ethernet: Sync.
        PtpV2L2Sync = uapi::HWTSTAMP_FILTER_PTP_V2_L2_SYNC, "ptpv2-l2-sync";
        /// PTP version 2 over Ethernet: `Delay_Req`.
        PtpV2L2DelayReq = uapi::HWTSTAMP_FILTER_PTP_V2_L2_DELAY_REQ, "ptpv2-l2-delay-req";
        /// PTP version 2 over anything: event messages.
        PtpV2Event = uapi::HWTSTAMP_FILTER_PTP_V2_EVENT, "ptpv2-event";
        /// PTP version 2 over anything: Sync.
        PtpV2Sync = uapi::HWTSTAMP_FILTER_PTP_V2_SYNC, "ptpv2-sync";
        /// PTP version 2 over anything: `Delay_Req`.
        PtpV2DelayReq = uapi::HWTSTAMP_FILTER_PTP_V2_DELAY_REQ, "ptpv2-delay-req";
        /// NTP, all versions and modes, over UDP.
        NtpAll = uapi::HWTSTAMP_FILTER_NTP_ALL, "ntp-all";
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

impl Config {
    /// Nothing is stamped.
    pub const OFF: Self = Self {
        flags: 0,
        tx: TxType::Off,
        rx: RxFilter::None,
    };

    /// Are transmitted packets stamped? (The one-step types stamp all but the PTP messages that
    /// they rewrite.)
    pub const fn stamps_tx(&self) -> bool {
        !matches!(self.tx, TxType::Off)
    }
}

/// What an interface can do (`ETHTOOL_MSG_TSINFO_GET`, `ETHTOOL_GET_TS_INFO`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// `SOF_TIMESTAMPING_*` bits the driver supports.
    pub timestamping: u32,
    /// The NIC's PTP hardware clock: N of `/dev/ptpN`.
    pub phc_index: Option<u32>,
    /// Bit n set: transmit type n is supported.
    pub tx_types: u32,
    /// Bit n set: receive filter n is supported.
    pub rx_filters: u32,
    /// Who stamps, where the kernel says so (Linux 6.16).
    pub source: Option<StampSource>,
}

/// Which part of a network device stamps its packets (`enum hwtstamp_source`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StampSource {
    /// The network controller.
    Controller,
    /// The transceiver (PHY) behind it, closer to the wire.
    Transceiver,
}

impl fmt::Display for StampSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Controller => "controller",
            Self::Transceiver => "transceiver",
        })
    }
}

impl Capabilities {
    /// Can the NIC stamp received packets (with which filter is another question)?
    pub const fn hardware_rx(&self) -> bool {
        let needed = uapi::SOF_TIMESTAMPING_RX_HARDWARE | uapi::SOF_TIMESTAMPING_RAW_HARDWARE;
        self.timestamping & needed == needed
    }

    /// Can the NIC stamp transmitted packets?
    pub const fn hardware_tx(&self) -> bool {
        let needed = uapi::SOF_TIMESTAMPING_TX_HARDWARE | uapi::SOF_TIMESTAMPING_RAW_HARDWARE;
        self.timestamping & needed == needed
    }

    /// Does the kernel stamp received packets of this interface?
    pub const fn software_rx(&self) -> bool {
        self.timestamping & uapi::SOF_TIMESTAMPING_RX_SOFTWARE != 0
    }

    /// Does the driver let the kernel stamp transmitted packets?
    pub const fn software_tx(&self) -> bool {
        self.timestamping & uapi::SOF_TIMESTAMPING_TX_SOFTWARE != 0
    }

    /// Does the NIC offer this transmit type?
    pub fn offers_tx(&self, tx: TxType) -> bool {
        bit(self.tx_types, tx.as_raw())
    }

    /// Does the NIC offer this receive filter?
    pub fn offers_rx(&self, rx: RxFilter) -> bool {
        bit(self.rx_filters, rx.as_raw())
    }
}

fn bit(mask: u32, number: i32) -> bool {
    let shifted = u32::try_from(number).ok().and_then(|n| mask.checked_shr(n));
    shifted.is_some_and(|mask| mask & 1 == 1)
}

/// What `interface` can stamp, for who asks once only; see [`Ethtool::capabilities`].
pub fn capabilities(interface: &str) -> Result<Capabilities, HwtstampError> {
    Ethtool::open()
        .map_err(|error| HwtstampError::Kernel(interface.to_owned(), error))?
        .capabilities(interface)
}

impl Config {
    pub(crate) const fn from_raw(raw: uapi::hwtstamp_config) -> Self {
        Self {
            flags: raw.flags,
            tx: TxType::from_raw(raw.tx_type),
            rx: RxFilter::from_raw(raw.rx_filter),
        }
    }

    pub(crate) const fn to_raw(self) -> uapi::hwtstamp_config {
        uapi::hwtstamp_config {
            flags: self.flags,
            tx_type: self.tx.as_raw(),
            rx_filter: self.rx.as_raw(),
        }
    }
}

impl HwtstampError {
    pub(crate) fn new(interface: &str, error: io::Error, asked: Option<Config>) -> Self {
        let name = interface.to_owned();
        match (error.raw_os_error(), asked) {
            (Some(libc::ENODEV), _) => Self::NoSuchInterface(name),
            (Some(libc::EOPNOTSUPP | libc::ENOTTY), _) => Self::NotSupported(name),
            (Some(libc::EPERM), _) => Self::NotPermitted(name),
            (Some(libc::ERANGE), Some(config)) => Self::FilterImpossible(name, config),
            _ => Self::Kernel(name, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip_and_unknown_ones_survive() {
        for number in -1..40 {
            assert_eq!(TxType::from_raw(number).as_raw(), number);
            assert_eq!(RxFilter::from_raw(number).as_raw(), number);
        }
        assert_eq!(RxFilter::from_raw(15), RxFilter::NtpAll);
        assert_eq!(RxFilter::from_raw(99).to_string(), "unknown(99)");
        assert_eq!(TxType::KNOWN.len(), 4);
        assert_eq!(RxFilter::KNOWN.len(), 16);
    }

    #[test]
    fn capabilities_are_bit_masks() {
        let nic = Capabilities {
            timestamping: 0x5f,
            phc_index: Some(0),
            tx_types: 0b11,
            rx_filters: 0b1_0000_0000_0000_0001,
            source: None,
        };
        assert!(nic.hardware_rx() && nic.hardware_tx() && nic.software_rx() && nic.software_tx());
        assert!(nic.offers_tx(TxType::On) && !nic.offers_tx(TxType::OneStepSync));
        assert!(nic.offers_rx(RxFilter::None) && !nic.offers_rx(RxFilter::All));
        assert!(nic.offers_rx(RxFilter::Unknown(16)) && !nic.offers_rx(RxFilter::Unknown(77)));
        assert!(!nic.offers_rx(RxFilter::Unknown(-1)));
    }

    #[test]
    fn errors_say_what_is_missing() {
        let config = Config {
            flags: 0,
            tx: TxType::On,
            rx: RxFilter::NtpAll,
        };
        let with = |errno| {
            let error = io::Error::from_raw_os_error(errno);
            HwtstampError::new("eth9", error, Some(config)).to_string()
        };
        assert!(with(libc::EPERM).contains("CAP_NET_ADMIN"));
        assert!(with(libc::ERANGE).contains("ntp-all"));
        assert!(with(libc::EOPNOTSUPP).contains("does not support"));
        assert!(with(libc::EIO).starts_with("eth9: "));
    }
}
