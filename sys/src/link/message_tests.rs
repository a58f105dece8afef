use proptest::prelude::*;

use super::*;
use crate::netlink;

const UP: u32 = 0x1;
const LOOPBACK: u32 = 0x8;
const RUNNING: u32 = 0x40;

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap();
    let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A link of this family, index and flags with these attributes, as in `RTM_NEWLINK`.
fn message(family: u8, index: u32, flags: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![family, 0, 1, 0];
    bytes.extend(index.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(attributes.concat());
    bytes
}

fn name(name: &str) -> Vec<u8> {
    attribute(3, &[name.as_bytes(), &[0]].concat())
}

fn index(kind: u16, index: u32) -> Vec<u8> {
    attribute(kind, &index.to_ne_bytes())
}

fn kind_of(kind: &str) -> Vec<u8> {
    let kind = attribute(1, &[kind.as_bytes(), &[0]].concat());
    let data = attribute(0x8002, &[1, 2, 3, 4]);
    attribute(0x8012, &[data, kind].concat())
}

const LINK: u16 = 5;
const MASTER: u16 = 10;
const NETNSID: u16 = 37;

#[test]
fn a_device_is_read() {
    let attributes = [index(MASTER, 9), name("eth0"), index(LINK, 0)];
    let link = link(&message(0, 2, UP | RUNNING, &attributes)).unwrap();
    assert_eq!((link.index, &*link.name), (2, "eth0"));
    assert_eq!((link.up, link.running, link.loopback), (true, true, false));
    assert_eq!(
        (link.kind, link.master, link.lower),
        (Kind::Device, Some(9), None)
    );
}

#[test]
fn only_what_lies_below_is_lower() {
    let read = |kind: &str, more: Vec<u8>| {
        let attributes = [name("x"), kind_of(kind), index(LINK, 7), more];
        let link = link(&message(0, 2, LOOPBACK, &attributes)).unwrap();
        assert!(link.loopback && !link.up && !link.running);
        (link.kind, link.lower)
    };
    assert_eq!(read("vlan", vec![]), (Kind::Vlan, Some(7)));
    assert_eq!(read("macvlan", vec![]), (Kind::Macvlan, Some(7)));
    assert_eq!(read("veth", vec![]), (Kind::Veth, None));
    assert_eq!(read("gre", vec![]), (Kind::Other("gre".into()), None));
    assert_eq!(read("vlan", index(NETNSID, 0)), (Kind::Vlan, None));
}

#[test]
fn messages_about_something_else_are_no_links() {
    let attributes = [name("eth0")];
    assert!(link(&message(0, 2, UP, &attributes)).is_some());
    let bridge_port = message(7, 2, UP, &attributes);
    assert_eq!(link(&bridge_port), None);
    assert_eq!(gone(&bridge_port), None);
    assert_eq!(
        gone(&message(0, 2, UP, &[])),
        Some(Change::Gone { index: 2 })
    );
    let wireless_event = message(0, 2, UP, &[attribute(11, &[0; 8])]);
    assert_eq!(link(&wireless_event), None);
    assert_eq!(link(&[0; 15]), None);
}

#[test]
fn a_name_need_not_be_text() {
    let attributes = [attribute(3, &[b'e', 0xff, 0, b'x'])];
    assert_eq!(
        link(&message(0, 2, 0, &attributes)).unwrap().name,
        "e\u{fffd}"
    );
}

proptest! {
    #[test]
    fn nothing_the_kernel_sends_makes_the_reader_panic(
        mut bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            Just(message(0, 2, 1, &[name("eth0"), kind_of("vlan"), index(LINK, 7)])),
        ],
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
        message_type in 0..40_u16,
    ) {
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        link(&bytes);
        gone(&bytes);
        let _ = netlink::messages::<Notice>(&bytes).count();
        let length = u32::try_from(16 + bytes.len()).unwrap();
        let mut datagram = length.to_ne_bytes().to_vec();
        datagram.extend(message_type.to_ne_bytes());
        datagram.extend([0; 10]);
        datagram.extend(bytes);
        prop_assert!(netlink::messages::<Notice>(&datagram).count() <= 2);
    }
}
