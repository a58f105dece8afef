//! When to look a name up, and which of its addresses to use.

use std::net::SocketAddr;

use clockwright_timebase::{Duration, Raw, Timestamp};

/// After the first failure; doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Failures after which the wait grows no more: 64 s. A host without network at its start must
/// not find that it may try again only in an hour.
const MOST_DOUBLINGS: u32 = 6;
/// How soon a name is looked up again while it gives too few servers, or ones that do not answer.
const RECONSIDER: Duration = Duration::from_secs(900);

/// The looking up of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Naming {
    /// When next; `None` while it is under way, or if there is no need.
    next: Option<Timestamp<Raw>>,
    under_way: bool,
    failures: u32,
    /// When it last succeeded with something left to be desired.
    unsatisfied_since: Option<Timestamp<Raw>>,
    error: Option<String>,
}

impl Naming {
    /// A name to be looked up at once.
    pub(super) const fn new(now: Timestamp<Raw>) -> Self {
        Self {
            next: Some(now),
            under_way: false,
            failures: 0,
            unsatisfied_since: None,
            error: None,
        }
    }

    /// When [`Naming::begin`] will say yes.
    pub(super) const fn next(&self) -> Option<Timestamp<Raw>> {
        self.next
    }

    /// Why there is no address.
    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Is it time? Then the caller looks the name up and says what came of it.
    pub(super) fn begin(&mut self, now: Timestamp<Raw>) -> bool {
        let due = !self.under_way && self.next.is_some_and(|next| next <= now);
        if due {
            self.under_way = true;
            self.next = None;
        }
        due
    }

    /// There is no address.
    pub(super) fn failed(&mut self, why: String, now: Timestamp<Raw>) {
        let wait = FIRST_RETRY * (1 << self.failures.min(MOST_DOUBLINGS));
        self.under_way = false;
        self.failures = self.failures.saturating_add(1);
        self.error = Some(why);
        self.next = Some(now + wait);
    }

    /// There are addresses; `satisfied` if enough servers answer.
    pub(super) fn succeeded(&mut self, satisfied: bool, now: Timestamp<Raw>) {
        self.under_way = false;
        self.failures = 0;
        self.error = None;
        self.next = None;
        self.unsatisfied_since = None;
        if !satisfied {
            self.unsatisfied_since = Some(now);
            self.next = Some(now + RECONSIDER);
        }
    }

    /// Something is amiss with the servers of this name: looks it up at once, unless that has
    /// been tried lately.
    pub(super) fn look_up_soon(&mut self, now: Timestamp<Raw>) {
        if self.under_way || self.failures > 0 {
            return;
        }
        let soon = self
            .unsatisfied_since
            .map_or(now, |tried| tried + RECONSIDER)
            .max(now);
        self.next = Some(self.next.map_or(soon, |next| next.min(soon)));
    }
}

/// Which servers leave and which join a source that should have `wanted` of them.
///
/// `present` are those it has, and whether each is lost; `found` what its name stands for now, in
/// the resolver's order; `taken` what any source asks already. Servers that answer stay, even
/// where the name no longer lists them; a lost one leaves only if another can take its place.
pub(super) fn choose(
    wanted: usize,
    present: &[(SocketAddr, bool)],
    found: &[SocketAddr],
    taken: &[SocketAddr],
) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
    let mut free = found
        .iter()
        .copied()
        .filter(|address| !taken.contains(address));
    let mut leave = Vec::new();
    let mut join = Vec::new();
    for (lost, _) in present.iter().filter(|(_, lost)| *lost) {
        if let Some(substitute) = free.next() {
            leave.push(*lost);
            join.push(substitute);
        }
    }
    let missing = wanted.saturating_sub(present.len());
    join.extend(free.take(missing));
    (leave, join)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp<Raw> {
        Timestamp::from_timespec(secs, 0)
    }

    fn servers(last: &[u8]) -> Vec<SocketAddr> {
        last.iter()
            .map(|n| SocketAddr::from(([192, 0, 2, *n], 123)))
            .collect()
    }

    #[test]
    fn failures_are_retried_within_a_minute() {
        let mut naming = Naming::new(at(0));
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert!(naming.begin(now));
            assert!(!naming.begin(now), "one at a time");
            naming.failed("no".to_owned(), now);
            let next = naming.next().unwrap();
            waits.push((next - now).as_nanos() / 1_000_000_000);
            now = next;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 64]);
        assert_eq!(naming.error(), Some("no"));
        assert!(naming.begin(now));
        naming.succeeded(true, now);
        assert_eq!((naming.next(), naming.error()), (None, None));
    }

    #[test]
    fn silent_servers_cause_a_look_up_but_not_a_stream_of_them() {
        let mut naming = Naming::new(at(0));
        assert!(naming.begin(at(0)));
        naming.succeeded(true, at(0));
        naming.look_up_soon(at(5_000));
        assert_eq!(naming.next(), Some(at(5_000)));
        assert!(naming.begin(at(5_000)));
        naming.look_up_soon(at(5_001));
        assert_eq!(naming.next(), None, "under way");
        naming.succeeded(false, at(5_001));
        naming.look_up_soon(at(5_002));
        assert_eq!(naming.next(), Some(at(5_901)));
    }

    #[test]
    fn a_pool_takes_distinct_servers_that_nobody_asks_yet() {
        let found = servers(&[1, 2, 3, 4, 5, 6]);
        let taken = servers(&[2]);
        let (leave, join) = choose(4, &[], &found, &taken);
        assert_eq!((leave, join), (vec![], servers(&[1, 3, 4, 5])));
    }

    #[test]
    fn the_lost_are_replaced_and_the_answering_stay() {
        let present: Vec<_> = servers(&[1, 2]).into_iter().zip([true, false]).collect();
        let taken = servers(&[1, 2]);
        let (leave, join) = choose(2, &present, &servers(&[1, 3]), &taken);
        assert_eq!((leave, join), (servers(&[1]), servers(&[3])));
        // Nobody can take its place: it stays, and may come back.
        let (leave, join) = choose(2, &present, &servers(&[1]), &taken);
        assert_eq!((leave, join), (vec![], vec![]));
    }

    #[test]
    fn a_server_is_one_server() {
        let (leave, join) = choose(1, &[], &servers(&[7, 8]), &[]);
        assert_eq!((leave, join), (vec![], servers(&[7])));
    }
}
