//! The network most tests use: one client, joined by a cable each to any number of servers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::directory::Directory;
use super::network::{Host, Network};

/// A client and its servers, with IPv4 and IPv6 on every cable.
#[derive(Debug)]
pub(crate) struct Star {
    /// Files of the test's daemons. Before the hosts, whose processes hold the network.
    pub(crate) directory: Directory,
    /// The host in the middle.
    pub(crate) client: Host,
    /// The hosts around it.
    pub(crate) servers: Vec<Host>,
    _network: Network,
}

impl Star {
    /// With this many servers.
    pub(crate) fn new(servers: u8) -> Self {
        Self::of_hosts(servers, Network::host)
    }

    /// With this many servers, whose names ([`Self::server_name`]) every host knows.
    pub(crate) fn with_names(servers: u8) -> Self {
        let names = (0..servers).map(|number| {
            let (ipv4, ipv6) = (Self::server_ipv4(number), Self::server_ipv6(number));
            let name = Self::server_name(number);
            format!("{ipv4} {name}\n{ipv6} {name}\n")
        });
        let hosts = "127.0.0.1 localhost\n::1 localhost\n".to_owned() + &names.collect::<String>();
        Self::of_hosts(servers, |network, name| {
            network.host_with_names(name, &hosts)
        })
    }

    fn of_hosts(servers: u8, make: impl Fn(&Network, &str) -> Host) -> Self {
        let network = Network::new();
        let client = make(&network, "client");
        let servers = (0..servers)
            .map(|number| {
                let server = make(&network, &format!("server-{number}"));
                let port = format!("to-{number}");
                client.cable(&port, (&server, "eth0"));
                client.address(&port, &format!("{}/30", Self::ipv4(number, 2)));
                client.address(&port, &format!("{}/64", Self::ipv6(number, 2)));
                server.address("eth0", &format!("{}/30", Self::server_ipv4(number)));
                server.address("eth0", &format!("{}/64", Self::server_ipv6(number)));
                server
            })
            .collect();
        Self {
            directory: Directory::new(),
            client,
            servers,
            _network: network,
        }
    }

    /// A server's IPv4 address.
    pub(crate) fn server_ipv4(number: u8) -> IpAddr {
        Self::ipv4(number, 1)
    }

    /// The client's IPv4 address on the cable to a server.
    pub(crate) fn client_ipv4(number: u8) -> IpAddr {
        Self::ipv4(number, 2)
    }

    /// A server's IPv6 address.
    pub(crate) fn server_ipv6(number: u8) -> IpAddr {
        Self::ipv6(number, 1)
    }

    /// A server's name.
    pub(crate) fn server_name(number: u8) -> String {
        format!("server-{number}.test")
    }

    fn ipv4(cable: u8, end: u8) -> IpAddr {
        Ipv4Addr::new(10, 84, cable, end).into()
    }

    fn ipv6(cable: u8, end: u8) -> IpAddr {
        Ipv6Addr::new(0xfd84, 0, 0, cable.into(), 0, 0, 0, end.into()).into()
    }
}

/// The configuration of a server that hands out its host's clock, right or wrong.
pub(crate) const SERVER: &str = "\
[server]
listen = [\"0.0.0.0:123\", \"[::]:123\"]
allow = [\"10.84.0.0/16\", \"fd84::/16\"]
local = { stratum = 1 }
";

/// The `[[source]]` of a server that is asked `poll` seconds apart.
pub(crate) fn source(server: impl std::fmt::Display, poll: &str) -> String {
    format!("[[source]]\nserver = \"{server}\"\npoll = {{ min = \"{poll}\", max = \"{poll}\" }}\n")
}

/// The `[clock]` of a virtual clock that starts this wrong, and is never stepped.
pub(crate) fn virtual_clock(error: &str, drift: &str) -> String {
    format!(
        "[clock]\nkind = \"virtual\"\nvirtual = {{ error = \"{error}\", drift = \"{drift}\" }}\n\
         step = {{ first = 0 }}\n"
    )
}
