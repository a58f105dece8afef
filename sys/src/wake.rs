//! Descriptors that wake tokio tasks.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Hands `fd` (a timer, a netlink socket, ...; non-blocking) to tokio, to be woken for `interest`.
///
/// tokio leaves it to its caller to promise that the descriptor stays what it is; one that is
/// owned does.
///
/// # Panics
/// Outside a tokio runtime with I/O enabled (tokio's own rule).
pub fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` neither closes nor replaces its descriptor before it is dropped.
    let registered = unsafe { AsyncFd::register_with_interest(fd, interest) };
    registered.map_err(|error| error.into_parts().1)
}
