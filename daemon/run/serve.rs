//! Answering the hosts that ask us.

use std::net::SocketAddr;
use std::{fmt, io};

use clockwright_discipline::Status;
use clockwright_ntp::{Leap, ReferenceId, ServerStatistics, SystemVariables, Transport};
use clockwright_sys::socket::{ErrorQueue, Options, QueueItem, RecvBatch};
use clockwright_timebase::{Duration, Timestamp, Utc};

use super::desk::{Answering, Carried, Desk, ServeCounts};
use super::reference;
use crate::config::LocalConfig;
use crate::interfaces::Interfaces;
use crate::measure::{Port, PortId, Wakes};

/// The owner of the servers' ports: no source has this number.
pub(super) const OWNER: u32 = u32::MAX;

/// Requests taken from the kernel at once.
const BATCH: usize = 32;
/// Longest request looked at, octets. Longer ones are not NTP.
const PAYLOAD: usize = 1280;
/// Batches answered before the rest of the daemon has its turn.
const ROUNDS: usize = 8;
/// A listening socket.
#[derive(Debug)]
struct Listener {
    address: SocketAddr,
    port: Port,
}

/// No port could be opened to serve on.
#[derive(Debug)]
pub(super) struct ListenError {
    address: SocketAddr,
    error: io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, error } = self;
        write!(f, "cannot serve on {address}: ")?;
        match error.kind() {
            io::ErrorKind::AddrInUse => write!(
                f,
                "the port is in use, probably by another NTP server such as chronyd, ntpd or \
                 ntpd-rs (`ss -lunp sport = :{port}` shows which). Stop it (`systemctl disable \
                 --now chronyd`), or take the address out of server.listen",
                port = address.port()
            ),
            io::ErrorKind::PermissionDenied => f.write_str(
                "ports below 1024 need CAP_NET_BIND_SERVICE; start as root, or with \
                 AmbientCapabilities=CAP_NET_BIND_SERVICE",
            ),
            _ => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for ListenError {}

/// All sockets that serve, and the state they share.
#[derive(Debug)]
pub(super) struct Servers {
    listeners: Vec<Listener>,
    opened: u32,
    /// Where they are answered.
    pub(super) desk: Desk,
    requests: RecvBatch,
    queue: ErrorQueue,
}

impl Servers {
    /// Nobody is served yet.
    pub(super) fn new() -> Self {
        Self {
            listeners: Vec::new(),
            opened: 0,
            desk: Desk::new(),
            requests: RecvBatch::new(BATCH, PAYLOAD),
            queue: ErrorQueue::new(BATCH, 128),
        }
    }

    /// Listens on these addresses and no others. Sockets that are open already stay.
    ///
    /// # Errors
    /// One of them cannot be opened; then nothing has changed.
    pub(super) fn listen_on(
        &mut self,
        addresses: &[SocketAddr],
        wakes: &Wakes,
    ) -> Result<(), ListenError> {
        let mut fresh = Vec::new();
        for address in addresses {
            if self.listeners.iter().any(|open| open.address == *address) {
                continue;
            }
            self.opened = self.opened.wrapping_add(1);
            let id = PortId {
                owner: OWNER,
                serial: self.opened,
            };
            let options = Options {
                stamping: Interfaces::HARDWARE,
                // The address may come up after the daemon does.
                freebind: true,
                ..Options::new(*address)
            };
            match Port::open(id, &options, wakes) {
                Ok(port) => fresh.push(Listener {
                    address: *address,
                    port,
                }),
                Err(error) => {
                    let address = *address;
                    return Err(ListenError { address, error });
                }
            }
        }
        self.listeners
            .retain(|open| addresses.contains(&open.address));
        self.listeners.extend(fresh);
        Ok(())
    }

    /// Where requests are answered, in the order of the configuration where that does not change.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let mut addresses: Vec<SocketAddr> = self.listeners.iter().map(|l| l.address).collect();
        addresses.sort_by_key(|address| (address.is_ipv6(), *address));
        addresses.into_iter()
    }

    /// Is anybody served at all?
    pub(super) fn is_listening(&self) -> bool {
        !self.listeners.is_empty()
    }

    /// The served clock was stepped.
    pub(super) fn clock_stepped(&mut self) {
        self.desk.clock_stepped();
    }

    /// What the protocol has counted.
    pub(super) const fn statistics(&self) -> &ServerStatistics {
        self.desk.server.statistics()
    }

    /// What was counted besides.
    pub(super) const fn counts(&self) -> ServeCounts {
        self.desk.counts
    }

    /// Answers what has arrived at a port.
    pub(super) fn handle_port(&mut self, id: PortId, answering: &mut Answering<'_>) {
        let Some(at) = self.listeners.iter().position(|open| open.port.id() == id) else {
            return;
        };
        // Out of the list while its requests change everything else.
        let listener = self.listeners.swap_remove(at);
        let port = &listener.port;
        port.begin_reading();
        let mut rounds = 0;
        while rounds < ROUNDS {
            let more_stamps = self.read_stamps(port, answering);
            let more_requests = self.read_requests(port, answering);
            if !more_stamps && !more_requests {
                break;
            }
            rounds += 1;
        }
        if rounds == ROUNDS {
            port.read_more_later();
        }
        self.listeners.push(listener);
    }

    /// Takes in a batch of transmit stamps; true if there may be more.
    fn read_stamps(&mut self, port: &Port, answering: &mut Answering<'_>) -> bool {
        // An error here is one of the network's about somebody else's packet.
        let read = port.socket().recv_tx_stamps(&mut self.queue).unwrap_or(0);
        if read == 0 {
            return false;
        }
        let window = answering.stamper.clock.window();
        for item in self.queue.items() {
            let QueueItem::Stamp(stamp) = item else {
                continue;
            };
            let stamper = &mut answering.stamper;
            self.desk
                .stamped(port.id(), &stamp, Transport::Udp, stamper, &window);
        }
        read == BATCH
    }

    /// Answers a batch of requests; true if there may be more.
    fn read_requests(&mut self, port: &Port, answering: &mut Answering<'_>) -> bool {
        let read = port.socket().recv(&mut self.requests).unwrap_or(0);
        if read == 0 {
            return false;
        }
        let window = answering.stamper.clock.window();
        for message in self.requests.messages() {
            self.desk
                .answer(port, &message, Carried::Plain, answering, &window);
        }
        read == BATCH
    }
}

impl Default for Servers {
    fn default() -> Self {
        Self::new()
    }
}

/// What is said about a clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct About {
    /// What the discipline thinks of it.
    pub(super) status: Status,
    /// The server it follows most, as clients are to know it.
    pub(super) reference_id: Option<ReferenceId>,
    /// The announced leap second.
    pub(super) leap: Leap,
    /// Its resolution, log2 s.
    pub(super) precision: i8,
    /// What it shows.
    pub(super) now: Timestamp<Utc>,
    /// When it was last updated, in its own time.
    pub(super) updated: Option<Timestamp<Utc>>,
}

impl About {
    /// The system variables (RFC 5905 section 11.1). A clock that is not synchronised says so,
    /// unless it is to be served as it is.
    pub(super) fn variables(&self, local: Option<&LocalConfig>) -> SystemVariables {
        let precision = self.precision;
        match (self.reference_id, self.updated, local) {
            (Some(reference_id), Some(updated), _) if self.status.synchronized => SystemVariables {
                leap: self.leap,
                stratum: self.status.stratum,
                precision,
                root_delay: Duration::from_secs_f64(self.status.root_delay_s),
                root_dispersion: Duration::from_secs_f64(self.status.root_dispersion_s),
                reference_id,
                reference_time: updated,
            },
            (_, _, Some(local)) => SystemVariables {
                leap: Leap::None,
                stratum: local.stratum,
                precision,
                root_delay: Duration::ZERO,
                root_dispersion: Duration::ZERO,
                reference_id: reference::of_local_clock(local.stratum),
                reference_time: self.now,
            },
            _ => SystemVariables {
                leap: Leap::Unsynchronized,
                stratum: 16,
                precision,
                root_delay: Duration::ZERO,
                root_dispersion: Duration::ZERO,
                reference_id: ReferenceId::ZERO,
                reference_time: Timestamp::EPOCH,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clockwright_discipline::{ClockReading, Config, Discipline, Learnt, StepPolicy};

    fn about(synchronized: bool) -> About {
        let discipline = Discipline::new(Config {
            step: StepPolicy {
                above: Duration::from_millis(100),
                first: 3,
            },
            max_slew: 0.05,
            learnt: Learnt::default(),
        });
        let now = Timestamp::from_timespec(1_800_000_000, 0);
        let mut status = discipline.status(ClockReading {
            raw: Timestamp::EPOCH,
            clock: now,
        });
        status.synchronized = synchronized;
        status.stratum = 2;
        status.root_delay_s = 1e-3;
        status.root_dispersion_s = 2e-3;
        About {
            status,
            reference_id: Some(ReferenceId([192, 0, 2, 1])),
            leap: Leap::Insert,
            precision: -25,
            now,
            updated: Some(now - Duration::from_secs(10)),
        }
    }

    #[test]
    fn a_synchronised_clock_passes_on_what_it_follows() {
        let said = about(true).variables(Some(&LocalConfig { stratum: 10 }));
        assert!(said.is_synchronized());
        assert_eq!((said.leap, said.stratum), (Leap::Insert, 2));
        assert_eq!(said.reference_id, ReferenceId([192, 0, 2, 1]));
        assert_eq!(said.root_delay, Duration::from_millis(1));
        assert_eq!(said.root_dispersion, Duration::from_millis(2));
    }

    #[test]
    fn an_unsynchronised_clock_says_so_unless_it_is_served_as_it_is() {
        assert!(!about(false).variables(None).is_synchronized());
        let local = about(false).variables(Some(&LocalConfig { stratum: 10 }));
        assert!(local.is_synchronized());
        assert_eq!((local.leap, local.stratum), (Leap::None, 10));
        assert_eq!(local.reference_id, reference::LOCAL);
        let first = about(false).variables(Some(&LocalConfig { stratum: 1 }));
        assert_eq!(first.reference_id.name(), Some("LOCL"));
    }

    #[test]
    fn a_port_in_use_says_what_to_do() {
        let error = ListenError {
            address: SocketAddr::from(([0, 0, 0, 0], 123)),
            error: io::ErrorKind::AddrInUse.into(),
        };
        let text = error.to_string();
        assert!(
            text.contains("0.0.0.0:123") && text.contains("chronyd"),
            "{text}"
        );
    }
}
