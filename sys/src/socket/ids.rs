//! Numbers that tie transmit stamps to datagrams.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::TxId;

/// The first number given out: far above what a kernel's own counter shows on a fresh socket, so
/// that a kernel which ignores our numbers is noticed instead of believed.
pub(super) const FIRST: u32 = 0x1000;

/// Numbers of our own choice, told to the kernel with each packet (`SCM_TS_OPT_ID`).
#[derive(Debug)]
pub(super) struct OwnIds(AtomicU32);

impl OwnIds {
    pub(super) const fn new() -> Self {
        Self(AtomicU32::new(FIRST))
    }

    /// The next number.
    pub(super) fn next(&self) -> TxId {
        let advance = |id: u32| Some(id.checked_add(1).unwrap_or(FIRST));
        let previous = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, advance);
        // `advance` always answers Some, so both arms are the value before it.
        let (Ok(id) | Err(id)) = previous;
        TxId(id)
    }

    /// The datagram a reported number belongs to.
    pub(super) fn redeem(reported: u32) -> Option<TxId> {
        (reported >= FIRST).then_some(TxId(reported))
    }
}

/// The kernel's own count of stamped packets on a socket (`SOF_TIMESTAMPING_OPT_ID` before Linux
/// 6.13), mapped to numbers that stay unique when the count has to be restarted.
#[derive(Debug, Default)]
pub(super) struct CountedIds(Mutex<Count>);

#[derive(Debug, Default)]
struct Count {
    /// What the kernel will report for the next stamped packet.
    next: u32,
    /// Datagrams sent so far, for the next [`TxId`].
    sent: u32,
    /// The kernel's numbers of the last datagrams, oldest first.
    recent: VecDeque<(u32, TxId)>,
}

/// How many datagrams back a stamp may still come.
const REMEMBERED: usize = 256;

impl CountedIds {
    /// Sends one stamped datagram by `send`. Where that fails nobody knows whether the kernel
    /// counted it, so `restart` must set the kernel's count to zero.
    pub(super) fn send(
        &self,
        send: impl FnOnce() -> io::Result<()>,
        restart: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<TxId> {
        // Held while sending, so that the count has the order of the packets.
        let mut count = self.lock();
        match send() {
            Ok(()) => Ok(count.sent()),
            Err(error) => {
                restart()?;
                count.next = 0;
                Err(error)
            }
        }
    }

    /// The datagram a reported number belongs to.
    pub(super) fn redeem(&self, reported: u32) -> Option<TxId> {
        let count = self.lock();
        let found = count.recent.iter().find(|(number, _)| *number == reported);
        found.map(|&(_, id)| id)
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        // Nothing that holds the lock leaves the count half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    /// Notes that the kernel took a datagram.
    fn sent(&mut self) -> TxId {
        let number = self.next;
        let id = TxId(FIRST.wrapping_add(self.sent));
        self.next = self.next.wrapping_add(1);
        self.sent = self.sent.wrapping_add(1);
        let before = self.recent.len();
        self.recent.retain(|&(other, _)| other != number);
        // A number that was in use before a restart may still be reported for the old datagram:
        // then it is nobody's.
        if self.recent.len() == before {
            if self.recent.len() == REMEMBERED {
                self.recent.pop_front();
            }
            self.recent.push_back((number, id));
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(ids: &CountedIds) -> TxId {
        ids.send(|| Ok(()), || unreachable!()).unwrap()
    }

    #[test]
    fn own_ids_start_high_and_stay_high_when_they_wrap() {
        let ids = OwnIds::new();
        assert_eq!(ids.next(), TxId(0x1000));
        assert_eq!(ids.next(), TxId(0x1001));
        let ids = OwnIds(AtomicU32::new(u32::MAX));
        assert_eq!(ids.next(), TxId(u32::MAX));
        assert_eq!(ids.next(), TxId(FIRST));
        assert_eq!(OwnIds::redeem(3), None, "a kernel that ignored our number");
        assert_eq!(OwnIds::redeem(0x1003), Some(TxId(0x1003)));
    }

    #[test]
    fn the_kernels_count_is_followed() {
        let ids = CountedIds::default();
        let (first, second) = (sent(&ids), sent(&ids));
        assert_ne!(first, second);
        assert_eq!(ids.redeem(0), Some(first));
        assert_eq!(ids.redeem(1), Some(second));
        assert_eq!(ids.redeem(1), Some(second), "software and hardware stamp");
        assert_eq!(ids.redeem(2), None);
    }

    #[test]
    fn after_a_restart_no_stamp_goes_to_the_wrong_datagram() {
        let ids = CountedIds::default();
        let old = [sent(&ids), sent(&ids)];
        let mut restarted = false;
        let refused = || Err(io::ErrorKind::HostUnreachable.into());
        let failure = ids.send(refused, || {
            restarted = true;
            Ok(())
        });
        assert!(failure.is_err() && restarted);
        // Number 1 has not been used again: still the old datagram's.
        let third = sent(&ids);
        assert_eq!(ids.redeem(1), Some(old[1]));
        // Number 0 may now mean the first or the third datagram.
        assert_eq!(ids.redeem(0), None);
        let (_fourth, fifth) = (sent(&ids), sent(&ids));
        assert_eq!(ids.redeem(2), Some(fifth));
        assert!(!old.contains(&third));
    }

    #[test]
    fn memory_is_bounded() {
        let ids = CountedIds::default();
        for _ in 0..10 * REMEMBERED {
            sent(&ids);
        }
        assert_eq!(ids.lock().recent.len(), REMEMBERED);
        assert_eq!(ids.redeem(0), None);
    }
}
