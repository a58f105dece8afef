//! What older kernels answer by ioctl only: `SIOCETHTOOL`, `SIOCGHWTSTAMP`, `SIOCSHWTSTAMP`.
//!
//! An ioctl names its interface, and names change; whoever can, asks by index over netlink.

use std::ffi::c_void;
use std::io;
use std::os::fd::OwnedFd;

use crate::hwtstamp::{Capabilities, Config};
use crate::ioctl::ioctl;
use crate::{socket, uapi};

/// A socket of the network namespace in which interfaces are looked up.
#[derive(Debug)]
pub(crate) struct Ioctl(OwnedFd);

impl Ioctl {
    /// For the network namespace of the calling thread.
    pub(crate) fn open() -> io::Result<Self> {
        socket::open_descriptor(libc::AF_INET, true).map(Self)
    }

    /// `ETHTOOL_GET_TS_INFO`.
    pub(crate) fn capabilities(&self, name: &str) -> io::Result<Capabilities> {
        let mut info = uapi::ethtool_ts_info {
            cmd: uapi::ETHTOOL_GET_TS_INFO,
            ..Default::default()
        };
        // SAFETY: with this `cmd` SIOCETHTOOL reads and writes one `ethtool_ts_info`, which is
        // what is handed over.
        unsafe { self.request(name, uapi::SIOCETHTOOL, &mut info) }?;
        Ok(Capabilities {
            timestamping: info.so_timestamping,
            // -1 stands for none.
            phc_index: u32::try_from(info.phc_index).ok(),
            tx_types: info.tx_types,
            rx_filters: info.rx_filters,
            source: None,
        })
    }

    /// `SIOCGHWTSTAMP`.
    pub(crate) fn config(&self, name: &str) -> io::Result<Config> {
        let mut config = uapi::hwtstamp_config::default();
        // SAFETY: SIOCGHWTSTAMP writes one `hwtstamp_config`, which is what is handed over.
        unsafe { self.request(name, uapi::SIOCGHWTSTAMP, &mut config) }?;
        Ok(Config::from_raw(config))
    }

    /// `SIOCSHWTSTAMP`; returns what the driver made of it.
    pub(crate) fn set_config(&self, name: &str, wanted: Config) -> io::Result<Config> {
        let mut config = wanted.to_raw();
        // SAFETY: SIOCSHWTSTAMP reads and writes one `hwtstamp_config`, which is what is handed
        // over.
        unsafe { self.request(name, uapi::SIOCSHWTSTAMP, &mut config) }?;
        Ok(Config::from_raw(config))
    }

    /// `ETHTOOL_GLINKSETTINGS`: the speed only, in Mbit/s or `SPEED_UNKNOWN`.
    pub(crate) fn speed(&self, name: &str) -> io::Result<u32> {
        /// The settings with room for the link modes, of which there are three bit maps of at
        /// most 127 words each (a signed byte counts the words).
        #[repr(C)]
        struct Settings {
            head: uapi::ethtool_link_settings,
            modes: [u32; 3 * 127],
        }
        let mut settings = Settings {
            head: uapi::ethtool_link_settings {
                cmd: uapi::ETHTOOL_GLINKSETTINGS,
                ..Default::default()
            },
            modes: [0; 3 * 127],
        };
        // SAFETY: SIOCETHTOOL with this `cmd` reads and writes one `ethtool_link_settings` and at
        // most the bit maps after it, for which there is room.
        unsafe { self.request(name, uapi::SIOCETHTOOL, &mut settings) }?;
        // The kernel refuses a word count that is not its own and answers the right one, negated.
        let words = settings.head.link_mode_masks_nwords.wrapping_neg();
        if words <= 0 {
            return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
        }
        settings.head = uapi::ethtool_link_settings {
            cmd: uapi::ETHTOOL_GLINKSETTINGS,
            link_mode_masks_nwords: words,
            ..Default::default()
        };
        // SAFETY: as above.
        unsafe { self.request(name, uapi::SIOCETHTOOL, &mut settings) }?;
        Ok(settings.head.speed)
    }

    /// `ETHTOOL_GDRVINFO`: the driver's name.
    pub(crate) fn driver(&self, name: &str) -> io::Result<String> {
        let mut info = uapi::ethtool_drvinfo {
            cmd: uapi::ETHTOOL_GDRVINFO,
            ..Default::default()
        };
        // SAFETY: with this `cmd` SIOCETHTOOL reads and writes one `ethtool_drvinfo`, which is
        // what is handed over.
        unsafe { self.request(name, uapi::SIOCETHTOOL, &mut info) }?;
        let bytes = info.driver.iter().map(|byte| byte.cast_unsigned());
        let text: Vec<u8> = bytes.take_while(|&byte| byte != 0).collect();
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// One interface ioctl whose argument is `data`.
    ///
    /// # Safety
    /// `data` must be the structure that the request reads and writes.
    unsafe fn request<T>(&self, name: &str, number: u32, data: &mut T) -> io::Result<()> {
        let mut request = libc::ifreq {
            ifr_name: [0; libc::IFNAMSIZ],
            ifr_ifru: libc::__c_anonymous_ifr_ifru {
                ifru_data: std::ptr::from_mut(data).cast::<c_void>().cast(),
            },
        };
        let name = name.as_bytes();
        // One byte stays for the terminating zero; longer names, and none, do not exist.
        if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains(&0) {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(name) {
            *to = from.cast_signed();
        }
        let number = libc::Ioctl::from(number);
        // SAFETY: `request` is a valid ifreq whose data pointer is valid for the whole call and
        // points to what the request expects, as the caller promises.
        unsafe { ioctl(&self.0, number, &mut request) }
    }
}
