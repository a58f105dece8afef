//! The best of several readings; pure.

use clockwright_sys::clock::{Bracket, interpolate};
use clockwright_sys::ptp::Between;
use clockwright_timebase::{Duration, Phc, Raw, Timestamp, Utc};

/// A reading with the instant of the host's clock at which it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) phc: Timestamp<Phc>,
    pub(crate) raw: Timestamp<Raw>,
    pub(crate) half_width: Duration,
}

/// The narrowest reading: the one that interrupts and the bus disturbed least, and whose error is
/// bounded best. Readings whose host clock ran backwards are nonsense (it was stepped) and left
/// out.
pub(crate) fn narrowest<B>(readings: &[Between<B>]) -> Option<&Between<B>> {
    let sane = readings.iter().filter(|r| r.after >= r.before);
    sane.min_by_key(|r| r.after - r.before)
}

/// The best of readings between two of `CLOCK_MONOTONIC_RAW`.
pub(crate) fn best_raw(readings: &[Between<Raw>]) -> Option<Placed> {
    let best = narrowest(readings)?;
    let half_width = (best.after - best.before).half();
    Some(Placed {
        phc: best.phc,
        raw: best.before + half_width,
        half_width,
    })
}

/// The best of readings between two of `CLOCK_REALTIME`, placed on raw by brackets taken before
/// and after all of them.
pub(crate) fn best_utc(
    readings: &[Between<Utc>],
    earlier: &Bracket,
    later: &Bracket,
) -> Option<Placed> {
    let best = narrowest(readings)?;
    let half_width = (best.after - best.before).half();
    let (raw, error) = interpolate(earlier, later, best.before + half_width)?;
    Some(Placed {
        phc: best.phc,
        raw,
        half_width: half_width + error,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at<B>(nanos: i64) -> Timestamp<B> {
        Timestamp::from_epoch(Duration::from_nanos(nanos))
    }

    fn between<B>(before: i64, phc: i64, after: i64) -> Between<B> {
        Between {
            before: at(before),
            phc: at(phc),
            after: at(after),
        }
    }

    #[test]
    fn the_narrowest_reading_wins_and_nonsense_is_left_out() {
        let readings = [
            between(100, 1, 900),
            between(1_000, 2, 1_300),
            between(2_000, 3, 1_990),
        ];
        let best = best_raw(&readings).unwrap();
        assert_eq!(best.phc, at(2));
        assert_eq!(best.raw, at(1_150));
        assert_eq!(best.half_width, Duration::from_nanos(150));
        assert_eq!(best_raw(&readings[2..]), None);
        assert_eq!(best_raw(&[]), None);
    }

    #[test]
    fn readings_against_the_system_clock_are_placed_on_raw() {
        let offset = 5_000_000_000;
        let bracket = |raw: i64| Bracket {
            before: at(raw - 20),
            utc: at(raw + offset),
            after: at(raw + 20),
        };
        let readings = [between(offset + 10_000, 77, offset + 10_200)];
        let best = best_utc(&readings, &bracket(0), &bracket(50_000)).unwrap();
        assert_eq!((best.phc, best.raw), (at(77), at(10_100)));
        assert_eq!(best.half_width, Duration::from_nanos(120));
        // Stepped by a second between the brackets.
        let mut stepped = bracket(50_000);
        stepped.utc += Duration::from_secs(1);
        assert_eq!(best_utc(&readings, &bracket(0), &stepped), None);
    }

    proptest! {
        #[test]
        fn the_bound_contains_every_instant_of_the_best_reading(
            rows in prop::collection::vec((0i64..1_000_000, 0i64..5_000), 1..25)
        ) {
            let readings: Vec<Between<Raw>> =
                rows.iter().map(|&(start, width)| between(start, 0, start + width)).collect();
            let best = best_raw(&readings).unwrap();
            let width = rows.iter().map(|row| row.1).min().unwrap();
            prop_assert_eq!(best.half_width, Duration::from_nanos(width).half());
            let ends = [best.raw - best.half_width, best.raw + best.half_width];
            prop_assert!(readings.iter().any(|r| ends == [r.before, r.after]));
        }
    }
}
