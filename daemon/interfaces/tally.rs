//! What became of an interface's packets.

use clockwright_timebase::StampKind;

use super::fallback::Fallback;

/// Packets in one direction, by the best stamp each of them got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds {
    /// By the NIC.
    pub hardware: u64,
    /// By the kernel.
    pub kernel: u64,
    /// By this process.
    pub daemon: u64,
}

impl Kinds {
    fn count(&mut self, kind: StampKind, packets: u64) {
        let place = match kind {
            StampKind::Hardware => &mut self.hardware,
            StampKind::Kernel => &mut self.kernel,
            StampKind::Daemon => &mut self.daemon,
        };
        *place += packets;
    }
}

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Sent.
    Transmit,
    /// Received.
    Receive,
}

/// Counts since the daemon started.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Sent packets whose stamp was wanted.
    pub transmit: Kinds,
    /// Received packets.
    pub receive: Kinds,
    /// Transmit stamps that the hardware should have given and did not.
    pub transmit_missing: u64,
    /// Transmit stamps that came after they had been waited for.
    pub transmit_late: u64,
    /// Receive stamps that the hardware should have given and did not.
    pub receive_missing: u64,
    /// Each reason as it was last given, and how often it was.
    reasons: [Option<(Fallback, u64)>; Fallback::COUNT],
    /// The last time that no hardware stamp was used: which way, and why.
    pub last: Option<(Direction, Fallback)>,
}

impl Tally {
    /// So many packets were stamped; `fallback` says why not by hardware.
    pub(super) fn count(
        &mut self,
        direction: Direction,
        kind: StampKind,
        fallback: Option<Fallback>,
        packets: u64,
    ) {
        match direction {
            Direction::Transmit => self.transmit.count(kind, packets),
            Direction::Receive => self.receive.count(kind, packets),
        }
        let Some(why) = fallback else {
            return;
        };
        let place = &mut self.reasons[why.index()];
        *place = Some((why, place.map_or(0, |(_, count)| count) + packets));
        self.last = Some((direction, why));
        if why == Fallback::Missing {
            match direction {
                Direction::Transmit => self.transmit_missing += packets,
                Direction::Receive => self.receive_missing += packets,
            }
        }
    }

    /// The reasons there were for falling back, each as it was last given, with their counts.
    pub fn reasons(&self) -> Vec<(Fallback, u64)> {
        self.reasons.iter().flatten().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_counted_by_kind_and_by_reason() {
        let mut tally = Tally::default();
        tally.count(Direction::Transmit, StampKind::Hardware, None, 1);
        let filter = Some(Fallback::Filter);
        tally.count(Direction::Receive, StampKind::Kernel, filter, 1);
        tally.count(Direction::Receive, StampKind::Kernel, filter, 1);
        let missing = Some(Fallback::Missing);
        tally.count(Direction::Transmit, StampKind::Daemon, missing, 1);
        assert_eq!((tally.transmit.hardware, tally.transmit.daemon), (1, 1));
        assert_eq!((tally.receive.kernel, tally.transmit_missing), (2, 1));
        let reasons = [(Fallback::Filter, 2), (Fallback::Missing, 1)];
        assert_eq!(tally.reasons(), reasons);
        assert_eq!(tally.last, Some((Direction::Transmit, Fallback::Missing)));
    }
}
