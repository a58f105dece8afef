//! What a worker has counted, for others to read at any time.
//!
//! Only the worker writes, so it reads, adds and writes: that costs no locked instruction.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use clockwright_ntp::{Server, ServerStatistics};
use clockwright_timebase::StampKind;

use crate::clock::Implausible;
use crate::interfaces::{Direction, Fallback};

/// A number that one thread counts and others read.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// One more.
    #[inline]
    pub(crate) fn bump(&self) {
        self.add(1);
    }

    /// So many more.
    #[inline]
    pub(crate) fn add(&self, more: u64) {
        self.set(self.get().wrapping_add(more));
    }

    #[inline]
    fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// How many so far.
    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Declares counters twice: as they are counted, and as they are read.
macro_rules! counters {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        /// A worker's counters.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $($(#[$meta])* pub(crate) $name: Counter,)*
        }

        /// The counters of one worker or of several, read at one moment.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub(crate) struct Counts {
            $($(#[$meta])* pub(crate) $name: u64,)*
        }

        impl Counters {
            /// What they are now.
            pub(crate) fn read(&self) -> Counts {
                Counts { $($name: self.$name.get(),)* }
            }
        }

        impl std::ops::AddAssign for Counts {
            fn add_assign(&mut self, other: Self) {
                $(self.$name = self.$name.wrapping_add(other.$name);)*
            }
        }
    };
}

counters! {
    /// Datagrams that came.
    received,
    /// Times that it took some from the kernel; they come together when there are many.
    batches,
    /// Replies in basic mode.
    basic,
    /// Replies in interleaved mode.
    interleaved,
    /// Of both, those authenticated by NTS.
    authenticated,
    /// Requests whose cookie could not be opened, or that were not sealed with the keys in it.
    naks,
    /// Requests of clients that ask too often that were told so.
    kisses,
    /// Requests from addresses that are not allowed.
    denied,
    /// Requests beyond their client's limit that were not answered.
    limited,
    /// Requests that came while the clock was stepped or near a smeared leap second, or that have
    /// waited for more than a second.
    untimely,
    /// Datagrams that are no NTP, by length.
    too_short,
    /// The same, of another version than 1 to 4.
    version,
    /// Those that are no requests.
    mode,
    /// Malformed ones.
    framing,
    /// Malformed authentication.
    nts_malformed,
    /// Requests with a key that is not known.
    unknown_key,
    /// Longer than any request.
    too_long,
    /// Replies that the kernel did not take.
    unsent,
    /// Requests whose arrival the NIC stamped.
    rx_hardware,
    /// The kernel.
    rx_kernel,
    /// The worker itself.
    rx_daemon,
    /// Replies of which the NIC's transmit stamp was used; stamps are asked for where the client
    /// is interleaved, and now and then to know how long sending takes.
    tx_hardware,
    /// The kernel's.
    tx_kernel,
    /// Replies that were not stamped themselves, but one before and one after them.
    tx_between,
    /// Replies whose transmit stamp was awaited in vain.
    tx_missing,
    /// Transmit stamps that could not be those of their replies.
    tx_implausible,
    /// Replies remembered for interleaved mode.
    remembered,
    /// Replies that had to make room for others before anybody asked for them.
    replaced,
}

/// What the protocol counts, under the names it has here: one list for all who take it over.
macro_rules! protocol_counters {
    ($($name:ident = $counted:ident,)*) => {
        impl Counters {
            /// Takes over what the protocol has counted.
            pub(crate) fn take_over(&self, server: &Server) {
                let counted = server.statistics();
                $(self.$name.set(counted.$counted);)*
                self.remembered.set(server.remembered() as u64);
                self.replaced.set(server.replaced());
            }
        }

        impl Counts {
            /// Adds what the protocol has counted elsewhere.
            pub(crate) const fn add_protocol(&mut self, counted: &ServerStatistics) {
                $(self.$name = self.$name.wrapping_add(counted.$counted);)*
            }
        }
    };
}

protocol_counters! {
    basic = basic,
    interleaved = interleaved,
    authenticated = nts,
    naks = nts_naks,
    kisses = rate_kisses,
    too_short = too_short,
    version = version,
    mode = mode,
    framing = framing,
    nts_malformed = nts_malformed,
    unknown_key = unknown_key,
    tx_implausible = implausible_stamps,
}

/// Interfaces that a worker counts packets of. Packets of more than these are not counted there.
const INTERFACES: usize = 16;
/// Without a reason, and each reason.
const OUTCOMES: usize = 1 + Fallback::COUNT;

/// What became of packets, by interface.
#[derive(Debug, Default)]
pub(crate) struct StampTally {
    places: [Place; INTERFACES],
}

#[derive(Debug, Default)]
struct Place {
    /// The interface; 0: nobody's.
    index: AtomicU32,
    transmitted: Lane,
    received: Lane,
}

/// Packets in one direction, by the kind of their stamp and why it is no better.
#[derive(Debug, Default)]
struct Lane {
    counts: [[Counter; OUTCOMES]; 3],
    /// In what way a stamp could not be right, when that last happened.
    implausible: AtomicU64,
}

/// Packets of an interface in one direction with one outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outcome {
    /// The interface.
    pub(crate) interface: u32,
    /// Which way.
    pub(crate) direction: Direction,
    /// The best stamp.
    pub(crate) kind: StampKind,
    /// Why it is not the NIC's.
    pub(crate) fallback: Option<Fallback>,
    /// How many.
    pub(crate) packets: u64,
}

const KINDS: [StampKind; 3] = [StampKind::Hardware, StampKind::Kernel, StampKind::Daemon];

impl StampTally {
    /// Counts a packet of an interface.
    #[inline]
    pub(crate) fn count(
        &self,
        direction: Direction,
        interface: u32,
        kind: StampKind,
        fallback: Option<Fallback>,
    ) {
        let Some(place) = self.place(interface) else {
            return;
        };
        let lane = match direction {
            Direction::Transmit => &place.transmitted,
            Direction::Receive => &place.received,
        };
        let kind = match kind {
            StampKind::Hardware => 0,
            StampKind::Kernel => 1,
            StampKind::Daemon => 2,
        };
        if let Some(Fallback::Implausible(why)) = fallback {
            lane.implausible.store(why.to_bits(), Ordering::Relaxed);
        }
        let outcome = fallback.map_or(0, |why| 1 + why.index());
        if let Some(counter) = lane.counts.get(kind).and_then(|row| row.get(outcome)) {
            counter.bump();
        }
    }

    /// An interface's place, which it gets when it is first met.
    fn place(&self, interface: u32) -> Option<&Place> {
        for place in &self.places {
            match place.index.load(Ordering::Relaxed) {
                0 => {
                    place.index.store(interface, Ordering::Relaxed);
                    return Some(place);
                }
                known if known == interface => return Some(place),
                _ => {}
            }
        }
        None
    }

    /// All that has been counted.
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        self.places.iter().flat_map(Place::outcomes)
    }
}

impl Place {
    fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        let interface = self.index.load(Ordering::Relaxed);
        let lanes = [
            (Direction::Transmit, &self.transmitted),
            (Direction::Receive, &self.received),
        ];
        lanes.into_iter().flat_map(move |(direction, lane)| {
            lane.outcomes()
                .map(move |(kind, fallback, packets)| Outcome {
                    interface,
                    direction,
                    kind,
                    fallback,
                    packets,
                })
        })
    }
}

impl Lane {
    fn outcomes(&self) -> impl Iterator<Item = (StampKind, Option<Fallback>, u64)> {
        let why = Implausible::from_bits(self.implausible.load(Ordering::Relaxed));
        KINDS.iter().zip(&self.counts).flat_map(move |(kind, row)| {
            row.iter()
                .enumerate()
                .filter_map(move |(outcome, counter)| {
                    let packets = counter.get();
                    let fallback = outcome
                        .checked_sub(1)
                        .and_then(|index| Fallback::from_index(index, why));
                    (packets > 0).then_some((*kind, fallback, packets))
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clockwright_timebase::Duration;

    #[test]
    fn packets_are_counted_by_interface_and_outcome() {
        let tally = StampTally::default();
        let late = Fallback::Implausible(Implausible::Old(Duration::from_secs(2)));
        for _ in 0..3 {
            tally.count(Direction::Receive, 7, StampKind::Hardware, None);
        }
        tally.count(Direction::Transmit, 4, StampKind::Kernel, Some(late));
        let mut outcomes: Vec<_> = tally.outcomes().collect();
        outcomes.sort_by_key(|outcome| outcome.interface);
        assert_eq!(
            outcomes,
            [
                Outcome {
                    interface: 4,
                    direction: Direction::Transmit,
                    kind: StampKind::Kernel,
                    fallback: Some(late),
                    packets: 1,
                },
                Outcome {
                    interface: 7,
                    direction: Direction::Receive,
                    kind: StampKind::Hardware,
                    fallback: None,
                    packets: 3,
                },
            ]
        );
    }

    #[test]
    fn more_interfaces_than_there_is_room_for_are_left_out() {
        let tally = StampTally::default();
        for interface in 1..1000 {
            tally.count(Direction::Receive, interface, StampKind::Kernel, None);
        }
        assert_eq!(tally.outcomes().count(), INTERFACES);
    }
}
