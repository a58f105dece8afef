//! Leap seconds: a timescale without them, for everything that is estimated.
//!
//! A clock that counts as POSIX does shows the last second of a day twice, or leaves it out, so that
//! "UTC minus the oscillator" jumps by a second there: at one instant in truth, and in the samples of
//! each source whenever that source's own clock does it. No filter should see that. So filters,
//! combination and loop live on a timescale that goes on counting through leap seconds. What comes
//! in, samples and readings of the clock, is taken off it by the leap seconds that have passed since
//! the start; differences, and that is all that goes out, need nothing.
//!
//! ```text
//! count of UTC ──┬── minus the leap seconds passed ──► what is estimated
//!  (jumps)       └── near a leap second: minus one more, or one less, where the
//!                    estimate tells that this clock has made it early or late
//! ```
//!
//! The instant of the leap second is where the *estimate* of UTC reaches it. A server or the kernel
//! makes it when its own clock does, milliseconds earlier or later, and some servers only when they
//! are next corrected. The estimate is good to far better than half a second, so it tells which of
//! the two counts a clock is in.

use clockwright_timebase::{Duration, Raw, Timestamp, Utc};

use crate::engine::ClockReading;
use crate::estimate::SourceEstimate;
use crate::sample::{Leap, Sample};

/// One second.
const SECOND: Duration = Duration::from_secs(1);
/// A clock is in the other count where it is off by a second but for less than this.
const TELLING: Duration = Duration::from_millis(250);
/// So long before the leap second a source may have made it, and ...
const SOURCES_EARLY: Duration = Duration::from_secs(2);
/// ... so long after it may not have. One that is later is a second off.
const SOURCES_LATE: Duration = Duration::from_secs(60);
/// The disciplined clock makes it so soon, before or after. Later it is a second off.
const CLOCK_WITHIN: Duration = Duration::from_secs(2);
/// One that was to be seen so long ago was missed: the host slept, say, and all sources have made it.
const MISSED_AFTER: Duration = Duration::from_secs(10);
/// So long after a leap second nobody can have the next to announce; whoever announces one has not
/// noticed yet that it was.
const NONE_AFTER: Duration = Duration::from_secs(86_400);

/// A leap second at the end of a day of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeapSecond {
    /// The end of the day, 0:00:00 of the next one, as POSIX counts.
    pub day_ends: Timestamp<Utc>,
    /// Has the day's last minute 61 seconds? Otherwise it has 59.
    pub inserted: bool,
}

impl LeapSecond {
    /// The leap second that `announced` means for a day that ends at `day_ends`.
    pub const fn new(day_ends: Timestamp<Utc>, announced: Leap) -> Option<Self> {
        let inserted = match announced {
            Leap::None => return None,
            Leap::Insert => true,
            Leap::Delete => false,
        };
        Some(Self { day_ends, inserted })
    }

    /// What the count of UTC jumps by: a second back, or forward.
    pub const fn shift(self) -> Duration {
        Duration::from_secs(if self.inserted { -1 } else { 1 })
    }

    /// What the old count would show when it jumps.
    fn turns_at(self) -> Timestamp<Utc> {
        if self.inserted {
            self.day_ends
        } else {
            self.day_ends - SECOND
        }
    }
}

/// How the disciplined clock gets over a leap second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeapManner {
    /// Somebody else sets it at that instant: the kernel, or whoever steers it.
    ByItself,
    /// The owner steps it when told to ([`crate::Action::Leap`]).
    Step,
    /// Not at all: it is a second off then, and that is slewed.
    Slew,
}

/// A leap second that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Passed {
    second: LeapSecond,
    manner: LeapManner,
    at: Timestamp<Raw>,
}

/// The leap seconds that a discipline knows of.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Leaps {
    /// What the count of UTC has jumped by since the start.
    total: Duration,
    expected: Option<(LeapSecond, LeapManner)>,
    last: Option<Passed>,
}

/// A leap second near an instant.
struct Near {
    turn: Timestamp<Raw>,
    shift: Duration,
    manner: LeapManner,
}

impl Leaps {
    /// Expects this leap second, or none. One that has passed does not come again, and one that
    /// `utc` has left behind is not to be waited for.
    pub(crate) fn expect(
        &mut self,
        next: Option<(LeapSecond, LeapManner)>,
        utc: Option<&SourceEstimate>,
        now: Timestamp<Raw>,
    ) {
        self.expected = next.filter(|(second, _)| {
            let is_new = self
                .last
                .is_none_or(|last| second.day_ends > last.second.day_ends);
            is_new && utc.is_some_and(|utc| self.turn(*second, utc) > now)
        });
    }

    /// Expects none.
    pub(crate) fn forget_expected(&mut self) {
        self.expected = None;
    }

    /// The one that is expected; shortly after it has passed, that one: until then it is not over
    /// for a clock that is late.
    pub(crate) fn in_hand(&self, now: Timestamp<Raw>) -> Option<LeapSecond> {
        let passing = self.last.filter(|last| now - last.at < CLOCK_WITHIN);
        let expected = self.expected.map(|(second, _)| second);
        expected.or(passing.map(|last| last.second))
    }

    /// The last one that has passed.
    pub(crate) fn passed(&self) -> Option<LeapSecond> {
        self.last.map(|last| last.second)
    }

    /// Was there one within the last day?
    pub(crate) fn is_recent(&self, now: Timestamp<Raw>) -> bool {
        self.last.is_some_and(|last| now - last.at < NONE_AFTER)
    }

    /// When something is to be done: the leap second comes, or is over for every clock.
    pub(crate) fn next_timeout(
        &self,
        utc: Option<&SourceEstimate>,
        now: Timestamp<Raw>,
    ) -> Option<Timestamp<Raw>> {
        let comes = self.expected.zip(utc);
        let comes = comes.map(|((second, _), utc)| self.turn(second, utc));
        let over = self.last.map(|last| last.at + CLOCK_WITHIN);
        comes.or(over.filter(|over| *over > now))
    }

    /// The leap second that has come by `now`, if one has, and how the clock gets over it.
    pub(crate) fn pass(
        &mut self,
        now: Timestamp<Raw>,
        utc: &SourceEstimate,
    ) -> Option<(LeapSecond, LeapManner)> {
        let (second, manner) = self.expected?;
        let at = self.turn(second, utc);
        if now < at {
            return None;
        }
        self.expected = None;
        if now - at > MISSED_AFTER {
            return None;
        }
        self.total += second.shift();
        self.last = Some(Passed { second, manner, at });
        Some((second, manner))
    }

    /// The clock was set to it by somebody else at `at`, while no count of UTC was known: the next one
    /// known will be that after it.
    pub(crate) fn made(&mut self, second: LeapSecond, at: Timestamp<Raw>) {
        let manner = LeapManner::ByItself;
        self.expected = None;
        self.last = Some(Passed { second, manner, at });
    }

    /// A reading of the clock on the timescale without leap seconds.
    pub(crate) fn reading(
        &self,
        reading: ClockReading,
        utc: Option<&SourceEstimate>,
    ) -> ClockReading {
        let shown = reading.clock.since_epoch() - reading.raw.since_epoch();
        let early = |near: &Near| {
            let apart = (reading.raw - near.turn).abs();
            near.manner != LeapManner::Slew && apart < CLOCK_WITHIN
        };
        let ahead = self.without(reading.raw, shown, utc, early);
        ClockReading {
            clock: reading.raw.shifted_to(ahead),
            ..reading
        }
    }

    /// A sample on the timescale without leap seconds.
    pub(crate) fn sample(&self, sample: &Sample, utc: Option<&SourceEstimate>) -> Sample {
        let may_differ = |near: &Near| {
            let after = sample.at - near.turn;
            -SOURCES_EARLY < after && after < SOURCES_LATE
        };
        Sample {
            offset: self.without(sample.at, sample.offset, utc, may_differ),
            ..*sample
        }
    }

    /// `shown`, a count of UTC minus the oscillator at `at`, without leap seconds. Where this clock
    /// may be in the other count, the estimate tells.
    fn without(
        &self,
        at: Timestamp<Raw>,
        shown: Duration,
        utc: Option<&SourceEstimate>,
        may_differ: impl Fn(&Near) -> bool,
    ) -> Duration {
        let Some(utc) = utc else {
            return shown - self.total;
        };
        let near = self.near(at, utc);
        let usual = shown - self.total_at(at, near.as_ref());
        let Some(near) = near.filter(may_differ) else {
            return usual;
        };
        let off = usual - utc.carried_to(at).offset;
        let other = [near.shift, -near.shift]
            .into_iter()
            .find(|second| (off - *second).abs() < TELLING);
        usual - other.unwrap_or(Duration::ZERO)
    }

    /// The leap second nearest to `at`: the one expected, unless the last one is nearer.
    fn near(&self, at: Timestamp<Raw>, utc: &SourceEstimate) -> Option<Near> {
        let expected = self.expected.map(|(second, manner)| Near {
            turn: self.turn(second, utc),
            shift: second.shift(),
            manner,
        });
        let last = self.last.map(|last| Near {
            turn: last.at,
            shift: last.second.shift(),
            manner: last.manner,
        });
        let apart = |near: &Near| (at - near.turn).abs();
        expected.into_iter().chain(last).min_by_key(apart)
    }

    /// What the count of UTC had jumped by at `at`.
    fn total_at(&self, at: Timestamp<Raw>, near: Option<&Near>) -> Duration {
        let Some(near) = near else {
            return self.total;
        };
        let has_passed = self.last.is_some_and(|last| last.at == near.turn);
        match (has_passed, at >= near.turn) {
            (true, false) => self.total - near.shift,
            (false, true) => self.total + near.shift,
            _ => self.total,
        }
    }

    /// When UTC comes to a leap second, by this estimate on the timescale without them.
    fn turn(&self, second: LeapSecond, utc: &SourceEstimate) -> Timestamp<Raw> {
        let then = second.turns_at() - self.total;
        let left = then.since_epoch() - utc.at.since_epoch() - utc.offset;
        utc.at + left - left.scaled(utc.frequency / (1.0 + utc.frequency))
    }
}

/// Is a jump of a source's clock (s), which noise explains up to `explained_s`, one of a whole
/// second? Then the source has made a leap second that nobody had announced, or undone one; its
/// frequency has not changed.
pub(crate) fn is_leap(jump_s: f64, explained_s: f64) -> bool {
    (jump_s.abs() - 1.0).abs() <= explained_s.min(0.1)
}

/// Says this reference id that its server smears a leap second at present? ntpd says 254 and three
/// octets of its correction then, chrony 127.127.1.255. What such a server says of leap seconds is
/// no vote: its clients are to see none.
pub fn smears(reference_id: [u8; 4]) -> bool {
    matches!(reference_id, [254, ..] | [127, 127, 1, 255])
}
