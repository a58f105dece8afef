//! One interface whose device stamps packets: what it can do, what it has been allowed to, and by
//! which clock.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use clockwright_sys::ethtool::Ethtool;
use clockwright_sys::hwtstamp::{
    self, Capabilities, Config, FilterChoice, HwtstampError, Receives,
};
use clockwright_timebase::{Duration, Raw, Timestamp};

use super::table::Access;

/// The speed of a link may change without the kernel telling (`ethtool -s`): so often it is looked
/// up while packets flow.
const SPEED_FRESH_FOR: Duration = Duration::from_secs(4);
/// A device that gives no stamps is looked at so often at most.
const SUSPECT_EVERY: Duration = Duration::from_secs(1);

/// Octets of a frame that the kernel does not count: the check sequence.
const FRAME_CHECK: u32 = 4;
/// The shortest frame on Ethernet, without the check sequence.
const SHORTEST_FRAME: u32 = 60;
/// What an unknown link is taken to have at least, for the uncertainty: 1 Gb/s.
const SLOWEST_MBPS: u32 = 1000;

/// What the user wants of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wishes {
    /// Which received packets to have stamped.
    pub(super) filter: FilterChoice,
    /// Added to transmit stamps.
    pub(super) tx_compensation: Duration,
    /// Subtracted from receive stamps.
    pub(super) rx_compensation: Duration,
    /// The clock that its stamps are of, where that is not the one the driver names.
    pub(super) clock: Option<Arc<Path>>,
}

/// What came of asking the driver to stamp.
#[derive(Debug)]
pub(super) enum Grant {
    /// It stamps as this says, which need not be what was asked for.
    Config(Config),
    /// It does not, for this reason.
    Refused(HwtstampError),
}

/// The stamping part of an interface.
#[derive(Debug)]
pub(super) struct Nic {
    /// What the device can do.
    pub(super) capabilities: Capabilities,
    /// The PTP hardware clock that its stamps are of.
    pub(super) clock: Arc<Path>,
    /// What it has been allowed to do.
    pub(super) grant: Grant,
    /// The link's speed; `None` if the driver does not know.
    pub(super) speed_mbps: Option<u32>,
    pub(super) wishes: Wishes,
    speed_read: Timestamp<Raw>,
    suspected: Option<Timestamp<Raw>>,
}

/// What a second look at a device's configuration found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Review {
    /// Nothing has changed, or it was looked at a moment ago.
    Same,
    /// Somebody changed it, in a way that is respected.
    Changed,
    /// It was lost (a driver reset, another program), and has been set again.
    Restored,
    /// It was lost, and cannot be set again.
    Lost,
}

impl Nic {
    /// Takes an interface into use.
    ///
    /// # Errors
    /// The interface is gone, or the kernel does not tell about it. `Ok(None)`: it has no hardware
    /// that stamps.
    pub(super) fn open(
        interface: u32,
        wishes: Wishes,
        access: Access,
        ethtool: &mut Ethtool,
        now: Timestamp<Raw>,
    ) -> Result<Option<Self>, HwtstampError> {
        let capabilities = ethtool.capabilities(interface)?;
        let stamps = capabilities.hardware_tx() || capabilities.hardware_rx();
        let (true, Some(phc)) = (stamps, capabilities.phc_index) else {
            return Ok(None);
        };
        let mut nic = Self {
            capabilities,
            clock: wishes
                .clock
                .clone()
                .unwrap_or_else(|| clockwright_phc::device(phc).into()),
            grant: Grant::Config(Config::OFF),
            speed_mbps: None,
            wishes,
            speed_read: now,
            suspected: None,
        };
        nic.configure(interface, access, ethtool);
        nic.read_speed(interface, ethtool, now);
        Ok(Some(nic))
    }

    /// Brings the device to stamp what is wanted and can be had. Reads first: what is set already
    /// and suffices stays, whoever set it.
    pub(super) fn configure(&mut self, interface: u32, access: Access, ethtool: &mut Ethtool) {
        if access == Access::Look {
            self.grant = Grant::Config(ethtool.config(interface).unwrap_or(Config::OFF));
            return;
        }
        self.grant = match ethtool.arrange(interface, self.wishes.filter) {
            Ok(arranged) => match (arranged.config, arranged.refused) {
                // What is in force may still be of use.
                (Some(config), None) => Grant::Config(config),
                (Some(config), Some(_)) if config.stamps_tx() => Grant::Config(config),
                (_, Some(error)) => Grant::Refused(error),
                (None, None) => Grant::Config(Config::OFF),
            },
            Err(error) => Grant::Refused(error),
        };
    }

    /// Looks again at a device that did not stamp as it should have: a reset of its driver forgets
    /// the configuration, and other programs may change it.
    pub(super) fn review(
        &mut self,
        interface: u32,
        access: Access,
        ethtool: &mut Ethtool,
        now: Timestamp<Raw>,
    ) -> Review {
        if self.suspected.is_some_and(|at| now - at < SUSPECT_EVERY) {
            return Review::Same;
        }
        self.suspected = Some(now);
        let before = self.granted();
        let found = ethtool.config(interface).ok();
        if before.is_some() && found == before {
            return Review::Same;
        }
        self.configure(interface, access, ethtool);
        match (before, self.granted()) {
            (Some(before), Some(after)) if before == after => Review::Restored,
            (None, None) => Review::Same,
            (_, Some(_)) => Review::Changed,
            (Some(_), None) => Review::Lost,
        }
    }

    /// Forgets when it was last looked at: something has happened to the device.
    pub(super) fn look_again(&mut self) {
        self.suspected = None;
    }

    /// What the driver stamps.
    pub(super) fn granted(&self) -> Option<Config> {
        match &self.grant {
            Grant::Config(config) => Some(*config),
            Grant::Refused(_) => None,
        }
    }

    /// Does it stamp what is sent?
    pub(super) fn transmits(&self) -> bool {
        self.capabilities.hardware_tx() && self.granted().is_some_and(|config| config.stamps_tx())
    }

    /// Which received packets it stamps.
    pub(super) fn receives(&self) -> Receives {
        match self.granted() {
            Some(config) if self.capabilities.hardware_rx() => hwtstamp::receives(config.rx),
            _ => Receives::Nothing,
        }
    }

    /// Looks up the link's speed if it was long ago.
    pub(super) fn refresh_speed(
        &mut self,
        interface: u32,
        ethtool: &mut Ethtool,
        now: Timestamp<Raw>,
    ) {
        if now - self.speed_read >= SPEED_FRESH_FOR {
            self.read_speed(interface, ethtool, now);
        }
    }

    /// Looks up the link's speed.
    pub(super) fn read_speed(
        &mut self,
        interface: u32,
        ethtool: &mut Ethtool,
        now: Timestamp<Raw>,
    ) {
        self.speed_read = now;
        self.speed_mbps = ethtool.speed_mbps(interface).unwrap_or(None);
    }

    /// How long a frame of `length` octets, without check sequence, takes to arrive; and how far
    /// that can be wrong. Hardware stamps a frame's start, and NTP wants its end (RFC 10030
    /// section 3; facts of chrony: the preamble does not count).
    pub(super) fn frame_time(&self, length: u32) -> Airtime {
        Airtime::of_frame(length, self.speed_mbps)
    }
}

#[cfg(test)]
impl Wishes {
    /// Nothing in particular.
    pub(super) const fn none() -> Self {
        Self {
            filter: FilterChoice::None,
            tx_compensation: Duration::ZERO,
            rx_compensation: Duration::ZERO,
            clock: None,
        }
    }
}

#[cfg(test)]
impl Nic {
    /// One that is on no host.
    pub(super) fn made_up(
        capabilities: Capabilities,
        grant: Grant,
        speed_mbps: Option<u32>,
    ) -> Self {
        Self {
            capabilities,
            clock: Path::new("/dev/null").into(),
            grant,
            speed_mbps,
            wishes: Wishes::none(),
            speed_read: Timestamp::EPOCH,
            suspected: None,
        }
    }
}

/// How long a frame takes on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Airtime {
    /// What is known of it, to be added.
    pub(super) known: Duration,
    /// What may have to be added besides.
    pub(super) doubt: Duration,
}

impl Airtime {
    /// Of a frame of `length` octets, without check sequence, at this speed; `None`: unknown.
    pub(super) fn of_frame(length: u32, speed_mbps: Option<u32>) -> Self {
        let bits = i64::from(length.max(SHORTEST_FRAME) + FRAME_CHECK) * 8;
        match speed_mbps.filter(|speed| *speed > 0) {
            Some(speed) => Self {
                known: Duration::from_nanos(bits * 1000) / i32::try_from(speed).unwrap_or(i32::MAX),
                doubt: Duration::ZERO,
            },
            None => Self {
                known: Duration::ZERO,
                doubt: Duration::from_nanos(bits * 1000 / i64::from(SLOWEST_MBPS)),
            },
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(config) => write!(f, "transmit {}, receive {}", config.tx, config.rx),
            Self::Refused(error) => write!(f, "{error}"),
        }
    }
}
