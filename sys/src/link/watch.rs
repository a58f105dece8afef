//! Interfaces, addresses and routes, watched as they change.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use netlink_packet_core::NetlinkPayload;
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Change;
use super::message::Notice;
use crate::{netlink, wake};

/// What is watched: links, and the addresses and routes of both families.
const GROUPS: [u32; 5] = [
    libc::RTNLGRP_LINK,
    libc::RTNLGRP_IPV4_IFADDR,
    libc::RTNLGRP_IPV6_IFADDR,
    libc::RTNLGRP_IPV4_ROUTE,
    libc::RTNLGRP_IPV6_ROUTE,
];

/// The most datagrams read at a time: whoever floods the routing table must not keep the caller
/// from its other work.
const BATCH: usize = 64;

/// A datagram of rtnetlink fits (`NLMSG_GOODSIZE` is at most a page or 8 KiB, and a link with
/// all its attributes is 2 KiB); a larger one counts as missed.
const BUFFER: usize = 32 * 1024;

/// A watch on the network namespace it was made in.
///
/// Make it before [`super::list`]: then no change falls between the two.
#[derive(Debug)]
pub struct Watch {
    socket: Socket,
    /// The same socket for tokio, from when it is first waited for.
    ready: Option<AsyncFd<OwnedFd>>,
    buffer: Vec<u8>,
}

impl Watch {
    /// Begins to watch. Needs no privilege, and no tokio runtime yet.
    pub fn new() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_non_blocking(true)?;
        socket.bind_auto()?;
        for group in GROUPS {
            socket.add_membership(group)?;
        }
        Ok(Self {
            socket,
            ready: None,
            buffer: Vec::with_capacity(BUFFER),
        })
    }

    /// Waits for changes and returns them in their order, at least one. An address or a route
    /// is told of once, however many changed.
    ///
    /// Loses nothing when the future is dropped.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O enabled (tokio's own rule).
    pub async fn changes(&mut self) -> io::Result<Vec<Change>> {
        loop {
            if self.ready.is_none() {
                let descriptor = self.socket.as_fd().try_clone_to_owned()?;
                self.ready = Some(wake::watch(descriptor, Interest::READABLE)?);
            }
            let mut changes = Changes::default();
            if let Some(ready) = &self.ready {
                let mut guard = ready.readable().await?;
                if read(&self.socket, &mut self.buffer, &mut changes)? {
                    guard.clear_ready();
                }
            }
            if !changes.0.is_empty() {
                return Ok(changes.0);
            }
        }
    }

    /// What has changed since it was last asked, in its order; perhaps nothing. A flood is
    /// returned in parts.
    pub fn read(&mut self) -> io::Result<Vec<Change>> {
        let mut changes = Changes::default();
        read(&self.socket, &mut self.buffer, &mut changes)?;
        Ok(changes.0)
    }
}

/// Reads a batch; was that all there is?
fn read(socket: &Socket, buffer: &mut Vec<u8>, changes: &mut Changes) -> io::Result<bool> {
    for _ in 0..BATCH {
        buffer.clear();
        match socket.recv_from(buffer, libc::MSG_TRUNC) {
            // Only the kernel knows; any program may send here.
            Ok((_, from)) if from.port_number() != 0 => {}
            Ok((length, _)) if length > buffer.len() => changes.add(Change::Missed),
            Ok(_) => changes.take(buffer),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                changes.add(Change::Missed);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// What changed, in order.
#[derive(Debug, Default)]
struct Changes(Vec<Change>);

impl Changes {
    /// The changes that one datagram tells of.
    fn take(&mut self, datagram: &[u8]) {
        for message in netlink::messages::<Notice>(datagram) {
            match message.map(|message| message.payload) {
                Ok(NetlinkPayload::InnerMessage(Notice(Some(change)))) => self.add(change),
                Ok(NetlinkPayload::Overrun(_)) | Err(_) => self.add(Change::Missed),
                Ok(_) => {}
            }
        }
    }

    fn add(&mut self, change: Change) {
        let once = matches!(change, Change::Address | Change::Route | Change::Missed);
        if !(once && self.0.contains(&change)) {
            self.0.push(change);
        }
    }
}
