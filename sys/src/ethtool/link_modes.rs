//! The speed of a link, as the kernel writes it.

/// A link's speed, or that it is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Speed(Option<u32>);

impl Speed {
    /// From `speed` of `struct ethtool_link_settings` or `ETHTOOL_A_LINKMODES_SPEED`: Mbit/s,
    /// with -1 (`SPEED_UNKNOWN`) and 0 (no carrier, some drivers) for unknown.
    pub(crate) const fn from_raw(mbps: u32) -> Self {
        match mbps {
            0 | u32::MAX => Self(None),
            _ => Self(Some(mbps)),
        }
    }

    /// Mbit/s where it is known.
    pub(crate) const fn mbps(self) -> Option<u32> {
        self.0
    }
}
