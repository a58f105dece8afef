//! Names to addresses.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::config::Host;

/// A resolver that has said nothing for so long will not.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which addresses of a name are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    /// All.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl Family {
    const fn has(self, address: &SocketAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// A name that gave no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unresolved {
    /// The resolver says this.
    Refused(String),
    /// It says nothing.
    NoAnswer,
    /// The name has no address of the wanted family.
    NoAddress(Family),
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(
                f,
                "the name cannot be resolved: {why}; check its spelling and /etc/resolv.conf"
            ),
            Self::NoAnswer => write!(
                f,
                "the name cannot be resolved: no answer within {} s; check /etc/resolv.conf",
                PATIENCE.as_secs()
            ),
            Self::NoAddress(Family::V4) => f.write_str("has no IPv4 address"),
            Self::NoAddress(Family::V6) => f.write_str("has no IPv6 address"),
            Self::NoAddress(Family::Any) => f.write_str("the name has no address"),
        }
    }
}

impl std::error::Error for Unresolved {}

/// The addresses of `host`, distinct, in the order in which the resolver prefers them. A literal
/// address needs no resolver; for a name the system's is asked, on a thread of its own.
///
/// # Errors
/// There is none.
pub async fn resolve(
    host: &Host,
    port: u16,
    family: Family,
) -> Result<Vec<SocketAddr>, Unresolved> {
    let found = match host {
        Host::Address(address) => vec![SocketAddr::new(*address, port)],
        Host::Name(name) => {
            let lookup = tokio::net::lookup_host((name.as_str(), port));
            match tokio::time::timeout(PATIENCE, lookup).await {
                Ok(Ok(found)) => found.collect(),
                Ok(Err(error)) => return Err(Unresolved::Refused(reason(&error))),
                Err(_) => return Err(Unresolved::NoAnswer),
            }
        }
    };
    let mut distinct: Vec<SocketAddr> = Vec::with_capacity(found.len());
    for address in found {
        if family.has(&address) && !distinct.contains(&address) {
            distinct.push(address);
        }
    }
    if distinct.is_empty() {
        return Err(Unresolved::NoAddress(family));
    }
    Ok(distinct)
}

/// What the resolver says, without the standard library's preamble.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ")
        .map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(host: &str, family: Family) -> Result<Vec<SocketAddr>, Unresolved> {
        let host: Host = host.parse().unwrap();
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(resolve(&host, 123, family))
    }

    #[test]
    fn literals_need_no_resolver_and_keep_to_their_family() {
        let v6 = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 123));
        assert_eq!(now("::1", Family::Any), Ok(vec![v6]));
        assert_eq!(
            now("::1", Family::V4),
            Err(Unresolved::NoAddress(Family::V4))
        );
    }

    #[test]
    fn a_name_that_cannot_exist_says_what_to_check() {
        let Err(why) = now("no-such-host.invalid", Family::Any) else {
            panic!("RFC 6761 reserves .invalid");
        };
        assert!(why.to_string().contains("/etc/resolv.conf"), "{why}");
    }
}
