//! What rtnetlink says of an interface, read with forbearance.
//!
//! Framing is the library's. Its typed reading of a link's some hundred attributes is not used:
//! one that a younger kernel made longer or gave a new value would lose the whole interface,
//! and eight are needed.

use std::convert::Infallible;

use netlink_packet_core::{
    NetlinkDeserializable, NetlinkHeader, NlaBuffer, NlasIterator, parse_u32,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage, LinkMessageBuffer};

use super::{Change, Kind, Link};
use crate::uapi;

/// The question for all links, without their counters, which would be the most of each.
pub(super) fn question() -> RouteNetlinkMessage {
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])];
    RouteNetlinkMessage::GetLink(message)
}

/// A message of rtnetlink: the change it tells of, if it is one.
#[derive(Debug)]
pub(super) struct Notice(pub(super) Option<Change>);

impl NetlinkDeserializable for Notice {
    type Error = Infallible;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Infallible> {
        Ok(Self(match header.message_type {
            libc::RTM_NEWLINK => link(payload).map(Change::Link),
            libc::RTM_DELLINK => gone(payload),
            libc::RTM_NEWADDR | libc::RTM_DELADDR => Some(Change::Address),
            libc::RTM_NEWROUTE | libc::RTM_DELROUTE => Some(Change::Route),
            _ => None,
        }))
    }
}

/// The head of a message about a link as such. The same message types come with another family
/// when something of a protocol's changed: a bridge's port that leaves is "deleted" as a port.
fn head(payload: &[u8]) -> Option<LinkMessageBuffer<&[u8]>> {
    let head = LinkMessageBuffer::new_checked(payload).ok()?;
    (i32::from(head.interface_family()) == libc::AF_UNSPEC).then_some(head)
}

fn gone(payload: &[u8]) -> Option<Change> {
    let index = head(payload)?.link_index();
    Some(Change::Gone { index })
}

/// A link from an `RTM_NEWLINK`; `None` where the message is about something else.
pub(super) fn link(payload: &[u8]) -> Option<Link> {
    let head = head(payload)?;
    let flags = head.flags();
    let has = |flag: libc::c_int| flags & flag.cast_unsigned() != 0;
    let mut link = Link {
        index: head.link_index(),
        name: String::new(),
        kind: Kind::Device,
        up: has(libc::IFF_UP),
        running: has(libc::IFF_RUNNING),
        loopback: has(libc::IFF_LOOPBACK),
        master: None,
        lower: None,
    };
    let mut elsewhere = false;
    for attribute in NlasIterator::new(head.payload()).map_while(Result::ok) {
        match u32::from(attribute.kind()) {
            uapi::IFLA_IFNAME => link.name = text(&attribute),
            uapi::IFLA_MASTER => link.master = number(&attribute),
            uapi::IFLA_LINK => link.lower = number(&attribute),
            // The lower interface's index counts in another network namespace.
            uapi::IFLA_LINK_NETNSID => elsewhere = true,
            uapi::IFLA_LINKINFO => link.kind = kind(&attribute),
            _ => {}
        }
    }
    // A cable's other end is not below it, and what tunnels run over carries other packets.
    if elsewhere || !matches!(link.kind, Kind::Vlan | Kind::Macvlan | Kind::Ipvlan) {
        link.lower = None;
    }
    // Wireless events come as links without a name, and describe none.
    (link.index != 0 && !link.name.is_empty()).then_some(link)
}

fn kind(info: &NlaBuffer<&[u8]>) -> Kind {
    NlasIterator::new(info.value())
        .map_while(Result::ok)
        .find(|attribute| u32::from(attribute.kind()) == uapi::IFLA_INFO_KIND)
        .map_or(Kind::Device, |attribute| Kind::from_name(&text(&attribute)))
}

/// A string, which ends with a zero. Names of interfaces need not be UTF-8.
fn text(attribute: &NlaBuffer<&[u8]>) -> String {
    let bytes = attribute.value().split(|&byte| byte == 0).next();
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

/// An index; 0 stands for none.
fn number(attribute: &NlaBuffer<&[u8]>) -> Option<u32> {
    parse_u32(attribute.value())
        .ok()
        .filter(|&index| index != 0)
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
