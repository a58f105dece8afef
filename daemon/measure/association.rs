//! One server being asked: the protocol's state machine with its sockets and stamps.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use clockwright_ntp::nts::Session;
use clockwright_ntp::{
    Action, Client, ClientConfig, Exchange, Foreseen, KissCode, PortPolicy, PtpUse, Rejection,
    Request, Transport, TxToken, over_ptp,
};
use clockwright_sys::clock::raw_now;
use clockwright_sys::socket::{Message, Options, QueueItem, Transmit, TxId, TxStamp};
use clockwright_timebase::{Duration, Raw, Stamp, StampKind, Timestamp};

use super::departure::{Departure, Departures};
use super::failure::Failure;
use super::instruments::{BATCH, Instruments};
use super::line::Line;
use super::port::{Arrival, Port, PortId};
use crate::clock::{Clock, Implausible, Window};
use crate::interfaces::{Freshness, Interfaces, Medium, Sent};

/// Batches read before others have their turn.
const ROUNDS: usize = 16;

/// Something an association's owner should know.
#[derive(Debug)]
pub enum Event {
    /// An exchange is complete and believed.
    Exchange(Exchange),
    /// What the exchange of the newest reply is likely to be.
    Foreseen(Foreseen),
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
    /// Keys are to be established with the server: [`Association::keys_established`] or
    /// [`Association::keys_failed`] is to follow.
    KeysWanted,
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
    /// The requests that left over PTP, by the port that all associations share.
    over_ptp: Departures,
    /// Which port that was.
    ptp_port: Option<PortId>,
    /// Whether requests are to go over PTP.
    ptp: PtpUse,
    /// The address that the latest request left from.
    local: Option<IpAddr>,
    /// The interface that the way to the server leads through, as the last stamp told.
    interface: Option<u32>,
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
        client.set_stamping(
            instruments.best_transmit(None),
            instruments.interfaces.transmit_wait(None),
        );
        Self {
            server,
            owner,
            opened: 0,
            ports: config.ports,
            client,
            line: None,
            previous: None,
            over_ptp: Departures::default(),
            ptp_port: None,
            ptp: PtpUse::Never,
            local: None,
            interface: None,
            events: VecDeque::new(),
            stamps: StampCounts::default(),
        }
    }

    /// Authenticates everything from now on, with keys that are yet to be established.
    pub fn secure(&mut self, now: Timestamp<Raw>) {
        self.client.secure(None, now);
    }

    /// Authenticates everything from now on, with the keys and cookies of a `session` with `server`
    /// that is so old.
    pub fn resume(
        &mut self,
        session: Session,
        age: Duration,
        server: SocketAddr,
        now: Timestamp<Raw>,
    ) {
        self.server = server;
        self.client.secure(Some((session, age)), now);
    }

    /// Keys have been established for asking `server`, which need not be the one that was asked so
    /// far.
    pub fn keys_established(&mut self, session: Session, server: SocketAddr, now: Timestamp<Raw>) {
        if server != self.server {
            self.server = server;
            self.interface = None;
            self.local = None;
            self.restart(now);
        }
        self.client.keys_established(session, now);
    }

    /// Keys could not be established; `local`: nothing left this host.
    pub fn keys_failed(&mut self, local: bool, now: Timestamp<Raw>) {
        self.client.keys_failed(local, now);
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

    /// The address that requests leave from, by which the server knows this host unless it is
    /// translated on the way, as the last reply shows; `None` before the first request.
    pub const fn local(&self) -> Option<IpAddr> {
        self.local
    }

    /// The interface that the way to the server leads through; `None` as long as no stamp has told.
    pub const fn interface(&self) -> Option<u32> {
        self.interface
    }

    /// Is the server asked over PTP and in no other way?
    pub fn is_asked_over_ptp_only(&self) -> bool {
        self.ptp == PtpUse::Always
    }

    /// When [`Association::handle_timeout`] is to be called.
    pub fn next_timeout(&self) -> Option<Timestamp<Raw>> {
        self.client.next_timeout()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, instruments: &mut Instruments, clock: &dyn Clock) {
        let now = clock.timescale().now();
        if self.next_timeout().is_some_and(|due| due <= now) {
            let ptp = instruments.ptp_use(self.server, self.interface);
            self.ptp = ptp;
            self.client.set_ptp(ptp);
            self.client.set_ptp_domain(instruments.ptp.domain());
            self.client.handle_timeout(now, &mut instruments.entropy);
        }
        self.carry_out(instruments, clock);
    }

    /// Starts afresh, as after a step of the clock that stamps packets: what is under way is
    /// abandoned, its sockets closed.
    pub fn restart(&mut self, now: Timestamp<Raw>) {
        self.line = None;
        self.previous = None;
        self.over_ptp = Departures::default();
        self.client.restart(now);
    }

    /// Reads what has arrived at a port of this association: transmit stamps first, so that a
    /// reply finds its request stamped.
    pub fn handle_port(
        &mut self,
        arrival: Arrival,
        instruments: &mut Instruments,
        clock: &dyn Clock,
    ) {
        let Some(mut line) = self.take_line(arrival.port) else {
            return;
        };
        // Mostly all stamps have come before the reply, and the error queue is empty.
        let mut stamps = arrival.errors || !line.is_quiet();
        let mut rounds = 0;
        while rounds < ROUNDS && self.read(&mut line, stamps, instruments, clock) {
            rounds += 1;
            stamps = true;
        }
        if rounds == ROUNDS {
            line.port.read_more_later();
        }
        self.put_back(line);
        self.carry_out(instruments, clock);
    }

    /// Did this request, which left over PTP by this port, come from here?
    pub fn awaits_over_ptp(&self, port: PortId, id: TxId) -> bool {
        self.ptp_port == Some(port) && self.over_ptp.contain(id)
    }

    /// A stamp of such a request has come. [`Association::carry_out`] is to follow.
    pub fn handle_ptp_stamp(
        &mut self,
        stamp: &TxStamp<'_>,
        interfaces: &mut Interfaces,
        window: &Window,
    ) {
        let mut departures = std::mem::take(&mut self.over_ptp);
        self.take_departure(stamp, &mut departures, interfaces, window);
        self.over_ptp = departures;
    }

    /// Is this where the server's messages over PTP come from?
    pub fn is_over_ptp_at(&self, from: SocketAddr) -> bool {
        let scope = |address: SocketAddr| match address {
            SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => v6.scope_id(),
            _ => 0,
        };
        from.port() == over_ptp::PORT
            && from.ip() == self.server.ip()
            && scope(from) == scope(self.server)
    }

    /// A message over PTP has come from this server. [`Association::carry_out`] is to follow.
    pub fn handle_ptp_message(
        &mut self,
        message: &Message<'_>,
        interfaces: &mut Interfaces,
        window: &Window,
    ) {
        let mut departures = std::mem::take(&mut self.over_ptp);
        self.take_arrival(message, Transport::Ptp, &mut departures, interfaces, window);
        self.over_ptp = departures;
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

    /// Reads a batch of transmit `stamps`, if there may be some, and one of datagrams; true if there
    /// may be more.
    fn read(
        &mut self,
        line: &mut Line,
        stamps: bool,
        instruments: &mut Instruments,
        clock: &dyn Clock,
    ) -> bool {
        let stamps = if stamps {
            self.count(line.read_stamps(instruments))
        } else {
            0
        };
        let datagrams = self.count(line.port.socket().recv(&mut instruments.received));
        if stamps == 0 && datagrams == 0 {
            return false;
        }
        let window = clock.window();
        if stamps > 0 {
            self.take_departures(line, instruments, &window);
        }
        if datagrams > 0 {
            self.take_arrivals(line, instruments, &window);
        }
        stamps == BATCH || instruments.received.is_full()
    }

    /// How many were read; an error is reported, and what follows it read all the same.
    fn count(&mut self, read: std::io::Result<usize>) -> usize {
        read.unwrap_or_else(|error| {
            self.report(Event::Failed(Failure::Send(error)));
            0
        })
    }

    /// Takes in transmit stamps and what the network reports.
    fn take_departures(&mut self, line: &mut Line, instruments: &mut Instruments, window: &Window) {
        let Instruments {
            queue, interfaces, ..
        } = instruments;
        for item in queue.items() {
            match item {
                QueueItem::Stamp(stamp) => {
                    self.take_departure(&stamp, &mut line.departures, interfaces, window);
                }
                QueueItem::Error(error) => self.report(Event::Failed(Failure::Network(error))),
            }
        }
    }

    /// Takes in a transmit stamp.
    fn take_departure(
        &mut self,
        stamp: &TxStamp<'_>,
        departures: &mut Departures,
        interfaces: &mut Interfaces,
        window: &Window,
    ) {
        match departures.stamped(stamp, &mut self.client, interfaces, window) {
            Ok(interface) => self.interface = interface.or(self.interface),
            Err(why) => self.doubt(why),
        }
    }

    /// Takes in datagrams.
    fn take_arrivals(&mut self, line: &mut Line, instruments: &mut Instruments, window: &Window) {
        let Instruments {
            received,
            interfaces,
            ..
        } = instruments;
        for message in received.messages() {
            // The socket is connected; what it got before it was does not count.
            if message.source == self.server && !message.truncated {
                let departures = &mut line.departures;
                self.take_arrival(&message, Transport::Udp, departures, interfaces, window);
            }
        }
    }

    /// Takes in a datagram of the server.
    fn take_arrival(
        &mut self,
        message: &Message<'_>,
        transport: Transport,
        departures: &mut Departures,
        interfaces: &mut Interfaces,
        window: &Window,
    ) {
        self.local = message.local.map(|local| local.ip).or(self.local);
        let medium = Medium {
            transport,
            ipv6: self.server.is_ipv6(),
        };
        let arrived = interfaces.arrived(message, medium, Freshness::Measuring, window);
        if let Some(why) = arrived.kernel {
            self.doubt(why);
        }
        if message.kernel.is_none() {
            self.stamps.missing += 1;
        }
        departures.convert(&mut self.client, interfaces, window);
        let verdict = self
            .client
            .handle_datagram(message.payload, arrived.arrival, window.now());
        if let Err(rejection) = verdict {
            self.report(Event::Refused(rejection));
        }
    }

    /// A kernel stamp cannot be right.
    fn doubt(&mut self, why: Implausible) {
        self.stamps.implausible += 1;
        self.report(Event::Doubted(why));
    }

    /// Does what the protocol wants done.
    pub fn carry_out(&mut self, instruments: &mut Instruments, clock: &dyn Clock) {
        while let Some(action) = self.client.poll_action() {
            match action {
                Action::Send(request) => match request.transport {
                    Transport::Udp => self.send(request, instruments, clock),
                    Transport::Ptp => self.send_over_ptp(request, instruments, clock),
                },
                Action::EstablishKeys => self.report(Event::KeysWanted),
                Action::Exchange(exchange) => self.report(Event::Exchange(exchange)),
                Action::Foreseen(foreseen) => self.report(Event::Foreseen(foreseen)),
                Action::Kiss(code) => self.report(Event::Kiss(code)),
                Action::Unusable(rejection) => self.report(Event::Unusable(rejection)),
                Action::Reachable(reachable) => self.report(Event::Reachable(reachable)),
            }
        }
        self.close_what_is_done();
    }

    fn send(&mut self, request: Request, instruments: &mut Instruments, clock: &dyn Clock) {
        let Request {
            payload,
            token,
            fresh_port,
            transport,
        } = request;
        self.make_way(fresh_port, instruments, clock);
        self.expect_stamps(instruments);
        let line = match self.take_or_open(instruments) {
            Ok(line) => self.line.insert(line),
            Err(error) => return self.not_sent(token, Failure::Open(error), clock),
        };
        let sent = Sent::at(raw_now(), clock.timescale());
        let result = line.port.socket().send(&Transmit {
            payload: &payload,
            to: None,
            from: None,
            stamp: true,
        });
        let departure = self.departed(result, token, sent, transport, clock);
        if let (Some(line), Some(departure)) = (&mut self.line, departure) {
            line.departures.push(departure);
        }
        self.collect_departure(instruments, clock);
    }

    /// Sends a request by the port that all associations share.
    fn send_over_ptp(
        &mut self,
        request: Request,
        instruments: &mut Instruments,
        clock: &dyn Clock,
    ) {
        if !self.over_ptp.is_quiet() {
            let interfaces = &mut instruments.interfaces;
            self.over_ptp
                .abandon(&mut self.client, interfaces, &clock.window());
        }
        self.expect_stamps(instruments);
        let mut to = self.server;
        to.set_port(over_ptp::PORT);
        let port = match instruments.open_ptp(to.is_ipv6()) {
            Ok(port) => port,
            Err(error) => {
                let demanded = self.ptp == PtpUse::Always;
                let failure = Failure::PtpPort(error);
                self.client
                    .send_failed(request.token, clock.timescale().now());
                if instruments.ptp.is_news(to.is_ipv6()) || demanded {
                    self.report(Event::Failed(failure));
                }
                return;
            }
        };
        self.ptp_port = Some(port.id());
        let sent = Sent::at(raw_now(), clock.timescale());
        let result = port.socket().send(&Transmit {
            payload: &request.payload,
            to: Some(to),
            from: None,
            stamp: true,
        });
        if let Some(departure) = self.departed(result, request.token, sent, Transport::Ptp, clock) {
            self.over_ptp.push(departure);
        }
    }

    /// What the path can give may have changed since the last request: another route, another slave
    /// of a bond.
    fn expect_stamps(&mut self, instruments: &Instruments) {
        self.client.set_stamping(
            instruments.best_transmit(self.interface),
            instruments.interfaces.transmit_wait(self.interface),
        );
    }

    /// A request was given to the kernel just now, with this result. What is to be awaited.
    fn departed(
        &mut self,
        result: std::io::Result<Option<TxId>>,
        token: TxToken,
        sent: Sent,
        transport: Transport,
        clock: &dyn Clock,
    ) -> Option<Departure> {
        let took = clock.timescale().now() - sent.earliest;
        let own = Stamp {
            at: sent.earliest + took.half(),
            kind: StampKind::Daemon,
            uncertainty: took.half(),
        };
        match result {
            Ok(Some(id)) => {
                self.client.sent(&token, own);
                Some(Departure::new(id, token, sent, transport, self.interface))
            }
            Ok(None) => {
                self.client.sent(&token, own);
                self.client.stamps_ended(token);
                None
            }
            Err(error) => {
                self.not_sent(token, Failure::Send(error), clock);
                None
            }
        }
    }

    fn not_sent(&mut self, token: TxToken, failure: Failure, clock: &dyn Clock) {
        self.client.send_failed(token, clock.timescale().now());
        self.report(Event::Failed(failure));
    }

    /// Before a request: stamps that have not come by now will not, and a port that is not to be
    /// used again stays open only for the stamp that may still come.
    fn make_way(&mut self, fresh_port: bool, instruments: &mut Instruments, clock: &dyn Clock) {
        let finished = if fresh_port {
            &mut std::mem::replace(&mut self.previous, self.line.take())
        } else {
            &mut self.line
        };
        if let Some(line) = finished.as_mut().filter(|line| !line.is_quiet()) {
            let window = clock.window();
            line.departures
                .abandon(&mut self.client, &mut instruments.interfaces, &window);
        }
    }

    /// Most drivers stamp a packet before the system call that sent it returns: reading the stamp
    /// at once saves being woken for it.
    fn collect_departure(&mut self, instruments: &mut Instruments, clock: &dyn Clock) {
        let Some(mut line) = self.line.take() else {
            return;
        };
        if self.count(line.read_stamps(instruments)) > 0 {
            self.take_departures(&mut line, instruments, &clock.window());
        }
        self.line = Some(line);
    }

    /// The line there is, or a new one.
    fn take_or_open(&mut self, instruments: &Instruments) -> std::io::Result<Line> {
        // An interface that stamps may have come since the socket was opened.
        let stamping = instruments.stamping();
        if let Some(line) = self.line.take_if(|line| line.stamps(stamping)) {
            return Ok(line);
        }
        self.opened = self.opened.wrapping_add(1);
        let id = PortId {
            owner: self.owner,
            serial: self.opened,
        };
        let options = Options::client(self.server, stamping);
        let port = Port::open(id, &options, &instruments.wakes)?;
        if self.local.is_none() {
            self.local = port.socket().local_addr().ok().map(|at| at.ip());
        }
        Ok(Line::new(port, stamping))
    }

    /// Closes sockets from which nothing more is expected.
    fn close_what_is_done(&mut self) {
        self.previous.take_if(|line| line.is_quiet());
        if self.ports == PortPolicy::PerRequest && !self.client.awaiting_reply() {
            self.line.take_if(|line| line.is_quiet());
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
