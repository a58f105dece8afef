//! A client, a server and a bad network between them, in virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use clockwright_ntp::nts::{
    Algorithm, COOKIES, Cookie, CookieJar, CookieKey, CookieKeys, Key, LONGEST_COOKIE, Session,
    SessionKeys,
};
use clockwright_ntp::over_ptp::{self, DEFAULT_DOMAIN};
use clockwright_ntp::{
    Action, Arrival, Client, ClientConfig, Entropy, Exchange, Header, KissCode, Leap, Measurement,
    NtpTimestamp, Received, ReferenceId, Rejection, ReplyBuffer, Request, Server, ServerConfig,
    SystemVariables, Transport, TxKey, TxToken,
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
    /// Percent of a client's transmit stamps that come twice.
    pub(crate) stamp_duplication: u64,
}

/// What there is for NTP over PTP. The NICs of both stamp PTP packets, and no others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ptp {
    /// Does the server answer over PTP?
    pub(crate) served: bool,
    /// Does the path carry it?
    pub(crate) carried: bool,
    /// Do the switches say how long they keep the packets? Then the jitter is theirs.
    pub(crate) transparent: bool,
    /// What they claim beyond the truth.
    pub(crate) exaggeration: Duration,
}

/// How long a frame takes to come off the wire; part of the delay.
pub(crate) const FRAME: Duration = Duration::from_nanos(752);
/// Between the kernel's stamp of a request and the NIC's.
pub(crate) const DRIVER_LAG: Duration = Duration::from_micros(3);
/// Between the NIC's stamp of a reply and the kernel's.
pub(crate) const WAKE_LAG: Duration = Duration::from_micros(5);

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
        stamp_duplication: 0,
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
        stamp_duplication: 30,
    };
}

/// Between a request's arrival at the server and its reading the clock for the reply.
pub(crate) const TURNAROUND: Duration = Duration::from_micros(25);
/// Between that reading and the reply's leaving: what interleaved mode takes out of the offset.
pub(crate) const SEND_LAG: Duration = Duration::from_micros(16);

/// Keys of cookies, by number: the first seals.
pub(crate) fn cookie_keys(sealing: u8, others: &[u8]) -> CookieKeys {
    let key = |number: u8| CookieKey::new(number.into(), &[number; 32]).unwrap();
    CookieKeys {
        sealing: key(sealing),
        others: others.iter().map(|number| key(*number)).collect(),
    }
}

/// Something that happens to one of the two.
enum Event {
    AtServer(Transport, Vec<u8>),
    AtClient(Transport, Vec<u8>),
    /// Which request, and its stamp.
    ClientStamp(usize, Stamp<Raw>),
    ClientStampsEnded(usize),
    ServerStamp(TxKey, Timestamp<Utc>),
    /// A key establishment ends, well if there is a session.
    Keys(Option<Session>),
}

/// Where keys are established, for clients that authenticate their server.
#[derive(Debug)]
pub(crate) struct KeyServer {
    /// Does it work?
    pub(crate) up: bool,
    /// How often it was asked.
    pub(crate) asked: usize,
    /// The algorithm it agrees on.
    pub(crate) algorithm: Algorithm,
    /// What it seals cookies with.
    pub(crate) keys: CookieKeys,
}

/// Until keys are established, or have failed to be.
const ESTABLISHMENT: Duration = Duration::from_millis(3);

/// What came out of the client.
#[derive(Debug)]
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
    /// What there is for NTP over PTP.
    pub(crate) ptp: Ptp,
    /// Where keys are established.
    pub(crate) key_server: KeyServer,
    /// The requests' packets, if they are to be kept.
    pub(crate) packets: Option<Vec<Vec<u8>>>,
    /// Requests sent by UDP and over PTP: `u`, `p`.
    pub(crate) asked: String,
    /// The tokens of all requests.
    tokens: Vec<Option<TxToken>>,
    events: BTreeMap<u64, Event>,
    agenda: BinaryHeap<Reverse<(Timestamp<Raw>, u64)>>,
    next_event: u64,
    captured: Vec<(bool, Transport, Vec<u8>)>,
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
            ptp: Ptp {
                served: false,
                carried: true,
                transparent: false,
                exaggeration: Duration::ZERO,
            },
            key_server: KeyServer {
                up: true,
                asked: 0,
                algorithm: Algorithm::AesSivCmac256,
                keys: cookie_keys(1, &[]),
            },
            packets: None,
            asked: String::new(),
            tokens: Vec::new(),
            events: BTreeMap::new(),
            agenda: BinaryHeap::new(),
            next_event: 0,
            captured: Vec::new(),
        }
    }

    /// The same with a client and a server that authenticate each other.
    pub(crate) fn secured(mut self, algorithm: Algorithm) -> Self {
        self.key_server.algorithm = algorithm;
        self.set_cookie_keys(cookie_keys(1, &[]));
        self.client.secure(None, self.now);
        self.packets = Some(Vec::new());
        self
    }

    /// The keys of cookies, of both servers.
    pub(crate) fn set_cookie_keys(&mut self, keys: CookieKeys) {
        self.server.set_cookie_keys(Some(&keys));
        self.key_server.keys = keys;
    }

    /// What the key establishment gives the client.
    pub(crate) fn establish(&mut self) -> Option<Session> {
        self.key_server.asked += 1;
        if !self.key_server.up {
            return None;
        }
        let algorithm = self.key_server.algorithm;
        let mut key = || {
            let mut octets = [0; 32];
            self.dice.fill(&mut octets);
            Key::new(algorithm, &octets[..algorithm.key_length()]).unwrap()
        };
        let keys = SessionKeys::new(key(), key()).unwrap();
        let mut jar = CookieJar::new(&self.key_server.keys);
        let mut cookie = || {
            let mut octets = [0; LONGEST_COOKIE];
            let length = jar.make(&keys, &mut self.dice, &mut octets).unwrap();
            Cookie::new(&octets[..length]).unwrap()
        };
        let cookies = (0..COOKIES).map(|_| cookie()).collect();
        Some(Session {
            keys,
            alternative: None,
            cookies,
        })
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
            Event::AtServer(Transport::Udp, octets) => {
                let reply = self.serve(&octets, self.utc().into());
                self.reply(Transport::Udp, reply);
            }
            Event::AtServer(Transport::Ptp, octets) => self.serve_over_ptp(&octets),
            Event::AtClient(transport, octets) => self.receive(transport, &octets),
            Event::ClientStamp(request, stamp) => {
                if let Some(token) = &self.tokens[request] {
                    self.client.stamped(token, stamp);
                }
            }
            Event::ClientStampsEnded(request) => {
                if let Some(token) = self.tokens[request].take() {
                    self.client.stamps_ended(token);
                }
            }
            Event::Keys(Some(session)) => self.client.keys_established(session, self.now),
            Event::Keys(None) => self.client.keys_failed(false, self.now),
            Event::ServerStamp(key, at) => self.server.transmitted(key, at),
        }
    }

    /// A datagram comes to the client.
    fn receive(&mut self, transport: Transport, octets: &[u8]) {
        let mut arrival = Arrival::udp(Stamp::exact(self.now, StampKind::Kernel));
        if transport == Transport::Ptp {
            let wire = self.now - WAKE_LAG;
            arrival.stamps.note(Stamp::exact(wire, StampKind::Hardware));
            arrival.frame = FRAME;
            arrival.transport = transport;
        }
        let _ = self.client.handle_datagram(octets, arrival, self.now);
    }

    fn serve_over_ptp(&mut self, octets: &[u8]) {
        let Ok(message) = over_ptp::unwrap(octets, DEFAULT_DOMAIN) else {
            return;
        };
        let received = Received {
            at: self.utc(),
            correction: FRAME + message.correction,
        };
        if self.ptp.served {
            let reply = self.serve(message.packet, received);
            let reply = reply.map(|packet| over_ptp::wrap(&packet, DEFAULT_DOMAIN, 0).unwrap());
            self.reply(Transport::Ptp, reply);
        }
    }

    /// The server's answer to a packet, which leaves soon.
    fn serve(&mut self, request: &[u8], received: Received) -> Option<Vec<u8>> {
        let utc = received.at;
        let (system, dice) = (&self.system, &mut self.dice);
        let mut buffer = ReplyBuffer::new();
        let reply = self
            .server
            .handle(request, received, system, dice, &mut buffer)
            .ok()?;
        let key = reply.tx_stamp_wanted();
        let mut octets = reply.write(utc + TURNAROUND).to_vec();
        assert!(octets.len() <= request.len());
        if let Some(rewrite) = self.rewrite {
            octets = rewrite(Header::parse(&octets).unwrap()).to_bytes().to_vec();
        }
        if let Some(key) = key
            && !self.dice.chance(self.conditions.stamp_loss)
        {
            let left = utc + TURNAROUND + SEND_LAG;
            let latency = self.dice.up_to(self.conditions.stamp_latency);
            self.schedule(
                TURNAROUND + SEND_LAG + latency,
                Event::ServerStamp(key, left),
            );
        }
        Some(octets)
    }

    fn reply(&mut self, transport: Transport, octets: Option<Vec<u8>>) {
        if let Some(octets) = octets {
            let lag = TURNAROUND + SEND_LAG;
            self.cross(transport, &octets, lag, false);
        }
    }

    fn drain(&mut self) {
        while let Some(action) = self.client.poll_action() {
            match action {
                Action::Send(request) => self.send(request),
                Action::EstablishKeys => {
                    let session = self.establish();
                    self.schedule(ESTABLISHMENT, Event::Keys(session));
                }
                Action::Exchange(exchange) => self.seen.push(Seen {
                    exchange,
                    measured: exchange.measure(self.utc()),
                    given: self.now,
                }),
                Action::Unusable(rejection) => self.unusable.push(rejection),
                Action::Kiss(kiss) => self.kisses.push(kiss),
                Action::Reachable(reachable) => self.reachable = reachable,
                Action::Foreseen(_) => {}
            }
        }
    }

    /// Sends a request: stamped by the process, the kernel and, over PTP, the NIC.
    fn send(&mut self, request: Request) {
        let Request {
            payload,
            token,
            transport,
            ..
        } = request;
        self.asked.push(match transport {
            Transport::Udp => 'u',
            Transport::Ptp => 'p',
        });
        if let Some(packets) = &mut self.packets {
            packets.push(payload.clone());
        }
        // The process reads its clock a little before the packet leaves.
        let lag = Duration::from_micros(12);
        let early = Stamp::exact(self.now, StampKind::Daemon);
        self.client.sent(&token, early);
        let id = self.tokens.len();
        self.tokens.push(Some(token));
        let stamps = match transport {
            Transport::Udp => &[(lag, StampKind::Kernel)][..],
            Transport::Ptp => &[
                (lag - DRIVER_LAG, StampKind::Kernel),
                (lag, StampKind::Hardware),
            ],
        };
        // In whatever order: each takes its own time.
        let mut last = Duration::ZERO;
        for (after, kind) in stamps {
            let stamp = Stamp::exact(self.now + *after, *kind);
            let copies = 1 + u64::from(self.dice.chance(self.conditions.stamp_duplication));
            for _ in 0..copies {
                if !self.dice.chance(self.conditions.stamp_loss) {
                    let told = *after + self.dice.up_to(self.conditions.stamp_latency);
                    last = last.max(told);
                    self.schedule(told, Event::ClientStamp(id, stamp));
                }
            }
        }
        // Nobody knows that a lost one will not come.
        if !self.dice.chance(self.conditions.stamp_loss) {
            self.schedule(last, Event::ClientStampsEnded(id));
        }
        self.cross(transport, &payload, lag, true);
    }

    /// A packet leaves after `lag`, for the server or the client.
    fn cross(&mut self, transport: Transport, octets: &[u8], lag: Duration, to_server: bool) {
        if self.dice.chance(self.conditions.forgery) {
            let forged = self.forge(to_server);
            self.arrive(Transport::Udp, forged, lag, to_server);
        }
        if self.dice.chance(self.conditions.replay) && !self.captured.is_empty() {
            let which = usize::try_from(self.dice.roll()).unwrap() % self.captured.len();
            let (to_server, transport, octets) = self.captured[which].clone();
            self.arrive(transport, octets, lag, to_server);
        }
        self.captured.push((to_server, transport, octets.to_vec()));
        let copies = if self.dice.chance(self.conditions.duplication) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            if !self.dice.chance(self.conditions.loss) {
                self.arrive(transport, octets.to_vec(), lag, to_server);
            }
        }
    }

    fn arrive(
        &mut self,
        transport: Transport,
        mut octets: Vec<u8>,
        lag: Duration,
        to_server: bool,
    ) {
        if transport == Transport::Ptp && !self.ptp.carried {
            return;
        }
        let kept = self.dice.up_to(self.conditions.jitter);
        if transport == Transport::Ptp && self.ptp.transparent {
            let told = kept + self.ptp.exaggeration;
            let correction = i64::try_from(told.as_units() >> 16).unwrap();
            octets[8..16].copy_from_slice(&correction.to_be_bytes());
        }
        let mut delay = lag + self.conditions.delay + kept;
        if to_server {
            self.schedule(delay, Event::AtServer(transport, octets));
        } else {
            if transport == Transport::Ptp {
                delay += WAKE_LAG;
            }
            self.schedule(delay, Event::AtClient(transport, octets));
        }
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
                error.unwrap() <= measured.delay.half() + measured.uncertainty + tolerance,
                "{measured:?} {exchange:?}"
            );
            assert!(
                measured.delay >= self.conditions.delay * 2 - tolerance,
                "{measured:?}"
            );
            assert!(exchange.t4.at <= *given);
            assert_eq!(exchange.t1.kind, exchange.t4.kind, "never two kinds");
        }
        assert!(self.kisses.is_empty() || self.rewrite.is_some());
    }
}
