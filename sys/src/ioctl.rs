//! The one way in which this crate calls `ioctl`.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// One ioctl on `device`.
///
/// # Safety
/// `data` must be the structure that the request reads and writes, and what that points to must be
/// valid for the whole call.
pub(crate) unsafe fn ioctl<T>(
    device: impl AsFd,
    request: libc::Ioctl,
    data: &mut T,
) -> io::Result<()> {
    let pointer = std::ptr::from_mut(data);
    // SAFETY: `pointer` is valid for the whole call and points to what the request expects, as
    // the caller promises.
    let result = unsafe { libc::ioctl(device.as_fd().as_raw_fd(), request, pointer) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
