//! Who asks how often, and who asks too often: token buckets for as many clients as there is room
//! for.
//!
//! A client is a network of addresses ([`Prefixes`]). The table has sets of [`WAYS`] entries; the
//! hash of a client, with a key that nobody else knows, says which set it is in, so that nobody can
//! choose addresses that crowd another client out. Where a set is full, the client that has been
//! silent the longest makes room. Nothing is ever allocated after [`ClientTable::new`].
//!
//! A bucket is kept as its "theoretical arrival time" (the generic cell rate algorithm, ITU-T
//! I.371): when the next request would come if the client kept exactly to its interval. A request
//! that comes earlier than that by more than the burst allows is beyond the limit.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use clockwright_sys::cache::prefetch;
use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::config::{ClientsConfig, ConnectionRateConfig, NtsRateConfig, RateConfig};

/// Entries in a set.
const WAYS: usize = 8;

/// The key of an entry without a client. It is no IPv4 client's, and as an IPv6 address it would be
/// multicast, which no packet comes from.
const NOBODY: u64 = 0xffff_0000_0000_0000;

/// The upper half of IPv4 clients' keys. As IPv6 addresses these would be multicast.
const IPV4: u64 = 0xffff_ffff_0000_0000;

/// A client: an IPv4 network with [`IPV4`] before it, or the upper half of an IPv6 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ClientKey(u64);

/// Which addresses are one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prefixes {
    ipv4: u8,
    ipv6: u8,
}

impl Prefixes {
    /// Addresses are one client that have the first `ipv4` bits in common, or of IPv6 the first
    /// `ipv6` bits, 64 at most.
    pub(crate) const fn new(ipv4: u8, ipv6: u8) -> Self {
        Self {
            ipv4: if ipv4 < 32 { ipv4 } else { 32 },
            ipv6: if ipv6 < 64 { ipv6 } else { 64 },
        }
    }

    /// The client that `address` belongs to. An IPv4 address mapped into IPv6 counts as IPv4.
    #[inline]
    pub(crate) fn client(self, address: IpAddr) -> ClientKey {
        ClientKey(match address.to_canonical() {
            IpAddr::V4(address) => {
                let shift = 32 - u32::from(self.ipv4);
                let mask = u32::MAX.checked_shl(shift).unwrap_or(0);
                IPV4 | u64::from(address.to_bits() & mask)
            }
            IpAddr::V6(address) => {
                let shift = 64 - u32::from(self.ipv6);
                let mask = u64::MAX.checked_shl(shift).unwrap_or(0);
                upper_half(address) & mask
            }
        })
    }

    /// A client's first address and how many bits of it count.
    pub(crate) fn network(self, ClientKey(key): ClientKey) -> (IpAddr, u8) {
        if key & IPV4 == IPV4 {
            let address = u32::try_from(key & !IPV4).unwrap_or(0);
            (Ipv4Addr::from_bits(address).into(), self.ipv4)
        } else {
            (Ipv6Addr::from_bits(u128::from(key) << 64).into(), self.ipv6)
        }
    }
}

impl From<&ClientsConfig> for Prefixes {
    fn from(config: &ClientsConfig) -> Self {
        Self::new(config.ipv4_prefix, config.ipv6_prefix)
    }
}

/// The first 64 bits.
fn upper_half(address: Ipv6Addr) -> u64 {
    u64::try_from(address.to_bits() >> 64).unwrap_or(0)
}

/// An instant of the host's oscillator in the microseconds that [`ClientTable::note`] takes.
pub(crate) fn micros(now: Timestamp<Raw>) -> u64 {
    u64::try_from(now.since_epoch().as_nanos() / 1000).unwrap_or(0)
}

/// How often one client may ask, and what becomes of what is beyond that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    /// Between two requests in the long run, in microseconds; at least 1.
    interval: u64,
    /// How much earlier than that a request may come, in microseconds.
    early: u64,
    /// One in so many beyond the limit is answered; 0: none.
    leak: u32,
    /// One in so many of the others is told RATE; 0: none.
    kiss: u32,
}

impl Limit {
    /// `burst` at once, and one each `interval` (to the microsecond) in the long run. Neither leaks
    /// nor says RATE.
    pub(crate) fn new(interval: Duration, burst: u16) -> Self {
        let micros = (interval.as_nanos().saturating_add(500) / 1000).max(1);
        let interval = u64::try_from(micros).unwrap_or(1);
        Self {
            interval,
            early: interval.saturating_mul(u64::from(burst.max(1)) - 1),
            leak: 0,
            kiss: 0,
        }
    }

    /// How late at `now` the last of a full burst makes the next theoretical arrival time: no
    /// bucket that was kept with this limit is beyond it.
    const fn latest(&self, now: u64) -> u64 {
        now.saturating_add(self.early).saturating_add(self.interval)
    }

    /// What becomes of a request beyond the limit. `random`: uniform over all its values.
    fn beyond(&self, random: u32) -> Verdict {
        let (leaks, rest) = one_in(self.leak, random);
        let (kisses, _) = one_in(self.kiss, rest);
        match (leaks, kisses) {
            (true, _) => Verdict::Answer,
            (false, true) => Verdict::Kiss,
            (false, false) => Verdict::Drop,
        }
    }
}

impl From<&RateConfig> for Limit {
    fn from(config: &RateConfig) -> Self {
        Self {
            leak: config.leak.into(),
            kiss: config.kiss.into(),
            ..Self::new(config.interval, config.burst)
        }
    }
}

impl From<&NtsRateConfig> for Limit {
    fn from(config: &NtsRateConfig) -> Self {
        Self {
            leak: config.leak.into(),
            ..Self::new(config.interval, config.burst)
        }
    }
}

impl From<&ConnectionRateConfig> for Limit {
    fn from(config: &ConnectionRateConfig) -> Self {
        Self::new(config.interval, config.burst)
    }
}

/// True for one in `many` of all values of `random`, never if `many` is 0; and what is left of its
/// randomness, which is uniform in both cases.
const fn one_in(many: u32, random: u32) -> (bool, u32) {
    if many == 0 {
        return (false, random);
    }
    let product = many as u64 * random as u64;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lower half: which place within its part"
    )]
    let rest = product as u32;
    (product >> 32 == 0, rest)
}

/// What is to be done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Answer it.
    Answer,
    /// Say nothing.
    Drop,
    /// Say that the client asks too often: a kiss-o'-death RATE (RFC 5905 section 7.4).
    Kiss,
}

/// Which of a client's two buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bucket {
    /// For what anybody can send in the client's name: requests without NTS.
    Open,
    /// For requests with NTS that were found to be authentic.
    Authentic,
}

/// How much a client has asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Talker {
    /// Who it is.
    pub(crate) client: ClientKey,
    /// Its requests since it was taken into the table.
    pub(crate) requests: u64,
    /// How many of them were beyond the limit, whatever became of them.
    pub(crate) limited: u64,
}

/// The buckets and counts of one client. Times are in microseconds of whatever clock
/// [`ClientTable::note`] is given; 0: never.
#[derive(Debug, Default)]
struct Entry {
    /// When it was last heard of.
    seen: AtomicU64,
    open: AtomicU64,
    authentic: AtomicU64,
    /// These two stay at their highest value, which takes weeks to reach.
    requests: AtomicU32,
    limited: AtomicU32,
}

/// Clients whose hashes are near. Looking one up touches two cache lines: all keys, and the half of
/// one that its entry is. Only a new one has all entries looked at.
#[derive(Debug)]
#[repr(align(64))]
struct Set {
    keys: [AtomicU64; WAYS],
    entries: [Entry; WAYS],
}

impl Set {
    fn new() -> Self {
        Self {
            keys: std::array::from_fn(|_| AtomicU64::new(NOBODY)),
            entries: std::array::from_fn(|_| Entry::default()),
        }
    }

    /// The entry of the client `key`, which is taken in if it was not there.
    #[inline]
    fn entry(&self, key: u64, now: u64) -> Option<&Entry> {
        let known = self.keys.iter().position(|it| get(it) == key);
        let place = known.unwrap_or_else(|| self.make_room());
        let entry = self.entries.get(place)?;
        if known.is_none() {
            set(&entry.open, 0);
            set(&entry.authentic, 0);
            entry.requests.store(0, Ordering::Relaxed);
            entry.limited.store(0, Ordering::Relaxed);
            // Whoever sees the new key sees none of the old client's counts.
            self.keys.get(place)?.store(key, Ordering::Release);
        }
        set(&entry.seen, now);
        Some(entry)
    }

    /// The place of the client that has been silent the longest, or one that nobody has.
    fn make_room(&self) -> usize {
        let places = (0..WAYS).zip(&self.entries);
        let oldest = places.min_by_key(|(_, entry)| get(&entry.seen));
        oldest.map_or(0, |(place, _)| place)
    }
}

/// Only one thread writes, so reading and then writing loses nothing, and costs no locked
/// instruction.
#[inline]
fn get(cell: &AtomicU64) -> u64 {
    cell.load(Ordering::Relaxed)
}

#[inline]
fn set(cell: &AtomicU64, value: u64) {
    cell.store(value, Ordering::Relaxed);
}

#[inline]
fn increment(cell: &AtomicU32) {
    let more = cell.load(Ordering::Relaxed).saturating_add(1);
    cell.store(more, Ordering::Relaxed);
}

/// Where a client is in a [`ClientTable`], or will be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    client: ClientKey,
    /// The number of its set.
    set: Option<usize>,
}

/// What is known of clients, in memory of a fixed size.
///
/// Only one thread at a time may call [`note`](Self::note); if two did, counts would be wrong and
/// limits inexact, and nothing worse. Any thread may call [`top`](Self::top) at any time.
#[derive(Debug)]
pub(crate) struct ClientTable {
    sets: Box<[Set]>,
    /// With a key that nobody else knows.
    hash: RandomState,
}

impl ClientTable {
    /// Room for `clients`, rounded up to a whole set. With 0 nobody is remembered, and everybody is
    /// answered.
    pub(crate) fn new(clients: u32) -> Self {
        let sets = (0..sets(clients)).map(|_| Set::new());
        Self {
            sets: sets.collect(),
            hash: RandomState::new(),
        }
    }

    /// How much memory that takes, in octets. All of it is taken at the start.
    pub(crate) const fn octets(clients: u32) -> usize {
        sets(clients) * size_of::<Set>()
    }

    /// Says that a request of this client will be counted soon: what that needs is brought in meanwhile.
    #[inline]
    pub(crate) fn expect(&self, client: ClientKey) -> Seat {
        let set = self.set_of(client);
        if let Some(set) = set.and_then(|number| self.sets.get(number)) {
            prefetch(set);
        }
        Seat { client, set }
    }

    /// Counts a request at `now_us` microseconds of a clock that does not go back, and judges it by
    /// `limit`. `random`: uniform over all its values, and not predictable.
    #[inline]
    pub(crate) fn note(
        &self,
        seat: Seat,
        bucket: Bucket,
        now_us: u64,
        limit: Option<&Limit>,
        random: u32,
    ) -> Verdict {
        let known = seat.set.and_then(|number| self.sets.get(number));
        let Some(entry) = known.and_then(|set| set.entry(seat.client.0, now_us)) else {
            return Verdict::Answer;
        };
        increment(&entry.requests);
        let Some(limit) = limit else {
            return Verdict::Answer;
        };
        let bucket = match bucket {
            Bucket::Open => &entry.open,
            Bucket::Authentic => &entry.authentic,
        };
        // Another limit may have been kept earlier: what is too late by this one is cut, or a
        // client would have to atone for a limit that is gone.
        let due = get(bucket).min(limit.latest(now_us)).max(now_us);
        let fits = due - now_us <= limit.early;
        set(
            bucket,
            if fits {
                due.saturating_add(limit.interval)
            } else {
                due
            },
        );
        if fits {
            Verdict::Answer
        } else {
            increment(&entry.limited);
            limit.beyond(random)
        }
    }

    /// The number of the set that a client is in, if there is any. The hash is taken as a fraction of
    /// the sets, which needs no division.
    #[inline]
    fn set_of(&self, client: ClientKey) -> Option<usize> {
        let hash = self.hash.hash_one(client.0);
        let number = (u128::from(hash) * self.sets.len() as u128) >> 64;
        usize::try_from(number).ok()
    }

    /// The `most` clients with the most requests, those first. Looks at the whole table.
    pub(crate) fn top(&self, most: usize) -> Vec<Talker> {
        top_of(self.talkers(), most)
    }

    /// What a client has asked, if it is in the table.
    fn find(&self, client: ClientKey) -> Option<Talker> {
        let set = self.sets.get(self.set_of(client)?)?;
        let mut all = (0..WAYS).filter_map(|way| talker(set, way));
        all.find(|talker| talker.client == client)
    }

    /// Everybody in the table, while requests may come in.
    fn talkers(&self) -> impl Iterator<Item = Talker> {
        let cells = |set: &Set| std::array::from_fn::<_, WAYS, _>(|way| talker(set, way));
        self.sets.iter().flat_map(cells).flatten()
    }
}

/// The clients with the most requests to all workers, which each have a table of their own. A
/// client of many addresses may be known to several; what it asked of all of them counts, if it is
/// among the `most` of at least one.
pub(crate) fn top_of_all(tables: &[&ClientTable], most: usize) -> Vec<Talker> {
    let found = tables.iter().flat_map(|table| table.top(most));
    let clients: BTreeSet<ClientKey> = found.map(|talker| talker.client).collect();
    let sum = |client: ClientKey| {
        let known = tables.iter().filter_map(|table| table.find(client));
        let none = Talker {
            client,
            requests: 0,
            limited: 0,
        };
        known.fold(none, |sum, it| Talker {
            client,
            requests: sum.requests.saturating_add(it.requests),
            limited: sum.limited.saturating_add(it.limited),
        })
    };
    top_of(clients.into_iter().map(sum), most)
}

/// The first `most` by requests; of those with the same number, by address.
fn top_of(talkers: impl Iterator<Item = Talker>, most: usize) -> Vec<Talker> {
    // The least of those that are kept so far is on top.
    let mut kept = BinaryHeap::new();
    for it in talkers {
        let rank = (it.requests, Reverse(it.client));
        kept.push(Reverse((rank, it.limited)));
        if kept.len() > most {
            kept.pop();
        }
    }
    let ranked = kept.into_sorted_vec().into_iter();
    ranked
        .map(|Reverse(((requests, Reverse(client)), limited))| Talker {
            client,
            requests,
            limited,
        })
        .collect()
}

/// Who is in a place of a set; `None` also where it is just changing hands.
fn talker(set: &Set, way: usize) -> Option<Talker> {
    let (cell, entry) = (set.keys.get(way)?, set.entries.get(way)?);
    let key = cell.load(Ordering::Acquire);
    let found = Talker {
        client: ClientKey(key),
        requests: entry.requests.load(Ordering::Relaxed).into(),
        limited: entry.limited.load(Ordering::Relaxed).into(),
    };
    (key != NOBODY && get(cell) == key).then_some(found)
}

/// How many sets have room for so many clients.
const fn sets(clients: u32) -> usize {
    (clients as usize).div_ceil(WAYS)
}

#[cfg(test)]
mod tests;
