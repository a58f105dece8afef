//! How this host names what it follows, to those who ask it.

use std::net::IpAddr;

use clockwright_ntp::ReferenceId;
use md5::{Digest, Md5};

/// What an undisciplined clock follows: itself (the refid of ntpd's local clock driver, which
/// other implementations use too).
pub(crate) const LOCAL: ReferenceId = ReferenceId([127, 127, 1, 1]);

/// The reference identifier for a server at `address` (RFC 5905 section 7.3): the IPv4 address,
/// or the first four octets of the MD5 digest of the IPv6 address. That server recognises itself
/// by it, and does not follow who follows it.
pub(crate) fn of_server(address: IpAddr) -> ReferenceId {
    match address.to_canonical() {
        IpAddr::V4(v4) => ReferenceId::from(v4),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..]: [u8; 16] = Md5::digest(v6.octets()).into();
            ReferenceId([a, b, c, d])
        }
    }
}

/// What a clock that follows nobody and is served all the same names: at stratum 1 a name is
/// expected, above an address.
pub(crate) fn of_local_clock(stratum: u8) -> ReferenceId {
    match stratum {
        1 => ReferenceId::from_name("LOCL").unwrap_or(LOCAL),
        _ => LOCAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families() {
        let of = |text: &str| of_server(text.parse().unwrap()).0;
        assert_eq!(of("192.0.2.7"), [192, 0, 2, 7]);
        assert_eq!(of("::ffff:192.0.2.7"), [192, 0, 2, 7]);
        // From md5sum(1) of fifteen zero octets and a one.
        assert_eq!(of("::1"), [0xcf, 0x40, 0x4d, 0xc8]);
    }
}
