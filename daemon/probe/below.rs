//! Which devices stamp the packets of an interface on top of others.

use clockwright_sys::link::{Kind, Link};

/// The longest chain from an interface down to its device: a VLAN on a VLAN on a bond on devices.
const DEEPEST: usize = 8;

/// The devices below `link` whose hardware stamps its packets, by index; none if it is itself one.
pub(super) fn devices_below<'l>(link: &Link, all: &'l [Link]) -> Vec<&'l Link> {
    let mut devices = Vec::new();
    let mut layer = directly_below(link, all);
    for _ in 0..DEEPEST {
        let mut next = Vec::new();
        for below in layer {
            let further = directly_below(below, all);
            if further.is_empty() {
                devices.push(below);
            } else {
                next.extend(further);
            }
        }
        layer = next;
    }
    devices.sort_by_key(|device| device.index);
    devices.dedup_by_key(|device| device.index);
    devices
}

/// The members of a bond or team, the interface under a VLAN or macvlan. A bridge's ports do not
/// count: its own packets go by any of them, and it is not known by which.
fn directly_below<'l>(link: &Link, all: &'l [Link]) -> Vec<&'l Link> {
    let is_below = |other: &&Link| match link.kind {
        Kind::Bond | Kind::Team => other.master == Some(link.index),
        _ => link.kind.is_on_lower() && link.lower == Some(other.index),
    };
    all.iter().filter(is_below).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, kind: Kind, master: Option<u32>, lower: Option<u32>) -> Link {
        Link {
            index,
            name: format!("if{index}"),
            kind,
            up: true,
            running: true,
            loopback: false,
            master,
            lower,
        }
    }

    #[test]
    fn a_vlan_on_a_bond_is_stamped_by_its_members() {
        let all = [
            link(2, Kind::Device, Some(4), None),
            link(3, Kind::Device, Some(4), None),
            link(4, Kind::Bond, None, None),
            link(5, Kind::Vlan, None, Some(4)),
            link(6, Kind::Bridge, None, None),
            link(7, Kind::Device, Some(6), None),
        ];
        let below = |index: u32| -> Vec<u32> {
            let link = all.iter().find(|link| link.index == index).unwrap();
            devices_below(link, &all).iter().map(|d| d.index).collect()
        };
        assert_eq!(below(5), [2, 3]);
        assert_eq!(below(4), [2, 3]);
        assert!(below(2).is_empty() && below(6).is_empty());
    }

    #[test]
    fn a_circle_ends() {
        let all = [
            link(1, Kind::Vlan, None, Some(2)),
            link(2, Kind::Vlan, None, Some(1)),
        ];
        assert!(devices_below(&all[0], &all).is_empty());
    }
}
