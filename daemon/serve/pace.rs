//! When a reply of a batch will leave: what its transmit timestamp is to say.
//!
//! Replies are written together and handed to the kernel together, which sends one after the other;
//! that takes two microseconds each. A timestamp read when a reply is written would be early by what
//! lies between, and more so the more there is to do, so that clients would see the server's clock
//! go wrong with its load. What lies between is learnt from the batches before.
//!
//! A timestamp that is too early makes the round trip look longer, and a client's bound, which has half
//! of that in it, still contains the truth. One that is too late makes it look shorter: then the
//! client is wrong and believes to be exact. So what is learnt is not the average, but what it takes
//! at least, most of the time.

use clockwright_timebase::Duration;

/// The weight of a new value that is longer than expected.
const LONGER: f64 = 1.0 / 32.0;
/// Of one that is shorter: so the expectation stays near the shortest of the last ones.
const SHORTER: f64 = 0.5;
/// A value so many times the expected one is taken for this many times: most likely the thread was
/// interrupted.
const SURPRISE: f64 = 2.0;
/// From which the expectation begins to grow, s.
const LEAST: f64 = 50e-9;
/// Of what is seldom measured, so many are met before anything is expected.
const FIRST: u8 = 3;
/// The longest that is believed, s a reply.
const MOST: f64 = 100e-6;

/// How long it takes at least to write a reply, and to send one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReplyPace {
    /// Writing, which includes sealing; s.
    write: f64,
    /// Sending, s.
    send: f64,
    /// From handing over to leaving, as transmit stamps tell; s.
    lag: Lag,
}

/// Something that is seldom measured.
#[derive(Debug, Clone, Copy)]
enum Lag {
    /// So often so far, and so long at least, s. Nothing is expected yet: when a thread has just begun,
    /// everything takes long.
    Met(u8, f64),
    /// As long as this, s.
    Expected(f64),
}

impl Default for Lag {
    fn default() -> Self {
        Self::Met(0, MOST)
    }
}

impl Lag {
    /// What is expected, s.
    const fn expected(self) -> f64 {
        match self {
            Self::Met(..) => 0.0,
            Self::Expected(lag) => lag,
        }
    }

    /// This long, once.
    fn learn(&mut self, lag: f64) {
        *self = match *self {
            Self::Met(times, least) if times < FIRST => Self::Met(times + 1, least.min(lag)),
            Self::Met(_, least) => Self::Expected(least.min(lag)),
            // The next one may be long in coming: a shorter one counts at once.
            Self::Expected(expected) if lag < expected => Self::Expected(lag),
            Self::Expected(mut expected) => {
                expect(&mut expected, lag);
                Self::Expected(expected)
            }
        };
    }
}

impl ReplyPace {
    /// From reading the clock, which is followed by writing `all` replies and sending them, to the
    /// departure of the one after `before` others.
    pub(crate) fn until_sent(&self, before: usize, all: usize) -> Duration {
        let sending = self.send * before as f64 + self.lag.expected();
        self.until_handed_over(all) + Duration::from_secs_f64(sending)
    }

    /// From reading the clock to handing `all` replies over.
    pub(crate) fn until_handed_over(&self, all: usize) -> Duration {
        Duration::from_secs_f64(self.write * all as f64)
    }

    /// The first of several replies has left so long after it was to be handed over.
    pub(crate) fn learn_departure(&mut self, lag: Duration) {
        self.lag.learn(lag.as_secs_f64().clamp(0.0, MOST));
    }

    /// It has taken so long to write and to send so many.
    pub(crate) fn learn(&mut self, replies: usize, writing: Duration, sending: Duration) {
        if replies == 0 {
            return;
        }
        expect(&mut self.write, writing.as_secs_f64() / replies as f64);
        // Of one reply nobody can tell what belongs to the system call.
        if replies > 1 {
            expect(&mut self.send, sending.as_secs_f64() / replies as f64);
        }
    }
}

fn expect(expected: &mut f64, value: f64) {
    let value = value.clamp(0.0, SURPRISE * expected.max(LEAST)).min(MOST);
    let change = value - *expected;
    let weight = if change < 0.0 { SHORTER } else { LONGER };
    *expected += weight * change;
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn us(us: i64) -> Duration {
        Duration::from_micros(us)
    }

    #[test]
    fn the_last_of_many_leaves_last() {
        let mut pace = ReplyPace::default();
        assert_eq!(pace.until_sent(31, 32), Duration::ZERO);
        for _ in 0..1000 {
            pace.learn(32, us(32), us(64));
        }
        let near = |left: Duration, right: Duration| (left - right).abs() < us(1);
        assert!(near(pace.until_sent(0, 1), us(1)));
        assert!(near(pace.until_sent(0, 32), us(32)));
        assert!(near(pace.until_sent(31, 32), us(32 + 62)));
    }

    #[test]
    fn nothing_is_expected_of_a_way_that_was_long_at_the_start() {
        let mut pace = ReplyPace::default();
        for lag in [90, 60, 40] {
            pace.learn_departure(us(lag));
            assert_eq!(pace.until_sent(0, 1), Duration::ZERO);
        }
        pace.learn_departure(us(9));
        assert_eq!(pace.until_sent(0, 1), us(9));
        pace.learn_departure(us(3));
        assert_eq!(pace.until_sent(0, 1), us(3));
    }

    #[test]
    fn how_long_the_way_to_the_network_is_stamps_tell() {
        let mut pace = ReplyPace::default();
        for n in 0..300 {
            // One in ten is interrupted.
            pace.learn_departure(us(if n % 10 == 0 { 40 } else { 8 }));
        }
        let until = pace.until_sent(0, 1);
        assert!(until > us(7) && until < us(9), "{until:?}");
        // What stamps say that cannot be is nothing.
        pace.learn_departure(us(-5));
        assert!(pace.until_sent(0, 1) >= Duration::ZERO);
    }

    #[test]
    fn an_interruption_does_not_count() {
        let mut pace = ReplyPace::default();
        for _ in 0..1000 {
            pace.learn(10, us(10), us(20));
        }
        let before = pace.until_sent(9, 10);
        pace.learn(10, us(10), us(50_000));
        let after = pace.until_sent(9, 10);
        assert!(after - before < us(2), "{before:?} {after:?}");
        // Nothing is believed for ever.
        for _ in 0..1000 {
            pace.learn(10, us(50_000), us(50_000));
        }
        assert!(pace.until_sent(9, 10) < us(2_000));
    }
}
