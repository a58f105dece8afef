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
/// The longest that is believed, s a reply.
const MOST: f64 = 100e-6;

/// How long it takes at least to write a reply, and to send one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReplyPace {
    /// Writing, which includes sealing; s.
    write: f64,
    /// Sending, s.
    send: f64,
    /// From handing over to leaving, as transmit stamps tell; s. `None` before the first one.
    lag: Option<f64>,
}

impl ReplyPace {
    /// From reading the clock, which is followed by writing `all` replies and sending them, to the
    /// departure of the one after `before` others.
    pub(crate) fn until_sent(&self, before: usize, all: usize) -> Duration {
        let sending = self.send * before as f64 + self.lag.unwrap_or(0.0);
        self.until_handed_over(all) + Duration::from_secs_f64(sending)
    }

    /// From reading the clock to handing `all` replies over.
    pub(crate) fn until_handed_over(&self, all: usize) -> Duration {
        Duration::from_secs_f64(self.write * all as f64)
    }

    /// The first of several replies has left so long after it was to be handed over.
    pub(crate) fn learn_departure(&mut self, lag: Duration) {
        let lag = lag.as_secs_f64();
        match &mut self.lag {
            // The first one may be one of the long ones.
            None => self.lag = Some(lag.clamp(0.0, MOST) / 2.0),
            Some(expected) => expect(expected, lag),
        }
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
