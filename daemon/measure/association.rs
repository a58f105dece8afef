//! One server being asked: the protocol's state machine with its sockets and stamps.

use std::collections::VecDeque;
use std::net::SocketAddr;

use clockwright_ntp::{
    Action, Arrival, Client, ClientConfig, Exchange, KissCode, PortPolicy, Rejection, Request,
    TxToken,
};
use clockwright_sys::socket::{
    ErrorQueue, Features, Options, QueueItem, RecvBatch, Stamping, StampingKeeper, Transmit, TxId,
};
use clockwright_timebase::{Duration, Raw, Stamp, StampKind, Timestamp, Utc};

use super::entropy::OsEntropy;
use super::failure::Failure;
use super::port::{Port, PortId, Wakes};
use crate::clock::{Clock, Implausible, Window};

/// Datagrams and stamps read in one system call. A client seldom has more than one.
const BATCH: usize = 4;
/// Longest datagram of interest, octets: what fits into one packet everywhere.
const PAYLOAD: usize = 1280;
/// How long a reply is held for the kernel's transmit stamp of its request.
const STAMP_WAIT: Duration = Duration::from_millis(20);

/// Batches read before others have their turn.
const ROUNDS: usize = 16;

/// What all associations of a process use together.
#[derive(Debug)]
pub struct Instruments {
    /// Random numbers.
    pub entropy: OsEntropy,
    received: RecvBatch,
    queue: ErrorQueue,
    wakes: Wakes,
    /// Keeps the kernel stamping between requests, when no other socket is open.
    _stamping: Option<StampingKeeper>,
    /// The best stamp a sent packet can get on this host.
    pub best_stamp: StampKind,
}

impl Instruments {
    /// Buffers, and what the running kernel can stamp.
    pub fn new(wakes: Wakes) -> Self {
        let stamps = Features::probe().is_ok_and(|features| features.opt_id);
        Self {
            entropy: OsEntropy::new(),
            received: RecvBatch::new(BATCH, PAYLOAD),
            // Stamps come alone, without the packet: room for its first octets is enough.
            queue: ErrorQueue::new(BATCH, 128),
            wakes,
            _stamping: StampingKeeper::new().ok(),
            best_stamp: if stamps {
                StampKind::Kernel
            } else {
                StampKind::Daemon
            },
        }
    }
}

/// Something an association's owner should know.
#[derive(Debug)]
pub enum Event {
    /// An exchange is complete and believed.
    Exchange(Exchange),
    /// The server answered with a kiss code.
    Kiss(KissCode),
    /// A reply was believed, but what it completes is of no use.
    Unusable(Rejection),
    /// A datagram was refused.
    Refused(Rejection),
    /// The server answers again, or has stopped answering.
    Reachable(bool),
    /// A request did not get to the server.
    Failed(Failure),
    /// A kernel stamp cannot be right; this process's own was used.
    Doubted(Implausible),
}

/// Stamps taken and stamps refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StampCounts {
    /// Kernel stamps that could not be what they claimed (the clock was stepped, say); this
    /// process's own stamp was used instead.
    pub implausible: u64,
    /// Datagrams that came without a kernel stamp.
    pub missing: u64,
}

/// A request whose transmit stamp is awaited.
#[derive(Debug)]
struct Departure {
    id: TxId,
    token: TxToken,
    /// Just before it was given to the kernel.
    earliest: Timestamp<Raw>,
}

/// A socket and the requests that left from it.
#[derive(Debug)]
struct Line {
    port: Port,
    departures: Vec<Departure>,
}

/// One server being asked.
#[derive(Debug)]
pub struct Association {
    server: SocketAddr,
    owner: u32,
    opened: u32,
    ports: PortPolicy,
    client: Client,
    /// Where the latest request left from.
    line: Option<Line>,
    /// Where the one before left from: its stamp may still come.
    previous: Option<Line>,
    events: VecDeque<Event>,
    stamps: StampCounts,
}

impl Association {
    /// Begins to ask `server`; the first request is due within 100 ms. Its ports are named after
    /// `owner`.
    pub fn new(
        server: SocketAddr,
        owner: u32,
        config: ClientConfig,
        now: Timestamp<Raw>,
        instruments: &mut Instruments,
    ) -> Self {
        let mut client = Client::new(config, now, &mut instruments.entropy);
        client.set_stamping(instruments.best_stamp, STAMP_WAIT);
        Self {
            server,
            owner,
            opened: 0,
            ports: config.ports,
            client,
            line: None,
            previous: None,
            events: VecDeque::new(),
            stamps: StampCounts::default(),
        }
    }

    /// The server's address.
    pub const fn server(&self) -> SocketAddr {
        self.server
    }

    /// The protocol's state.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The protocol's state, to be changed. Requests that follow are sent at the next
    /// [`Association::handle_timeout`].
    pub const fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Takes over a changed configuration, keeping what is known of the server.
    pub fn reconfigure(&mut self, config: ClientConfig) {
        self.ports = config.ports;
        self.client.reconfigure(config);
    }

    /// What became of the stamps.
    pub const fn stamps(&self) -> StampCounts {
        self.stamps
    }

    /// When [`Association::handle_timeout`] is to be called.
    pub fn next_timeout(&self) -> Option<Timestamp<Raw>> {
        self.client.next_timeout()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, instruments: &mut Instruments, clock: &dyn Clock) {
        let now = clock.timescale().now();
        if self.next_timeout().is_some_and(|due| due <= now) {
            self.client.handle_timeout(now, &mut instruments.entropy);
        }
        self.carry_out(instruments, clock);
    }

    /// Starts afresh, as after a step of the clock that stamps packets: what is under way is
    /// abandoned, its sockets closed.
    pub fn restart(&mut self, now: Timestamp<Raw>) {
        self.line = None;
        self.previous = None;
        self.client.restart(now);
    }

    /// Reads what has arrived at a port of this association: transmit stamps first, so that a
    /// reply finds its request stamped.
    pub fn handle_port(&mut self, id: PortId, instruments: &mut Instruments, clock: &dyn Clock) {
        let Some(mut line) = self.take_line(id) else {
            return;
        };
        line.port.begin_reading();
        let mut rounds = 0;
        while rounds < ROUNDS && self.read(&mut line, instruments, clock) {
            rounds += 1;
        }
        if rounds == ROUNDS {
            line.port.read_more_later();
        }
        self.put_back(line);
        self.carry_out(instruments, clock);
    }

    /// The next thing to know; call until `None` after each `handle_…`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn take_line(&mut self, id: PortId) -> Option<Line> {
        let is_it = |line: &mut Line| line.port.id() == id;
        self.line
            .take_if(is_it)
            .or_else(|| self.previous.take_if(is_it))
    }

    /// Puts a line back where it was, judged by its age.
    fn put_back(&mut self, line: Line) {
        if line.port.id().serial == self.opened {
            self.line = Some(line);
        } else {
            self.previous = Some(line);
        }
    }

    /// Reads a batch of transmit stamps and one of datagrams; true if there may be more.
    fn read(&mut self, line: &mut Line, instruments: &mut Instruments, clock: &dyn Clock) -> bool {
        let socket = line.port.socket();
        let stamps = self.count(socket.recv_tx_stamps(&mut instruments.queue));
        let datagrams = self.count(socket.recv(&mut instruments.received));
        if stamps == 0 && datagrams == 0 {
            return false;
        }
        let window = clock.window();
        if stamps > 0 {
            self.take_departures(line, &instruments.queue, &window);
        }
        if datagrams > 0 {
            self.take_arrivals(&instruments.received, &window);
        }
        stamps == BATCH || datagrams == BATCH
    }

    /// How many were read; an error is reported, and what follows it read all the same.
    fn count(&mut self, read: std::io::Result<usize>) -> usize {
        read.unwrap_or_else(|error| {
            self.report(Event::Failed(Failure::Send(error)));
            0
        })
    }

    /// Takes in transmit stamps and what the network reports.
    fn take_departures(&mut self, line: &mut Line, queue: &ErrorQueue, window: &Window) {
        for item in queue.items() {
            match item {
                QueueItem::Stamp(stamp) => self.departed(line, stamp.id, stamp.kernel, window),
                QueueItem::Error(error) => self.report(Event::Failed(Failure::Network(error))),
            }
        }
    }

    /// Takes in datagrams.
    fn take_arrivals(&mut self, received: &RecvBatch, window: &Window) {
        for message in received.messages() {
            // The socket is connected; what it got before it was does not count.
            if message.source != self.server || message.truncated {
                continue;
            }
            let rx = Arrival::udp(self.arrived(message.kernel, window));
            let verdict = self
                .client
                .handle_datagram(message.payload, rx, window.now());
            if let Err(rejection) = verdict {
                self.report(Event::Refused(rejection));
            }
        }
    }

    /// The kernel says when a request left.
    fn departed(
        &mut self,
        line: &mut Line,
        id: TxId,
        kernel: Option<Timestamp<Utc>>,
        window: &Window,
    ) {
        let Some(at) = line.departures.iter().position(|d| d.id == id) else {
            return;
        };
        let Some(kernel) = kernel else {
            return;
        };
        let Departure {
            token, earliest, ..
        } = line.departures.swap_remove(at);
        let left = window.instant_of(kernel).and_then(|instant| {
            let early = earliest - instant;
            if early > window.half_width() {
                Err(Implausible::BeforeSending(early))
            } else {
                Ok(instant)
            }
        });
        match left {
            Ok(at) => {
                let stamp = Stamp {
                    at,
                    kind: StampKind::Kernel,
                    uncertainty: window.half_width(),
                };
                self.client.stamped(&token, stamp);
            }
            Err(why) => self.doubt(why),
        }
        self.client.stamps_ended(token);
    }

    /// The best stamp of an arrival.
    fn arrived(&mut self, kernel: Option<Timestamp<Utc>>, window: &Window) -> Stamp<Raw> {
        let (at, kind) = match kernel.map(|stamp| window.instant_of(stamp)) {
            Some(Ok(instant)) => (instant, StampKind::Kernel),
            Some(Err(why)) => {
                self.doubt(why);
                (window.now(), StampKind::Daemon)
            }
            None => {
                self.stamps.missing += 1;
                (window.now(), StampKind::Daemon)
            }
        };
        Stamp {
            at,
            kind,
            uncertainty: window.half_width(),
        }
    }

    /// A kernel stamp cannot be right.
    fn doubt(&mut self, why: Implausible) {
        self.stamps.implausible += 1;
        self.report(Event::Doubted(why));
    }

    /// Does what the protocol wants done.
    fn carry_out(&mut self, instruments: &mut Instruments, clock: &dyn Clock) {
        while let Some(action) = self.client.poll_action() {
            match action {
                Action::Send(request) => {
                    self.send(request, instruments, clock);
                    self.collect_departure(instruments, clock);
                }
                Action::Exchange(exchange) => self.report(Event::Exchange(exchange)),
                Action::Kiss(code) => self.report(Event::Kiss(code)),
                Action::Unusable(rejection) => self.report(Event::Unusable(rejection)),
                Action::Reachable(reachable) => self.report(Event::Reachable(reachable)),
            }
        }
        self.close_what_is_done();
    }

    fn send(&mut self, request: Request, instruments: &Instruments, clock: &dyn Clock) {
        let Request {
            payload,
            token,
            fresh_port,
            ..
        } = request;
        let now = || clock.timescale().now();
        if fresh_port && let Some(line) = self.line.take() {
            self.previous = Some(line);
        }
        let line = match self.take_or_open(&instruments.wakes) {
            Ok(line) => self.line.insert(line),
            Err(error) => {
                self.client.send_failed(token, now());
                self.report(Event::Failed(Failure::Open(error)));
                return;
            }
        };
        let earliest = now();
        let result = line.port.socket().send(&Transmit {
            payload: &payload,
            to: None,
            from: None,
            stamp: true,
        });
        let took = now() - earliest;
        let own = Stamp {
            at: earliest + took.half(),
            kind: StampKind::Daemon,
            uncertainty: took.half(),
        };
        match result {
            Ok(Some(id)) => {
                self.client.sent(&token, own);
                line.departures.push(Departure {
                    id,
                    token,
                    earliest,
                });
            }
            Ok(None) => {
                self.client.sent(&token, own);
                self.client.stamps_ended(token);
            }
            Err(error) => {
                self.client.send_failed(token, now());
                self.report(Event::Failed(Failure::Send(error)));
            }
        }
    }

    /// Most drivers stamp a packet before the system call that sent it returns: reading the stamp
    /// at once saves being woken for it.
    fn collect_departure(&mut self, instruments: &mut Instruments, clock: &dyn Clock) {
        let Some(mut line) = self.line.take() else {
            return;
        };
        let read = line.port.socket().recv_tx_stamps(&mut instruments.queue);
        if self.count(read) > 0 {
            self.take_departures(&mut line, &instruments.queue, &clock.window());
        }
        self.line = Some(line);
    }

    /// The line there is, or a new one.
    fn take_or_open(&mut self, wakes: &Wakes) -> std::io::Result<Line> {
        if let Some(mut line) = self.line.take() {
            // Stamps that have not come by the next request will not.
            line.departures.clear();
            return Ok(line);
        }
        self.opened = self.opened.wrapping_add(1);
        let id = PortId {
            owner: self.owner,
            serial: self.opened,
        };
        let options = Options::client(self.server, Stamping::KERNEL);
        Ok(Line {
            port: Port::open(id, &options, wakes)?,
            departures: Vec::new(),
        })
    }

    /// Closes sockets from which nothing more is expected.
    fn close_what_is_done(&mut self) {
        self.previous.take_if(|line| line.departures.is_empty());
        if self.ports == PortPolicy::PerRequest && !self.client.awaiting_reply() {
            self.line.take_if(|line| line.departures.is_empty());
        }
    }

    /// Keeps an event for the owner, who is expected to read them after every call.
    fn report(&mut self, event: Event) {
        const CAPACITY: usize = 64;
        if self.events.len() < CAPACITY {
            self.events.push_back(event);
        }
    }
}
