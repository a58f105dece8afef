//! All stamps that are known of one packet.

use clockwright_timebase::{Raw, Stamp, StampKind};

/// At most one stamp of each kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stamps {
    hardware: Option<Stamp<Raw>>,
    kernel: Option<Stamp<Raw>>,
    daemon: Option<Stamp<Raw>>,
}

impl Stamps {
    /// Notes a stamp; a later one of the same kind replaces it.
    pub(super) fn note(&mut self, stamp: Stamp<Raw>) {
        let place = match stamp.kind {
            StampKind::Hardware => &mut self.hardware,
            StampKind::Kernel => &mut self.kernel,
            StampKind::Daemon => &mut self.daemon,
        };
        *place = Some(stamp);
    }

    /// The one taken nearest to the wire.
    pub(super) fn best(&self) -> Option<Stamp<Raw>> {
        self.hardware.or(self.kernel).or(self.daemon)
    }

    /// One of each packet, of the best kind that both have: what lies between the places where two
    /// kinds are taken would be an asymmetry, while a worse kind at both ends is as late as it is
    /// early. If they have no kind in common, the best of each.
    pub(super) fn matched(departure: &Self, arrival: &Self) -> Option<(Stamp<Raw>, Stamp<Raw>)> {
        let hardware = departure.hardware.zip(arrival.hardware);
        let kernel = || departure.kernel.zip(arrival.kernel);
        let daemon = || departure.daemon.zip(arrival.daemon);
        let any = || departure.best().zip(arrival.best());
        hardware.or_else(kernel).or_else(daemon).or_else(any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clockwright_timebase::Timestamp;

    fn stamps(kinds: &[StampKind]) -> Stamps {
        let mut stamps = Stamps::default();
        for kind in kinds {
            stamps.note(Stamp::exact(Timestamp::EPOCH, *kind));
        }
        stamps
    }

    #[test]
    fn the_best_common_kind_is_taken() {
        use StampKind::{Daemon, Hardware, Kernel};
        for (departure, arrival, kinds) in [
            (
                &[Kernel, Daemon][..],
                &[Kernel, Daemon][..],
                Some((Kernel, Kernel)),
            ),
            (&[Kernel, Daemon], &[Daemon], Some((Daemon, Daemon))),
            (&[Daemon], &[Hardware, Daemon], Some((Daemon, Daemon))),
            (
                &[Hardware, Kernel, Daemon],
                &[Kernel, Daemon],
                Some((Kernel, Kernel)),
            ),
            (&[Hardware, Daemon], &[Hardware], Some((Hardware, Hardware))),
            (&[Kernel], &[Daemon], Some((Kernel, Daemon))),
            (&[], &[Daemon], None),
        ] {
            let matched = Stamps::matched(&stamps(departure), &stamps(arrival));
            assert_eq!(matched.map(|(t1, t4)| (t1.kind, t4.kind)), kinds);
        }
    }
}
