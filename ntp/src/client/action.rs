//! What the client wants done.

use std::collections::VecDeque;

use super::Transport;
use crate::{Exchange, Foreseen, KissCode, Rejection};

/// Something the client wants done or known; from [`Client::poll_action`](crate::Client::poll_action).
#[derive(Debug)]
pub enum Action {
    /// Send this to the server.
    Send(Request),
    /// Have keys established with the server, and say what came of it
    /// ([`Client::keys_established`](crate::Client::keys_established),
    /// [`Client::keys_failed`](crate::Client::keys_failed)).
    EstablishKeys,
    /// An exchange is complete and believed.
    Exchange(Exchange),
    /// A reply was believed that the server will say more about with the next one: what its
    /// exchange is likely to be. Follows the [`Exchange`](Self::Exchange) that the same reply
    /// completes.
    Foreseen(Foreseen),
    /// A reply was believed, but the exchange it completes is of no use. Happens where the fault
    /// shows only after [`handle_datagram`](crate::Client::handle_datagram) has returned, or in
    /// the previous exchange, which an interleaved reply completes.
    Unusable(Rejection),
    /// The server answered a request with a kiss code. `RATE`, `DENY` and `RSTR` have been acted
    /// on by asking less often; the others have no effect on the protocol.
    Kiss(KissCode),
    /// The server gives the time, for the first time or again (`true`), or has left 8 requests in
    /// a row without a reply that could be believed (`false`).
    Reachable(bool),
}

/// A request to be sent.
#[derive(Debug)]
pub struct Request {
    /// The octets of the UDP payload.
    pub payload: Vec<u8>,
    /// What the transmit stamp must present.
    pub token: TxToken,
    /// Bind a new random source port first (RFC 9109); otherwise use the last one. Of no meaning
    /// over PTP, whose ports are fixed.
    pub fresh_port: bool,
    /// What is to carry it.
    pub transport: Transport,
}

/// Names one request to whoever says when it left; given back when nobody will say more
/// ([`Client::stamps_ended`](crate::Client::stamps_ended)) or when it could not be sent.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a request without its transmit stamp measures nothing"]
pub struct TxToken {
    /// Which of the client's requests.
    pub(super) serial: u64,
}

/// How many actions wait at most for a caller that does not drain them.
const CAPACITY: usize = 16;

/// Actions in order. Bounded: a caller that never drains it loses the oldest ones.
#[derive(Debug, Default)]
pub(super) struct ActionQueue {
    actions: VecDeque<Action>,
}

impl ActionQueue {
    pub(super) fn push(&mut self, action: Action) {
        if self.actions.len() == CAPACITY {
            self.actions.pop_front();
        }
        self.actions.push_back(action);
    }

    pub(super) fn pop(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
}
