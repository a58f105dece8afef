//! Hosts, servers and networks as people write them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The UDP port of NTP (RFC 5905 section 16).
pub const NTP_PORT: u16 = 123;

/// The TCP port of NTS key establishment (RFC 8915 section 7.4).
pub const KE_PORT: u16 = 4460;

/// A host: an IP address, or a DNS name that still has to be resolved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An IP address.
    Address(IpAddr),
    /// A DNS name, in lower case, without a final dot.
    Name(String),
}

impl FromStr for Host {
    type Err = String;

    /// Accepts an IP address (IPv6 with or without brackets) or a host name of letters, digits,
    /// `-` and `_` (RFC 1123 section 2.1, and what is found in the wild).
    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Self::Address(address));
        }
        if text.contains('%') {
            return Err("an address with a zone (`%eth0`) is not supported".to_owned());
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        check_name(name)?;
        Ok(Self::Name(name.to_ascii_lowercase()))
    }
}

/// Refuses what cannot be a host name, and says why.
fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("the name is empty".to_owned());
    }
    if !name.is_ascii() {
        return Err("a name is written in ASCII; use the xn-- form".to_owned());
    }
    if let Some(odd) = name
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
    {
        return Err(format!("{odd:?} cannot be part of a host name"));
    }
    if name.len() > 253 || name.split('.').any(|label| label.len() > 63) {
        return Err("the name is longer than DNS allows".to_owned());
    }
    if name.split('.').any(str::is_empty) {
        return Err("two dots with nothing between them".to_owned());
    }
    // All digits and dots: an IPv4 address gone wrong, which a resolver would read in its own way.
    if name.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err("neither an IPv4 address nor a name".to_owned());
    }
    Ok(())
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.pad(name),
        }
    }
}

/// A server on the command line: `HOST`, `HOST:PORT` or `[IPV6]:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName {
    /// Where it is.
    pub host: Host,
    /// Its UDP port; 123 if none was given.
    pub port: u16,
}

impl FromStr for ServerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = match text.rsplit_once(':') {
            // One colon, or one after a bracket; any other colon is part of an IPv6 address.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let port = match port {
            None => NTP_PORT,
            Some(digits) => digits
                .parse::<u16>()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| format!("`{digits}` is not a port between 1 and 65535"))?,
        };
        Ok(Self {
            host: host.parse()?,
            port,
        })
    }
}

impl fmt::Display for ServerName {
    /// The port is shown only where it is not 123.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.port) {
            (host, NTP_PORT) => write!(f, "{host}"),
            (Host::Address(IpAddr::V6(address)), port) => write!(f, "[{address}]:{port}"),
            (host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// An IP network in CIDR notation; no bit is set beyond the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Its first address, as it was written.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits its addresses have in common: 0 to 32, or to 128.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Is `address` in this network? An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix) == self.address
    }
}

/// The leading `prefix` bits of `address`, the rest zero.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX
                .checked_shl(32_u32.saturating_sub(prefix))
                .unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX
                .checked_shl(128_u32.saturating_sub(prefix))
                .unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

impl FromStr for Network {
    type Err = String;

    /// `10.0.0.0/8`, `2001:db8::/32`, or one address.
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address
            .parse()
            .map_err(|_| format!("`{address}` is not an IP address"))?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => widest,
            Some(digits) => digits
                .parse::<u8>()
                .ok()
                .filter(|prefix| *prefix <= widest)
                .ok_or_else(|| format!("the prefix goes from /0 to /{widest}"))?,
        };
        let network = masked(address, prefix);
        if network != address {
            return Err(format!(
                "{address} has bits set beyond /{prefix}; the network is {network}/{prefix}"
            ));
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn server(text: &str) -> Result<(String, u16), String> {
        text.parse::<ServerName>()
            .map(|s| (s.host.to_string(), s.port))
    }

    #[test]
    fn servers_in_every_notation() {
        assert_eq!(
            server("time.example.net"),
            Ok(("time.example.net".into(), 123))
        );
        assert_eq!(
            server("Time.Example.NET.:1123"),
            Ok(("time.example.net".into(), 1123))
        );
        assert_eq!(server("192.0.2.1:1"), Ok(("192.0.2.1".into(), 1)));
        assert_eq!(server("2001:db8::1"), Ok(("2001:db8::1".into(), 123)));
        assert_eq!(server("[2001:db8::1]"), Ok(("2001:db8::1".into(), 123)));
        assert_eq!(server("[2001:db8::1]:99"), Ok(("2001:db8::1".into(), 99)));
    }

    #[test]
    fn what_is_no_server_says_why() {
        for (text, why) in [
            ("", "empty"),
            ("a b", "' '"),
            ("a\u{1b}[2J", "'\\u{1b}'"),
            ("ntp:0", "port"),
            ("ntp:65536", "port"),
            ("10.0.0.256", "neither"),
            ("a..b", "two dots"),
            ("zeit.bücher.de", "xn--"),
            ("fe80::1%eth0", "zone"),
        ] {
            let refusal = server(text).unwrap_err();
            assert!(refusal.contains(why), "{text}: {refusal}");
        }
    }

    #[test]
    fn a_network_contains_its_own_family_only() {
        let ten: Network = "10.0.0.0/8".parse().unwrap();
        assert!(ten.contains("10.255.0.1".parse().unwrap()));
        assert!(ten.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!ten.contains("11.0.0.0".parse().unwrap()));
        let any4: Network = "0.0.0.0/0".parse().unwrap();
        assert!(any4.contains("203.0.113.1".parse().unwrap()));
        assert!(!any4.contains("2001:db8::1".parse().unwrap()));
        let any6: Network = "::/0".parse().unwrap();
        assert!(any6.contains("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn stray_host_bits_name_the_network_that_was_meant() {
        let refusal = "10.1.2.3/8".parse::<Network>().unwrap_err();
        assert!(refusal.contains("the network is 10.0.0.0/8"), "{refusal}");
        assert!("10.0.0.0/33".parse::<Network>().is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in any::<String>()) {
            let _ = text.parse::<ServerName>();
            let _ = text.parse::<Network>();
        }

        #[test]
        fn servers_round_trip(v6 in any::<u128>(), port in 1..=u16::MAX) {
            let name = ServerName { host: Host::Address(Ipv6Addr::from_bits(v6).into()), port };
            prop_assert_eq!(name.to_string().parse::<ServerName>(), Ok(name));
        }

        #[test]
        fn networks_round_trip(bits in any::<u32>(), prefix in 0_u8..=32) {
            let network = Network { address: masked(Ipv4Addr::from_bits(bits).into(), prefix), prefix };
            prop_assert_eq!(network.to_string().parse::<Network>(), Ok(network));
            prop_assert!(network.contains(Ipv4Addr::from_bits(bits).into()));
        }
    }
}
