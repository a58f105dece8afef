//! Answering a batch of requests.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError};
use std::time::Duration as StdDuration;

use clockwright_ntp::{
    Entropy as _, Leap, Reply, ReplyBuffer, Server, ServerConfig as Protocol, SystemVariables,
    claims_nts,
};
use clockwright_sys::clock::raw_now;
use clockwright_sys::socket::{
    LocalAddress, Message, RecvBatch, SendBatch, Transmit, TxStamp, UdpSocket,
};
use clockwright_timebase::{Duration, Raw, StampKind, Timestamp, Utc};

use super::awaited::{AwaitedReplies, Wanted};
use super::between::{self, Between};
use super::board::Reader;
use super::entropy::ServerEntropy;
use super::pace::ReplyPace;
use super::posted::{Posted, VARIABLES_FRESH_FOR};
use super::rate::{Bucket, ClientTable, Limit, Seat, Verdict, micros};
use super::smear;
use super::stamping;
use super::worker::{BATCH, PAYLOAD, Shared};
use crate::clock::Window;
use crate::interfaces::{ClockSight, Sent};

/// While packets flow, a PTP hardware clock is read anew after this.
const READ_AFTER: Duration = Duration::from_millis(40);
/// A reading older than this is waited for.
const READ_BEFORE: Duration = Duration::from_millis(62);
/// How long it is waited for at most.
pub(super) const READING_TAKES: StdDuration = StdDuration::from_millis(2);

/// How often a reply that nobody wants the stamp of is stamped.
const TRY_EVERY: Duration = Duration::from_millis(250);

/// What a worker answers with.
pub(super) struct Answerer {
    server: Server,
    clients: Arc<ClientTable>,
    replies: SendBatch,
    buffers: Box<[ReplyBuffer]>,
    /// Replies whose transmit stamps are awaited.
    pub(super) awaited: AwaitedReplies,
    pace: ReplyPace,
    entropy: ServerEntropy,
    /// What is said of the clock, and when that was found out.
    variables: Option<(SystemVariables, Timestamp<Raw>)>,
    /// Of what was posted last.
    gone_by: Arc<Posted>,
    /// Steps of the clock that it knows of.
    steps: u32,
    /// Replies come from the address that the socket is bound to, if it is to one.
    any_address: bool,
    /// Has something happened that an operator should know?
    pub(super) notable: bool,
    /// The number of the reply that was stamped last, and when that left.
    last_left: Option<(u32, Timestamp<Utc>)>,
    /// When a reply was last stamped only to find out how long sending takes.
    tried: Option<Timestamp<Raw>>,
}

/// A datagram that came, and where what is known of its sender is.
struct Asked<'m> {
    message: Message<'m>,
    seat: Seat,
}

/// A reply that is not written yet.
struct Pending<'b> {
    reply: Reply<'b>,
    to: SocketAddr,
    from: Option<LocalAddress>,
    wanted: Wanted,
}

impl Pending<'_> {
    /// Will only the kernel stamp it?
    fn is_for_the_kernel(&self, posted: &Posted) -> bool {
        posted.sight.best_transmit(self.wanted.interface) == StampKind::Kernel
    }
}

/// The clocks, read for a batch.
#[derive(Clone, Copy)]
struct Moment<'a> {
    window: &'a Window,
    /// Of the system clock, what is to be added for the time served here.
    smear: Duration,
    /// For the limits of clients.
    micros: u64,
}

/// What has to be known better before a batch is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Freshness {
    /// Some time soon.
    pub(super) soon: bool,
    /// Before it.
    pub(super) now: bool,
}

impl Answerer {
    /// One that goes by what is posted.
    pub(super) fn new(shared: &Shared, posted: &Arc<Posted>) -> Self {
        let mut answerer = Self {
            server: Server::new(Protocol {
                interleaved_capacity: posted.policy.replies,
            }),
            clients: shared.clients(),
            replies: SendBatch::new(BATCH, PAYLOAD),
            buffers: (0..BATCH).map(|_| ReplyBuffer::new()).collect(),
            awaited: AwaitedReplies::new(),
            pace: ReplyPace::default(),
            entropy: ServerEntropy::new(),
            variables: None,
            gone_by: Arc::clone(posted),
            steps: 0,
            any_address: shared.address.ip().is_unspecified(),
            notable: false,
            last_left: None,
            tried: None,
        };
        let keys = posted.cookie_keys.as_deref();
        answerer.server.set_cookie_keys(keys);
        answerer
    }

    /// Goes by what is posted now.
    pub(super) fn go_by(&mut self, shared: &Shared, posted: &Arc<Posted>) {
        let before = std::mem::replace(&mut self.gone_by, Arc::clone(posted));
        self.variables = None;
        let same_keys = match (&before.cookie_keys, &posted.cookie_keys) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (None, None) => true,
            _ => false,
        };
        if !same_keys {
            self.server.set_cookie_keys(posted.cookie_keys.as_deref());
        }
        let (was, is) = (&before.policy, &posted.policy);
        if was.replies != is.replies {
            self.server.reconfigure(Protocol {
                interleaved_capacity: is.replies,
            });
        }
        if was.clients != is.clients || was.prefixes != is.prefixes {
            self.clients = Arc::new(ClientTable::new(is.clients));
            let clients = Arc::clone(&self.clients);
            *shared
                .clients
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = clients;
        }
    }

    /// Answers requests that have come to `socket`; the clocks were read just now, by what is posted.
    pub(super) fn answer(
        &mut self,
        socket: &UdpSocket,
        shared: &Shared,
        reader: &Reader,
        (requests, window): (&RecvBatch, &Window),
    ) {
        let posted = reader.posted();
        let steps = reader.board().steps();
        if self.steps != steps {
            self.steps = steps;
            self.server.clock_stepped();
            self.awaited.clear();
            self.last_left = None;
            self.variables = None;
        }
        let Some(smear) = smear_of(shared, posted, window) else {
            shared
                .counters
                .untimely
                .add(requests.messages().count() as u64);
            return;
        };
        let moment = Moment {
            window,
            smear,
            micros: micros(window.host_now()),
        };
        let variables = self.variables(posted, moment);
        let mut buffers = std::mem::take(&mut self.buffers);
        let mut pending = [const { None }; BATCH];
        let mut replies = 0;
        let mut messages = requests.messages();
        let mut next = messages.next().map(|first| self.expect(posted, first));
        for buffer in &mut buffers {
            let Some(asked) = next.take() else { break };
            // What is known of the next client is brought in while this one is answered.
            next = messages.next().map(|next| self.expect(posted, next));
            let reply = self.consider(shared, posted, &asked, &variables, moment, buffer);
            if let (Some(reply), Some(place)) = (reply, pending.get_mut(replies)) {
                *place = Some(reply);
                replies += 1;
            }
        }
        let pending = &mut pending[..replies];
        self.send(socket, shared, reader, posted, pending, moment);
        self.buffers = buffers;
    }

    /// A datagram that will be looked at soon.
    fn expect<'m>(&self, posted: &Posted, message: Message<'m>) -> Asked<'m> {
        let client = posted.policy.prefixes.client(message.source.ip());
        Asked {
            seat: self.clients.expect(client),
            message,
        }
    }

    /// What is said of the clock.
    fn variables(&mut self, posted: &Posted, moment: Moment<'_>) -> SystemVariables {
        let now = moment.window.host_now();
        if let Some((variables, since)) = self.variables
            && now - since < VARIABLES_FRESH_FOR
        {
            return variables;
        }
        let window = moment.window;
        let mut variables = posted.variables(window, posted.shown.now(window));
        if moment.smear != Duration::ZERO {
            variables.leap = match variables.leap {
                Leap::Insert | Leap::Delete => Leap::None,
                other => other,
            };
            variables.reference_id = smear::reference_id(moment.smear);
        }
        self.variables = Some((variables, now));
        variables
    }

    /// A reply to a datagram, if it is a request of somebody who is to be answered.
    fn consider<'b>(
        &mut self,
        shared: &Shared,
        posted: &Posted,
        Asked { message, seat }: &Asked<'_>,
        system: &SystemVariables,
        moment: Moment<'_>,
        buffer: &'b mut ReplyBuffer,
    ) -> Option<Pending<'b>> {
        let peer = message.source.ip();
        if !posted.policy.access.allows(peer) {
            self.denied(shared, peer);
            return None;
        }
        if message.truncated {
            shared.counters.too_long.bump();
            return None;
        }
        let notable = &mut self.notable;
        let (mut rx, kind) = stamping::arrival(shared, posted, message, moment.window, notable)?;
        rx.at += moment.smear;
        let secured = posted.cookie_keys.is_some() && claims_nts(message.payload);
        let open = posted.policy.open.as_ref();
        if !secured && is_request(message.payload) {
            match self.judge(*seat, Bucket::Open, open, moment) {
                Verdict::Answer => {}
                Verdict::Drop => {
                    shared.counters.limited.bump();
                    return None;
                }
                Verdict::Kiss => {
                    let entropy = &mut self.entropy;
                    let kiss =
                        self.server
                            .slow_down(message.payload, rx.at, system, entropy, buffer);
                    return Some(self.pending(message, kiss.ok()?, kind));
                }
            }
        }
        let before = self.server.statistics().nts;
        let entropy = &mut self.entropy;
        let reply = self
            .server
            .handle(message.payload, rx, system, entropy, buffer)
            .ok()?;
        if secured {
            // Who has proven who he is has a limit of his own, which nobody else can use up.
            let (bucket, limit) = if self.server.statistics().nts == before {
                (Bucket::Open, open)
            } else {
                (Bucket::Authentic, posted.policy.authentic.as_ref())
            };
            if self.judge(*seat, bucket, limit, moment) != Verdict::Answer {
                shared.counters.limited.bump();
                return None;
            }
        }
        Some(self.pending(message, reply, kind))
    }

    /// Judges a request by its client's limit.
    fn judge(
        &mut self,
        seat: Seat,
        bucket: Bucket,
        limit: Option<&Limit>,
        moment: Moment<'_>,
    ) -> Verdict {
        let mut random = [0; 4];
        if limit.is_some() {
            self.entropy.fill(&mut random);
        }
        let random = u32::from_ne_bytes(random);
        self.clients
            .note(seat, bucket, moment.micros, limit, random)
    }

    fn pending<'b>(&self, message: &Message<'_>, reply: Reply<'b>, kind: StampKind) -> Pending<'b> {
        Pending {
            wanted: Wanted {
                key: reply.tx_stamp_wanted(),
                received: kind,
                interface: message.local.map(|local| local.ifindex),
            },
            reply,
            to: message.source,
            from: message
                .local
                .filter(|_| self.any_address)
                .map(LocalAddress::for_reply),
        }
    }

    fn denied(&mut self, shared: &Shared, peer: IpAddr) {
        shared.counters.denied.bump();
        if !self.notable {
            // Nobody waits for this lock, which is taken again when the daemon has told of it.
            if let Ok(mut denied) = shared.denied.try_lock() {
                *denied = Some(peer);
            }
            self.notable = true;
        }
    }

    /// Writes the replies and sends them, unless the clock was stepped meanwhile.
    fn send(
        &mut self,
        socket: &UdpSocket,
        shared: &Shared,
        reader: &Reader,
        posted: &Posted,
        pending: &mut [Option<Pending<'_>>],
        moment: Moment<'_>,
    ) {
        if pending.is_empty() {
            return;
        }
        let all = pending.len();
        self.replies.clear();
        let begun = raw_now();
        let now = posted.shown.read(moment.window) + moment.smear;
        let due = now + self.pace.until_handed_over(all);
        let trial = self.trial_is_due(begun);
        let stamped = to_be_stamped(posted, pending, trial);
        let mut wanted = [None; BATCH];
        for (before, (place, wanted)) in pending.iter_mut().zip(&mut wanted).enumerate() {
            let Some(next) = place.take() else { continue };
            *wanted = Some(next.wanted);
            let payload = next.reply.write(now + self.pace.until_sent(before, all));
            self.replies.push(&Transmit {
                payload,
                to: Some(next.to),
                from: next.from,
                stamp: stamped[before],
            });
        }
        let written = raw_now();
        let steps = reader.board().steps();
        if steps != self.steps || steps % 2 == 1 {
            shared.counters.untimely.add(all as u64);
            return;
        }
        self.hand_over(socket, shared);
        self.pace.learn(all, written - begun, raw_now() - written);
        let sent = Sent::at(written, &posted.timescale);
        self.await_stamps(shared, &wanted, sent, due);
    }

    /// Is it time to have a reply stamped to find out how long sending takes? Where clients are
    /// interleaved, their replies tell.
    fn trial_is_due(&mut self, now: Timestamp<Raw>) -> bool {
        let due = self.tried.is_none_or(|tried| now - tried > TRY_EVERY);
        if due {
            self.tried = Some(now);
        }
        due
    }

    /// Gives the replies to the kernel. One that it does not take is left out.
    fn hand_over(&mut self, socket: &UdpSocket, shared: &Shared) {
        let mut sent = 0;
        while sent < self.replies.len() {
            sent += socket.send_batch(&mut self.replies, sent).unwrap_or(0);
            if sent < self.replies.len() {
                shared.counters.unsent.bump();
                sent += 1;
            }
        }
    }

    /// Remembers which replies' stamps will come, and which replies lie between these.
    fn await_stamps(
        &mut self,
        shared: &Shared,
        wanted: &[Option<Wanted>],
        sent: Sent,
        due: Timestamp<Utc>,
    ) {
        let mut between = Between::default();
        for (index, wanted) in wanted.iter().enumerate() {
            let Some(wanted) = wanted else { continue };
            let Some(id) = self.replies.tx_id(index) else {
                between.push(wanted.key);
                continue;
            };
            let due = (index == 0).then_some(due);
            let given_up = self.awaited.push(id, *wanted, between, (sent, due));
            if let Some(lost) = given_up {
                shared.counters.tx_missing.add(lost.replies());
            }
            between = Between::after(id.number());
        }
    }

    /// Takes in a transmit stamp.
    pub(super) fn stamped(
        &mut self,
        shared: &Shared,
        posted: &Posted,
        stamp: &TxStamp<'_>,
        window: &Window,
    ) {
        let smear = smear_of(shared, posted, window);
        let Some(awaited) = self.awaited.find(stamp.id) else {
            return;
        };
        awaited.interface = stamp.ifindex.or(awaited.interface);
        let reply = *awaited;
        let left = stamping::departure(shared, posted, stamp, &reply, window);
        if let (Some(at), Some(smear)) = (left.at, smear) {
            let at = at + smear;
            if let Some(key) = reply.key {
                self.server.transmitted(key, at);
            }
            self.place_between(shared, reply.between, (stamp.id.number(), at));
            if let Some(due) = reply.due.filter(|_| left.is_last) {
                self.pace.learn_departure(at - due);
            }
        }
        if left.is_last {
            self.awaited.finish(stamp.id);
        }
    }

    /// The reply that was stamped left at that time: and those before it that were not?
    fn place_between(
        &mut self,
        shared: &Shared,
        between: Between,
        (id, at): (u32, Timestamp<Utc>),
    ) {
        let before = self.last_left.replace((id, at));
        let wanted = between.wanted() as u64;
        if wanted == 0 {
            return;
        }
        let mut placed: u64 = 0;
        for (key, at) in between.departures(before, at) {
            self.server.transmitted_about(key, at);
            placed += 1;
        }
        shared.counters.tx_between.add(placed);
        shared.counters.tx_missing.add(wanted - placed);
    }

    /// Lets others see what has been counted.
    pub(super) fn tell(&self, shared: &Shared) {
        shared.counters.take_over(&self.server);
    }
}

/// Which of a batch of replies are to be stamped: those whose departure is wanted, or some of these if
/// the batch is full. The first one is in any case, if that is tried.
fn to_be_stamped(posted: &Posted, pending: &[Option<Pending<'_>>], trial: bool) -> [bool; BATCH] {
    let mut wanted = [false; BATCH];
    for (reply, wanted) in pending.iter().zip(&mut wanted) {
        *wanted = reply
            .as_ref()
            .is_some_and(|reply| reply.wanted.key.is_some());
    }
    let mut stamped = wanted;
    if pending.len() == BATCH
        && wanted.contains(&true)
        && pending
            .iter()
            .flatten()
            .all(|reply| reply.is_for_the_kernel(posted))
    {
        stamped = between::stamped(&wanted);
    }
    stamped[0] |= trial;
    stamped
}

/// What has to be known better before `requests` are answered.
pub(super) fn freshness(posted: &Posted, requests: &RecvBatch, window: &Window) -> Freshness {
    let stale = posted.is_stale(window);
    let mut needed = Freshness {
        soon: stale,
        now: stale,
    };
    let first = requests.messages().next();
    if let Some(first) = first.filter(|first| first.hardware.is_some())
        && let Some(interface) = posted.sight.taker(&first)
    {
        let (soon, now) = match posted.sight.clock(interface) {
            ClockSight::None => (false, false),
            ClockSight::Faulty => (true, false),
            ClockSight::NeverRead => (true, true),
            ClockSight::Read(read) => {
                let age = window.host_now() - read;
                (age > READ_AFTER, age > READ_BEFORE)
            }
        };
        needed.soon |= soon;
        needed.now |= now;
    }
    needed
}

/// What is to be added to the clock for the time served here; `None`: nothing can be said now.
fn smear_of(shared: &Shared, posted: &Posted, window: &Window) -> Option<Duration> {
    match &posted.smear {
        Some(smear) if shared.smeared => smear.correction(posted.shown.now(window)),
        _ => Some(Duration::ZERO),
    }
}

/// Can it be a request? Others are not counted for a client, as they may be anybody's.
fn is_request(payload: &[u8]) -> bool {
    // Modes 1 and 3.
    payload
        .first()
        .is_some_and(|flags| matches!(flags & 7, 1 | 3))
}
