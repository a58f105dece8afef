//! The system calls that move messages, and the headers they take.
//!
//! Headers are built on the stack for each call, as many as it needs, and point into buffers that
//! the call borrows, so no pointer outlives its buffer.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::c_int;

use super::address::{self, Buffer};
use super::cmsg::Control;
use super::{LocalAddress, MAX_BATCH};

/// What one message has besides its payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) address: Buffer,
    pub(super) address_length: usize,
    pub(super) control: Control,
    pub(super) control_length: usize,
    pub(super) payload_length: usize,
    pub(super) flags: c_int,
}

impl Slot {
    pub(super) const EMPTY: Self = Self {
        address: Buffer::EMPTY,
        address_length: 0,
        control: Control::EMPTY,
        control_length: 0,
        payload_length: 0,
        flags: 0,
    };

    /// The address, where it is one of IP.
    pub(super) fn address(&self) -> Option<std::net::SocketAddr> {
        address::read(self.address.0.get(..self.address_length)?)
    }

    /// The control messages.
    pub(super) fn control(&self) -> &[u8] {
        self.control
            .0
            .get(..self.control_length)
            .unwrap_or_default()
    }

    /// Addresses the message.
    pub(super) fn set_destination(&mut self, to: Option<std::net::SocketAddr>) {
        self.address_length = to.map_or(0, |to| address::write(to, &mut self.address));
    }

    /// Writes the control messages of a message to send: source, stamp bits, stamp id.
    pub(super) fn set_control(
        &mut self,
        from: Option<LocalAddress>,
        stamp: Option<u32>,
        id: Option<u32>,
    ) {
        let mut writer = super::cmsg::Writer::new(&mut self.control);
        if let Some(from) = from {
            writer.source(from);
        }
        if let Some(flags) = stamp {
            writer.stamp(flags);
        }
        if let Some(id) = id {
            writer.stamp_id(id);
        }
        self.control_length = writer.len();
    }

    /// A header that points at this slot and at `vector`, with the lengths `name` and `control`.
    fn header(&mut self, vector: &mut libc::iovec, name: usize, control: usize) -> libc::msghdr {
        let mut header = empty_header();
        if name > 0 {
            header.msg_name = self.address.0.as_mut_ptr().cast();
        }
        // Buffer sizes of this crate fit in any integer.
        header.msg_namelen = libc::socklen_t::try_from(name).unwrap_or_default();
        header.msg_iov = vector;
        header.msg_iovlen = 1;
        if control > 0 {
            header.msg_control = self.control.0.as_mut_ptr().cast();
        }
        header.msg_controllen = control;
        header
    }
}

/// Receives up to one message for each slot (of which there are [`MAX_BATCH`] at most) into equal
/// shares of `payloads`; returns how many. Without `with_address` nobody is told who sent them.
///
/// # Errors
/// The operating system's, `WouldBlock` included.
pub(super) fn receive(
    fd: BorrowedFd<'_>,
    slots: &mut [Slot],
    payloads: &mut [u8],
    share: usize,
    with_address: bool,
    flags: c_int,
) -> io::Result<usize> {
    // Copying addresses costs, and stamps have none that tells anything.
    let name = if with_address { address::SPACE } else { 0 };
    let mut vectors = [const { MaybeUninit::uninit() }; MAX_BATCH];
    let mut headers = [const { MaybeUninit::uninit() }; MAX_BATCH];
    let mut count = 0;
    for (((slot, payload), vector), header) in slots
        .iter_mut()
        .zip(payloads.chunks_exact_mut(share))
        .zip(&mut vectors)
        .zip(&mut headers)
    {
        let vector = vector.write(vector_of(payload));
        header.write(libc::mmsghdr {
            msg_hdr: slot.header(vector, name, super::cmsg::SPACE),
            msg_len: 0,
        });
        count += 1;
    }
    // SAFETY: the first `count` headers are written, and point into `slots`, `payloads` and
    // `vectors`, which are borrowed or owned here and outlive the call, with the lengths of what
    // they point at.
    let received = unsafe {
        libc::recvmmsg(
            fd.as_raw_fd(),
            headers.as_mut_ptr().cast(),
            count,
            flags | libc::MSG_WAITFORONE,
            ptr::null_mut(),
        )
    };
    let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    for (slot, header) in slots.iter_mut().zip(&headers[..received]) {
        // SAFETY: the kernel takes no more messages than there are headers, all written above.
        let header = unsafe { header.assume_init_ref() };
        slot.address_length = header.msg_hdr.msg_namelen as usize;
        slot.control_length = header.msg_hdr.msg_controllen;
        slot.payload_length = header.msg_len as usize;
        slot.flags = header.msg_hdr.msg_flags;
    }
    Ok(received)
}

/// Sends one message.
pub(super) fn send(fd: BorrowedFd<'_>, slot: &mut Slot, payload: &[u8]) -> io::Result<()> {
    let mut vector = vector_of_const(payload);
    let header = slot.header(&mut vector, slot.address_length, slot.control_length);
    // SAFETY: `header` points into `slot`, `payload` and `vector`, which outlive the call, with
    // the lengths of what it points at; sendmsg only reads them.
    let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL) };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Sends one message for each slot, its payload the beginning of an equal share of `payloads`;
/// returns how many the kernel took. Never blocks.
pub(super) fn send_all(
    fd: BorrowedFd<'_>,
    slots: &mut [Slot],
    payloads: &[u8],
    share: usize,
) -> io::Result<usize> {
    let mut vectors = [const { MaybeUninit::uninit() }; MAX_BATCH];
    let mut headers = [const { MaybeUninit::uninit() }; MAX_BATCH];
    let mut count = 0;
    for (((slot, payload), vector), header) in slots
        .iter_mut()
        .zip(payloads.chunks_exact(share))
        .zip(&mut vectors)
        .zip(&mut headers)
    {
        let payload = payload.get(..slot.payload_length).unwrap_or(payload);
        let vector = vector.write(vector_of_const(payload));
        header.write(libc::mmsghdr {
            msg_hdr: slot.header(vector, slot.address_length, slot.control_length),
            msg_len: 0,
        });
        count += 1;
    }
    // SAFETY: the first `count` headers are written, and point into `slots`, `payloads` and
    // `vectors`, which are borrowed or owned here and outlive the call, with the lengths of what
    // they point at; the kernel only reads through them and writes `msg_len` of the headers.
    let sent = unsafe {
        libc::sendmmsg(
            fd.as_raw_fd(),
            headers.as_mut_ptr().cast(),
            count,
            libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

fn vector_of(payload: &mut [u8]) -> libc::iovec {
    libc::iovec {
        iov_base: payload.as_mut_ptr().cast(),
        iov_len: payload.len(),
    }
}

/// For sending, where the kernel only reads.
fn vector_of_const(payload: &[u8]) -> libc::iovec {
    libc::iovec {
        iov_base: payload.as_ptr().cast_mut().cast(),
        iov_len: payload.len(),
    }
}

fn empty_header() -> libc::msghdr {
    // SAFETY: msghdr is pointers and integers, for which all zeros is a value.
    unsafe { std::mem::zeroed() }
}
