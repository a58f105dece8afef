//! Quantiles of times, in fixed memory.

/// Each doubling is divided into so many parts.
const PARTS: u32 = 32;
/// Powers of two: up to 2^40 ns, 18 minutes.
const DOUBLINGS: u32 = 40;

/// How often times of every length occurred, to a thirty-second.
pub(crate) struct Latencies {
    counts: Vec<u64>,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; (DOUBLINGS * PARTS) as usize],
        }
    }

    /// Counts one, ns.
    pub(crate) fn add(&mut self, ns: u64) {
        let at = index(ns).min(self.counts.len() - 1);
        self.counts[at] += 1;
    }

    /// The time that this share of them does not exceed, us; none if there are none.
    pub(crate) fn quantile_us(&self, share: f64) -> Option<f64> {
        let wanted = self.counts.iter().sum::<u64>() as f64 * share;
        let mut passed = 0;
        let at = self.counts.iter().position(|count| {
            passed += count;
            passed > 0 && passed as f64 >= wanted
        });
        at.map(|at| middle_ns(at) * 1e-3)
    }
}

/// Below [`PARTS`], each ns has its own count; above, each doubling has as many.
fn index(ns: u64) -> usize {
    let doubling = u64::from(PARTS).max(ns).ilog2() - PARTS.ilog2();
    let index = u64::from(doubling * PARTS) + (ns >> doubling);
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// The middle of what is counted at an index, ns.
fn middle_ns(index: usize) -> f64 {
    let parts = PARTS as usize;
    // The index of a doubling's first part is that of the part within it, and one doubling more.
    let doubling = (index / parts).saturating_sub(1);
    let part = index - doubling * parts;
    (part as f64 + 0.5) * 2_f64.powi(i32::try_from(doubling).unwrap_or(i32::MAX))
}
