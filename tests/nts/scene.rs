//! Hosts with names and an authority that certifies them.

use std::time::Duration;

use crate::support::star::Star;
use crate::support::tls::{Authority, Identity, Validity};

/// How long anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A client, servers that have names, and the authority that the client may trust.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) star: Star,
    pub(crate) authority: Authority,
}

impl Scene {
    /// With this many servers.
    pub(crate) fn new(servers: u8) -> Self {
        let star = Star::with_names(servers);
        let authority = Authority::new(&star.directory, "authority");
        Self { star, authority }
    }

    /// A certificate for a server, valid for its name and both of its addresses.
    pub(crate) fn identity(&self, number: u8) -> Identity {
        let name = Star::server_name(number);
        let addresses = [Star::server_ipv4(number), Star::server_ipv6(number)];
        let [ipv4, ipv6] = addresses.map(|address| address.to_string());
        self.authority.issue(
            &self.star.directory,
            &name,
            &[&name, &ipv4, &ipv6],
            Validity::Now,
        )
    }
}
