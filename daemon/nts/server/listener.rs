//! The sockets that connections come to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{IpFreebind, Ipv6V6Only};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::sleep;

use super::common::Common;
use super::connection::attend;

/// Connections that wait in the kernel. When that is full, new ones wait at their own end.
const BACKLOG: u32 = 1024;
/// What the kernel keeps of a connection that is not read, or not taken by the other side, octets.
const KERNEL_BUFFER: u32 = 16 * 1024;
/// After a connection could not be accepted: most likely descriptors have run out.
const RECOVERY: Duration = Duration::from_millis(100);

/// A socket that connections are accepted on until this is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    /// Where it was to listen.
    pub(super) address: SocketAddr,
    /// Where it does: port 0 stands for any.
    local: SocketAddr,
    task: JoinHandle<()>,
}

impl Listener {
    /// Begins to accept. To be called within the tokio runtime.
    pub(super) fn new(opened: Opened, common: &Arc<Common>) -> Self {
        Self {
            address: opened.address,
            local: opened.local,
            task: tokio::spawn(accept(opened.listener, Arc::clone(common))),
        }
    }

    /// Where it listens.
    pub(super) const fn local(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A socket that listens and is not read yet.
#[derive(Debug)]
pub(super) struct Opened {
    address: SocketAddr,
    local: SocketAddr,
    listener: TcpListener,
}

/// Listens on an address, which may come up after the daemon does.
///
/// # Errors
/// The kernel refused it.
pub(super) fn open(address: SocketAddr) -> io::Result<Opened> {
    let socket = if address.is_ipv6() {
        let socket = TcpSocket::new_v6()?;
        // So that `[::]` and `0.0.0.0` are two addresses, as for NTP.
        setsockopt(&socket, Ipv6V6Only, &true)?;
        socket
    } else {
        TcpSocket::new_v4()?
    };
    setsockopt(&socket, IpFreebind, &true)?;
    // Connections of an earlier run that linger in the kernel are not in the way.
    socket.set_reuseaddr(true)?;
    // Connections inherit these.
    socket.set_recv_buffer_size(KERNEL_BUFFER)?;
    socket.set_send_buffer_size(KERNEL_BUFFER)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    Ok(Opened {
        address,
        local: listener.local_addr()?,
        listener,
    })
}

/// Accepts connections, for ever.
async fn accept(listener: TcpListener, common: Arc<Common>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Some(place) = common.admit(peer.ip()) {
                    let number = place.number();
                    let task = tokio::spawn(attend(stream, place));
                    common.is_attended(number, task.abort_handle());
                } else {
                    // Nothing is kept of it, in the kernel either.
                    let _ = stream.set_zero_linger();
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                common.tell_of_failure(&error);
                sleep(RECOVERY).await;
            }
        }
        // Connections that had to make room are gone before there is another, and a flood leaves
        // the rest of the daemon its turns.
        yield_now().await;
    }
}

/// Errors of a connection that failed before it was accepted, and is done with (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
