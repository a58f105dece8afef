//! Who is connected, and who has to make room.
//!
//! An honest client is done within milliseconds. So when there are too many connections the oldest
//! is closed: clients that connect and say nothing fall out by themselves, however many they are,
//! and whoever comes now is served.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tokio::task::AbortHandle;

use crate::serve::rate::{ClientKey, Prefixes};

/// What counts as one address: an IPv4 address, or the /64 that any host has to itself in IPv6.
pub(super) const ONE_ADDRESS: Prefixes = Prefixes::new(32, 64);

/// A connection.
#[derive(Debug)]
pub(super) struct Member {
    /// Whose it is.
    pub(super) peer: IpAddr,
    /// Ends it.
    task: Option<AbortHandle>,
}

impl Member {
    /// Ends the connection. Its task is gone when the runtime has had its turn.
    pub(super) fn end(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// There are enough connections from this address.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The connections, oldest first. Its memory is bounded by their number.
#[derive(Debug)]
pub(super) struct Crowd {
    most: usize,
    most_per_address: u32,
    next: u64,
    members: BTreeMap<u64, Member>,
    per_address: BTreeMap<ClientKey, u32>,
}

impl Crowd {
    /// Nobody yet. At most `most` connections, and of one address `most_per_address`.
    pub(super) fn new(most: usize, most_per_address: u32) -> Self {
        Self {
            most,
            most_per_address,
            next: 0,
            members: BTreeMap::new(),
            per_address: BTreeMap::new(),
        }
    }

    /// Takes over other limits; who is here already may stay until another comes.
    pub(super) const fn limit(&mut self, most: usize, most_per_address: u32) {
        self.most = most;
        self.most_per_address = most_per_address;
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Takes in a connection and gives its number, and those that had to make room for it, which
    /// are to be ended.
    ///
    /// # Errors
    /// There are enough of that address, and it is not taken in.
    pub(super) fn enter(&mut self, peer: IpAddr) -> Result<(u64, Vec<Member>), Full> {
        let here = self
            .per_address
            .entry(ONE_ADDRESS.client(peer))
            .or_default();
        if *here >= self.most_per_address {
            return Err(Full);
        }
        *here += 1;
        let mut displaced = Vec::new();
        while self.members.len() >= self.most.max(1) {
            let Some((_, oldest)) = self.members.pop_first() else {
                break;
            };
            self.forget(oldest.peer);
            displaced.push(oldest);
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let task = None;
        self.members.insert(number, Member { peer, task });
        Ok((number, displaced))
    }

    /// How a connection that was taken in can be ended.
    pub(super) fn attend(&mut self, number: u64, task: AbortHandle) {
        if let Some(member) = self.members.get_mut(&number) {
            member.task = Some(task);
        }
    }

    /// A connection is over, unless it was displaced already.
    pub(super) fn leave(&mut self, number: u64) {
        if let Some(member) = self.members.remove(&number) {
            self.forget(member.peer);
        }
    }

    fn forget(&mut self, peer: IpAddr) {
        let network = ONE_ADDRESS.client(peer);
        if let Some(here) = self.per_address.get_mut(&network) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                self.per_address.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn enter(crowd: &mut Crowd, text: &str) -> Option<(u64, Vec<String>)> {
        let (number, displaced) = crowd.enter(address(text)).ok()?;
        let displaced = displaced.iter().map(|it| it.peer.to_string());
        Some((number, displaced.collect()))
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut crowd = Crowd::new(2, 10);
        assert_eq!(enter(&mut crowd, "192.0.2.1"), Some((0, vec![])));
        assert_eq!(enter(&mut crowd, "192.0.2.2"), Some((1, vec![])));
        let displaced = vec!["192.0.2.1".to_owned()];
        assert_eq!(enter(&mut crowd, "192.0.2.3"), Some((2, displaced)));
        assert_eq!(crowd.len(), 2);
        // It tells so itself when it ends, and has left already.
        crowd.leave(0);
        assert_eq!(crowd.len(), 2);
        crowd.leave(1);
        assert_eq!(enter(&mut crowd, "192.0.2.4"), Some((3, vec![])));
        // Fewer are allowed: two have to go.
        crowd.limit(1, 10);
        assert_eq!(enter(&mut crowd, "192.0.2.5").unwrap().1.len(), 2);
    }

    #[test]
    fn an_address_has_its_share() {
        let mut crowd = Crowd::new(10, 2);
        let mut enters = |text| enter(&mut crowd, text).is_some();
        assert!(enters("192.0.2.1") && enters("::ffff:192.0.2.1"));
        assert!(!enters("192.0.2.1"));
        assert!(enters("192.0.2.2"));
        assert!(enters("2001:db8::1") && enters("2001:db8::2:3:4:5"));
        assert!(!enters("2001:db8::3"));
        assert!(enters("2001:db8:0:1::1"));
        crowd.leave(0);
        assert!(enter(&mut crowd, "192.0.2.1").is_some());
        assert!(enter(&mut crowd, "192.0.2.1").is_none());
    }

    #[test]
    fn nothing_is_remembered_of_those_who_have_left() {
        let mut crowd = Crowd::new(3, 1);
        for last in 0..200 {
            enter(&mut crowd, &format!("192.0.2.{last}")).unwrap();
            assert!(crowd.per_address.len() <= 3 && crowd.len() <= 3);
        }
        for number in 0..200 {
            crowd.leave(number);
        }
        assert!(crowd.per_address.is_empty() && crowd.members.is_empty());
    }
}
