//! A client of one server.
//!
//! In interleaved mode a reply tells when the *previous* reply left, so an exchange is complete
//! only one poll interval later, when the next reply comes (RFC 9769 section 2):
//!
//! ```text
//! server   t2 ---- t3                 t6 ---- t7
//!         /          \               /          \
//! client t1          t4    ...      t5          t8     t3 is in the reply that arrives at t8
//! ```
//!
//! So the client keeps the last answer with its stamps, and gives an exchange out once: in basic
//! mode as soon as the reply is there, in interleaved mode with the better t3. A basic reply among
//! interleaved ones (the server forgot, or its stamp was late) is kept for the next reply, and
//! measured in basic mode only if that is basic too. Of the newest reply, what its exchange is likely
//! to be is given out at once, with a t3 that is foreseen (`foresight.rs`).

mod action;
mod arrival;
mod carriage;
mod config;
mod foresight;
mod interleaving;
mod keeping;
mod measuring;
mod polling;
mod rejection;
mod reply;
mod request;
mod secured;
mod stamps;
mod statistics;
mod timers;

pub use action::{Action, Request, TxToken};
pub use arrival::{Arrival, Transport};
pub use config::{ClientConfig, PortPolicy, PtpUse};
pub use keeping::{AuthStatus, KeyPace};
pub use rejection::Rejection;
pub use stamps::Stamps;
pub use statistics::ClientStatistics;

use clockwright_timebase::{Duration, Poll, Raw, Stamp, StampKind, Timestamp};

use crate::entropy::random_u64;
use crate::{Entropy, KissCode, over_ptp};
use action::ActionQueue;
use carriage::Carriage;
use foresight::Foresight;
use interleaving::Interleaving;
use keeping::Keeping;
use polling::Polling;
use reply::{Answer, Measured, Verdict};
use request::{Form, PendingRequest};
use statistics::count;
use timers::{Timer, Timers};

/// The first request leaves within this time, at random, so that sources do not all ask at once.
const FIRST_REQUEST_WITHIN: Duration = Duration::from_millis(100);
/// Requests in a row without answer after which the server counts as unreachable: the length of
/// the reach register.
const UNREACHABLE_AFTER: u8 = 8;
/// Requests in a row without answer after which the interval grows (RFC 5905 section 7.2,
/// UNREACH).
const BACK_OFF_AFTER: u8 = 12;

/// What the transmit path gives.
#[derive(Debug, Clone, Copy)]
struct Stamping {
    /// The best stamp it can give.
    best: StampKind,
    /// How long that may take.
    wait: Duration,
}

/// A client of one server: asks, believes or refuses the answers, gives out exchanges.
///
/// After every call of a `handle_` method, and after [`stamped`](Self::stamped), the caller
/// drains [`poll_action`](Self::poll_action) and then waits for a datagram, a stamp or
/// [`next_timeout`](Self::next_timeout), whichever is first.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    stamping: Stamping,
    timers: Timers,
    polling: Polling,
    carriage: Carriage,
    ptp_domain: u8,
    /// By [transport](Transport): what one carries, the other may not.
    interleaving: [Interleaving; 2],
    /// Keys and cookies; `None`: the server is asked without.
    keeping: Option<Keeping>,
    actions: ActionQueue,
    statistics: ClientStatistics,
    next_serial: u64,
    /// The latest request; answers to older ones are not believed.
    pending: Option<PendingRequest>,
    /// The last answer believed.
    last: Option<Answer>,
    /// What the server usually takes to reply.
    foresight: Foresight,
    reach: u8,
    /// Requests in a row without answer.
    unanswered: u8,
    /// What the caller was last told.
    reachable: bool,
    /// Is a port bound that a sticky client can go on using?
    port_bound: bool,
    /// The number of the last PTP message.
    sequence: u16,
}

impl Client {
    /// A client that sends its first request within 100 ms after `now`, by UDP. It expects stamps
    /// of the kernel within 10 ms, until [told otherwise](Self::set_stamping).
    pub fn new(config: ClientConfig, now: Timestamp<Raw>, entropy: &mut dyn Entropy) -> Self {
        let mut client = Self {
            config,
            stamping: Stamping {
                best: StampKind::Kernel,
                wait: Duration::from_millis(10),
            },
            timers: Timers::default(),
            polling: Polling::new(&config),
            carriage: Carriage::new(),
            ptp_domain: over_ptp::DEFAULT_DOMAIN,
            interleaving: Default::default(),
            keeping: None,
            actions: ActionQueue::default(),
            statistics: ClientStatistics::default(),
            next_serial: 0,
            pending: None,
            last: None,
            foresight: Foresight::default(),
            reach: 0,
            unanswered: 0,
            reachable: false,
            port_bound: false,
            sequence: 0,
        };
        let [high, low, ..] = random_u64(entropy).to_be_bytes();
        client.sequence = u16::from_be_bytes([high, low]);
        let part = i128::from(random_u64(entropy) >> 32);
        let wait = Duration::from_units((FIRST_REQUEST_WITHIN.as_units() * part) >> 32);
        client.timers.set(Timer::Transmit, now + wait);
        client
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; the earliest of all timers.
    pub fn next_timeout(&self) -> Option<Timestamp<Raw>> {
        self.timers.earliest()
    }

    /// Does what is due at `now`. Calling it early or late is harmless.
    pub fn handle_timeout(&mut self, now: Timestamp<Raw>, entropy: &mut dyn Entropy) {
        if self.timers.expired(Timer::StampWait, now) {
            count(&mut self.statistics.stamp_timeouts);
            self.release_held();
        }
        if self.timers.expired(Timer::Keys, now) {
            self.establish_keys(now);
        }
        if self.timers.expired(Timer::Transmit, now) {
            self.release_held();
            self.transmit(now, entropy);
        }
    }

    /// Hands out the next request.
    fn transmit(&mut self, now: Timestamp<Raw>, entropy: &mut dyn Entropy) {
        self.note_silence();
        let provision = match &mut self.keeping {
            None => None,
            Some(keeping) => match keeping.provision() {
                None => return self.go_without_keys(now),
                provision => provision,
            },
        };
        self.plan_keys(now);
        let way = self.carriage.request();
        let interleaving = &mut self.interleaving[way.transport as usize];
        let origin = self
            .last
            .as_ref()
            .filter(|last| last.transport == way.transport)
            .filter(|_| self.config.interleaved && interleaving.offer())
            .map(|last| last.header.receive);
        let (mut pending, header) = PendingRequest::compose(self.next_serial, origin, way, entropy);
        let (packet, seal) = request::packet(&header, way.transport, provision, entropy);
        pending.seal = seal;
        self.next_serial += 1;
        if interleaving.requested(pending.is_interleaved()) {
            count(&mut self.statistics.fallbacks);
        }
        self.statistics.requested(&pending);
        if !way.probe {
            self.reach <<= 1;
        }
        self.sequence = self.sequence.wrapping_add(1);
        let by_udp = way.transport == Transport::Udp;
        let new_port = self.config.ports == PortPolicy::PerRequest || !self.port_bound;
        self.actions.push(Action::Send(Request {
            payload: request::payload(packet, way.transport, self.ptp_domain, self.sequence),
            token: TxToken {
                serial: pending.serial,
            },
            fresh_port: by_udp && new_port,
            transport: way.transport,
        }));
        self.port_bound |= by_udp;
        self.pending = Some(pending);
        let [high, low, ..] = random_u64(entropy).to_ne_bytes();
        let spread = u16::from_ne_bytes([high, low]);
        self.polling.requested(now, spread, way.probe);
        self.reschedule();
    }

    /// Ends the latest request; was it answered?
    fn note_silence(&mut self) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        self.note_unsealed(&pending);
        if !pending.answered && !pending.way.probe {
            self.count_silence();
        }
    }

    /// A poll interval has gone by without an answer.
    fn count_silence(&mut self) {
        self.unanswered = self.unanswered.saturating_add(1);
        if self.unanswered == UNREACHABLE_AFTER {
            self.reachable = false;
            // The path may be what is broken; another port may find another.
            self.port_bound = false;
            self.actions.push(Action::Reachable(false));
        }
        if self.unanswered > BACK_OFF_AFTER {
            self.polling.back_off();
        }
    }

    /// Sets the transmit timer to when the next request is due by all that is known now.
    fn reschedule(&mut self) {
        if let Some(due) = self.polling.due() {
            self.timers.set(Timer::Transmit, due);
        }
    }

    /// The request was sent; `stamp` is the caller's own reading of the clock around the system
    /// call. Used where no better stamp arrives.
    pub fn sent(&mut self, token: &TxToken, stamp: Stamp<Raw>) {
        if self.is_latest(token) {
            self.polling.sent();
        }
        self.take_stamp(token, stamp);
    }

    /// The kernel or the NIC says when the request left. Both may, in any order, after the reply,
    /// and even after the next request: an interleaved exchange still needs it.
    pub fn stamped(&mut self, token: &TxToken, stamp: Stamp<Raw>) {
        self.take_stamp(token, stamp);
        let best = self.stamping.best;
        if self.holds(token) && self.last.as_ref().is_some_and(|l| !l.may_improve(best)) {
            self.release_held();
        }
    }

    /// No further stamp of the request will come.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the token is redeemed: nobody can stamp the request any more"
    )]
    pub fn stamps_ended(&mut self, token: TxToken) {
        if self.holds(&token) {
            self.release_held();
        }
    }

    /// What the transmit path can give from now on: stamps of kind `best`, `wait` after sending at
    /// the latest. While a better stamp of a request may come than there is, its basic reply is
    /// held back.
    pub const fn set_stamping(&mut self, best: StampKind, wait: Duration) {
        self.stamping = Stamping { best, wait };
    }

    /// Whether requests are to be sent over PTP (RFC 10030) from now on.
    pub fn set_ptp(&mut self, ptp: PtpUse) {
        self.carriage.set(ptp);
    }

    /// The PTP domain of requests over PTP, from now on; replies of another are not believed.
    /// [`over_ptp::DEFAULT_DOMAIN`] unless set.
    pub const fn set_ptp_domain(&mut self, domain: u8) {
        self.ptp_domain = domain;
    }

    /// Is the reply to this request held back for its stamp?
    fn holds(&self, token: &TxToken) -> bool {
        let held = |last: &Answer| last.serial == token.serial && last.state == Measured::Held;
        self.last.as_ref().is_some_and(held)
    }

    /// Puts a stamp where its request's stamp is needed.
    fn take_stamp(&mut self, token: &TxToken, stamp: Stamp<Raw>) {
        if let Some(pending) = self.pending.as_mut().filter(|p| p.serial == token.serial) {
            pending.t1.note(stamp);
        }
        if let Some(last) = self.last.as_mut().filter(|l| l.serial == token.serial) {
            last.t1.note(stamp);
        }
    }

    /// Is `token` the latest request's?
    fn is_latest(&self, token: &TxToken) -> bool {
        self.pending
            .as_ref()
            .is_some_and(|p| p.serial == token.serial)
    }

    /// The request could not be sent. It is tried again at the next poll, in a burst sooner.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the token is given back: no stamp will come"
    )]
    pub fn send_failed(&mut self, token: TxToken, now: Timestamp<Raw>) {
        if !self.is_latest(&token) {
            return;
        }
        count(&mut self.statistics.send_failures);
        self.note_silence();
        self.port_bound = false;
        self.polling.failed(now);
        self.reschedule();
    }

    /// A datagram came from the server's address; `arrival` says how, `now` is the time of this
    /// call, and stands in for this process's own stamp where `arrival` has none. A refused
    /// datagram changes nothing but the statistics; only that the cookies of an authentic one are
    /// kept all the same.
    pub fn handle_datagram(
        &mut self,
        payload: &[u8],
        arrival: Arrival,
        now: Timestamp<Raw>,
    ) -> Result<(), Rejection> {
        count(&mut self.statistics.datagrams);
        let result = self.judge_datagram(payload, arrival, now);
        if let Err(rejection) = &result {
            self.statistics.reject(rejection);
        }
        result
    }

    fn judge_datagram(
        &mut self,
        payload: &[u8],
        mut arrival: Arrival,
        now: Timestamp<Raw>,
    ) -> Result<(), Rejection> {
        if arrival.stamps.get(StampKind::Daemon).is_none() {
            arrival.stamps.note(Stamp::exact(now, StampKind::Daemon));
        }
        let (packet, collected) = match arrival.transport {
            Transport::Udp => (payload, Duration::ZERO),
            Transport::Ptp => {
                let message =
                    over_ptp::unwrap(payload, self.ptp_domain).map_err(Rejection::OverPtp)?;
                (message.packet, message.correction)
            }
        };
        let sent_so = |pending: &&PendingRequest| pending.way.transport == arrival.transport;
        let pending = self.pending.as_ref().filter(sent_so);
        let kissed = pending.is_some_and(|pending| pending.kissed);
        let answer = reply::matched(packet, pending, self.last.as_ref())?;
        let Some(end) = self.authenticate(packet, &answer)? else {
            return Ok(());
        };
        match reply::judge(&answer, end, kissed)? {
            Verdict::Kiss(kiss) => {
                self.kissed(kiss);
                Ok(())
            }
            Verdict::Time(header, form, told) => {
                let residence = reply::residence(collected, told, arrival.frame);
                self.answered(header, form, residence, &arrival, now)
            }
        }
    }

    /// Acts on a kiss that answers the latest request (RFC 5905 section 7.4).
    fn kissed(&mut self, kiss: KissCode) {
        if let Some(pending) = &mut self.pending {
            pending.kissed = true;
            self.carriage.replied(pending.way.transport);
        }
        match kiss {
            KissCode::Rate => {
                count(&mut self.statistics.kiss_rate);
                self.polling.rate_limited();
                self.reschedule();
            }
            KissCode::Deny | KissCode::Restrict => {
                count(&mut self.statistics.kiss_denied);
                self.polling.denied_service();
                self.reschedule();
            }
            KissCode::NtsNak | KissCode::Other(_) => count(&mut self.statistics.kiss_other),
        }
        self.actions.push(Action::Kiss(kiss));
    }

    /// The next thing to do; call until `None`.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop()
    }

    /// The poll interval the discipline would like. It is kept within the configuration's limits
    /// and not below what the server demanded; a shorter one brings the next request forward.
    pub fn set_poll(&mut self, poll: Poll) {
        self.polling.wish(poll);
        self.reschedule();
    }

    /// Starts afresh: the clock was stepped, the path changed or the host was asleep. Forgets the
    /// pending exchange and the interleaved state and asks at `now`, with a burst where
    /// configured. A server that has demanded to be asked less often (RATE, DENY) is asked when it
    /// would have been.
    pub fn restart(&mut self, now: Timestamp<Raw>) {
        self.pending = None;
        self.last = None;
        self.foresight = Foresight::default();
        self.interleaving = Default::default();
        self.carriage.restart();
        self.timers.cancel(Timer::StampWait);
        self.port_bound = false;
        self.hasten_keys(now);
        if self.polling.limited() {
            return;
        }
        self.polling.forget_last();
        self.polling.begin_burst(&self.config);
        self.timers.set(Timer::Transmit, now);
    }

    /// Takes over a changed configuration, keeping what is known of the server.
    pub fn reconfigure(&mut self, config: ClientConfig) {
        self.config = config;
        self.polling.set_limits(&config);
        self.reschedule();
    }

    /// The poll interval in effect.
    pub fn poll(&self) -> Poll {
        self.polling.poll()
    }

    /// The reach register (RFC 5905 section 9.2): one bit per request, the latest in bit 0, set if
    /// it was answered. Unanswered attempts to ask over PTP are not in it.
    pub const fn reach(&self) -> u8 {
        self.reach
    }

    /// Was the last believed reply in interleaved mode?
    pub fn interleaved(&self) -> bool {
        self.last
            .as_ref()
            .is_some_and(|last| last.form == Form::Interleaved)
    }

    /// What carried the last believed reply.
    pub fn transport(&self) -> Transport {
        self.last
            .as_ref()
            .map_or(Transport::Udp, |last| last.transport)
    }

    /// Is a request waiting for its reply? When not, the port it left from is needed only for its
    /// transmit stamp.
    pub fn awaiting_reply(&self) -> bool {
        self.pending.as_ref().is_some_and(|p| !p.answered)
    }

    /// Did the server's last answer deny service (`DENY`, `RSTR`)?
    pub const fn denied(&self) -> bool {
        self.polling.denied()
    }

    /// What the client has seen.
    pub const fn statistics(&self) -> &ClientStatistics {
        &self.statistics
    }
}

#[cfg(test)]
mod tests;
