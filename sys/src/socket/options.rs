//! How a socket is opened.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Stamping;

/// How to open a [`super::UdpSocket`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a set of independent socket options"
)]
pub struct Options {
    /// Address and port to bind; port 0 lets the kernel choose a random one.
    pub bind: SocketAddr,
    /// Peer to connect to: only its datagrams are received, and ICMP errors are delivered.
    pub connect: Option<SocketAddr>,
    /// What to stamp.
    pub stamping: Stamping,
    /// Share the port among sockets, the kernel spreading flows over them (`SO_REUSEPORT`).
    pub reuse_port: bool,
    /// Allow binding an address the host does not have yet (`IP_FREEBIND`).
    pub freebind: bool,
    /// Send and receive only through this interface (`SO_BINDTODEVICE`).
    pub device: Option<String>,
    /// Differentiated services code point, 0 to 63 (46 = expedited forwarding).
    pub dscp: u8,
    /// Deliver ICMP errors through the error queue, with their cause (`IP_RECVERR`). For client
    /// sockets; on a server one peer's errors would disturb sending to others.
    pub report_errors: bool,
    /// Octets of datagrams that may wait to be read, with what the kernel keeps beside each (about
    /// 800 for a small one); `None`: the system's default. What is beyond the system's limit
    /// (`net.core.rmem_max`) takes `CAP_NET_ADMIN`, and is not had without.
    pub receive_buffer: Option<usize>,
    /// Never block in `recv`, `send` or `recv_tx_stamps`.
    pub nonblocking: bool,
}

impl Options {
    /// Plain and non-blocking, bound to `bind`, without stamps.
    pub fn new(bind: SocketAddr) -> Self {
        Self {
            bind,
            connect: None,
            stamping: Stamping::default(),
            reuse_port: false,
            freebind: false,
            device: None,
            dscp: 0,
            report_errors: false,
            receive_buffer: None,
            nonblocking: true,
        }
    }

    /// For one client exchange with `server`: connected, from a random port, errors reported.
    pub fn client(server: SocketAddr, stamping: Stamping) -> Self {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        Self {
            connect: Some(server),
            stamping,
            report_errors: true,
            ..Self::new(SocketAddr::new(any, 0))
        }
    }
}
