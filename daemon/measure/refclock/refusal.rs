//! Why a reading makes no sample.

use std::collections::BTreeMap;
use std::fmt;

use clockwright_timebase::Duration;

/// Why a reading, or all of a poll interval, is not used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Refusal {
    /// A datagram of so many octets.
    Length(usize),
    /// A datagram whose magic number is another one.
    Magic(u32),
    /// Numbers that are no time.
    NoTime,
    /// What the system clock showed lies this far in the past.
    Old(Duration),
    /// What the system clock showed lies this far in the future.
    Future(Duration),
    /// It tells a time before this program was written.
    LongPast,
    /// It says that its clock is not synchronised.
    Unsynchronized,
    /// It was stamped by the system clock before that was set, or may have been.
    ClockSet,
    /// Shared memory that was being written each time it was looked at.
    Torn,
    /// Shared memory in a mode that nobody knows.
    Mode(i32),
    /// A pulse, and nobody knows yet which second it began.
    Unnumbered,
    /// A pulse, and who is to number it may be this wrong.
    Coarse(Duration),
    /// A pulse that is this far from the beginning of any second.
    BetweenSeconds(Duration),
    /// Readings that scatter this much.
    Noisy(Duration),
}

impl Refusal {
    /// What it is counted as.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Length(_) => "length",
            Self::Magic(_) => "magic",
            Self::NoTime => "no_time",
            Self::Old(_) => "old",
            Self::Future(_) => "future",
            Self::LongPast => "long_past",
            Self::Unsynchronized => "unsynchronized",
            Self::ClockSet => "clock_set",
            Self::Torn => "torn",
            Self::Mode(_) => "mode",
            Self::Unnumbered => "unnumbered",
            Self::Coarse(_) => "coarse_numbering",
            Self::BetweenSeconds(_) => "between_seconds",
            Self::Noisy(_) => "noisy",
        }
    }

    /// Is it a matter of time, and nothing that anybody should be told of?
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Unnumbered | Self::ClockSet | Self::Torn)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(octets) => write!(
                f,
                "a datagram of {octets} octets, where a sample has 40: is its sender made for chrony?"
            ),
            Self::Magic(magic) => write!(f, "a datagram with the magic number {magic:#x}"),
            Self::NoTime => f.write_str("numbers that are no time"),
            Self::Old(age) => write!(f, "a sample {:.3} s old", age.as_secs_f64()),
            Self::Future(by) => write!(f, "a sample {:.6} s in the future", by.as_secs_f64()),
            Self::LongPast => f.write_str(
                "a time before 2026: has the receiver's count of weeks rolled over, or has it no fix?",
            ),
            Self::Unsynchronized => {
                f.write_str("its clock is not synchronised: has the receiver no fix?")
            }
            Self::ClockSet => f.write_str("it was taken before the system clock was set"),
            Self::Torn => f.write_str("it was just being written each time"),
            Self::Mode(mode) => write!(f, "mode {mode}, which nobody knows"),
            Self::Unnumbered => f.write_str("nobody knows yet which second the pulse began"),
            Self::Coarse(bound) => write!(
                f,
                "who is to number the pulse's second may be {:.3} s wrong, which is too much",
                bound.as_secs_f64()
            ),
            Self::BetweenSeconds(by) => write!(
                f,
                "the pulse came {:.3} s from the beginning of any second",
                by.as_secs_f64()
            ),
            Self::Noisy(spread) => write!(
                f,
                "readings scattered by {:.9} s, which is more than `max_dispersion`",
                spread.as_secs_f64()
            ),
        }
    }
}

/// How often what was refused.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: BTreeMap<&'static str, u64>,
    last: Option<Refusal>,
    /// Has nothing been accepted since?
    pub(super) in_force: bool,
}

impl Tally {
    pub(super) fn note(&mut self, refusal: Refusal) {
        *self.counts.entry(refusal.key()).or_default() += 1;
        self.last = Some(refusal);
        self.in_force = true;
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts.iter().map(|(key, count)| (*key, *count))
    }

    pub(super) fn last(&self) -> Option<Refusal> {
        self.last
    }
}
