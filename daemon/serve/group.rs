//! The workers that share an address.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use clockwright_sys::socket::{Options, Stamping, UdpSocket};

use super::board::Board;
use super::held::{self, Held};
use super::rate::ClientTable;
use super::tally::{Counters, Counts, Outcome, StampTally};
use super::worker::{self, Shared};
use super::{ListenError, Place};
use crate::interfaces::Fallback;

/// Octets that the kernel keeps of requests that wait and of stamps: some two thousand requests,
/// which a worker answers in ten milliseconds. More would be answered too late to be of use.
const RECEIVE_BUFFER: usize = 1 << 21;
/// A worker's stack, octets. Its buffers are not there.
const STACK: usize = 256 * 1024;

/// Opens the sockets of these workers at `place`, those that are held first. `alone`: no other socket
/// of this process is in its way.
///
/// # Errors
/// The kernel refuses, or somebody else is there.
pub(super) fn open(
    place: &Place,
    workers: Range<u16>,
    dscp: u8,
    stamping: Stamping,
    (held, alone): (&mut Held, bool),
) -> Result<Vec<Arc<UdpSocket>>, ListenError> {
    let address = place.address;
    let fail = |error| ListenError { address, error };
    let mut options = options(address, dscp, stamping);
    let wanted = workers.end.saturating_sub(workers.start);
    let mut sockets = if workers.start == 0 {
        held.adopt(&options, wanted)
    } else {
        Vec::new()
    };
    if alone && workers.start == 0 && wanted > 0 && sockets.is_empty() {
        check_free(address).map_err(fail)?;
    }
    while sockets.len() < usize::from(wanted) {
        let socket = UdpSocket::open(&options).map_err(fail)?;
        // The others share the port that the kernel chose, if it was to choose one.
        options.bind = socket.local_addr().map_err(fail)?;
        sockets.push(Arc::new(socket));
    }
    Ok(sockets)
}

/// Sockets that share their port let any other process of the same user share it, too, and take
/// some of the clients away. So it is found out by one that does not share.
fn check_free(address: SocketAddr) -> io::Result<()> {
    UdpSocket::open(&Options {
        freebind: true,
        ..Options::new(address)
    })
    .map(drop)
}

fn options(address: SocketAddr, dscp: u8, stamping: Stamping) -> Options {
    Options {
        stamping,
        reuse_port: true,
        // The address may come up after the daemon does.
        freebind: true,
        dscp,
        receive_buffer: Some(RECEIVE_BUFFER),
        nonblocking: false,
        ..Options::new(address)
    }
}

/// The workers at one address.
#[derive(Debug)]
pub(super) struct Group {
    place: Place,
    /// By their numbers, which are their sockets' places in the kernel.
    workers: Vec<Running>,
}

/// A worker's thread. It ends when this is dropped.
#[derive(Debug)]
struct Running {
    socket: Arc<UdpSocket>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Outcomes that have been taken over.
    taken: Vec<Outcome>,
}

impl Group {
    /// Nobody yet.
    pub(super) const fn new(place: Place) -> Self {
        Self {
            place,
            workers: Vec::new(),
        }
    }

    /// Where.
    pub(super) const fn place(&self) -> Place {
        self.place
    }

    /// How many workers.
    pub(super) fn size(&self) -> u16 {
        u16::try_from(self.workers.len()).unwrap_or(u16::MAX)
    }

    /// What they share with the daemon.
    pub(super) fn workers(&self) -> impl Iterator<Item = &Shared> {
        self.workers.iter().map(|running| &*running.shared)
    }

    /// Starts workers for these sockets.
    pub(super) fn grow(&mut self, sockets: Vec<Arc<UdpSocket>>, board: &Arc<Board>) {
        for socket in sockets {
            let number = self.size();
            match Running::start(socket, self.place, number, board) {
                Ok(running) => {
                    held::keep(running.shared.address, number, &running.socket);
                    self.workers.push(running);
                }
                Err(error) => {
                    let address = self.place.address;
                    tracing::error!(
                        "no thread can be started to serve on {address}: {error}; there are {number}"
                    );
                    return;
                }
            }
        }
    }

    /// Ends workers, the last ones first, until there are no more than `most`; gives what they had
    /// counted.
    pub(super) fn shrink(&mut self, most: u16) -> Counts {
        let mut counted = Counts::default();
        if most == 0 {
            self.workers.iter().for_each(Running::tell_to_end);
        }
        while self.size() > most {
            if let Some(mut last) = self.workers.pop() {
                held::let_go(last.shared.address, last.shared.number);
                last.end();
                counted += last.shared.counters.read();
            }
        }
        counted
    }

    /// Ends all with the process, and leaves their sockets to whoever holds them, too.
    pub(super) fn leave(&mut self) {
        self.workers.iter_mut().for_each(Running::leave);
    }

    /// Marks replies with this code point.
    pub(super) fn set_dscp(&self, dscp: u8) {
        for running in &self.workers {
            // What could be set when the socket was opened can be set again.
            let _ = running.socket.set_dscp(dscp);
        }
    }

    /// Has packets stamped by these means.
    pub(super) fn set_stamping(&self, stamping: Stamping) {
        for running in &self.workers {
            if let Err(error) = running.socket.set_stamping(stamping) {
                tracing::warn!(
                    "{}: packets cannot be stamped otherwise than before: {error}",
                    self.place.address
                );
            }
        }
    }

    /// Has clients steered to the first so many workers, by their addresses.
    pub(super) fn steer(&self, workers: u16, seed: u32) {
        // One alone gets everything as it is.
        let Some(first) = self.workers.first().filter(|_| self.size() > 1) else {
            return;
        };
        if let Err(error) = first.socket.steer(workers.min(self.size()), seed) {
            tracing::warn!(
                "the kernel does not let clients of {} be steered to workers by their addresses: \
                 {error}. Those that use interleaved mode may find themselves in basic mode; \
                 server.workers = 1 avoids it",
                self.place.address
            );
        }
    }

    /// Adds what has become of packets since this was last asked.
    pub(super) fn take_outcomes(&mut self, outcomes: &mut Vec<Outcome>) {
        for running in &mut self.workers {
            running.take_outcomes(outcomes);
        }
    }
}

impl Running {
    fn start(
        socket: Arc<UdpSocket>,
        place: Place,
        number: u16,
        board: &Arc<Board>,
    ) -> io::Result<Self> {
        let clients = ClientTable::new(board.posted().policy.clients);
        let shared = Arc::new(Shared {
            number,
            address: socket.local_addr()?,
            smeared: place.smeared,
            counters: Counters::default(),
            stamps: StampTally::default(),
            clients: Mutex::new(Arc::new(clients)),
            denied: Mutex::new(None),
            ending: AtomicBool::new(false),
        });
        let (theirs, shares) = (Arc::clone(&socket), Arc::clone(&shared));
        let board = Arc::clone(board);
        let thread = Builder::new()
            .name(format!("serve-{number}"))
            .stack_size(STACK)
            .spawn(move || worker::attend(&theirs, &shares, &board))?;
        Ok(Self {
            socket,
            shared,
            thread: Some(thread),
            taken: Vec::new(),
        })
    }

    fn tell_to_end(&self) {
        self.shared.ending.store(true, Ordering::Relaxed);
        self.socket.end_receiving();
    }

    /// Ends it with the process, and leaves its socket to whoever holds that, too.
    fn leave(&mut self) {
        self.shared.ending.store(true, Ordering::Relaxed);
        self.thread = None;
    }

    fn end(&mut self) {
        self.tell_to_end();
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }

    fn take_outcomes(&mut self, outcomes: &mut Vec<Outcome>) {
        let now: Vec<Outcome> = self.shared.stamps.outcomes().collect();
        for outcome in &now {
            let is_same = |before: &&Outcome| {
                before.interface == outcome.interface
                    && before.direction == outcome.direction
                    && before.kind == outcome.kind
                    && before.fallback.map(Fallback::index) == outcome.fallback.map(Fallback::index)
            };
            let before = self.taken.iter().find(is_same).map_or(0, |it| it.packets);
            let packets = outcome.packets.wrapping_sub(before);
            if packets > 0 {
                outcomes.push(Outcome {
                    packets,
                    ..*outcome
                });
            }
        }
        self.taken = now;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end();
        }
    }
}
