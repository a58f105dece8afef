//! What is known of a clock at one reading, and between two.

use clockwright_discipline::Kalman;
use clockwright_timebase::{Duration, Phc, Raw, Timestamp};

use crate::tracker::Instant;

/// Standard deviations that a bound takes for certain.
pub(crate) const SIGMAS: f64 = 5.0;
/// A change of frequency this many times its standard deviation is as good as impossible.
const LARGE: f64 = 20.0;
/// Pieces of the path meet within less than this.
const TOLERANCE: Duration = Duration::from_micros(1);
/// Clocks and stamps have whole nanoseconds, s.
const RESOLUTION_S: f64 = 1e-9;

/// The state right after a reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Knot {
    /// The reading's instant.
    pub(crate) at: Timestamp<Raw>,
    /// The clock minus raw there, as estimated.
    pub(crate) offset: Duration,
    /// Phase (zero: it is in `offset`), frequency and how uncertain they are.
    pub(crate) state: Kalman,
    /// What the bus may hide of the readings in it, s.
    pub(crate) half_width_s: f64,
    /// How far the frequency may be off beyond what `state` says, s/s: whether the clock was set
    /// or changed its frequency is not known yet.
    pub(crate) unsettled: f64,
    /// What happened since the knot before.
    pub(crate) link: Link,
}

/// What a clock did between two readings.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Link {
    /// Nothing was before.
    First,
    /// It ran, its frequency walking by `wander` (s/s per √s). The second reading lay `bend_s`
    /// from where it was expected, which was surprising or not.
    Ran {
        wander: f64,
        bend_s: f64,
        surprising: bool,
    },
    /// It ran, and then this program changed its frequency, which is known better than a reading
    /// could tell: the knot before says it all.
    Turned { wander: f64 },
    /// It was set.
    Set { by: Duration },
}

impl Knot {
    /// The instant of a stamp by this knot's state alone.
    pub(crate) fn place(&self, stamp: Timestamp<Phc>) -> Instant {
        let at = self.raw_of(stamp);
        let after_s = (at - self.at).as_secs_f64();
        let sd_s = self.sd_after(after_s);
        let hidden_s = self.half_width_s + self.unsettled * after_s.abs();
        instant(at, hidden_s, sd_s)
    }

    /// Was the clock set between the knot before and this one?
    pub(crate) fn was_set(&self) -> bool {
        matches!(self.link, Link::Set { .. })
    }

    /// Of two places for one stamp of a clock that was set, the likelier one: stamps are asked for
    /// while they are fresh, and seldom after the newest reading. Where both are about as likely,
    /// the uncertainty has room for both.
    pub(crate) fn nearer(&self, ahead: Instant, behind: Instant) -> Instant {
        let near = if (ahead.at - self.at) * 4 < self.at - behind.at {
            ahead
        } else {
            behind
        };
        let apart = ahead.at - behind.at;
        if apart > Duration::from_millis(100) {
            return near;
        }
        Instant {
            uncertainty: ahead.uncertainty + behind.uncertainty + apart,
            ..near
        }
    }

    /// What the clock shows at `at` by this knot's state alone.
    pub(crate) fn shown(&self, at: Timestamp<Raw>) -> (Timestamp<Phc>, Duration) {
        let after = at - self.at;
        let after_s = after.as_secs_f64();
        let shown = at.shifted_to(self.offset + after.scaled(self.state.frequency));
        let hidden_s = self.half_width_s + self.unsettled * after_s.abs();
        (shown, bound(hidden_s, self.sd_after(after_s)))
    }

    /// The instant of a stamp that lies between `older` and this knot; `None` if it is older.
    pub(crate) fn between(&self, older: &Self, stamp: Timestamp<Phc>) -> Option<Instant> {
        match self.link {
            Link::First => None,
            Link::Ran { .. } | Link::Turned { .. } => {
                let mut at = self.raw_of(stamp);
                // What the path is bent by is small, so that this ends within a nanosecond's
                // fraction.
                for _ in 0..4 {
                    let inside = at.max(older.at).min(self.at);
                    at = inside + (stamp - self.shown_between(older, inside).0);
                }
                if at < older.at || at > self.at + TOLERANCE {
                    return None;
                }
                let (_, sd_s, hidden_s) = self.smoothed(older, at);
                Some(instant(at, hidden_s, sd_s))
            }
            Link::Set { .. } => self.around_a_step(older, stamp),
        }
    }

    /// What the clock showed at `at`, between `older` and this knot.
    pub(crate) fn shown_between(
        &self,
        older: &Self,
        at: Timestamp<Raw>,
    ) -> (Timestamp<Phc>, Duration) {
        if let Link::Set { by } = self.link {
            let (shown, bound) = older.shown(at);
            return (shown, bound + by.abs());
        }
        let (offset, sd_s, hidden_s) = self.smoothed(older, at);
        (at.shifted_to(offset), bound(hidden_s, sd_s))
    }

    /// A stamp around the instant at which the clock was set, which lies somewhere between two
    /// readings: there it may belong to either side.
    fn around_a_step(&self, older: &Self, stamp: Timestamp<Phc>) -> Option<Instant> {
        let (new, old) = (self.place(stamp), older.place(stamp));
        let possible = older.at..=self.at;
        match (possible.contains(&new.at), possible.contains(&old.at)) {
            (true, true) => Some(Instant {
                uncertainty: new.uncertainty + old.uncertainty + (new.at - old.at).abs(),
                ..new
            }),
            (true, false) => Some(new),
            (false, true) => Some(old),
            (false, false) => None,
        }
    }

    fn raw_of(&self, stamp: Timestamp<Phc>) -> Timestamp<Raw> {
        let frequency = self.state.frequency;
        let counted = stamp.since_epoch() - (self.at.since_epoch() + self.offset);
        self.at + (counted - counted.scaled(frequency / (1.0 + frequency)))
    }

    /// Standard deviation of the phase `after_s` later (or earlier), s.
    fn sd_after(&self, after_s: f64) -> f64 {
        let wander = match self.link {
            Link::Ran { wander, .. } | Link::Turned { wander } => wander,
            Link::First | Link::Set { .. } => 0.0,
        };
        let variance = self.state.covariance.after(after_s, wander).phase;
        variance.max(self.state.covariance.phase).sqrt()
    }

    /// Offset of the clock from raw at `at` between `older` and this knot, its standard deviation
    /// and what else may hide in it: the smoother of Rauch, Tung and Striebel for the two-state
    /// clock, which weighs both readings and both frequencies by what they are worth there.
    fn smoothed(&self, older: &Self, at: Timestamp<Raw>) -> (Duration, f64, f64) {
        let Link::Ran {
            wander,
            bend_s,
            surprising,
        } = self.link
        else {
            let (shown, bound) = older.shown(at);
            return (
                shown - at.shifted_to(Duration::ZERO),
                0.0,
                bound.as_secs_f64(),
            );
        };
        let (to_s, whole_s) = (
            (at - older.at).as_secs_f64(),
            (self.at - older.at).as_secs_f64(),
        );
        let here = older.state.covariance.after(to_s, wander);
        let there = older.state.covariance.after(whole_s, wander);
        let rest_s = whole_s - to_s;
        // Covariance of the phase here with phase and frequency there, times there's inverse.
        let (c1, c2) = (here.phase + rest_s * here.cross, here.cross);
        let determinant = there.phase * there.frequency - there.cross * there.cross;
        let g1 = (c1 * there.frequency - c2 * there.cross) / determinant;
        let g2 = (c2 * there.phase - c1 * there.cross) / determinant;
        let off_phase =
            (self.offset - older.offset).as_secs_f64() - whole_s * older.state.frequency;
        let off_frequency = self.state.frequency - older.state.frequency;
        let found = self.state.covariance;
        let variance = here.phase
            + g1 * g1 * (found.phase - there.phase)
            + 2.0 * g1 * g2 * (found.cross - there.cross)
            + g2 * g2 * (found.frequency - there.frequency);
        let offset = older.offset
            + (at - older.at).scaled(older.state.frequency)
            + Duration::from_secs_f64(g1 * off_phase + g2 * off_frequency);
        // The clock was set, or its frequency changed at one instant: either way it was never
        // farther from a straight line than it was found in the end. A change that surprised
        // nobody was at most so many times what its wander does.
        let most_s = if surprising {
            bend_s
        } else {
            let change = LARGE * wander * whole_s.sqrt() + older.unsettled;
            bend_s.min(change * to_s.min(rest_s).max(0.0))
        };
        let hidden_s = older.half_width_s.max(self.half_width_s) + most_s;
        (offset, variance.max(0.0).sqrt(), hidden_s)
    }
}

fn instant(at: Timestamp<Raw>, hidden_s: f64, sd_s: f64) -> Instant {
    Instant {
        at,
        uncertainty: bound(hidden_s, sd_s),
        sd_s,
    }
}

fn bound(hidden_s: f64, sd_s: f64) -> Duration {
    Duration::from_secs_f64(hidden_s + SIGMAS * sd_s + RESOLUTION_S)
}
