//! The demo's network: one cable from the server to each client.

use std::fmt;
use std::io;
use std::os::fd::AsFd;

use super::cast::{CLIENTS, Client, prefix_len};
use super::netns::NetworkNamespace;
use super::rtnetlink::Rtnetlink;

/// The hosts' network namespaces, cabled and addressed.
#[derive(Debug)]
pub(super) struct Network {
    /// The server's.
    pub server: NetworkNamespace,
    /// One for each of [`CLIENTS`], in that order.
    pub clients: Vec<NetworkNamespace>,
}

/// Why the network could not be laid: what was being done, and what the kernel said.
#[derive(Debug)]
pub(super) struct NetworkError {
    attempt: String,
    error: io::Error,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.attempt, self.error)?;
        if self.error.raw_os_error() == Some(nix::libc::EOPNOTSUPP) {
            f.write_str(
                " (this kernel has no veth interfaces: load the module with modprobe veth)",
            )?;
        }
        Ok(())
    }
}

impl Network {
    /// Makes it. Nothing of it is visible in the network namespace of the calling process.
    pub(super) fn lay() -> Result<Self, NetworkError> {
        let namespace = || {
            NetworkNamespace::new().map_err(|error| NetworkError {
                attempt: "make a network namespace".to_owned(),
                error,
            })
        };
        let server = namespace()?;
        let mut clients = Vec::with_capacity(CLIENTS.len());
        for client in &CLIENTS {
            let there = namespace()?;
            cable(&server, &there, client).map_err(|error| NetworkError {
                attempt: format!("lay a cable from the server to {}", client.name),
                error,
            })?;
            clients.push(there);
        }
        Ok(Self { server, clients })
    }
}

/// Joins the server and one client: `to-NAME` at the server, `eth0` at the client.
fn cable(server: &NetworkNamespace, there: &NetworkNamespace, client: &Client) -> io::Result<()> {
    let server_end = format!("to-{}", client.name);
    server.inside(|| {
        let mut rtnetlink = Rtnetlink::open()?;
        rtnetlink.add_veth(&server_end, "eth0", there.as_fd())?;
        let address = client.server_address;
        rtnetlink.add_address(&server_end, address, prefix_len(address))?;
        rtnetlink.set_up("lo")?;
        rtnetlink.set_up(&server_end)
    })?;
    there.inside(|| {
        let mut rtnetlink = Rtnetlink::open()?;
        let address = client.address;
        rtnetlink.add_address("eth0", address, prefix_len(address))?;
        rtnetlink.set_up("lo")?;
        rtnetlink.set_up("eth0")
    })
}
