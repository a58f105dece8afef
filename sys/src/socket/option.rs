//! Opening sockets and setting their options.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use libc::c_int;

/// `size_of::<c_int>()` in the type of lengths.
const INT_SIZE: libc::socklen_t = 4;
const _: () = assert!(size_of::<c_int>() == INT_SIZE as usize);

/// Opens a UDP socket of `family`, closed on exec.
pub(crate) fn open(family: c_int, nonblocking: bool) -> io::Result<OwnedFd> {
    let blocking = if nonblocking { libc::SOCK_NONBLOCK } else { 0 };
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | blocking;
    // SAFETY: socket takes numbers and touches no memory of ours.
    let fd = unsafe { libc::socket(family, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Is it a UDP socket of IP?
pub(super) fn is_udp(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let socket = |name| get_int(fd, libc::SOL_SOCKET, name);
    let family = socket(libc::SO_DOMAIN)?;
    Ok((family == libc::AF_INET || family == libc::AF_INET6)
        && socket(libc::SO_PROTOCOL)? == libc::IPPROTO_UDP)
}

/// Lets calls wait, or not.
pub(super) fn set_blocking(fd: BorrowedFd<'_>, blocking: bool) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    let wanted = if blocking {
        flags - OFlag::O_NONBLOCK
    } else {
        flags | OFlag::O_NONBLOCK
    };
    fcntl(fd, FcntlArg::F_SETFL(wanted))?;
    Ok(())
}

/// Sets an option whose value is an integer.
pub(super) fn set_int(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: c_int,
) -> io::Result<()> {
    set(fd, level, name, &value.to_ne_bytes())
}

/// Sets an option whose value is bytes.
pub(super) fn set(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: &[u8]) -> io::Result<()> {
    // Option values are a few bytes long.
    let length = libc::socklen_t::try_from(value.len()).unwrap_or_default();
    // SAFETY: `value` is valid for `length` bytes during the call.
    let result =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value.as_ptr().cast(), length) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Sets an option whose value is a structure of the kernel's.
///
/// # Safety
/// What the structure points at has to be what the kernel expects there.
pub(super) unsafe fn set_raw<T>(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: &T,
) -> io::Result<()> {
    // Structures are a few bytes long.
    let length = libc::socklen_t::try_from(size_of::<T>()).unwrap_or_default();
    // SAFETY: `value` is valid for `length` bytes during the call; the rest is the caller's promise.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            ptr::from_ref(value).cast(),
            length,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Lets the kernel keep `bytes` of datagrams that wait to be read: more than the system's limit if
/// this process may, else as much as that allows.
pub(super) fn set_receive_buffer(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
    set_int(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, bytes)
        .or_else(|_| set_int(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, bytes))
}

/// Sets `SO_TIMESTAMPING`.
pub(super) fn set_timestamping(fd: BorrowedFd<'_>, flags: u32) -> io::Result<()> {
    set_int(
        fd,
        libc::SOL_SOCKET,
        libc::SO_TIMESTAMPING,
        flags.cast_signed(),
    )
}

/// Fetches and clears the error pending on a socket (`SO_ERROR`); 0 = none.
pub(super) fn take_error(fd: BorrowedFd<'_>) -> io::Result<c_int> {
    get_int(fd, libc::SOL_SOCKET, libc::SO_ERROR)
}

/// An option whose value is an integer.
fn get_int(fd: BorrowedFd<'_>, level: c_int, name: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut length = INT_SIZE;
    // SAFETY: `value` and `length` are valid to write for the whole call, and `length` is the
    // size of `value`.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(value)
}
