//! Keeps the network from filling the log.

use std::collections::BTreeMap;

use clockwright_timebase::{Duration, Raw, Timestamp};

/// Messages of one kind that may follow each other at once.
const BURST: u32 = 5;
/// After those, one message of a kind in this time.
const INTERVAL: Duration = Duration::from_secs(60);

/// Says which messages may be logged. Its memory is bounded by the number of kinds, which are
/// written in this program.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    kinds: BTreeMap<&'static str, Kind>,
}

#[derive(Debug)]
struct Kind {
    /// Messages that may be logged at once.
    left: u32,
    /// Since when another one is being earned.
    since: Timestamp<Raw>,
    /// Not logged since the last one that was.
    hidden: u64,
}

/// Leave to log, and how many messages of the kind had none since the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leave {
    hidden: u64,
}

impl std::fmt::Display for Leave {
    /// Nothing, or a note to put at the end of the message.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.hidden {
            0 => Ok(()),
            1 => f.write_str(" (1 similar message was not logged)"),
            many => write!(f, " ({many} similar messages were not logged)"),
        }
    }
}

impl Limiter {
    /// May a message of this kind be logged at `now`?
    pub(crate) fn leave(&mut self, kind: &'static str, now: Timestamp<Raw>) -> Option<Leave> {
        let kind = self.kinds.entry(kind).or_insert(Kind {
            left: BURST,
            since: now,
            hidden: 0,
        });
        while kind.left < BURST && now - kind.since >= INTERVAL {
            kind.left += 1;
            kind.since += INTERVAL;
        }
        if kind.left == BURST {
            kind.since = now;
        }
        if kind.left == 0 {
            kind.hidden += 1;
            return None;
        }
        kind.left -= 1;
        Some(Leave {
            hidden: std::mem::take(&mut kind.hidden),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp<Raw> {
        Timestamp::from_timespec(secs, 0)
    }

    fn logged(limiter: &mut Limiter, kind: &'static str, secs: i64, times: u32) -> u32 {
        (0..times)
            .map(|_| u32::from(limiter.leave(kind, at(secs)).is_some()))
            .sum()
    }

    #[test]
    fn a_flood_leaves_a_few_lines() {
        let mut limiter = Limiter::default();
        assert_eq!(logged(&mut limiter, "kiss", 10, 1_000), BURST);
        // Another kind is not affected.
        assert_eq!(logged(&mut limiter, "refused", 10, 1), 1);
        // One a minute is earned, and says what was left out.
        assert_eq!(logged(&mut limiter, "kiss", 69, 10), 0);
        let leave = limiter.leave("kiss", at(71)).map(|leave| leave.to_string());
        assert_eq!(
            leave.as_deref(),
            Some(" (1005 similar messages were not logged)")
        );
        assert_eq!(logged(&mut limiter, "kiss", 71, 10), 0);
    }

    #[test]
    fn quiet_restores_the_whole_burst_and_no_more() {
        let mut limiter = Limiter::default();
        logged(&mut limiter, "kiss", 0, 100);
        assert_eq!(logged(&mut limiter, "kiss", 100_000, 100), BURST);
        assert_eq!(logged(&mut limiter, "kiss", 100_001, 100), 0);
    }
}
