//! How long transmit stamps take to come.

use clockwright_timebase::Duration;

/// Buckets an octave: a quantile is known to a quarter of itself.
const PER_OCTAVE: usize = 4;
/// The shortest time told apart, ns: 1.024 us. Everything shorter is in the first bucket.
const SHORTEST_LOG2_NS: usize = 10;
/// Octaves, up to 1.07 s. Everything longer is in the last bucket.
const OCTAVES: usize = 20;
const BUCKETS: usize = OCTAVES * PER_OCTAVE;
/// With so many, old ones begin to be forgotten.
const REMEMBERED: u32 = 4096;

/// A device that is not known yet may be one whose stamps come by a slow side channel (Intel's E810
/// takes milliseconds, and is given 50 ms elsewhere).
const UNKNOWN: Duration = Duration::from_millis(50);
/// So many make a quantile.
const ENOUGH: u32 = 16;
/// Never waited for less: being scheduled late is no fault of the device.
const LEAST: Duration = Duration::from_millis(1);
/// Never waited for longer.
const MOST: Duration = Duration::from_millis(100);
/// The share of stamps that is waited for.
const SHARE: f64 = 0.999;

/// A histogram of the times from sending a packet to having its stamp, which forgets slowly.
#[derive(Debug, Clone)]
pub(super) struct Latency {
    buckets: [u32; BUCKETS],
    count: u32,
    longest: Duration,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            buckets: [0; BUCKETS],
            count: 0,
            longest: Duration::ZERO,
        }
    }
}

impl Latency {
    /// Notes that a stamp came so long after its packet was sent.
    pub(super) fn note(&mut self, took: Duration) {
        self.longest = self.longest.max(took);
        self.buckets[bucket_of(took)] += 1;
        self.count += 1;
        if self.count >= REMEMBERED {
            // The buckets' sum is the count again, whatever was rounded away.
            self.count = 0;
            for bucket in &mut self.buckets {
                *bucket /= 2;
                self.count += *bucket;
            }
        }
    }

    /// The time within which this share of stamps came: the upper edge of its bucket. `None`
    /// before the first stamp.
    pub(super) fn quantile(&self, share: f64) -> Option<Duration> {
        if self.count == 0 {
            return None;
        }
        let wanted = f64::from(self.count) * share.clamp(0.0, 1.0);
        let mut seen = 0.0;
        let place = self.buckets.iter().position(|bucket| {
            seen += f64::from(*bucket);
            seen >= wanted
        });
        Some(upper_edge(place.unwrap_or(BUCKETS - 1)).min(self.longest))
    }

    /// The longest time ever.
    pub(super) fn longest(&self) -> Option<Duration> {
        (self.count > 0).then_some(self.longest)
    }

    /// How long to wait for a stamp before doing without.
    pub(super) fn wait(&self) -> Duration {
        match self.quantile(SHARE) {
            Some(usual) if self.count >= ENOUGH => (usual + usual.half()).clamp(LEAST, MOST),
            _ => UNKNOWN,
        }
    }
}

fn bucket_of(took: Duration) -> usize {
    let nanos = u64::try_from(took.as_nanos()).unwrap_or(0);
    let log2 = nanos.checked_ilog2().unwrap_or(0) as usize;
    let Some(octave) = log2.checked_sub(SHORTEST_LOG2_NS) else {
        return 0;
    };
    // The two bits below the leading one tell the quarters of an octave apart.
    let quarter = (nanos >> (log2 - 2)) & (PER_OCTAVE as u64 - 1);
    let quarter = usize::try_from(quarter).unwrap_or(0);
    (octave * PER_OCTAVE + quarter).min(BUCKETS - 1)
}

fn upper_edge(bucket: usize) -> Duration {
    let octave = 1_i64 << (SHORTEST_LOG2_NS + bucket / PER_OCTAVE);
    let quarters = i64::try_from(bucket % PER_OCTAVE + 1).unwrap_or(1);
    Duration::from_nanos(octave + octave / 4 * quarters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(n: i64) -> Duration {
        Duration::from_micros(n)
    }

    #[test]
    fn quantiles_are_right_to_a_quarter() {
        let mut latency = Latency::default();
        assert_eq!(latency.quantile(0.5), None);
        for n in 1..=1000 {
            latency.note(micros(n));
        }
        for (share, right) in [(0.5, 500), (0.9, 900), (0.99, 990)] {
            let found = latency.quantile(share).unwrap();
            assert!(found >= micros(right), "{share}: {found:?}");
            assert!(found <= micros(right + right / 4), "{share}: {found:?}");
        }
        assert_eq!(latency.quantile(1.0), Some(micros(1000)));
        assert_eq!(latency.longest(), Some(micros(1000)));
    }

    #[test]
    fn every_time_has_a_bucket_and_lies_below_its_edge() {
        for nanos in [0, 1, 1023, 1024, 1279, 1280, 5_000, 999_999, 1 << 29] {
            let bucket = bucket_of(Duration::from_nanos(nanos));
            assert!(
                Duration::from_nanos(nanos) <= upper_edge(bucket),
                "{nanos}: {bucket}"
            );
            if bucket > 0 {
                assert!(Duration::from_nanos(nanos) >= upper_edge(bucket - 1));
            }
        }
        assert_eq!(bucket_of(Duration::from_secs(100)), BUCKETS - 1);
        assert_eq!(bucket_of(Duration::from_secs(-1)), 0);
    }

    #[test]
    fn the_wait_follows_the_device() {
        let mut latency = Latency::default();
        assert_eq!(latency.wait(), UNKNOWN);
        for _ in 0..ENOUGH {
            latency.note(micros(20));
        }
        assert_eq!(latency.wait(), LEAST);
        // A device that takes 5 ms is learnt within a few stamps...
        for _ in 0..10 {
            latency.note(micros(5_000));
        }
        assert!(latency.wait() >= micros(7_500) && latency.wait() <= micros(10_000));
        // ... and forgotten when it no longer does.
        for _ in 0..20 * REMEMBERED {
            latency.note(micros(20));
        }
        assert_eq!(latency.wait(), LEAST);
    }
}
