//! Keys for asking a server: established, and the server found that they are for.

use std::fmt;
use std::net::SocketAddr;

use super::resolve::{Family, Unresolved, resolve};
use crate::config::Host;
use crate::nts::client::{Established, KeFailure, KeOrder, establish};

/// Why there are no keys.
#[derive(Debug)]
pub enum NoKeys {
    /// They could not be established.
    Establishment(KeFailure),
    /// They could, for a server whose name has no address.
    Unresolved(String, Unresolved),
    /// The attempt ended without a result: a fault of this program.
    Abandoned,
}

impl NoKeys {
    /// Did nothing leave this host?
    pub fn is_local(&self) -> bool {
        match self {
            Self::Establishment(failure) => failure.is_local(),
            Self::Unresolved(..) | Self::Abandoned => false,
        }
    }
}

impl fmt::Display for NoKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Establishment(failure) => failure.fmt(f),
            Self::Abandoned => f.write_str(
                "the attempt to establish keys failed inside this program; please report it",
            ),
            Self::Unresolved(name, why) => {
                write!(
                    f,
                    "the server of keys names {name} as the NTP server: {why}"
                )
            }
        }
    }
}

impl std::error::Error for NoKeys {}

/// Has keys established as `order` says, and finds the NTP server that they are for: the one that
/// the server of keys names, or itself (RFC 8915 section 4.1.7); at the port that it names, or
/// `port`.
///
/// # Errors
/// There are none.
pub async fn find_keys(order: KeOrder, port: u16) -> Result<(Established, SocketAddr), NoKeys> {
    let same = order.address.ip();
    let established = establish(order).await.map_err(NoKeys::Establishment)?;
    let port = established.port.unwrap_or(port);
    let server = match &established.server {
        None => SocketAddr::new(same, port),
        Some(Host::Address(address)) => SocketAddr::new(*address, port),
        Some(name @ Host::Name(_)) => {
            let unresolved = |why| NoKeys::Unresolved(name.to_string(), why);
            let found = resolve(name, port, Family::Any).await.map_err(unresolved)?;
            // Of the family by which the server of keys was reached, if there is one: that works.
            let like = found.iter().find(|at| at.is_ipv4() == same.is_ipv4());
            let server = like.or(found.first()).copied();
            server.ok_or_else(|| unresolved(Unresolved::NoAddress(Family::Any)))?
        }
    };
    Ok((established, server))
}
