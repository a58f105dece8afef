//! What is said about the served clock.

use clockwright_discipline::{ClockReading, Status};
use clockwright_ntp::{Leap, ReferenceId, SystemVariables};
use clockwright_timebase::{Duration, Timestamp, Utc};

use super::reference;
use crate::clock::shown_at;
use crate::config::LocalConfig;

/// What is said about a clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About {
    /// What the discipline thinks of it.
    pub(crate) status: Status,
    /// The server it follows most, as clients are to know it.
    pub(crate) reference_id: Option<ReferenceId>,
    /// The announced leap second.
    pub(crate) leap: Leap,
    /// Its resolution, log2 s.
    pub(crate) precision: i8,
    /// What it shows.
    pub(crate) now: Timestamp<Utc>,
    /// When it was last updated, in its own time.
    pub(crate) updated: Option<Timestamp<Utc>>,
}

impl About {
    /// What is said of a clock of which `reading` is a reading; `reference_id` and `leap` are those of
    /// what it follows.
    pub(crate) fn new(
        status: Status,
        reading: ClockReading,
        reference_id: Option<ReferenceId>,
        leap: Leap,
        precision: i8,
    ) -> Self {
        let shown = |updated| shown_at(reading, status.frequency, updated);
        Self {
            status,
            reference_id,
            leap,
            precision,
            now: reading.clock,
            updated: status.updated.map(shown),
        }
    }

    /// The system variables (RFC 5905 section 11.1). A clock that is not synchronised says so,
    /// unless it is to be served as it is.
    pub(crate) fn variables(&self, local: Option<&LocalConfig>) -> SystemVariables {
        let precision = self.precision;
        match (self.reference_id, self.updated, local) {
            (Some(reference_id), Some(updated), _) if self.status.synchronized => SystemVariables {
                leap: self.leap,
                stratum: self.status.stratum,
                precision,
                root_delay: Duration::from_secs_f64(self.status.root_delay_s),
                root_dispersion: Duration::from_secs_f64(self.status.root_dispersion_s),
                reference_id,
                reference_time: updated,
            },
            (_, _, Some(local)) => SystemVariables {
                leap: Leap::None,
                stratum: local.stratum,
                precision,
                root_delay: Duration::ZERO,
                root_dispersion: Duration::ZERO,
                reference_id: reference::of_local_clock(local.stratum),
                reference_time: self.now,
            },
            _ => SystemVariables {
                leap: Leap::Unsynchronized,
                stratum: 16,
                precision,
                root_delay: Duration::ZERO,
                root_dispersion: Duration::ZERO,
                reference_id: ReferenceId::ZERO,
                reference_time: Timestamp::EPOCH,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clockwright_discipline::{Config, Discipline, Learnt, StepPolicy};

    fn about(synchronized: bool) -> About {
        let discipline = Discipline::new(Config {
            step: StepPolicy {
                above: Duration::from_millis(100),
                first: 3,
            },
            max_slew: 0.05,
            learnt: Learnt::default(),
        });
        let now = Timestamp::from_timespec(1_800_000_000, 0);
        let mut status = discipline.status(ClockReading {
            raw: Timestamp::EPOCH,
            clock: now,
        });
        status.synchronized = synchronized;
        status.stratum = 2;
        status.root_delay_s = 1e-3;
        status.root_dispersion_s = 2e-3;
        About {
            status,
            reference_id: Some(ReferenceId([192, 0, 2, 1])),
            leap: Leap::Insert,
            precision: -25,
            now,
            updated: Some(now - Duration::from_secs(10)),
        }
    }

    fn local(stratum: u8) -> LocalConfig {
        LocalConfig {
            stratum,
            ..LocalConfig::default()
        }
    }

    #[test]
    fn a_synchronised_clock_passes_on_what_it_follows() {
        let said = about(true).variables(Some(&local(10)));
        assert!(said.is_synchronized());
        assert_eq!((said.leap, said.stratum), (Leap::Insert, 2));
        assert_eq!(said.reference_id, ReferenceId([192, 0, 2, 1]));
        assert_eq!(said.root_delay, Duration::from_millis(1));
        assert_eq!(said.root_dispersion, Duration::from_millis(2));
    }

    #[test]
    fn an_unsynchronised_clock_says_so_unless_it_is_served_as_it_is() {
        assert!(!about(false).variables(None).is_synchronized());
        let served = about(false).variables(Some(&local(10)));
        assert!(served.is_synchronized());
        assert_eq!((served.leap, served.stratum), (Leap::None, 10));
        assert_eq!(served.reference_id, reference::LOCAL);
        let first = about(false).variables(Some(&local(1)));
        assert_eq!(first.reference_id.name(), Some("LOCL"));
    }
}
