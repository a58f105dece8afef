//! Serving time: threads that answer, and what the daemon has to do with them.
//!
//! ```text
//! daemon ── posts what is known of the clock, whom to answer, cookie keys ──► Board
//! worker ── looks at it once a batch ◄────────────────────────────────────────┘
//! worker ── counts, remembers its clients ──► Shared ──► the daemon reads it when asked
//! ```
//!
//! A worker is a thread with a socket of its own; those that share an address are steered to by the
//! client's address, so that all that is remembered of a client is in one place, and nobody shares
//! anything that is written.

pub(crate) mod about;
pub(crate) mod access;
mod answer;
mod awaited;
mod between;
pub(crate) mod board;
mod entropy;
mod error;
mod group;
mod held;
mod pace;
pub(crate) mod policy;
pub(crate) mod posted;
pub(crate) mod rate;
pub(crate) mod reference;
pub(crate) mod smear;
pub(crate) mod stamping;
pub(crate) mod tally;
mod worker;

pub(crate) use error::ListenError;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use clockwright_ntp::Entropy as _;
use clockwright_sys::socket::Stamping;

use crate::config::ServerConfig;
use crate::measure::OsEntropy;
use board::Board;
use group::Group;
use held::Held;
use posted::Posted;
use rate::{Talker, top_of_all};
use tally::{Counts, Outcome};
use worker::Shared;

/// Where to serve, and with how many threads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Plan {
    /// The addresses.
    pub(crate) places: Vec<Place>,
    /// Threads for each.
    pub(crate) workers: u16,
    /// The code point that replies are marked with.
    pub(crate) dscp: u8,
}

/// An address that is served on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The address and port.
    pub(crate) address: SocketAddr,
    /// Is the time told there smeared around leap seconds?
    pub(crate) smeared: bool,
}

impl Place {
    /// Would a datagram to one be taken by a socket of the other, were that alone?
    fn overlaps(&self, other: &Self) -> bool {
        let (one, other) = (self.address, other.address);
        let any = one.ip().is_unspecified() || other.ip().is_unspecified();
        one.port() == other.port()
            && one.is_ipv4() == other.is_ipv4()
            && (any || one.ip() == other.ip())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, smeared } = self;
        write!(f, "{address}{}", if *smeared { " (smeared)" } else { "" })
    }
}

impl Plan {
    /// What this configuration asks for.
    pub(crate) fn new(server: Option<&ServerConfig>) -> Self {
        let Some(server) = server else {
            return Self::default();
        };
        let smeared = server.smear.iter().flat_map(|smear| &smear.listen);
        let places = server.listen.iter().map(|address| (address, false));
        let places = places.chain(smeared.map(|address| (address, true)));
        Self {
            places: places
                .map(|(address, smeared)| Place {
                    address: *address,
                    smeared,
                })
                .collect(),
            workers: server.workers.count(),
            dscp: server.dscp,
        }
    }
}

/// All workers.
#[derive(Debug)]
pub(crate) struct Service {
    board: Arc<Board>,
    groups: Vec<Group>,
    /// What those counted that have ended.
    past: Counts,
    /// Decides which worker a client gets.
    seed: u32,
    /// By what means packets are stamped.
    stamping: Stamping,
    /// Sockets that the service manager has passed.
    held: Held,
}

impl Service {
    /// Nobody is served yet.
    pub(crate) fn new(posted: Posted) -> Self {
        let mut seed = [0; 4];
        OsEntropy::new().fill(&mut seed);
        Self {
            board: Arc::new(Board::new(posted)),
            groups: Vec::new(),
            past: Counts::default(),
            seed: u32::from_ne_bytes(seed),
            stamping: Stamping::KERNEL,
            held: Held::take(),
        }
    }

    /// Where things are posted.
    pub(crate) const fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Serves where and as `plan` says, and nowhere else. Sockets that are open already stay.
    ///
    /// # Errors
    /// An address cannot be served on; then nothing has changed.
    pub(crate) fn serve(&mut self, plan: &Plan) -> Result<(), ListenError> {
        let mut opened = Vec::new();
        for (index, place) in plan.places.iter().enumerate() {
            let open = self.groups.iter().map(Group::place);
            let earlier = plan.places.iter().take(index).copied();
            let alone = !open.chain(earlier).any(|other| other.overlaps(place));
            let running = self.groups.iter().find(|group| group.place() == *place);
            let begun = running.map_or(0, Group::size);
            let (dscp, stamping) = (plan.dscp, self.stamping);
            let workers = begun..plan.workers;
            opened.push(group::open(
                place,
                workers,
                dscp,
                stamping,
                (&mut self.held, alone),
            )?);
        }
        let mut before = std::mem::take(&mut self.groups);
        for (place, sockets) in plan.places.iter().zip(opened) {
            let known = before.iter().position(|group| group.place() == *place);
            let mut group = known.map_or_else(|| Group::new(*place), |at| before.swap_remove(at));
            if group.size() > plan.workers {
                // Nothing more comes to those that are to end.
                group.steer(plan.workers, self.seed);
            }
            self.past += group.shrink(plan.workers);
            group.grow(sockets, &self.board);
            group.set_dscp(plan.dscp);
            group.steer(plan.workers, self.seed);
            self.groups.push(group);
        }
        for mut gone in before {
            self.past += gone.shrink(0);
        }
        Ok(())
    }

    /// Has packets stamped by these means from now on.
    pub(crate) fn set_stamping(&mut self, stamping: Stamping) {
        if self.stamping != stamping {
            self.stamping = stamping;
            for group in &self.groups {
                group.set_stamping(stamping);
            }
        }
    }

    /// The process is about to end: nothing is answered any more, and what comes waits for the next
    /// one, if the service manager holds the sockets.
    pub(crate) fn leave(&mut self) {
        self.groups.iter_mut().for_each(Group::leave);
    }

    /// Where requests are answered, IPv4 first; with the number of workers.
    pub(crate) fn places(&self) -> Vec<(Place, u16)> {
        let mut places: Vec<_> = self.groups.iter().map(|g| (g.place(), g.size())).collect();
        places.sort_by_key(|(place, _)| (place.address.is_ipv6(), place.address));
        places
    }

    /// Is anybody served at all?
    pub(crate) fn is_serving(&self) -> bool {
        !self.groups.is_empty()
    }

    /// All counts since the start.
    pub(crate) fn counts(&self) -> Counts {
        let mut sum = self.past;
        for shared in self.workers() {
            sum += shared.counters.read();
        }
        sum
    }

    /// The counts of the workers that are there, by their numbers: those with the same number, at
    /// different addresses, are counted together.
    pub(crate) fn counts_by_worker(&self) -> Vec<Counts> {
        let workers = self.groups.iter().map(Group::size).max().unwrap_or(0);
        let mut counts = vec![Counts::default(); usize::from(workers)];
        for shared in self.workers() {
            if let Some(sum) = counts.get_mut(usize::from(shared.number)) {
                *sum += shared.counters.read();
            }
        }
        counts
    }

    /// The clients that ask most.
    pub(crate) fn talkers(&self, most: usize) -> Vec<Talker> {
        let tables: Vec<_> = self.workers().map(Shared::clients).collect();
        let tables: Vec<_> = tables.iter().map(AsRef::as_ref).collect();
        top_of_all(&tables, most)
    }

    /// Who was lately denied; told once.
    pub(crate) fn take_denied(&self) -> Option<IpAddr> {
        self.workers().filter_map(Shared::take_denied).last()
    }

    /// What has become of packets since this was last asked.
    pub(crate) fn take_outcomes(&mut self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for group in &mut self.groups {
            group.take_outcomes(&mut outcomes);
        }
        outcomes
    }

    fn workers(&self) -> impl Iterator<Item = &Shared> {
        self.groups.iter().flat_map(Group::workers)
    }
}

#[cfg(test)]
mod tests;
