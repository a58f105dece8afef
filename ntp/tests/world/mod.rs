//! A client, a server and a bad network between them, in virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use clockwright_ntp::{
    Action, Arrival, Client, ClientConfig, Entropy, Exchange, Header, KissCode, Leap, Measurement,
    NtpTimestamp, ReferenceId, Rejection, Server, ServerConfig, SystemVariables, TxKey, TxToken,
};
use clockwright_timebase::{Duration, Raw, Stamp, StampKind, Timestamp, Utc};

/// `SplitMix64`, repeatable.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// True in `percent` of all cases.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.roll() % 100 < percent
    }

    /// From nothing up to `most`, in steps of a nanosecond.
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap();
        Duration::from_nanos(i64::try_from(self.roll() % (nanos + 1)).unwrap())
    }
}

impl Entropy for Dice {
    fn fill(&mut self, buf: &mut [u8]) {
        for chunk in buf.chunks_mut(8) {
            chunk.copy_from_slice(&self.roll().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// What the network and the stamping do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    /// Each way, at least.
    pub(crate) delay: Duration,
    /// Each way, on top, at random.
    pub(crate) jitter: Duration,
    /// Percent of packets lost, each way.
    pub(crate) loss: u64,
    /// Percent of packets that arrive twice, with delays of their own: so also out of order.
    pub(crate) duplication: u64,
    /// How long a client's transmit stamp takes to arrive, at most.
    pub(crate) stamp_latency: Duration,
    /// Percent of transmit stamps that never arrive, at the client and at the server.
    pub(crate) stamp_loss: u64,
    /// Percent of packets that an attacker, who sees none, accompanies with a forgery.
    pub(crate) forgery: u64,
    /// Percent of packets that an attacker, who sees all, replays some time later.
    pub(crate) replay: u64,
}

impl Conditions {
    /// 100 us each way and nothing else.
    pub(crate) const PERFECT: Self = Self {
        delay: Duration::from_micros(100),
        jitter: Duration::ZERO,
        loss: 0,
        duplication: 0,
        stamp_latency: Duration::ZERO,
        stamp_loss: 0,
        forgery: 0,
        replay: 0,
    };

    /// Everything at once.
    pub(crate) const AWFUL: Self = Self {
        delay: Duration::from_micros(100),
        jitter: Duration::from_millis(20),
        loss: 15,
        duplication: 20,
        stamp_latency: Duration::from_millis(30),
        stamp_loss: 15,
        forgery: 30,
        replay: 30,
    };
}

/// Between a request's arrival at the server and its reading the clock for the reply.
pub(crate) const TURNAROUND: Duration = Duration::from_micros(25);
/// Between that reading and the reply's leaving: what interleaved mode takes out of the offset.
pub(crate) const SEND_LAG: Duration = Duration::from_micros(16);

/// Something that happens to one of the two.
enum Event {
    AtServer(Vec<u8>),
    AtClient(Vec<u8>),
    ClientStamp(TxToken, Stamp<Raw>),
    ServerStamp(TxKey, Timestamp<Utc>),
}

/// What came out of the client.
pub(crate) struct Seen {
    pub(crate) exchange: Exchange,
    pub(crate) measured: Measurement,
    /// When the client gave it out.
    pub(crate) given: Timestamp<Raw>,
}

pub(crate) struct World {
    pub(crate) now: Timestamp<Raw>,
    pub(crate) client: Client,
    pub(crate) server: Server,
    pub(crate) system: SystemVariables,
    /// The server's UTC − the client's Raw: the truth.
    pub(crate) offset: Duration,
    pub(crate) conditions: Conditions,
    pub(crate) dice: Dice,
    pub(crate) seen: Vec<Seen>,
    pub(crate) kisses: Vec<KissCode>,
    pub(crate) unusable: Vec<Rejection>,
    pub(crate) reachable: bool,
    /// Changes every reply on its way, if set.
    pub(crate) rewrite: Option<fn(Header) -> Header>,
    events: BTreeMap<u64, Event>,
    agenda: BinaryHeap<Reverse<(Timestamp<Raw>, u64)>>,
    next_event: u64,
    captured: Vec<(bool, Vec<u8>)>,
}

impl World {
    pub(crate) fn new(config: ClientConfig, conditions: Conditions, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let now = Timestamp::from_epoch(Duration::from_secs(500));
        let offset = Duration::from_secs(1_800_000_000);
        Self {
            now,
            client: Client::new(config, now, &mut dice),
            server: Server::new(ServerConfig::default()),
            system: SystemVariables {
                leap: Leap::None,
                stratum: 1,
                precision: -30,
                root_delay: Duration::ZERO,
                root_dispersion: Duration::from_nanos(100),
                reference_id: ReferenceId(*b"PHC\0"),
                reference_time: Timestamp::from_epoch(offset),
            },
            offset,
            conditions,
            dice,
            seen: Vec::new(),
            kisses: Vec::new(),
            unusable: Vec::new(),
            reachable: false,
            rewrite: None,
            events: BTreeMap::new(),
            agenda: BinaryHeap::new(),
            next_event: 0,
            captured: Vec::new(),
        }
    }

    /// The server's clock.
    pub(crate) fn utc(&self) -> Timestamp<Utc> {
        self.now.shifted_to(self.offset)
    }

    /// Lets `duration` pass.
    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let event = self.agenda.peek().map(|Reverse((at, _))| *at);
            let timer = self.client.next_timeout();
            let Some(next) = event.into_iter().chain(timer).min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if event == Some(next) {
                if let Some(Reverse((_, id))) = self.agenda.pop() {
                    let event = self.events.remove(&id).unwrap();
                    self.happen(event);
                }
            } else {
                self.client.handle_timeout(self.now, &mut self.dice);
            }
            self.drain();
        }
        self.now = end;
    }

    fn schedule(&mut self, after: Duration, event: Event) {
        let id = self.next_event;
        self.next_event += 1;
        self.agenda.push(Reverse((self.now + after, id)));
        self.events.insert(id, event);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::AtServer(octets) => self.serve(&octets),
            Event::AtClient(octets) => {
                let rx = Arrival::udp(Stamp::exact(self.now, StampKind::Kernel));
                let _ = self.client.handle_datagram(&octets, rx, self.now);
            }
            Event::ClientStamp(token, stamp) => {
                self.client.stamped(&token, stamp);
                self.client.stamps_ended(token);
            }
            Event::ServerStamp(key, at) => self.server.transmitted(key, at),
        }
    }

    fn serve(&mut self, request: &[u8]) {
        let utc = self.utc();
        let Ok(mut reply) = self
            .server
            .handle(request, utc, &self.system, &mut self.dice)
        else {
            return;
        };
        let mut octets = reply.write(utc + TURNAROUND).to_vec();
        assert!(octets.len() <= request.len());
        if let Some(rewrite) = self.rewrite {
            octets = rewrite(Header::parse(&octets).unwrap()).to_bytes().to_vec();
        }
        if let Some(key) = reply.tx_stamp_wanted()
            && !self.dice.chance(self.conditions.stamp_loss)
        {
            let left = utc + TURNAROUND + SEND_LAG;
            let latency = self.dice.up_to(self.conditions.stamp_latency);
            self.schedule(
                TURNAROUND + SEND_LAG + latency,
                Event::ServerStamp(key, left),
            );
        }
        self.cross(&octets, TURNAROUND + SEND_LAG, false);
    }

    fn drain(&mut self) {
        while let Some(action) = self.client.poll_action() {
            match action {
                Action::Send(request) => {
                    // The process reads its clock a little before the packet leaves.
                    let lag = Duration::from_micros(12);
                    let early = Stamp::exact(self.now, StampKind::Daemon);
                    self.client.sent(&request.token, early);
                    if !self.dice.chance(self.conditions.stamp_loss) {
                        let stamp = Stamp::exact(self.now + lag, StampKind::Kernel);
                        let latency = self.dice.up_to(self.conditions.stamp_latency);
                        self.schedule(lag + latency, Event::ClientStamp(request.token, stamp));
                    }
                    self.cross(&request.payload, lag, true);
                }
                Action::Exchange(exchange) => self.seen.push(Seen {
                    exchange,
                    measured: exchange.measure(self.utc()),
                    given: self.now,
                }),
                Action::Unusable(rejection) => self.unusable.push(rejection),
                Action::Kiss(kiss) => self.kisses.push(kiss),
                Action::Reachable(reachable) => self.reachable = reachable,
            }
        }
    }

    /// A packet leaves after `lag`, for the server or the client.
    fn cross(&mut self, octets: &[u8], lag: Duration, to_server: bool) {
        if self.dice.chance(self.conditions.forgery) {
            let forged = self.forge(to_server);
            self.arrive(forged, lag, to_server);
        }
        if self.dice.chance(self.conditions.replay) && !self.captured.is_empty() {
            let which = usize::try_from(self.dice.roll()).unwrap() % self.captured.len();
            let (to_server, octets) = self.captured[which].clone();
            self.arrive(octets, lag, to_server);
        }
        self.captured.push((to_server, octets.to_vec()));
        let copies = if self.dice.chance(self.conditions.duplication) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            if !self.dice.chance(self.conditions.loss) {
                self.arrive(octets.to_vec(), lag, to_server);
            }
        }
    }

    fn arrive(&mut self, octets: Vec<u8>, lag: Duration, to_server: bool) {
        let delay = lag + self.conditions.delay + self.dice.up_to(self.conditions.jitter);
        let event = if to_server {
            Event::AtServer
        } else {
            Event::AtClient
        };
        self.schedule(delay, event(octets));
    }

    /// A packet that lies about the time by an hour, or kisses; all is known to its author but the
    /// random bits.
    fn forge(&mut self, to_server: bool) -> Vec<u8> {
        let hour_later: NtpTimestamp = (self.utc() + Duration::from_secs(3600)).into();
        let kiss = self.dice.chance(50);
        let origin = match self.dice.roll() % 3 {
            0 => NtpTimestamp::ZERO,
            1 => self.utc().into(),
            _ => NtpTimestamp::from_bits(self.dice.roll()),
        };
        Header {
            stratum: u8::from(!kiss),
            reference_id: ReferenceId(if kiss { *b"DENY" } else { *b"PHC\0" }),
            origin,
            receive: hour_later,
            transmit: hour_later,
            ..Header::zeroed(if to_server {
                clockwright_ntp::Mode::Client
            } else {
                clockwright_ntp::Mode::Server
            })
        }
        .to_bytes()
        .to_vec()
    }

    /// What must be true of every run: no exchange is given twice or out of order, and the truth
    /// (one of `offsets`) is never farther from a measurement than half its delay.
    pub(crate) fn check(&self, offsets: &[Duration]) {
        let tolerance = Duration::from_nanos(2);
        for pair in self.seen.windows(2) {
            assert!(
                pair[0].exchange.t1.at < pair[1].exchange.t1.at,
                "twice, or out of order"
            );
        }
        for seen in &self.seen {
            let Seen {
                exchange,
                measured,
                given,
            } = seen;
            let error = offsets
                .iter()
                .map(|offset| (measured.offset - *offset).abs())
                .min();
            assert!(
                error.unwrap() <= measured.delay.half() + tolerance,
                "{measured:?} {exchange:?}"
            );
            assert!(
                measured.delay >= self.conditions.delay * 2 - tolerance,
                "{measured:?}"
            );
            assert!(exchange.t4.at <= *given);
        }
        assert!(self.kisses.is_empty() || self.rewrite.is_some());
    }
}
