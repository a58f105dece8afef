//! Network interfaces, listed and watched (rtnetlink(7)).

mod message;
mod watch;

use std::fmt;
use std::io;

use netlink_sys::protocols::NETLINK_ROUTE;

use crate::netlink::Conversation;
use message::Notice;
pub use watch::Watch;

/// A network interface as the kernel last described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number for it, for as long as it exists.
    pub index: u32,
    /// Its name, such as `eth0`, which may change.
    pub name: String,
    /// What kind of interface it is.
    pub kind: Kind,
    /// Is it administratively up (`IFF_UP`)?
    pub up: bool,
    /// Can it carry packets now (`IFF_RUNNING`: up, and a cable with a peer)?
    pub running: bool,
    /// Is it a loopback interface?
    pub loopback: bool,
    /// The index of the bond, bridge or team it belongs to.
    pub master: Option<u32>,
    /// The index of the interface below a VLAN, macvlan or ipvlan, if that is in this network
    /// namespace.
    pub lower: Option<u32>,
}

/// What kind of interface it is (`IFLA_INFO_KIND`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A device with a driver of its own: no kind is given.
    Device,
    /// A VLAN over its [`Link::lower`].
    Vlan,
    /// A bond of those whose [`Link::master`] it is.
    Bond,
    /// A team of those whose [`Link::master`] it is.
    Team,
    /// A bridge of those whose [`Link::master`] it is.
    Bridge,
    /// A MAC address of its own over its [`Link::lower`].
    Macvlan,
    /// An IP address of its own over its [`Link::lower`].
    Ipvlan,
    /// One end of a virtual cable.
    Veth,
    /// Another, by the kernel's name for it.
    Other(String),
}

impl Kind {
    /// Is it made of members, whose [`Link::master`] it is?
    pub const fn has_members(&self) -> bool {
        matches!(self, Self::Bond | Self::Team | Self::Bridge)
    }

    /// Does it send and receive through its [`Link::lower`]? (A veth's is its other end.)
    pub const fn is_on_lower(&self) -> bool {
        matches!(self, Self::Vlan | Self::Macvlan | Self::Ipvlan)
    }

    /// From the kernel's name for it.
    pub(crate) fn from_name(name: &str) -> Self {
        match name {
            "vlan" => Self::Vlan,
            "bond" => Self::Bond,
            "team" => Self::Team,
            "bridge" => Self::Bridge,
            "macvlan" => Self::Macvlan,
            "ipvlan" => Self::Ipvlan,
            "veth" => Self::Veth,
            _ => Self::Other(name.to_owned()),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Device => "device",
            Self::Vlan => "vlan",
            Self::Bond => "bond",
            Self::Team => "team",
            Self::Bridge => "bridge",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
            Self::Veth => "veth",
            Self::Other(name) => name,
        })
    }
}

/// What the kernel reports to a [`Watch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An interface came, or something of it changed: perhaps nothing that [`Link`] shows.
    Link(Link),
    /// An interface went.
    Gone {
        /// The index it had.
        index: u32,
    },
    /// An address came or went.
    Address,
    /// A route came or went.
    Route,
    /// The kernel had more to report than it could keep: changes are lost, [`list`] again.
    Missed,
}

/// All interfaces of the calling thread's network namespace, in the order of their indices.
pub fn list() -> io::Result<Vec<Link>> {
    let mut links: Vec<Link> = Conversation::open(NETLINK_ROUTE)?
        .list(&message::question())?
        .into_iter()
        .filter_map(|Notice(change)| match change {
            Some(Change::Link(link)) => Some(link),
            _ => None,
        })
        .collect();
    links.sort_by_key(|link| link.index);
    Ok(links)
}
