//! Why a packet has no hardware stamp that could be used.

use std::fmt;

use crate::clock::Implausible;

/// Why one packet was stamped by the kernel or the daemon rather than by a NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// The interface has no hardware that stamps, or no clock behind it.
    NoHardware,
    /// The configuration leaves the interface to software.
    NotWanted,
    /// The device could stamp, and has not been allowed to: the interface's own words say why.
    NotGranted,
    /// The receive filter in force leaves this packet out.
    Filter,
    /// The hardware should have stamped the packet, and no stamp came.
    Missing,
    /// Nobody can tell which interface the stamp is from.
    UnknownInterface,
    /// The PTP hardware clock cannot be read.
    ClockUnreadable,
    /// The PTP hardware clock was set by somebody else while the packet was under way.
    ClockSet,
    /// The stamp cannot be right.
    Implausible(Implausible),
}

impl Fallback {
    /// The number of reasons.
    pub const COUNT: usize = 9;

    /// All reasons' names, in the order of [`Fallback::index`].
    pub const NAMES: [&'static str; Self::COUNT] = [
        "no_hardware",
        "not_wanted",
        "not_granted",
        "filter",
        "missing",
        "unknown_interface",
        "clock_unreadable",
        "clock_set",
        "implausible",
    ];

    /// Its place among all reasons.
    pub const fn index(self) -> usize {
        match self {
            Self::NoHardware => 0,
            Self::NotWanted => 1,
            Self::NotGranted => 2,
            Self::Filter => 3,
            Self::Missing => 4,
            Self::UnknownInterface => 5,
            Self::ClockUnreadable => 6,
            Self::ClockSet => 7,
            Self::Implausible(_) => 8,
        }
    }

    /// The reason with this place; `why` is in what way a stamp cannot be right, where that is it.
    pub const fn from_index(index: usize, why: Implausible) -> Option<Self> {
        Some(match index {
            0 => Self::NoHardware,
            1 => Self::NotWanted,
            2 => Self::NotGranted,
            3 => Self::Filter,
            4 => Self::Missing,
            5 => Self::UnknownInterface,
            6 => Self::ClockUnreadable,
            7 => Self::ClockSet,
            8 => Self::Implausible(why),
            _ => return None,
        })
    }

    /// Its name in JSON.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self.index()]
    }
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHardware => f.write_str("the interface has no hardware timestamps"),
            Self::NotWanted => {
                f.write_str("timestamping.interfaces in the configuration leaves it out")
            }
            Self::NotGranted => f.write_str("hardware timestamps could not be switched on"),
            Self::Filter => f.write_str("the receive filter leaves these packets out"),
            Self::Missing => f.write_str("the hardware gave no timestamp"),
            Self::UnknownInterface => {
                f.write_str("the kernel does not say which interface took the timestamp")
            }
            Self::ClockUnreadable => f.write_str("the PTP hardware clock cannot be read"),
            Self::ClockSet => {
                f.write_str("the PTP hardware clock was set while the packet was under way")
            }
            Self::Implausible(why) => write!(f, "the timestamp cannot be right: it is {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clockwright_timebase::Duration;

    #[test]
    fn every_reason_has_a_place_and_a_name_of_its_own() {
        let all = [
            Fallback::NoHardware,
            Fallback::NotWanted,
            Fallback::NotGranted,
            Fallback::Filter,
            Fallback::Missing,
            Fallback::UnknownInterface,
            Fallback::ClockUnreadable,
            Fallback::ClockSet,
            Fallback::Implausible(Implausible::Old(Duration::ZERO)),
        ];
        for (place, reason) in all.iter().enumerate() {
            assert_eq!(reason.index(), place);
            assert_eq!(reason.name(), Fallback::NAMES[place]);
            let why = Implausible::Old(Duration::ZERO);
            assert_eq!(Fallback::from_index(place, why), Some(*reason));
        }
        assert_eq!(all.len(), Fallback::COUNT);
        assert_eq!(
            Fallback::from_index(9, Implausible::Old(Duration::ZERO)),
            None
        );
    }
}
