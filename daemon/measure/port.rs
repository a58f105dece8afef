//! A socket in the event loop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clockwright_sys::socket::{Options, UdpSocket, WAKES};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Names a port among all of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PortId {
    /// Whose it is.
    pub owner: u32,
    /// Which of the owner's.
    pub serial: u32,
}

/// Where ports that have something to read are told. Holds each port at most once.
#[derive(Debug, Clone)]
pub struct Wakes(mpsc::UnboundedSender<PortId>);

impl Wakes {
    /// A queue, and the end at which it is read.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<PortId>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }
}

/// An open socket whose readiness is told to a [`Wakes`] until it is dropped.
#[derive(Debug)]
pub struct Port {
    id: PortId,
    shared: Arc<Shared>,
    watcher: AbortHandle,
    wakes: Wakes,
}

#[derive(Debug)]
struct Shared {
    socket: AsyncFd<UdpSocket>,
    /// Is it in the queue already?
    posted: AtomicBool,
}

impl Port {
    /// Opens a socket. To be called within the tokio runtime.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn open(id: PortId, options: &Options, wakes: &Wakes) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            socket: UdpSocket::open(options)?.into_async()?,
            posted: AtomicBool::new(false),
        });
        let watcher = tokio::spawn(watch(id, Arc::clone(&shared), wakes.clone())).abort_handle();
        Ok(Self {
            id,
            shared,
            watcher,
            wakes: wakes.clone(),
        })
    }

    /// Its name.
    pub const fn id(&self) -> PortId {
        self.id
    }

    /// The socket.
    pub fn socket(&self) -> &UdpSocket {
        self.shared.socket.get_ref()
    }

    /// To be called before reading: what comes from now on is told anew.
    pub fn begin_reading(&self) {
        self.shared.posted.store(false, Ordering::Relaxed);
    }

    /// To be called when reading stopped before the socket was empty.
    pub fn read_more_later(&self) {
        post(self.id, &self.shared, &self.wakes);
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

/// Puts the port into the queue unless it is there already.
fn post(id: PortId, shared: &Shared, wakes: &Wakes) {
    if !shared.posted.swap(true, Ordering::Relaxed) {
        // Where nobody listens any more, nobody is to be told.
        let _ = wakes.0.send(id);
    }
}

/// Tells of each time that something arrives: the datagrams themselves are read by the owner.
async fn watch(id: PortId, shared: Arc<Shared>, wakes: Wakes) {
    while let Ok(mut ready) = shared.socket.ready(WAKES).await {
        // Cleared before anything is read, so that what comes meanwhile is not missed.
        ready.clear_ready();
        post(id, &shared, &wakes);
    }
}
