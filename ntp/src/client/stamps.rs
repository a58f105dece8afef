//! All stamps that are known of one packet.

use clockwright_timebase::{Raw, Stamp, StampKind};

/// At most one stamp of each kind, all of one packet at one end of the path.
///
/// A packet may be stamped in three places: by the NIC, by the kernel and by this process. What
/// lies between these places takes time of its own, so an interval is only right between two
/// stamps of one kind; see [`matched`](Self::matched).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamps {
    hardware: Option<Stamp<Raw>>,
    kernel: Option<Stamp<Raw>>,
    daemon: Option<Stamp<Raw>>,
}

impl Stamps {
    /// Nothing known but this process's own reading of the clock.
    pub const fn of_daemon(stamp: Stamp<Raw>) -> Self {
        Self {
            hardware: None,
            kernel: None,
            daemon: Some(Stamp {
                kind: StampKind::Daemon,
                ..stamp
            }),
        }
    }

    /// Notes a stamp; a later one of the same kind replaces it.
    pub const fn note(&mut self, stamp: Stamp<Raw>) {
        let place = match stamp.kind {
            StampKind::Hardware => &mut self.hardware,
            StampKind::Kernel => &mut self.kernel,
            StampKind::Daemon => &mut self.daemon,
        };
        *place = Some(stamp);
    }

    /// The one taken nearest to the wire.
    pub fn best(&self) -> Option<Stamp<Raw>> {
        self.hardware.or(self.kernel).or(self.daemon)
    }

    /// The stamp of this kind.
    pub const fn get(&self, kind: StampKind) -> Option<Stamp<Raw>> {
        match kind {
            StampKind::Hardware => self.hardware,
            StampKind::Kernel => self.kernel,
            StampKind::Daemon => self.daemon,
        }
    }

    /// One of each packet, both of the best kind that both have; `None` if they have no kind in
    /// common.
    ///
    /// Two kinds are never paired: what lies between the places where they are taken would be an
    /// asymmetry, while a worse kind at both ends is as late as it is early.
    pub fn matched(departure: &Self, arrival: &Self) -> Option<(Stamp<Raw>, Stamp<Raw>)> {
        StampKind::BEST_FIRST
            .into_iter()
            .find_map(|kind| departure.get(kind).zip(arrival.get(kind)))
    }

    /// Could a stamp of the departure that is still on its way make a better
    /// [match](Self::matched) with the arrival, where the path gives stamps of kind `possible` at
    /// best?
    pub(super) fn may_improve(departure: &Self, arrival: &Self, possible: StampKind) -> bool {
        let matched = Self::matched(departure, arrival).map(|(t1, _)| t1.kind);
        StampKind::BEST_FIRST
            .into_iter()
            .take_while(|kind| Some(*kind) != matched)
            .any(|kind| kind >= possible && arrival.get(kind).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clockwright_timebase::Timestamp;
    use proptest::prelude::*;

    use StampKind::{Daemon, Hardware, Kernel};

    fn stamps(kinds: &[StampKind]) -> Stamps {
        let mut stamps = Stamps::default();
        for kind in kinds {
            stamps.note(Stamp::exact(Timestamp::EPOCH, *kind));
        }
        stamps
    }

    #[test]
    fn the_best_common_kind_is_taken() {
        for (departure, arrival, kind) in [
            (&[Kernel, Daemon][..], &[Kernel, Daemon][..], Some(Kernel)),
            (&[Kernel, Daemon], &[Daemon], Some(Daemon)),
            (&[Daemon], &[Hardware, Daemon], Some(Daemon)),
            (&[Hardware, Kernel, Daemon], &[Kernel, Daemon], Some(Kernel)),
            (&[Hardware, Daemon], &[Hardware], Some(Hardware)),
            (&[Kernel], &[Daemon], None),
            (&[Hardware], &[Kernel, Daemon], None),
            (&[], &[Daemon], None),
        ] {
            let matched = Stamps::matched(&stamps(departure), &stamps(arrival));
            assert_eq!(matched.map(|(t1, t4)| (t1.kind, t4.kind)), kind.zip(kind));
        }
    }

    #[test]
    fn only_what_both_ends_can_have_is_worth_waiting_for() {
        for (departure, arrival, possible, wait) in [
            (&[Daemon][..], &[Kernel, Daemon][..], Kernel, true),
            (&[Daemon], &[Hardware, Kernel, Daemon], Hardware, true),
            (
                &[Kernel, Daemon],
                &[Hardware, Kernel, Daemon],
                Hardware,
                true,
            ),
            // The arrival has no hardware stamp, or the path gives none.
            (&[Kernel, Daemon], &[Kernel, Daemon], Hardware, false),
            (
                &[Kernel, Daemon],
                &[Hardware, Kernel, Daemon],
                Kernel,
                false,
            ),
            (&[Hardware, Daemon], &[Kernel, Daemon], Hardware, true),
            (&[Daemon], &[Daemon], Hardware, false),
            (&[Hardware], &[Hardware, Kernel, Daemon], Hardware, false),
            (&[], &[Daemon], Daemon, true),
            (&[], &[], Hardware, false),
        ] {
            let (departure, arrival) = (stamps(departure), stamps(arrival));
            assert_eq!(
                Stamps::may_improve(&departure, &arrival, possible),
                wait,
                "{departure:?} {arrival:?} {possible}"
            );
        }
    }

    fn any_kind() -> impl Strategy<Value = StampKind> {
        prop::sample::select(&StampKind::BEST_FIRST)
    }

    proptest! {
        /// Whatever is known of the two packets and in whatever order it came.
        #[test]
        fn kinds_are_never_mixed(
            departure in prop::collection::vec(any_kind(), 0..6),
            arrival in prop::collection::vec(any_kind(), 0..6),
        ) {
            let matched = Stamps::matched(&stamps(&departure), &stamps(&arrival));
            let best = departure.iter().filter(|kind| arrival.contains(kind)).min();
            prop_assert_eq!(matched.map(|(t1, t4)| (t1.kind, t4.kind)), best.copied().zip(best.copied()));
        }
    }
}
