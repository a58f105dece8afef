//! Which stamping to ask an interface for, being not the only program that uses it.
//!
//! A NIC has one receive filter for all programs. The rule here: what is set is only ever widened,
//! so that ptp4l beside us keeps its stamps.

use std::fmt;

use super::{Capabilities, Config, RxFilter, TxType};
use crate::uapi;

/// Which received packets the user wants stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FilterChoice {
    /// NTP packets; where the NIC cannot stamp these and `ptp_transport` is set, PTP packets
    /// over UDP, which can carry NTP (RFC 10030).
    Auto {
        /// May NTP go over PTP?
        ptp_transport: bool,
    },
    /// All packets.
    All,
    /// NTP packets.
    Ntp,
    /// PTP packets over UDP, which can carry NTP.
    Ptp,
    /// None of our own asking; transmitted packets are stamped all the same.
    None,
}

/// What to do about an interface's stamping, from [`wanted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// The NIC stamps nothing: there is nothing to set.
    NoHardware,
    /// What is set is what is wanted, or as near as can be had: leave it alone.
    Keep {
        /// What is set.
        config: Config,
        /// What is wanted and cannot be had.
        lack: Option<Lack>,
    },
    /// Set this, and see what the driver grants. Where it refuses ([`super::HwtstampError::FilterImpossible`]),
    /// plan again with [`Capabilities::without_rx`].
    Set {
        /// What to set.
        config: Config,
        /// What is wanted and cannot be had.
        lack: Option<Lack>,
    },
}

/// Why the wanted packets will not be stamped on reception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lack {
    /// The NIC has no filter for them.
    NotOffered,
    /// Another program set this filter; the NIC has one for these packets, and none for both.
    Taken(RxFilter),
}

/// Which received packets of ours a filter stamps, from [`receives`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Receives {
    /// All packets.
    AllPackets,
    /// Plain NTP packets (UDP port 123) and no PTP.
    NtpOnly,
    /// PTP packets only.
    PtpOnly {
        /// Is NTP over PTP among them (PTP version 2, event messages, over UDP)?
        l4: bool,
    },
    /// None.
    Nothing,
    /// The driver does not say ([`RxFilter::Some`]), or this version does not know the filter.
    /// Stamps may come, and may be used where they come.
    Unsaid,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOffered => f.write_str("the NIC has no receive filter for these packets"),
            Self::Taken(filter) => write!(
                f,
                "another program set the receive filter {filter}, and the NIC has none that covers both"
            ),
        }
    }
}

/// What to set on an interface with these capabilities, which is now set to `current` (`None`
/// where the driver cannot tell), for the user's `choice`.
///
/// Transmission: on where it is off. Another program's one-step setting stays, since it stamps
/// ordinary packets as "on" does (`linux/net_tstamp.h`, `HWTSTAMP_TX_ONESTEP_SYNC`).
///
/// Reception: what is set is never narrowed. If it covers what is wanted, it stays; if not, the
/// narrowest filter that covers both is asked for ("all" covers everything). If there is none, what
/// is set stays. Where what is set cannot be known, the widest filter is asked for.
///
/// Flags stay as they are set. `HWTSTAMP_FLAG_BONDED_PHC_INDEX` is not among them: it is for those
/// who ask through a bond, and we ask its members.
pub fn wanted(caps: &Capabilities, current: Option<Config>, choice: FilterChoice) -> Plan {
    let can_receive = caps.hardware_rx() && caps.rx_filters & !bit(RxFilter::None) != 0;
    if !can_receive && !caps.hardware_tx() {
        return Plan::NoHardware;
    }
    let (rx, lack) = if can_receive {
        wanted_rx(caps, current.map(|config| config.rx), choice)
    } else {
        let set = current.map_or(RxFilter::None, |config| config.rx);
        (
            set,
            (choice != FilterChoice::None).then_some(Lack::NotOffered),
        )
    };
    let config = Config {
        flags: current.map_or(0, |config| config.flags) & !BONDED_PHC_INDEX,
        tx: wanted_tx(caps, current.map(|config| config.tx)),
        rx,
    };
    match current {
        Some(set) if (set.tx, set.rx) == (config.tx, config.rx) => Plan::Keep { config: set, lack },
        _ => Plan::Set { config, lack },
    }
}

/// Which of our received packets this filter, granted by the driver, stamps.
pub fn receives(filter: RxFilter) -> Receives {
    let Some(packets) = Packets::of(filter) else {
        return Receives::Unsaid;
    };
    if packets == Packets::ALL {
        Receives::AllPackets
    } else if packets.contain(Packets::NTP) {
        Receives::NtpOnly
    } else if packets == Packets::NONE {
        Receives::Nothing
    } else {
        let l4 = packets.contain(Packets::NTP_OVER_PTP);
        Receives::PtpOnly { l4 }
    }
}

impl Capabilities {
    /// The same without one receive filter: that which the driver said it has and then refused.
    #[must_use]
    pub fn without_rx(mut self, filter: RxFilter) -> Self {
        self.rx_filters &= !bit(filter);
        self
    }
}

const BONDED_PHC_INDEX: i32 = uapi::HWTSTAMP_FLAG_BONDED_PHC_INDEX.cast_signed();

fn bit(filter: RxFilter) -> u32 {
    u32::try_from(filter.as_raw())
        .ok()
        .and_then(|number| 1_u32.checked_shl(number))
        .unwrap_or(0)
}

fn wanted_tx(caps: &Capabilities, set: Option<TxType>) -> TxType {
    match set {
        Some(set) if set != TxType::Off => set,
        _ if caps.hardware_tx() && caps.offers_tx(TxType::On) => TxType::On,
        _ => TxType::Off,
    }
}

fn wanted_rx(
    caps: &Capabilities,
    set: Option<RxFilter>,
    choice: FilterChoice,
) -> (RxFilter, Option<Lack>) {
    let goals = goals(choice);
    for &goal in goals {
        if let Some(filter) = filter_for(caps, set, goal) {
            return (filter, None);
        }
    }
    let lack = match set {
        _ if goals.is_empty() => None,
        Some(set) if goals.iter().any(|&goal| narrowest(caps, goal).is_some()) => {
            Some(Lack::Taken(set))
        }
        _ => Some(Lack::NotOffered),
    };
    // Unknown: any PTP program beside us keeps its stamps by the widest there is.
    let set = set.or_else(|| widest(caps, Packets::NONE));
    (set.unwrap_or(RxFilter::None), lack)
}

/// The filter for these packets and for whatever others rely on.
fn filter_for(caps: &Capabilities, set: Option<RxFilter>, goal: Packets) -> Option<RxFilter> {
    match (set, set.map(Packets::of)) {
        (Some(set), Some(Some(taken))) if taken.contain(goal) => Some(set),
        (_, Some(Some(taken))) => narrowest(caps, taken.and(goal)),
        // Set, and who knows to what: only "all" is wider than that for certain.
        (_, Some(None)) => narrowest(caps, Packets::ALL),
        (_, None) => widest(caps, goal),
    }
}

/// What the user would have stamped, the best first.
const fn goals(choice: FilterChoice) -> &'static [Packets] {
    match choice {
        FilterChoice::Auto {
            ptp_transport: true,
        } => &[Packets::NTP, Packets::NTP_OVER_PTP],
        FilterChoice::Auto {
            ptp_transport: false,
        }
        | FilterChoice::Ntp => &[Packets::NTP],
        FilterChoice::All => &[Packets::ALL],
        FilterChoice::Ptp => &[Packets::NTP_OVER_PTP],
        FilterChoice::None => &[],
    }
}

/// The offered filter that covers `packets` and the least besides.
fn narrowest(caps: &Capabilities, packets: Packets) -> Option<RxFilter> {
    offered(caps, packets)
        .min_by_key(|&(_, covered)| covered.count())
        .map(|(filter, _)| filter)
}

/// The offered filter that covers `packets` and the most besides.
fn widest(caps: &Capabilities, packets: Packets) -> Option<RxFilter> {
    offered(caps, packets)
        .max_by_key(|&(_, covered)| covered.count())
        .map(|(filter, _)| filter)
}

fn offered(caps: &Capabilities, packets: Packets) -> impl Iterator<Item = (RxFilter, Packets)> {
    RxFilter::KNOWN
        .iter()
        .filter(|&&filter| caps.offers_rx(filter))
        .filter_map(|&filter| Some((filter, Packets::of(filter)?)))
        .filter(move |(_, covered)| covered.contain(packets))
}

/// A set of kinds of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packets(u16);

impl Packets {
    const NONE: Self = Self(0);
    const V1_L4_SYNC: Self = Self(1);
    const V1_L4_DELAY_REQ: Self = Self(1 << 1);
    /// Event messages: these two, and those for peer delays.
    const V1_L4: Self = Self(0b111);
    const V2_L4_SYNC: Self = Self(1 << 3);
    const V2_L4_DELAY_REQ: Self = Self(1 << 4);
    const V2_L4: Self = Self(0b111 << 3);
    const V2_L2_SYNC: Self = Self(1 << 6);
    const V2_L2_DELAY_REQ: Self = Self(1 << 7);
    const V2_L2: Self = Self(0b111 << 6);
    const NTP: Self = Self(1 << 9);
    /// These and all others.
    const ALL: Self = Self(0b111_1111_1111);
    /// NTP over PTP may come in Sync and in `Delay_Req` messages (RFC 10030 section 2).
    const NTP_OVER_PTP: Self = Self::V2_L4;

    /// Those that a filter stamps; `None` where that is not known.
    const fn of(filter: RxFilter) -> Option<Self> {
        Some(match filter {
            RxFilter::None => Self::NONE,
            RxFilter::All => Self::ALL,
            RxFilter::PtpV1L4Event => Self::V1_L4,
            RxFilter::PtpV1L4Sync => Self::V1_L4_SYNC,
            RxFilter::PtpV1L4DelayReq => Self::V1_L4_DELAY_REQ,
            RxFilter::PtpV2L4Event => Self::V2_L4,
            RxFilter::PtpV2L4Sync => Self::V2_L4_SYNC,
            RxFilter::PtpV2L4DelayReq => Self::V2_L4_DELAY_REQ,
            RxFilter::PtpV2L2Event => Self::V2_L2,
            RxFilter::PtpV2L2Sync => Self::V2_L2_SYNC,
            RxFilter::PtpV2L2DelayReq => Self::V2_L2_DELAY_REQ,
            RxFilter::PtpV2Event => Self::V2_L4.and(Self::V2_L2),
            RxFilter::PtpV2Sync => Self::V2_L4_SYNC.and(Self::V2_L2_SYNC),
            RxFilter::PtpV2DelayReq => Self::V2_L4_DELAY_REQ.and(Self::V2_L2_DELAY_REQ),
            RxFilter::NtpAll => Self::NTP,
            RxFilter::Some | RxFilter::Unknown(_) => return None,
        })
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn contain(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    const fn count(self) -> u32 {
        self.0.count_ones()
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
