//! Replies of which the kernel does not say when they left, but of one before and one after them.
//!
//! A transmit stamp of the kernel takes a fifth of an interleaved request. Where requests come faster
//! than they can be answered, so that batches are full, that is a fifth of all that a server can do; and
//! replies of one batch leave one right after the other, in the order they are handed over. So of a
//! full batch every [`EVERY`]th reply is stamped, and the first and the last one. Those between left
//! between, at even distances as far as anybody can tell: measured, half of them within 0.1 us, and all
//! but one in a hundred within 1.4 us. None is off by more than what lies between the two stamps; where
//! that is more than a reply can be told it may be off ([`ABOUT`]), because the thread was interrupted,
//! nothing is said of them.
//!
//! The NIC's stamps are worth all that they cost: where there may be some, every reply has its own.

use clockwright_ntp::{ABOUT, TxKey};
use clockwright_timebase::{Duration, Timestamp, Utc};

use super::worker::BATCH;

/// One reply in so many is stamped.
const EVERY: usize = 2;

/// Says of a full batch which of the replies whose departure is `wanted` are to be stamped.
pub(super) fn stamped(wanted: &[bool; BATCH]) -> [bool; BATCH] {
    let mut stamped = [false; BATCH];
    let mut last = None;
    for place in (0..BATCH).filter(|place| wanted[*place]) {
        if last.is_none_or(|last| place - last >= EVERY) {
            stamped[place] = true;
            last = Some(place);
        }
    }
    if let Some(newest) = wanted.iter().rposition(|wanted| *wanted) {
        stamped[newest] = true;
    }
    stamped
}

/// Replies that are not stamped, between two of one batch that are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Between {
    /// The number of the one before them; `None`: there are none.
    after: Option<u32>,
    /// How many places of the batch lie from that to the one after them.
    distance: usize,
    /// Each at its distance from the one before.
    keys: [Option<TxKey>; EVERY - 1],
}

impl Between {
    /// None yet, after the reply of this number.
    pub(super) const fn after(id: u32) -> Self {
        Self {
            after: Some(id),
            distance: 1,
            keys: [None; EVERY - 1],
        }
    }

    /// One more: a reply whose departure is wanted by `key`, or one of no interest.
    pub(super) fn push(&mut self, key: Option<TxKey>) {
        let place = self.distance.checked_sub(1);
        if let Some(place) = place.and_then(|place| self.keys.get_mut(place)) {
            *place = key;
        }
        self.distance += 1;
    }

    /// How many of them are of interest.
    pub(super) fn wanted(&self) -> usize {
        self.keys.iter().flatten().count()
    }

    /// When each of them left, given when the one `before` did and that the one after them did `at`.
    /// Nothing if that is not known, or not exact enough.
    pub(super) fn departures(
        &self,
        before: Option<(u32, Timestamp<Utc>)>,
        at: Timestamp<Utc>,
    ) -> impl Iterator<Item = (TxKey, Timestamp<Utc>)> {
        let start = before.filter(|(id, _)| self.after == Some(*id));
        let span = start.map(|(_, start)| (start, at - start));
        let exact = span.filter(|(_, took)| (Duration::ZERO..=ABOUT).contains(took));
        let distance = i32::try_from(self.distance).unwrap_or(i32::MAX);
        (1_i32..).zip(self.keys).filter_map(move |(place, key)| {
            let (start, took) = exact?;
            Some((key?, start + took * place / distance))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use clockwright_ntp::{
        Header, Leap, Mode, NtpTimestamp, ReferenceId, ReplyBuffer, Server, ServerConfig,
        SystemVariables,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::measure::OsEntropy;

    const START: Timestamp<Utc> = Timestamp::from_timespec(1_800_000_000, 0);

    /// Keys as a server gives them to the replies it wants to know the departure of.
    fn keys(count: usize) -> Vec<TxKey> {
        let system = SystemVariables {
            leap: Leap::None,
            stratum: 1,
            precision: -25,
            root_delay: Duration::ZERO,
            root_dispersion: Duration::ZERO,
            reference_id: ReferenceId([0; 4]),
            reference_time: START,
        };
        let mut server = Server::new(ServerConfig::default());
        let request = Header {
            origin: NtpTimestamp::from_bits(1),
            receive: NtpTimestamp::from_bits(3),
            transmit: NtpTimestamp::from_bits(5),
            ..Header::zeroed(Mode::Client)
        };
        let mut buffer = ReplyBuffer::new();
        let mut key = |number: usize| {
            let rx = START + Duration::from_micros(i64::try_from(number).unwrap());
            let mut entropy = OsEntropy::new();
            let request = request.to_bytes();
            let reply = server.handle(&request, rx, &system, &mut entropy, &mut buffer);
            reply.unwrap().tx_stamp_wanted().unwrap()
        };
        (0..count).map(&mut key).collect()
    }

    #[test]
    fn replies_between_two_left_at_even_distances() {
        let keys = keys(1);
        let mut between = Between::after(7);
        between.push(Some(keys[0]));
        between.push(None);
        let end = START + Duration::from_micros(6);
        let departures: Vec<_> = between.departures(Some((7, START)), end).collect();
        assert_eq!(departures, [(keys[0], START + Duration::from_micros(2))]);
        assert_eq!(between.wanted(), 1);
    }

    #[test]
    fn nothing_is_said_of_replies_between_that_took_too_long_or_lost_their_first() {
        let keys = keys(1);
        let mut between = Between::after(7);
        between.push(Some(keys[0]));
        let placed = |before, end| between.departures(before, end).count();
        let (exact, late) = (START + ABOUT, START + ABOUT + Duration::from_nanos(1));
        assert_eq!(placed(Some((7, START)), exact), 1);
        assert_eq!(placed(Some((7, START)), late), 0);
        assert_eq!(placed(Some((7, START)), START - ABOUT), 0, "set back");
        assert_eq!(placed(Some((6, START)), exact), 0, "of another reply");
        assert_eq!(placed(None, exact), 0);
    }

    proptest! {
        /// All that are not stamped lie between two that are, and have a place of their own.
        #[test]
        fn whatever_is_wanted_is_stamped_or_between(wanted: [bool; BATCH]) {
            let stamped = stamped(&wanted);
            let keys = keys(BATCH);
            let mut found = HashSet::new();
            let mut between = Between::default();
            for place in 0..BATCH {
                prop_assert!(wanted[place] || !stamped[place]);
                let key = wanted[place].then_some(keys[place]);
                if !stamped[place] {
                    between.push(key);
                    continue;
                }
                found.extend(key);
                let before = between.after.map(|id| (id, START));
                let departures = between.departures(before, START + ABOUT);
                found.extend(departures.map(|(key, _)| key));
                between = Between::after(u32::try_from(place).unwrap());
            }
            prop_assert_eq!(found.len(), wanted.iter().filter(|wanted| **wanted).count());
            let all = wanted.iter().filter(|wanted| **wanted).count();
            let stamps = stamped.iter().filter(|stamped| **stamped).count();
            prop_assert!(stamps <= all && stamps <= BATCH / EVERY + 1, "{stamps} of {all}");
        }
    }
}
