//! The server's memory for interleaved mode: when recent replies left, by the receive timestamp
//! that they carried.

use crate::NtpTimestamp;

/// No slot.
const NIL: u32 = u32::MAX;
/// More replies than this are not remembered, whatever the configuration says.
const MOST: usize = 1 << 24;

/// A bounded table of replies, the oldest forgotten first. Nothing is allocated after
/// [`new`](Self::new).
///
/// A client names a reply by the receive timestamp it carried (RFC 9769 section 2). The table is
/// not divided by address: the key is unique and hard to guess, so clients behind one address, or
/// one client from many ports (RFC 9109), are no special case.
#[derive(Debug)]
pub(super) struct ReplyTable {
    /// A ring in the order of insertion.
    slots: Box<[Slot]>,
    /// Where the next reply goes: the oldest slot.
    next: usize,
    /// The first slot of each hash chain; a power of two of them.
    chains: Box<[u32]>,
    /// Replies in it.
    held: usize,
    /// Replies that were forgotten for others.
    replaced: u64,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The key; zero in an empty slot.
    receive: NtpTimestamp,
    /// When the reply left; zero while nobody has said.
    transmit: NtpTimestamp,
    /// Is that only about when?
    about: bool,
    /// The next slot with the same hash.
    next: u32,
}

impl ReplyTable {
    /// A table of `capacity` replies.
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.min(MOST);
        let empty = Slot {
            receive: NtpTimestamp::ZERO,
            transmit: NtpTimestamp::ZERO,
            about: false,
            next: NIL,
        };
        Self {
            slots: vec![empty; capacity].into_boxed_slice(),
            next: 0,
            chains: vec![NIL; capacity.next_power_of_two()].into_boxed_slice(),
            held: 0,
            replaced: 0,
        }
    }

    /// What a table of `capacity` replies takes, octets.
    pub(super) fn octets(capacity: usize) -> usize {
        let capacity = capacity.min(MOST);
        capacity * size_of::<Slot>() + capacity.next_power_of_two() * size_of::<u32>()
    }

    /// How many replies it has room for.
    pub(super) const fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// How many replies are remembered.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// How many replies had to make room for others before anybody asked for them; it wraps.
    pub(super) const fn replaced(&self) -> u64 {
        self.replaced
    }

    /// Is a reply with this receive timestamp remembered?
    pub(super) fn contains(&self, receive: NtpTimestamp) -> bool {
        self.find(receive).is_some()
    }

    /// Remembers a reply whose receive timestamp is `receive`. False, with nothing changed, if
    /// there is one already, if it is zero, or if the table has no room for anything.
    pub(super) fn insert(&mut self, receive: NtpTimestamp) -> bool {
        if receive.is_zero() || self.contains(receive) {
            return false;
        }
        let (index, chain) = (self.next, self.chain(receive));
        let Some(oldest) = self.slots.get(index).copied() else {
            return false;
        };
        if !oldest.receive.is_zero() {
            self.unlink(oldest.receive);
            self.replaced = self.replaced.wrapping_add(1);
        }
        self.held += 1;
        self.slots[index] = Slot {
            receive,
            transmit: NtpTimestamp::ZERO,
            about: false,
            next: self.chains[chain],
        };
        self.chains[chain] = u32::try_from(index).unwrap_or(NIL);
        self.next = (index + 1) % self.slots.len();
        true
    }

    /// Notes when a reply left, or `about` when, if it is still remembered.
    pub(super) fn set_transmit(
        &mut self,
        receive: NtpTimestamp,
        transmit: NtpTimestamp,
        about: bool,
    ) {
        if let Some(index) = self.find(receive) {
            let slot = &mut self.slots[index];
            (slot.transmit, slot.about) = (transmit, about);
        }
    }

    /// When the reply with this receive timestamp left, and whether that is only about when, if it is
    /// remembered and that is known; it is then forgotten, because it may be used once only.
    pub(super) fn take(&mut self, receive: NtpTimestamp) -> Option<(NtpTimestamp, bool)> {
        let Slot {
            transmit, about, ..
        } = self.slots[self.find(receive)?];
        if transmit.is_zero() {
            return None;
        }
        self.unlink(receive);
        Some((transmit, about))
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.chains.fill(NIL);
        self.held = 0;
        for slot in &mut self.slots {
            slot.receive = NtpTimestamp::ZERO;
        }
    }

    /// Which chain a key is in. Nearby timestamps differ in their low bits, which the
    /// multiplication (by 2⁶⁴ over the golden ratio) carries into the high ones.
    fn chain(&self, receive: NtpTimestamp) -> usize {
        let hash = receive.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        usize::try_from(hash).unwrap_or(0) & (self.chains.len() - 1)
    }

    /// The slot of a key.
    fn find(&self, receive: NtpTimestamp) -> Option<usize> {
        let mut index = self.chains[self.chain(receive)];
        while let Some(slot) = self.slot(index) {
            if slot.receive == receive {
                return usize::try_from(index).ok();
            }
            index = slot.next;
        }
        None
    }

    /// Takes a key out of its chain and empties its slot.
    fn unlink(&mut self, receive: NtpTimestamp) {
        let chain = self.chain(receive);
        let mut before: Option<usize> = None;
        let mut index = self.chains[chain];
        while let Some(slot) = self.slot(index).copied() {
            let here = index as usize;
            if slot.receive == receive {
                match before {
                    Some(before) => self.slots[before].next = slot.next,
                    None => self.chains[chain] = slot.next,
                }
                self.slots[here].receive = NtpTimestamp::ZERO;
                self.held -= 1;
                return;
            }
            before = Some(here);
            index = slot.next;
        }
    }

    fn slot(&self, index: u32) -> Option<&Slot> {
        self.slots.get(usize::try_from(index).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn key(bits: u64) -> NtpTimestamp {
        NtpTimestamp::from_bits(bits)
    }

    #[test]
    fn a_reply_is_told_once_and_only_when_its_stamp_is_known() {
        let mut table = ReplyTable::new(4);
        assert!(table.insert(key(1)));
        assert_eq!(table.take(key(1)), None, "no stamp yet");
        table.set_transmit(key(1), key(10), true);
        table.set_transmit(key(2), key(20), false);
        assert_eq!(table.take(key(1)), Some((key(10), true)));
        assert_eq!(table.take(key(1)), None, "once only");
        assert_eq!(table.take(key(2)), None, "never heard of");
    }

    #[test]
    fn a_table_without_room_remembers_nothing() {
        let mut table = ReplyTable::new(0);
        assert!(!table.insert(key(1)));
        assert!(!table.contains(key(1)));
        table.clear();
    }

    proptest! {
        /// Against the plainest model: a queue of pairs.
        #[test]
        fn behaves_as_a_bounded_queue(
            capacity in 1usize..9,
            steps in prop::collection::vec((0u8..8, 1u64..24), 0..200),
        ) {
            let mut table = ReplyTable::new(capacity);
            let mut model: VecDeque<Option<(u64, u64)>> = VecDeque::new();
            for (action, bits) in steps {
                let known = model.iter().flatten().any(|&(receive, _)| receive == bits);
                prop_assert_eq!(table.held(), model.iter().flatten().count());
                prop_assert_eq!(table.contains(key(bits)), known);
                match action {
                    0..=3 if !known => {
                        prop_assert!(table.insert(key(bits)));
                        model.push_back(Some((bits, 0)));
                        if model.len() > capacity {
                            model.pop_front();
                        }
                    }
                    4 | 5 => {
                        table.set_transmit(key(bits), key(bits + 100), bits % 2 == 0);
                        for (receive, transmit) in model.iter_mut().flatten() {
                            if *receive == bits {
                                *transmit = bits + 100;
                            }
                        }
                    }
                    6 => {
                        let place = model.iter().position(|entry| {
                            entry.is_some_and(|(receive, tx)| receive == bits && tx != 0)
                        });
                        let expected = place.and_then(|i| model[i].take()).map(|(bits, tx)| (key(tx), bits % 2 == 0));
                        prop_assert_eq!(table.take(key(bits)), expected);
                    }
                    7 if bits == 1 => {
                        table.clear();
                        model.make_contiguous().fill(None);
                    }
                    _ => {}
                }
            }
        }
    }
}
