//! Sockets in the event loop.
//!
//! A client opens a socket for each request and closes it after the reply. To make tokio know each of
//! them takes a task, a registration and two system calls more than to put them into one epoll set
//! of this process's own, which tokio knows once and for all.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use clockwright_sys::socket::{Options, UdpSocket};
use clockwright_sys::wake;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::timerfd::TimerFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Ports told of in one system call.
const BATCH: usize = 8;
/// Each arrival is told once: the owner reads until nothing is left. Errors and stamps are always
/// told (`EPOLLERR`).
const ARRIVALS: EpollFlags = EpollFlags::EPOLLIN.union(EpollFlags::EPOLLET);

/// Names a port among all of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PortId {
    /// Whose it is.
    pub owner: u32,
    /// Which of the owner's.
    pub serial: u32,
}

impl PortId {
    /// What stands for the timer: nobody opens so many ports.
    const TIMER: Self = Self {
        owner: u32::MAX,
        serial: u32::MAX,
    };

    fn to_bits(self) -> u64 {
        u64::from(self.owner) << 32 | u64::from(self.serial)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves of 64 bits are taken apart"
    )]
    const fn from_bits(bits: u64) -> Self {
        Self {
            owner: (bits >> 32) as u32,
            serial: bits as u32,
        }
    }
}

/// Where ports that have something to read are told.
#[derive(Debug, Clone)]
pub struct Wakes(Arc<Epoll>);

/// The end at which that is read.
#[derive(Debug)]
pub struct Woken {
    set: Arc<Epoll>,
    ready: AsyncFd<OwnedFd>,
    /// Told by the kernel and yet to be handed out, last first.
    waiting: Vec<Arrival>,
    /// May there be more than that?
    more: bool,
}

/// A port has something to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The port.
    pub port: PortId,
    /// Is there anything in its error queue, a transmit stamp say?
    pub errors: bool,
}

/// What has something to be seen to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// A port has something to read.
    Port(Arrival),
    /// The timer has rung.
    Timer,
}

impl Wakes {
    /// A set, and the end at which it is read. To be called within the tokio runtime.
    ///
    /// # Errors
    /// The kernel gives none.
    pub fn new() -> io::Result<(Self, Woken)> {
        let set = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let same = set.0.try_clone()?;
        let set = Arc::new(set);
        let woken = Woken {
            set: Arc::clone(&set),
            ready: wake::watch(same, Interest::READABLE)?,
            waiting: Vec::with_capacity(BATCH),
            more: false,
        };
        Ok((Self(set), woken))
    }
}

impl Woken {
    /// Waits until a port has something to read or the timer has rung; `None` when the runtime is
    /// going down. Can be dropped and called again without missing anything.
    pub async fn next(&mut self) -> Option<Wake> {
        loop {
            if let Some(arrival) = self.waiting.pop() {
                return Some(if arrival.port == PortId::TIMER {
                    Wake::Timer
                } else {
                    Wake::Port(arrival)
                });
            }
            if self.more {
                // However many there are, whatever else waits in the runtime has its turn.
                tokio::task::yield_now().await;
            } else {
                // Cleared before anything is looked at, so that what comes meanwhile is not missed.
                self.ready.readable().await.ok()?.clear_ready();
            }
            self.look();
        }
    }

    /// Lets the timer be told of, too.
    ///
    /// # Errors
    /// The kernel's.
    pub fn watch_timer(&self, timer: &TimerFd) -> io::Result<()> {
        let event = EpollEvent::new(ARRIVALS, PortId::TIMER.to_bits());
        Ok(self.set.add(timer, event)?)
    }

    fn look(&mut self) {
        let mut events = [EpollEvent::empty(); BATCH];
        let found = self.set.wait(&mut events, EpollTimeout::ZERO);
        self.more = found == Ok(BATCH) || found == Err(Errno::EINTR);
        let events = events.iter().take(found.unwrap_or(0)).rev();
        let found = events.map(|event| Arrival {
            port: PortId::from_bits(event.data()),
            errors: event.events().contains(EpollFlags::EPOLLERR),
        });
        self.waiting.extend(found);
    }
}

/// An open socket whose readiness is told to a [`Wakes`] until it is dropped: closing takes it out
/// of the set.
#[derive(Debug)]
pub struct Port {
    id: PortId,
    socket: UdpSocket,
    wakes: Wakes,
}

impl Port {
    /// Opens a socket.
    ///
    /// # Errors
    /// As the kernel says.
    pub fn open(id: PortId, options: &Options, wakes: &Wakes) -> io::Result<Self> {
        let socket = UdpSocket::open(options)?;
        let event = EpollEvent::new(ARRIVALS, id.to_bits());
        wakes.0.add(&socket, event)?;
        Ok(Self {
            id,
            socket,
            wakes: wakes.clone(),
        })
    }

    /// Its name.
    pub const fn id(&self) -> PortId {
        self.id
    }

    /// The socket.
    pub const fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// To be called when reading stopped before the socket was empty: it is told of once more, after
    /// what others have to read.
    pub fn read_more_later(&self) {
        // Changing what is watched makes the kernel look again. It cannot fail for what is in the set.
        let mut event = EpollEvent::new(ARRIVALS, self.id.to_bits());
        let _ = self.wakes.0.modify(&self.socket, &mut event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket as StdSocket;
    use std::time::Duration;

    use clockwright_sys::socket::{RecvBatch, Stamping, Transmit};
    use tokio::time::timeout;

    const PATIENCE: Duration = Duration::from_secs(10);
    const NOTHING: Duration = Duration::from_millis(5);

    fn within_tokio(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(test);
    }

    fn port_to(server: &StdSocket, serial: u32, wakes: &Wakes) -> Port {
        let options = Options::client(server.local_addr().unwrap(), Stamping::default());
        let id = PortId { owner: 1, serial };
        Port::open(id, &options, wakes).unwrap()
    }

    fn send_to(port: &Port, server: &StdSocket) {
        let to = port.socket().local_addr().unwrap();
        server.send_to(&[0; 48], to).unwrap();
    }

    fn arrival(port: &Port) -> Wake {
        Wake::Port(Arrival {
            port: port.id(),
            errors: false,
        })
    }

    #[test]
    fn an_error_is_told_as_one() {
        within_tokio(async {
            let server = StdSocket::bind("127.0.0.1:0").unwrap();
            let (wakes, mut woken) = Wakes::new().unwrap();
            let port = port_to(&server, 1, &wakes);
            drop(server);
            let nobody = Transmit {
                payload: &[0; 48],
                to: None,
                from: None,
                stamp: false,
            };
            port.socket().send(&nobody).unwrap();
            let told = timeout(PATIENCE, woken.next()).await.unwrap();
            let errors = Arrival {
                port: port.id(),
                errors: true,
            };
            assert_eq!(told, Some(Wake::Port(errors)));
        });
    }

    #[test]
    fn each_arrival_is_told_once_and_what_is_left_again_when_asked_for() {
        within_tokio(async {
            let server = StdSocket::bind("127.0.0.1:0").unwrap();
            let (wakes, mut woken) = Wakes::new().unwrap();
            let port = port_to(&server, 7, &wakes);
            assert!(timeout(NOTHING, woken.next()).await.is_err());
            for _ in 0..3 {
                send_to(&port, &server);
                let told = timeout(PATIENCE, woken.next()).await.unwrap();
                assert_eq!(told, Some(arrival(&port)));
                // Unread, and not told of anew.
                assert!(timeout(NOTHING, woken.next()).await.is_err());
            }
            port.read_more_later();
            let told = timeout(PATIENCE, woken.next()).await.unwrap();
            assert_eq!(told, Some(arrival(&port)));
            let mut batch = RecvBatch::new(4, 128);
            assert_eq!(port.socket().recv(&mut batch).unwrap(), 3);
            port.read_more_later();
            assert!(timeout(NOTHING, woken.next()).await.is_err());
        });
    }

    #[test]
    fn more_ports_than_are_told_in_one_call_are_all_told_and_closed_ones_are_not() {
        within_tokio(async {
            let server = StdSocket::bind("127.0.0.1:0").unwrap();
            let (wakes, mut woken) = Wakes::new().unwrap();
            let ports: Vec<Port> = (0..20).map(|n| port_to(&server, n, &wakes)).collect();
            for port in &ports {
                send_to(port, &server);
            }
            let mut told = Vec::new();
            while told.len() < ports.len() {
                match timeout(PATIENCE, woken.next()).await.unwrap() {
                    Some(Wake::Port(arrival)) => told.push(arrival.port.serial),
                    other => panic!("{other:?}"),
                }
            }
            told.sort_unstable();
            assert_eq!(told, (0..20).collect::<Vec<u32>>());
            send_to(&ports[3], &server);
            drop(ports);
            assert!(timeout(NOTHING, woken.next()).await.is_err());
        });
    }
}
