//! One reading out of a batch: which of them are good, and what they say together; pure.
//!
//! The bus delays a reading by chance, and nobody knows on which side of the clock's answer. Those
//! that took about as little time as readings of this clock ever take were disturbed least: a
//! band of low delays, learnt over many batches, so that a batch of which all were disturbed is
//! known for what it is.

use std::collections::VecDeque;

use clockwright_sys::clock::{Bracket, interpolate};
use clockwright_sys::ptp::Between;
use clockwright_timebase::{Duration, Phc, Raw, Timestamp, Utc};

/// Delays remembered: sixteen full batches, so that a bus that has become slower for good is
/// accepted soon.
const REMEMBERED: usize = 400;
/// Quantiles of the delays that begin and end the band, as `(numerator, denominator)`. The very
/// shortest are as odd as long ones.
const LOW: (usize, usize) = (1, 20);
const HIGH: (usize, usize) = (1, 5);
/// Readings this many times the band's width above its beginning are not used.
const TOO_FAR: f64 = 4.0;
/// Host clocks have whole nanoseconds.
const RESOLUTION: Duration = Duration::from_nanos(1);

/// A reading with the instant of the host's clock at which it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) phc: Timestamp<Phc>,
    pub(crate) raw: Timestamp<Raw>,
    /// How far the true instant can lie from `raw`.
    pub(crate) half_width: Duration,
    /// How far the delay lies above the band; zero within it.
    pub(crate) excess: Duration,
}

/// The delays of recent readings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Band {
    delays: VecDeque<Duration>,
}

impl Band {
    /// What a batch says: the mean of the readings within the band, or the narrowest alone where
    /// none is. Readings whose host clock ran backwards are nonsense (it was stepped) and left
    /// out; `None` where no other is there.
    pub(crate) fn choose(&mut self, batch: &[Between<Raw>]) -> Option<Placed> {
        let sane = || {
            batch
                .iter()
                .filter(|reading| reading.after >= reading.before)
        };
        let narrowest = sane().min_by_key(|reading| delay(reading))?;
        for reading in sane() {
            if self.delays.len() == REMEMBERED {
                self.delays.pop_front();
            }
            self.delays.push_back(delay(reading));
        }
        let (low, width) = self.learnt();
        let excess = |reading: &Between<Raw>| (delay(reading) - low).max(Duration::ZERO);
        let limit = width.scaled(TOO_FAR);
        if excess(narrowest) > limit {
            return Some(alone(narrowest, excess(narrowest)));
        }
        let width_s = width.as_secs_f64();
        let mut sums = Sums::default();
        for reading in sane().filter(|reading| excess(reading) <= limit) {
            let weight = 1.0 / (1.0 + (excess(reading).as_secs_f64() / width_s).powi(2));
            sums.add(reading, narrowest, weight);
        }
        Some(sums.mean(narrowest))
    }

    /// Where the band begins and how wide it is.
    fn learnt(&self) -> (Duration, Duration) {
        let mut sorted: Vec<Duration> = self.delays.iter().copied().collect();
        sorted.sort_unstable();
        let quantile = |(n, d): (usize, usize)| sorted.get(sorted.len() * n / d).copied();
        let low = quantile(LOW).unwrap_or_default();
        let high = quantile(HIGH).unwrap_or_default();
        (low, (high - low).max(RESOLUTION))
    }
}

/// Weighted sums of readings relative to one of them, s.
#[derive(Default)]
struct Sums {
    weight: f64,
    raw: f64,
    phc: f64,
    half_width: f64,
}

impl Sums {
    fn add(&mut self, reading: &Between<Raw>, origin: &Between<Raw>, weight: f64) {
        self.weight += weight;
        self.raw += weight * (middle(reading) - middle(origin)).as_secs_f64();
        self.phc += weight * (reading.phc - origin.phc).as_secs_f64();
        self.half_width += weight * delay(reading).half().as_secs_f64();
    }

    /// Mean instant and mean time of the clock, which the clock's rate does not separate. The mean
    /// of what was hidden bounds the mean's error, however it was distributed.
    fn mean(&self, origin: &Between<Raw>) -> Placed {
        let mean = |sum: f64| Duration::from_secs_f64(sum / self.weight);
        Placed {
            phc: origin.phc + mean(self.phc),
            raw: middle(origin) + mean(self.raw),
            half_width: mean(self.half_width),
            excess: Duration::ZERO,
        }
    }
}

fn delay(reading: &Between<Raw>) -> Duration {
    reading.after - reading.before
}

fn middle(reading: &Between<Raw>) -> Timestamp<Raw> {
    reading.before + delay(reading).half()
}

fn alone(reading: &Between<Raw>, excess: Duration) -> Placed {
    Placed {
        phc: reading.phc,
        raw: middle(reading),
        half_width: delay(reading).half(),
        excess,
    }
}

/// Readings between two of `CLOCK_REALTIME`, put on raw by brackets taken before and after all of
/// them; empty where the system clock was stepped in between. Also how far off that can put them.
pub(crate) fn on_raw(
    batch: &[Between<Utc>],
    earlier: &Bracket,
    later: &Bracket,
) -> (Vec<Between<Raw>>, Duration) {
    let placed = batch.iter().filter_map(|reading| {
        let (before, _) = interpolate(earlier, later, reading.before)?;
        let (after, _) = interpolate(earlier, later, reading.after)?;
        let phc = reading.phc;
        Some(Between { before, phc, after })
    });
    let error = earlier.half_width().max(later.half_width());
    (placed.collect(), error)
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

    /// A reading of a clock that is 1 ms ahead of raw, asked `there` after `start` and answering
    /// for `back`.
    fn read(start: i64, there: i64, back: i64) -> Between<Raw> {
        between(start, start + there + 1_000_000, start + there + back)
    }

    fn offset(placed: &Placed) -> i64 {
        (placed.phc.since_epoch() - placed.raw.since_epoch()).as_nanos()
    }

    #[test]
    fn good_readings_are_averaged_and_disturbed_ones_left_out() {
        let mut band = Band::default();
        let mut batch: Vec<_> = (0..24)
            .map(|n| read(n * 1_000, 300 + n % 2 * 10, 310))
            .collect();
        batch.push(read(30_000, 300, 9_000));
        let placed = band.choose(&batch).unwrap();
        // Offsets of 5 ns less and of none, alternating.
        assert!(
            (999_994..=1_000_000).contains(&offset(&placed)),
            "{placed:?}"
        );
        assert!(placed.half_width < Duration::from_nanos(311), "{placed:?}");
        assert_eq!(placed.excess, Duration::ZERO);
    }

    #[test]
    fn a_batch_of_which_all_were_disturbed_is_known_for_it() {
        let mut band = Band::default();
        let good: Vec<_> = (0..25).map(|n| read(n * 1_000, 300, 300 + n)).collect();
        for _ in 0..4 {
            band.choose(&good).unwrap();
        }
        let bad: Vec<_> = (0..25)
            .map(|n| read(n * 9_000, 300, 5_000 + 10 * n))
            .collect();
        let placed = band.choose(&bad).unwrap();
        assert!(placed.excess > Duration::from_nanos(4_600), "{placed:?}");
        assert_eq!(placed.half_width, Duration::from_nanos(2_650));
        // In the long run a slower bus is what this clock has.
        for _ in 0..16 {
            band.choose(&bad);
        }
        assert_eq!(band.choose(&bad).unwrap().excess, Duration::ZERO);
    }

    #[test]
    fn nonsense_is_left_out() {
        let mut band = Band::default();
        assert_eq!(band.choose(&[between(2_000, 3, 1_990)]), None);
        assert_eq!(band.choose(&[]), None);
        let placed = band
            .choose(&[between(2_000, 3, 1_990), between(0, 2, 300)])
            .unwrap();
        assert_eq!((placed.phc, placed.raw), (at(2), at(150)));
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
        let (placed, error) = on_raw(&readings, &bracket(0), &bracket(50_000));
        assert_eq!(placed, [between(10_000, 77, 10_200)]);
        assert_eq!(error, Duration::from_nanos(20));
        // Stepped by a second between the brackets.
        let mut stepped = bracket(50_000);
        stepped.utc += Duration::from_secs(1);
        assert!(on_raw(&readings, &bracket(0), &stepped).0.is_empty());
    }

    proptest! {
        /// Whatever part of each delay was before the clock's answer.
        #[test]
        fn the_bound_contains_the_truth(
            batches in prop::collection::vec(
                prop::collection::vec((0i64..5_000, 0i64..5_000), 1..25), 1..5)
        ) {
            let mut band = Band::default();
            for batch in &batches {
                let readings: Vec<_> = (0..).zip(batch)
                    .map(|(n, &(there, back))| read(n * 20_000, there, back))
                    .collect();
                let placed = band.choose(&readings).unwrap();
                let error = placed.phc.since_epoch() - placed.raw.since_epoch()
                    - Duration::from_millis(1);
                prop_assert!(error.abs() <= placed.half_width + Duration::from_units(1 << 20));
            }
        }
    }
}
