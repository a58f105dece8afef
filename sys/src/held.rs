//! Sockets that the service manager holds for this process, over restarts or from the start
//! (`sd_listen_fds(3)`, `sd_pid_notify_with_fds(3)`).

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use sd_notify::NotifyState;

/// Takes over the descriptors that the service manager has passed, each with its name. Only the first
/// call gets them.
///
/// # Errors
/// The manager's words cannot be understood (`LISTEN_FDS`, `LISTEN_FDNAMES`).
pub fn take() -> io::Result<Vec<(OwnedFd, String)>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Ok(Vec::new());
    }
    let passed = sd_notify::listen_fds_with_names()?;
    Ok(passed
        .map(|(fd, name)| {
            // SAFETY: the manager says that it has opened this descriptor for this very process
            // (`LISTEN_PID`), setting its close-on-exec flag has found it open, and nobody else in
            // here has taken it, as this is done once.
            let owned = unsafe { OwnedFd::from_raw_fd(fd) };
            (owned, name)
        })
        .collect())
}

/// Has the service manager hold a socket under `name`, which has no colon in it. Without a manager,
/// or one that holds none, nothing happens.
///
/// # Errors
/// It cannot be told.
pub fn hold(name: &str, socket: BorrowedFd<'_>) -> io::Result<()> {
    sd_notify::notify_with_fds(
        &[NotifyState::FdStore, NotifyState::FdName(name)],
        &[socket],
    )
}

/// Has the service manager let go of what it holds under `name`.
///
/// # Errors
/// It cannot be told.
pub fn let_go(name: &str) -> io::Result<()> {
    sd_notify::notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)])
}
