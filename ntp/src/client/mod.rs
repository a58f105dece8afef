//! A client of one server.

mod action;
mod config;
mod rejection;
mod statistics;

pub use action::{Action, Request, TxToken};
pub use config::{ClientConfig, PortPolicy};
pub use rejection::Rejection;
pub use statistics::ClientStatistics;

use clockwright_timebase::{Poll, Raw, Stamp, Timestamp};

use crate::Entropy;
use action::ActionQueue;

/// A client of one server: asks, believes or refuses the answers, gives out exchanges.
///
/// After every call of a `handle_` method, and after [`stamped`](Self::stamped), the caller
/// drains [`poll_action`](Self::poll_action) and then waits for a datagram, a stamp or
/// [`next_timeout`](Self::next_timeout), whichever is first.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    actions: ActionQueue,
    statistics: ClientStatistics,
}

impl Client {
    /// A client that sends its first request within 100 ms after `now`.
    pub fn new(config: ClientConfig, now: Timestamp<Raw>, entropy: &mut dyn Entropy) -> Self {
        let _ = (now, entropy);
        Self {
            config,
            actions: ActionQueue::default(),
            statistics: ClientStatistics::default(),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; the earliest of all timers.
    pub fn next_timeout(&self) -> Option<Timestamp<Raw>> {
        None
    }

    /// Does what is due at `now`. Calling it early or late is harmless.
    pub fn handle_timeout(&mut self, now: Timestamp<Raw>, entropy: &mut dyn Entropy) {
        let _ = (now, entropy);
    }

    /// The request was sent; `stamp` is the caller's own reading of the clock around the system
    /// call. Used where no better stamp arrives.
    pub fn sent(&mut self, token: &TxToken, stamp: Stamp<Raw>) {
        let _ = (token, stamp);
    }

    /// The kernel or the NIC says when the request left. May come after the reply, and even after
    /// the next request: an interleaved exchange still needs it.
    pub fn stamped(&mut self, token: TxToken, stamp: Stamp<Raw>) {
        let _ = (token, stamp);
    }

    /// The request could not be sent.
    pub fn send_failed(&mut self, token: TxToken, now: Timestamp<Raw>) {
        let _ = (token, now);
    }

    /// A datagram came from the server's address; `rx` is when it arrived, `now` the time of this
    /// call. A refused datagram changes nothing but the statistics.
    pub fn handle_datagram(
        &mut self,
        payload: &[u8],
        rx: Stamp<Raw>,
        now: Timestamp<Raw>,
    ) -> Result<(), Rejection> {
        let _ = (payload, rx, now);
        Err(Rejection::Unexpected)
    }

    /// The next thing to do; call until `None`.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop()
    }

    /// The poll interval the discipline would like. It is kept within the configuration's limits
    /// and not below what the server demanded; a shorter one brings the next request forward.
    pub fn set_poll(&mut self, poll: Poll) {
        let _ = poll;
    }

    /// Starts afresh: the clock was stepped, the path changed or the host was asleep. Forgets the
    /// pending exchange and the interleaved state and asks at `now`, with a burst where
    /// configured. What the server demanded (RATE, DENY) stays.
    pub fn restart(&mut self, now: Timestamp<Raw>) {
        let _ = now;
    }

    /// Takes over a changed configuration, keeping what is known of the server.
    pub fn reconfigure(&mut self, config: ClientConfig) {
        self.config = config;
    }

    /// The poll interval in effect.
    pub fn poll(&self) -> Poll {
        self.config.poll_min
    }

    /// The reach register (RFC 5905 section 9.2): one bit per request, the latest in bit 0, set if
    /// it was answered.
    pub fn reach(&self) -> u8 {
        0
    }

    /// Was the last believed reply in interleaved mode?
    pub fn interleaved(&self) -> bool {
        false
    }

    /// Is a request waiting for its reply? When not, the port it left from is needed only for its
    /// transmit stamp.
    pub fn awaiting_reply(&self) -> bool {
        false
    }

    /// Did the server's last answer deny service (`DENY`, `RSTR`)?
    pub fn denied(&self) -> bool {
        false
    }

    /// What the client has seen.
    pub fn statistics(&self) -> &ClientStatistics {
        &self.statistics
    }
}
