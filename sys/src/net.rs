//! Network interfaces and their addresses.

use std::io;
use std::net::IpAddr;

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
    Err(io::ErrorKind::Unsupported.into())
}

/// The index of the interface called `name`.
pub fn index_of(name: &str) -> io::Result<u32> {
    Ok(nix::net::if_::if_nametoindex(name)?)
}

/// The name of the interface with index `index`.
pub fn name_of(index: u32) -> io::Result<String> {
    let name = nix::net::if_::if_indextoname(index)?;
    Ok(name.to_string_lossy().into_owned())
}
