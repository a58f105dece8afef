//! Replies whose transmit stamps are awaited.

use std::collections::VecDeque;

use clockwright_ntp::TxKey;
use clockwright_sys::socket::TxId;
use clockwright_timebase::{Duration, Raw, StampKind, Timestamp, Utc};

use super::between::Between;
use crate::interfaces::Sent;

/// So many at most. The kernel gives its stamps within microseconds, a NIC within milliseconds.
const MOST: usize = 1024;
/// A stamp that has not come by then is lost.
const PATIENCE: Duration = Duration::from_secs(1);

/// A reply whose transmit stamp is awaited.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Awaited {
    id: TxId,
    /// By which the protocol knows it; `None`: the stamp is only to tell how long sending takes.
    pub(crate) key: Option<TxKey>,
    /// When it was to be handed over, by the served clock; of the first one of several.
    pub(crate) due: Option<Timestamp<Utc>>,
    /// When it was sent.
    pub(crate) sent: Sent,
    /// The kind of the request's receive stamp, which the reply's is to match.
    pub(crate) received: StampKind,
    /// The interface it left by, where stamps tell; else the one that the request came by.
    pub(crate) interface: Option<u32>,
    /// Those before it that are not stamped.
    pub(super) between: Between,
    /// Has its last stamp come?
    done: bool,
}

impl Awaited {
    /// How many replies' departures its stamp tells.
    pub(crate) fn replies(&self) -> u64 {
        1 + self.between.wanted() as u64
    }
}

/// A reply whose transmit stamp is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// By which the protocol knows it; `None`: the stamp is only to tell how long sending takes.
    pub(crate) key: Option<TxKey>,
    /// The kind of the request's receive stamp.
    pub(crate) received: StampKind,
    /// The interface that the request came by.
    pub(crate) interface: Option<u32>,
}

/// All of them, in the order in which they were sent. Bounded; the oldest is given up first.
#[derive(Debug)]
pub(crate) struct AwaitedReplies {
    queue: VecDeque<Awaited>,
    waiting: usize,
}

impl AwaitedReplies {
    /// None.
    pub(crate) fn new() -> Self {
        Self {
            queue: VecDeque::with_capacity(MOST),
            waiting: 0,
        }
    }

    /// How many have not got their last stamp.
    pub(crate) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Another one was sent. Gives the one that is given up for it, if there is no more room.
    pub(crate) fn push(
        &mut self,
        id: TxId,
        wanted: Wanted,
        between: Between,
        (sent, due): (Sent, Option<Timestamp<Utc>>),
    ) -> Option<Awaited> {
        let full = self.queue.len() == MOST;
        let given_up = if full { self.queue.pop_front() } else { None };
        let given_up = given_up.filter(|reply| !reply.done);
        self.waiting += 1;
        self.waiting -= usize::from(given_up.is_some());
        self.queue.push_back(Awaited {
            id,
            key: wanted.key,
            due,
            sent,
            received: wanted.received,
            interface: wanted.interface,
            between,
            done: false,
        });
        given_up
    }

    /// The reply that a stamp is of, if it is still awaited.
    pub(crate) fn find(&mut self, id: TxId) -> Option<&mut Awaited> {
        let first = self.queue.front()?.id;
        // Numbers ascend, and begin anew after four thousand million.
        let distance = |id: TxId| id.number().wrapping_sub(first.number());
        let place = self
            .queue
            .binary_search_by_key(&distance(id), |reply| distance(reply.id));
        let reply = self.queue.get_mut(place.ok()?)?;
        (!reply.done).then_some(reply)
    }

    /// The last stamp of this reply has come.
    pub(crate) fn finish(&mut self, id: TxId) {
        if let Some(reply) = self.find(id) {
            reply.done = true;
            self.waiting -= 1;
        }
        while self.queue.front().is_some_and(|reply| reply.done) {
            self.queue.pop_front();
        }
    }

    /// The oldest, if its stamp has been awaited too long at `now` on the host's oscillator.
    pub(crate) fn give_up(&mut self, now: Timestamp<Raw>) -> Option<Awaited> {
        while let Some(oldest) = self.queue.front() {
            if !oldest.done && now - oldest.sent.host <= PATIENCE {
                return None;
            }
            let oldest = self.queue.pop_front();
            if let Some(lost) = oldest.filter(|reply| !reply.done) {
                self.waiting -= 1;
                return Some(lost);
            }
        }
        None
    }

    /// None is awaited any more.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.waiting = 0;
    }
}
