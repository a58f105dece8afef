//! Network interfaces and their addresses.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::{InterfaceFlags, if_indextoname, if_nametoindex};

/// A network interface as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's index; stable while the interface exists.
    pub index: u32,
    /// The name, such as `eth0`.
    pub name: String,
    /// Is it administratively up?
    pub up: bool,
    /// Is it a loopback interface?
    pub loopback: bool,
    /// Its IPv4 and IPv6 addresses.
    pub addresses: Vec<IpAddr>,
}

/// All interfaces of this network namespace, in the order of their indices.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut by_index = BTreeMap::new();
    // The kernel lists an interface once for each of its addresses.
    for entry in getifaddrs()? {
        // One that vanished since the listing began has no index any more.
        let Ok(index) = if_nametoindex(entry.interface_name.as_str()) else {
            continue;
        };
        let interface = by_index.entry(index).or_insert_with(|| Interface {
            index,
            name: entry.interface_name.clone(),
            up: entry.flags.contains(InterfaceFlags::IFF_UP),
            loopback: entry.flags.contains(InterfaceFlags::IFF_LOOPBACK),
            addresses: Vec::new(),
        });
        interface.addresses.extend(ip_of(&entry));
    }
    Ok(by_index.into_values().collect())
}

/// The index of the interface called `name`.
pub fn index_of(name: &str) -> io::Result<u32> {
    Ok(if_nametoindex(name)?)
}

/// The name of the interface with index `index`.
pub fn name_of(index: u32) -> io::Result<String> {
    let name = if_indextoname(index)?;
    // nix 0.30 mistakes the C library's null pointer for success and hands out an empty name.
    if name.is_empty() {
        return Err(io::Error::from_raw_os_error(libc::ENXIO));
    }
    Ok(name.to_string_lossy().into_owned())
}

/// The entry's address where it is one of IP.
fn ip_of(entry: &InterfaceAddress) -> Option<IpAddr> {
    let address = entry.address.as_ref()?;
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(v4.ip().into());
    }
    address.as_sockaddr_in6().map(|v6| v6.ip().into())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn loopback_is_listed_once_with_its_address() {
        let all = interfaces().unwrap();
        let loopbacks: Vec<_> = all.iter().filter(|i| i.loopback).collect();
        assert_eq!(loopbacks.len(), 1, "{all:?}");
        assert!(loopbacks[0].addresses.contains(&Ipv4Addr::LOCALHOST.into()));
        assert_eq!(index_of(&loopbacks[0].name).unwrap(), loopbacks[0].index);
        assert_eq!(name_of(loopbacks[0].index).unwrap(), loopbacks[0].name);
    }

    #[test]
    fn an_unknown_interface_is_an_error() {
        assert!(index_of("no-such-if0").is_err());
        assert!(name_of(u32::MAX).is_err());
    }
}
