//! What an interface's driver can do and is set to do: stamps, speed, virtual clocks.
//!
//! [`Ethtool`] asks by generic netlink, by ioctl where the kernel has not the message (TSCONFIG
//! came with Linux 6.14) or the driver does not serve it (TSCONFIG wants drivers that were
//! converted to `ndo_hwtstamp_get`).

mod arrange;
mod family;
mod ioctl;
mod message;

use std::{fmt, io};

pub use arrange::Arranged;

use crate::hwtstamp::{Capabilities, Config, HwtstampError};
use crate::{net, uapi};
use family::Family;
use ioctl::Ioctl;

/// An interface, addressed by its index where it is known (names may change at any moment) or by
/// its name. Made from a `u32` or a `&str`.
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

/// The interface's name as it is now, or its index where it has gone.
impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Name(name) => f.pad(name),
            Self::Index(index) => match net::name_of(index) {
                Ok(name) => f.pad(&name),
                Err(_) => write!(f, "interface {index}"),
            },
        }
    }
}

/// How the transmit stamps of an interface fared, counted by its driver
/// (`ETHTOOL_A_TS_STAT_*`, Linux 6.10). A counter that the driver does not keep is 0.
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
    /// Missing where the kernel has no such family.
    family: Option<Family>,
    ioctl: Ioctl,
}

#[expect(
    single_use_lifetimes,
    reason = "an elided lifetime is not yet allowed in `impl Into<..>`"
)]
impl Ethtool {
    /// Opens it. Needs no privilege.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            family: Family::open().ok(),
            ioctl: Ioctl::open()?,
        })
    }

    /// As on a kernel without the netlink family.
    #[cfg(test)]
    fn by_ioctl_only() -> io::Result<Self> {
        Ok(Self {
            family: None,
            ioctl: Ioctl::open()?,
        })
    }

    /// What `interface` can stamp. Needs no privilege.
    pub fn capabilities<'a>(
        &mut self,
        interface: impl Into<Target<'a>>,
    ) -> Result<Capabilities, HwtstampError> {
        let target = interface.into();
        let answer = self
            .get(uapi::ETHTOOL_MSG_TSINFO_GET, target, 0)
            .map(|answer| message::capabilities(&answer))
            .or_else(|_| self.by_name(target, Ioctl::capabilities));
        answer.map_err(|error| HwtstampError::new(&target.to_string(), error, None))
    }

    /// What `interface` is set to stamp. Needs no privilege. Drivers that can be set and cannot
    /// tell are [`HwtstampError::NotSupported`].
    pub fn config<'a>(
        &mut self,
        interface: impl Into<Target<'a>>,
    ) -> Result<Config, HwtstampError> {
        let target = interface.into();
        let answer = self
            .get(uapi::ETHTOOL_MSG_TSCONFIG_GET, target, 0)
            .and_then(|answer| message::config(&answer).ok_or_else(family::no_answer))
            .or_else(|_| self.by_name(target, Ioctl::config));
        answer.map_err(|error| HwtstampError::new(&target.to_string(), error, None))
    }

    /// Sets what `interface` stamps and returns what the driver granted, which may be more than
    /// was wanted. Needs `CAP_NET_ADMIN`.
    ///
    /// Other programs may rely on the present setting: [`Self::arrange`] minds them.
    pub fn set_config<'a>(
        &mut self,
        interface: impl Into<Target<'a>>,
        wanted: Config,
    ) -> Result<Config, HwtstampError> {
        let target = interface.into();
        let answer = match self.set_by_netlink(target, wanted) {
            // An answer and not a want of one: asking again by ioctl would change nothing.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ERANGE)) => {
                Err(error)
            }
            Err(_) => self.by_name(target, |ioctl, name| ioctl.set_config(name, wanted)),
            answer => answer,
        };
        answer.map_err(|error| HwtstampError::new(&target.to_string(), error, Some(wanted)))
    }

    /// The link's speed in Mbit/s; `None` where it is unknown, as without a cable or for an
    /// interface that has none.
    pub fn speed_mbps<'a>(&mut self, interface: impl Into<Target<'a>>) -> io::Result<Option<u32>> {
        let target = interface.into();
        let answer = self
            .get(uapi::ETHTOOL_MSG_LINKMODES_GET, target, 0)
            // Without the attribute: the driver tells no speed.
            .map(|answer| message::speed(&answer).unwrap_or(SPEED_UNKNOWN))
            .or_else(|_| self.by_name(target, Ioctl::speed));
        let speed = unless_unsupported(answer)?;
        // Some drivers say 0 when there is no carrier.
        Ok(speed.filter(|&mbps| mbps != SPEED_UNKNOWN && mbps != 0))
    }

    /// The virtual clocks made of the interface's PHC, each N of `/dev/ptpN`; none where the
    /// kernel is older than they are (Linux 5.14).
    pub fn virtual_clocks<'a>(&mut self, interface: impl Into<Target<'a>>) -> io::Result<Vec<u32>> {
        let answer = self.get(uapi::ETHTOOL_MSG_PHC_VCLOCKS_GET, interface.into(), 0);
        let clocks = unless_unsupported(answer.map(|answer| message::virtual_clocks(&answer)))?;
        Ok(clocks.unwrap_or_default())
    }

    /// How the transmit stamps fared; `None` where kernel or driver does not count.
    pub fn statistics<'a>(
        &mut self,
        interface: impl Into<Target<'a>>,
    ) -> io::Result<Option<TxStampStatistics>> {
        let answer = self.get(
            uapi::ETHTOOL_MSG_TSINFO_GET,
            interface.into(),
            uapi::ETHTOOL_FLAG_STATS,
        );
        let counted = unless_unsupported(answer.map(|answer| message::statistics(&answer)))?;
        Ok(counted.flatten())
    }

    /// The name of the interface's driver, such as `igc`.
    pub fn driver<'a>(&mut self, interface: impl Into<Target<'a>>) -> io::Result<String> {
        self.by_name(interface.into(), Ioctl::driver)
    }

    fn set_by_netlink(&mut self, target: Target<'_>, wanted: Config) -> io::Result<Config> {
        let family = self.family_with(uapi::ETHTOOL_MSG_TSCONFIG_SET)?;
        let question = message::set_config(target, wanted).ok_or_else(unsupported)?;
        message::config(&family.ask(question)?).ok_or_else(family::no_answer)
    }

    /// The attributes of the answer to a question, by netlink.
    fn get(&mut self, command: u32, target: Target<'_>, flags: u32) -> io::Result<Vec<u8>> {
        let flags = flags | uapi::ETHTOOL_FLAG_COMPACT_BITSETS;
        self.family_with(command)?
            .ask(message::question(command, target, flags))
    }

    fn family_with(&mut self, command: u32) -> io::Result<&mut Family> {
        self.family
            .as_mut()
            .filter(|family| family.knows(command))
            .ok_or_else(unsupported)
    }

    /// Asks by ioctl, which knows names only.
    fn by_name<T>(
        &self,
        target: Target<'_>,
        ask: impl FnOnce(&Ioctl, &str) -> io::Result<T>,
    ) -> io::Result<T> {
        match target {
            Target::Name(name) => ask(&self.ioctl, name),
            Target::Index(index) => {
                let gone = |_| io::Error::from_raw_os_error(libc::ENODEV);
                ask(&self.ioctl, &net::name_of(index).map_err(gone)?)
            }
        }
    }
}

/// `SPEED_UNKNOWN` of `linux/ethtool.h`.
const SPEED_UNKNOWN: u32 = u32::MAX;

fn unsupported() -> io::Error {
    io::Error::from_raw_os_error(libc::EOPNOTSUPP)
}

/// `None` where kernel or driver has not what was asked for.
fn unless_unsupported<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(None),
        answer => answer.map(Some),
    }
}

#[cfg(test)]
mod tests;
