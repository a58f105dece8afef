//! When a reply left, before the server says so.
//!
//! In interleaved mode the exchange is complete only with the next reply, a poll interval later
//! (RFC 9769 section 2). But servers take about as long for one reply as for the other, and how
//! long is known exactly of those that are complete. So of the newest reply a departure can be
//! foreseen, with an error that is known as well.
//!
//! Model: turnarounds t3 − t2 are independent and of one distribution, with some far outliers (a
//! busy server). The median of the last ones is the best guess that outliers do not move;
//! 1.4826 times the median distance from it is the standard deviation, were they normal.
//!
//! At the beginning there are only basic replies, which say before they leave when they will. How far that
//! varies says how far turnarounds do; and how early it is, the first reply tells of which the
//! exact departure becomes known, too.

use clockwright_timebase::Duration;

use crate::NtpTimestamp;

/// Turnarounds remembered.
const REMEMBERED: usize = 16;
/// So many make a guess.
const ENOUGH: usize = 4;
/// So many, foretold ones included, say how far turnarounds vary.
const IN_ALL: usize = 3;
/// From the median distance to the standard deviation of a normal distribution, in thousandths.
const NORMAL: i32 = 1483;

/// The last turnarounds of a server.
#[derive(Debug, Default)]
pub(super) struct Foresight {
    exact: Turnarounds,
    /// As basic replies say.
    foretold: Turnarounds,
}

/// Some turnarounds, in 2⁻³² s.
#[derive(Debug, Default)]
struct Turnarounds {
    /// The first `known` of them mean something.
    recent: [i64; REMEMBERED],
    known: usize,
    next: usize,
}

impl Foresight {
    /// Of an exchange that is complete.
    pub(super) fn note(&mut self, t2: NtpTimestamp, t3: NtpTimestamp) {
        self.exact.note(t3.fractions_since(t2));
    }

    /// Of a basic reply: when it would leave, as the server saw it beforehand.
    pub(super) fn foretold(&mut self, t2: NtpTimestamp, t3: NtpTimestamp) {
        self.foretold.note(t3.fractions_since(t2));
    }

    /// When the reply to a request that came at `t2` is likely to have left, and the standard
    /// deviation of that guess.
    pub(super) fn departure(&self, t2: NtpTimestamp) -> Option<(NtpTimestamp, Duration)> {
        let exact = self.exact.usual_and_spread()?;
        let (usual, deviation) = if self.exact.known >= ENOUGH {
            (exact.0, deviation(exact.1))
        } else {
            let (foretold, spread) = self.foretold.usual_and_spread()?;
            if self.exact.known + self.foretold.known < IN_ALL {
                return None;
            }
            let early = Duration::from_ntp_fractions(distance(exact.0, foretold));
            (exact.0, deviation(spread.max(exact.1)) + early)
        };
        let departure = NtpTimestamp::from_bits(t2.to_bits().wrapping_add_signed(usual));
        Some((departure, deviation))
    }
}

impl Turnarounds {
    fn note(&mut self, fractions: i64) {
        if let Some(place) = self.recent.get_mut(self.next) {
            *place = fractions;
        }
        self.next = (self.next + 1) % REMEMBERED;
        self.known = (self.known + 1).min(REMEMBERED);
    }

    /// Their median and the median distance from it; `None` without any.
    fn usual_and_spread(&self) -> Option<(i64, i64)> {
        let known = self.recent.get(..self.known).filter(|it| !it.is_empty())?;
        let usual = median(known.iter().copied());
        let spread = median(known.iter().map(|one| distance(*one, usual)));
        Some((usual, spread))
    }
}

/// The standard deviation by the median distance from the median.
fn deviation(spread: i64) -> Duration {
    Duration::from_ntp_fractions(spread) * NORMAL / 1000
}

fn distance(a: i64, b: i64) -> i64 {
    i64::try_from(a.abs_diff(b)).unwrap_or(i64::MAX)
}

/// The upper median of at most [`REMEMBERED`] values; 0 of none.
fn median(values: impl Iterator<Item = i64>) -> i64 {
    let mut sorted = [i64::MAX; REMEMBERED];
    let mut count = 0;
    for (place, value) in sorted.iter_mut().zip(values) {
        *place = value;
        count += 1;
    }
    sorted.sort_unstable();
    if count == 0 {
        return 0;
    }
    sorted.get(count / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARRIVAL: NtpTimestamp = NtpTimestamp::from_bits(1 << 63);

    fn after(nanos: i64) -> NtpTimestamp {
        let fractions = i64::try_from(Duration::from_nanos(nanos).as_ntp_fractions()).unwrap();
        NtpTimestamp::from_bits(ARRIVAL.to_bits().wrapping_add_signed(fractions))
    }

    fn foresight(turnarounds_us: &[i64]) -> Foresight {
        let mut foresight = Foresight::default();
        for turnaround in turnarounds_us {
            foresight.note(ARRIVAL, after(1000 * turnaround));
        }
        foresight
    }

    #[test]
    fn nothing_is_foreseen_of_a_server_hardly_known() {
        assert!(foresight(&[30, 30, 30]).departure(ARRIVAL).is_none());
        assert!(foresight(&[30, 30, 30, 30]).departure(ARRIVAL).is_some());
    }

    #[test]
    fn what_is_foretold_helps_at_first_as_far_as_it_is_right() {
        let mut foresight = Foresight::default();
        foresight.foretold(ARRIVAL, after(10_000));
        foresight.foretold(ARRIVAL, after(12_000));
        assert!(foresight.departure(ARRIVAL).is_none(), "nothing is exact");
        foresight.note(ARRIVAL, after(30_000));
        let (departure, deviation) = foresight.departure(ARRIVAL).unwrap();
        assert_eq!(departure, after(30_000));
        let us = deviation.as_secs_f64() * 1e6;
        // 18 us later than foretold, and turnarounds are 2 us apart.
        assert!((20.9..21.0).contains(&us), "{us}");
        for _ in 0..3 {
            foresight.note(ARRIVAL, after(30_000));
        }
        let (_, deviation) = foresight.departure(ARRIVAL).unwrap();
        assert_eq!(deviation, Duration::ZERO);
    }

    #[test]
    fn an_outlier_moves_neither_the_guess_nor_its_deviation() {
        let usual = foresight(&[30, 31, 29, 30, 32, 28, 30, 40_000]);
        let (departure, deviation) = usual.departure(ARRIVAL).unwrap();
        let error = departure.since(after(30_000)).abs();
        assert!(error < Duration::from_nanos(2), "{error:?}");
        let us = deviation.as_secs_f64() * 1e6;
        assert!((1.4..1.6).contains(&us), "{us}");
    }

    #[test]
    fn only_the_last_ones_count() {
        let mut turnarounds = vec![30; 30];
        turnarounds.extend([50; REMEMBERED]);
        let (departure, deviation) = foresight(&turnarounds).departure(ARRIVAL).unwrap();
        assert_eq!(departure, after(50_000));
        assert_eq!(deviation, Duration::ZERO);
    }

    #[test]
    fn turnarounds_at_the_ends_of_the_range_do_not_overflow() {
        let mut foresight = Foresight::default();
        for turn in 0..8 {
            let far = if turn % 2 == 0 { i64::MAX } else { i64::MIN };
            let t3 = NtpTimestamp::from_bits(ARRIVAL.to_bits().wrapping_add_signed(far));
            foresight.note(ARRIVAL, t3);
        }
        assert!(foresight.departure(ARRIVAL).is_some());
    }
}
