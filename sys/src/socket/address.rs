//! Socket addresses in the kernel's form, as bytes.

use std::mem::{offset_of, size_of};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// The larger of the two families used.
pub(super) const SPACE: usize = size_of::<libc::sockaddr_in6>();

const PORT: usize = offset_of!(libc::sockaddr_in, sin_port);
const V4: usize = offset_of!(libc::sockaddr_in, sin_addr);
const FLOW: usize = offset_of!(libc::sockaddr_in6, sin6_flowinfo);
const V6: usize = offset_of!(libc::sockaddr_in6, sin6_addr);
const SCOPE: usize = offset_of!(libc::sockaddr_in6, sin6_scope_id);
const _: () = assert!(offset_of!(libc::sockaddr_in, sin_family) == 0);
const _: () = assert!(offset_of!(libc::sockaddr_in6, sin6_family) == 0);
const _: () = assert!(offset_of!(libc::sockaddr_in6, sin6_port) == PORT);

/// A buffer for an address, aligned as `struct sockaddr_in6` is.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Buffer(pub(super) [u8; SPACE]);

impl Buffer {
    pub(super) const EMPTY: Self = Self([0; SPACE]);
}

/// Writes `address` and returns how many bytes of the buffer it takes.
pub(super) fn write(address: SocketAddr, buffer: &mut Buffer) -> usize {
    let bytes = &mut buffer.0;
    *bytes = [0; SPACE];
    bytes[PORT..PORT + 2].copy_from_slice(&address.port().to_be_bytes());
    let (family, length) = match address {
        SocketAddr::V4(v4) => {
            bytes[V4..V4 + 4].copy_from_slice(&v4.ip().octets());
            (libc::AF_INET, size_of::<libc::sockaddr_in>())
        }
        SocketAddr::V6(v6) => {
            bytes[FLOW..FLOW + 4].copy_from_slice(&v6.flowinfo().to_ne_bytes());
            bytes[V6..V6 + 16].copy_from_slice(&v6.ip().octets());
            bytes[SCOPE..SCOPE + 4].copy_from_slice(&v6.scope_id().to_ne_bytes());
            (libc::AF_INET6, size_of::<libc::sockaddr_in6>())
        }
    };
    bytes[..2].copy_from_slice(&family_bytes(family));
    length
}

/// Reads an address; `None` where it is none of IP or not whole.
pub(super) fn read(bytes: &[u8]) -> Option<SocketAddr> {
    let family: [u8; 2] = array(bytes, 0)?;
    let port = u16::from_be_bytes(array(bytes, PORT)?);
    if family == family_bytes(libc::AF_INET) {
        let ip = Ipv4Addr::from(array::<4>(bytes, V4)?);
        return Some(SocketAddrV4::new(ip, port).into());
    }
    if family != family_bytes(libc::AF_INET6) {
        return None;
    }
    let flow = u32::from_ne_bytes(array(bytes, FLOW)?);
    let ip = Ipv6Addr::from(array::<16>(bytes, V6)?);
    let scope = u32::from_ne_bytes(array(bytes, SCOPE)?);
    Some(SocketAddrV6::new(ip, port, flow, scope).into())
}

fn family_bytes(family: libc::c_int) -> [u8; 2] {
    // The two families are 2 and 10.
    libc::sa_family_t::try_from(family)
        .unwrap_or_default()
        .to_ne_bytes()
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_round_trip() {
        let link_local = SocketAddrV6::new("fe80::1".parse().unwrap(), 123, 7, 4);
        for address in ["192.0.2.1:123".parse().unwrap(), link_local.into()] {
            let mut buffer = Buffer::EMPTY;
            let length = write(address, &mut buffer);
            assert_eq!(read(&buffer.0[..length]), Some(address));
            assert_eq!(read(&buffer.0[..length - 9]), None, "cut off");
        }
    }

    #[test]
    fn an_address_of_another_family_is_none() {
        assert_eq!(read(&[0; SPACE]), None);
        assert_eq!(read(&[]), None);
    }
}
