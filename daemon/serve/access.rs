//! Who is answered: two lists of networks as a binary trie.
//!
//! The longest prefix that an address is in decides. The trie is built once with every decision
//! pushed down to its leaves: a look-up goes down bit by bit until it meets a decision, no further
//! than the longest configured prefix around that address, and remembers nothing on its way.

use std::net::IpAddr;

use crate::config::Network;

/// In the place of a node's number: denied.
const DENY: u32 = u32::MAX;
/// In the place of a node's number: allowed.
const ALLOW: u32 = u32::MAX - 1;

/// Who is answered. Without any network: this host alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Access {
    ipv4: Trie,
    ipv6: Trie,
}

impl Access {
    /// Allows and denies these networks. Of one that is in both lists, which the configuration
    /// refuses, denying counts.
    pub(crate) fn new(allow: &[Network], deny: &[Network]) -> Self {
        let allowed = allow.iter().map(|network| (network, ALLOW));
        let denied = deny.iter().map(|network| (network, DENY));
        let mut networks: Vec<(&Network, u32)> = allowed.chain(denied).collect();
        // The sort is stable: of two that are equal, the denied one comes last.
        networks.sort_by_key(|(network, _)| network.prefix());
        let mut access = Self::default();
        for (network, decision) in networks {
            let address = network.address();
            let trie = if address.is_ipv4() {
                &mut access.ipv4
            } else {
                &mut access.ipv6
            };
            trie.insert(bits(address), network.prefix(), decision);
        }
        access
    }

    /// Is a request from `address` answered? Loopback always is. An IPv4 address mapped into IPv6
    /// counts as IPv4.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let trie = if address.is_ipv4() {
            &self.ipv4
        } else {
            &self.ipv6
        };
        address.is_loopback() || trie.find(bits(address)) == ALLOW
    }
}

/// An address with its first bit on top.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A node for each bit string that is a proper prefix of a network. What is for the next bit 0 and
/// what for 1: the number of a node, or a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trie {
    root: u32,
    nodes: Vec<[u32; 2]>,
}

impl Default for Trie {
    /// Everything is denied.
    fn default() -> Self {
        Self {
            root: DENY,
            nodes: Vec::new(),
        }
    }
}

impl Trie {
    /// Decides about the addresses that begin with the first `length` of `bits`. Shorter prefixes
    /// must have been inserted earlier.
    fn insert(&mut self, mut bits: u128, length: u8, decision: u32) {
        let mut place = None;
        for _ in 0..length {
            let node = self.open(place);
            place = Some((node, first(bits)));
            bits <<= 1;
        }
        self.set(place, decision);
    }

    /// The node at `place`; a decision there becomes a node that decides the same for both bits.
    fn open(&mut self, place: Option<(u32, usize)>) -> u32 {
        let found = match place {
            None => self.root,
            Some((node, bit)) => self.next(node, bit),
        };
        if found < ALLOW {
            return found;
        }
        // More nodes than there are numbers would need a configuration of gigabytes.
        let number = u32::try_from(self.nodes.len()).unwrap_or(DENY);
        self.nodes.push([found, found]);
        self.set(place, number);
        number
    }

    /// Puts a node's number or a decision at `place`; `None`: at the root.
    fn set(&mut self, place: Option<(u32, usize)>, value: u32) {
        let Some((node, bit)) = place else {
            self.root = value;
            return;
        };
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node[bit] = value;
        }
    }

    /// What comes after `node` for the next bit.
    #[inline]
    fn next(&self, node: u32, bit: usize) -> u32 {
        self.nodes.get(node as usize).map_or(DENY, |node| node[bit])
    }

    /// The decision about an address.
    #[inline]
    fn find(&self, mut bits: u128) -> u32 {
        let mut found = self.root;
        // Ends: nodes are at most as deep as the longest prefix, for each is opened once, below
        // one that was there before.
        while found < ALLOW {
            found = self.next(found, first(bits));
            bits <<= 1;
        }
        found
    }
}

/// The first bit.
#[inline]
const fn first(bits: u128) -> usize {
    (bits >> 127) as usize
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::config::ServerConfig;

    fn networks(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn access(allow: &[&str], deny: &[&str]) -> impl Fn(&str) -> bool {
        let access = Access::new(&networks(allow), &networks(deny));
        move |address| access.allows(address.parse().unwrap())
    }

    #[test]
    fn nobody_but_this_host_is_answered_unless_allowed() {
        let allows = access(&[], &[]);
        assert!(allows("127.0.0.1") && allows("127.9.9.9") && allows("::1"));
        assert!(allows("::ffff:127.0.0.1"));
        assert!(!allows("192.0.2.1") && !allows("2001:db8::1") && !allows("::2"));
        assert!(!allows("0.0.0.0") && !allows("255.255.255.255") && !allows("::"));
    }

    #[test]
    fn this_host_is_answered_also_where_everything_is_denied() {
        let allows = access(&["10.0.0.0/8"], &["0.0.0.0/0", "::/0", "127.0.0.1", "::1"]);
        assert!(allows("127.0.0.1") && allows("::1") && allows("10.1.1.1"));
        assert!(!allows("11.0.0.1") && !allows("::2"));
    }

    #[test]
    fn the_longest_prefix_decides_in_whatever_order_they_are_given() {
        let allow = ["192.0.2.0/24", "192.0.2.128/30", "0.0.0.0/0"];
        let deny = ["192.0.2.130/32", "192.0.0.0/16", "192.0.2.128/25"];
        let allows = access(&allow, &deny);
        for (address, allowed) in [
            ("8.8.8.8", true),
            ("192.0.3.1", false),
            ("192.0.2.1", true),
            ("192.0.2.127", true),
            ("192.0.2.128", true),
            ("192.0.2.129", true),
            ("192.0.2.130", false),
            ("192.0.2.131", true),
            ("192.0.2.132", false),
            ("192.0.2.255", false),
            ("::ffff:192.0.2.130", false),
            ("::ffff:192.0.2.131", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(allows(address), allowed, "{address}");
        }
    }

    #[test]
    fn the_families_do_not_mix() {
        let allows = access(&["::/0"], &[]);
        assert!(allows("2001:db8::1") && allows("a00::1"));
        assert!(!allows("10.0.0.1") && !allows("::ffff:10.0.0.1"));
        let allows = access(&["0.0.0.0/0"], &[]);
        assert!(allows("10.0.0.1") && allows("::ffff:10.0.0.1") && !allows("a00::1"));
    }

    #[test]
    fn the_last_bit_counts() {
        let allows = access(&["2001:db8::/127"], &["2001:db8::1"]);
        assert!(allows("2001:db8::") && !allows("2001:db8::1") && !allows("2001:db8::2"));
    }

    #[test]
    fn a_network_takes_no_more_nodes_than_it_has_bits() {
        let access = Access::new(&networks(&["2001:db8::/48", "10.0.0.0/8"]), &[]);
        assert_eq!((access.ipv6.nodes.len(), access.ipv4.nodes.len()), (48, 8));
        let everyone = Access::new(&networks(&["0.0.0.0/0", "::/0"]), &[]);
        assert_eq!(everyone.ipv6.nodes.len() + everyone.ipv4.nodes.len(), 0);
    }

    /// Networks that are often inside each other.
    fn some_network() -> impl Strategy<Value = Network> {
        let near = prop_oneof![0_u32..16, any::<u32>(), Just(u32::MAX)];
        prop_oneof![
            (near.clone(), 0_u32..=32).prop_map(|(address, prefix)| {
                let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
                format!("{}/{prefix}", Ipv4Addr::from_bits(address & mask))
            }),
            (near, 0_u32..=128).prop_map(|(address, prefix)| {
                let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
                let address = u128::from(address) << 96 | u128::from(address);
                format!("{}/{prefix}", Ipv6Addr::from_bits(address & mask))
            }),
        ]
        .prop_map(|text| text.parse().unwrap())
    }

    fn some_address() -> impl Strategy<Value = IpAddr> {
        let near = prop_oneof![0_u32..16, any::<u32>(), Just(u32::MAX)];
        prop_oneof![
            near.clone().prop_map(|v4| Ipv4Addr::from_bits(v4).into()),
            near.clone()
                .prop_map(|v4| Ipv4Addr::from_bits(v4).to_ipv6_mapped().into()),
            (near.clone(), near).prop_map(|(high, low)| {
                Ipv6Addr::from_bits(u128::from(high) << 96 | u128::from(low)).into()
            }),
        ]
    }

    proptest! {
        /// The trie decides as going through the lists does.
        #[test]
        fn the_trie_is_the_lists(
            allow in proptest::collection::vec(some_network(), 0..12),
            deny in proptest::collection::vec(some_network(), 0..12),
            addresses in proptest::collection::vec(some_address(), 40),
        ) {
            let access = Access::new(&allow, &deny);
            let edges: Vec<IpAddr> = allow.iter().chain(&deny).map(Network::address).collect();
            let server = ServerConfig { allow, deny, ..ServerConfig::default() };
            for address in addresses.into_iter().chain(edges) {
                prop_assert_eq!(access.allows(address), server.allows(address), "{}", address);
            }
        }
    }
}
