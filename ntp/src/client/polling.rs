//! When to ask: the poll interval, bursts, what the server demands, and silence.

use clockwright_timebase::{Duration, Poll, Raw, Timestamp};

use super::ClientConfig;

/// Requests in a burst at most.
const BURST_REQUESTS: u8 = 8;
/// Good exchanges that end a burst.
const BURST_GOOD: u8 = 4;
/// Between the requests of a burst at most (RFC 5905 section 7.2, BTIME).
const BURST_SPACING: Duration = Duration::from_secs(2);
/// Requests after a burst before their interval is doubled. With two, servers that allow a client a request
/// in 8 s and eight at once (chrony's and ntpd's limits, where they are on) answer all of them.
const EACH: u8 = 2;
/// The longest interval that kisses can impose, 1024 s: whoever forges them can slow the client
/// down so far and no further (RFC 8633 section 5.4).
const KISS_CAP: Poll = Poll::new(10);
/// Replies after a RATE kiss until a shorter interval is tried again.
const RATE_RECOVERY: u8 = 16;
/// Slower round trips do not slow the client down further.
const SLOWEST: Duration = Duration::from_secs(1);
/// A poll interval is longer than its power of two by a random part of 1/50 at most, so that
/// clients started together do not stay together.
const SPREAD: i32 = 50;

/// When to ask.
#[derive(Debug)]
pub(super) struct Polling {
    min: Poll,
    max: Poll,
    /// What the discipline would like.
    wish: Poll,
    /// The shortest interval the server puts up with, as far as it has said.
    floor: Option<Poll>,
    denied: bool,
    /// Replies since the floor was last moved.
    replies_at_floor: u8,
    /// Doublings of the interval while nobody answers.
    backoff: u8,
    burst: Option<Burst>,
    /// Requests since a burst that got its answers, while they are not a whole interval apart yet.
    settling: Option<u8>,
    /// Was the last request one that may well go unanswered, so that the next is to follow soon?
    probing: bool,
    /// Requests in a row that could not be sent.
    failures: u8,
    /// How long the last good exchange took, a second at most.
    round_trip: Duration,
    /// When the last request was handed out.
    last: Option<Timestamp<Raw>>,
    /// The random part of the interval that began there, in 1/65536 of the most it may be.
    spread: u16,
}

#[derive(Debug, Clone, Copy, Default)]
struct Burst {
    sent: u8,
    good: u8,
}

impl Polling {
    pub(super) fn new(config: &ClientConfig) -> Self {
        let mut polling = Self {
            min: config.poll_min,
            max: config.poll_max,
            wish: config.poll_min,
            floor: None,
            denied: false,
            replies_at_floor: 0,
            backoff: 0,
            burst: None,
            settling: None,
            probing: false,
            failures: 0,
            round_trip: Duration::ZERO,
            last: None,
            spread: 0,
        };
        polling.set_limits(config);
        polling.begin_burst(config);
        polling
    }

    /// Takes over changed limits.
    pub(super) fn set_limits(&mut self, config: &ClientConfig) {
        self.min = config.poll_min;
        self.max = config.poll_max.max(config.poll_min);
        self.wish(self.wish);
    }

    /// What the discipline would like.
    pub(super) fn wish(&mut self, poll: Poll) {
        self.wish = poll.clamp(self.min, self.max);
    }

    /// Asks in a burst from now on, where configured and the server has not asked for less.
    pub(super) fn begin_burst(&mut self, config: &ClientConfig) {
        self.burst = (config.iburst && self.floor.is_none()).then(Burst::default);
        self.settling = None;
    }

    /// The interval in effect, bursts aside.
    pub(super) fn poll(&self) -> Poll {
        let base = self.floor.map_or(self.wish, |floor| floor.max(self.wish));
        let backed_off = (0..self.backoff).fold(base, |poll, _| poll.longer());
        // Below a second the round trip itself may be what is longer than the interval.
        backed_off.min(self.max.max(base).max(Poll::new(0)))
    }

    /// Did the server deny service?
    pub(super) const fn denied(&self) -> bool {
        self.denied
    }

    /// Has the server asked for less?
    pub(super) const fn limited(&self) -> bool {
        self.floor.is_some()
    }

    /// When the next request is due; `None` when that does not follow from the last one.
    ///
    /// Only the latest request can be answered, so a short interval waits for the round trip.
    pub(super) fn due(&self) -> Option<Timestamp<Raw>> {
        let interval = self.poll().interval();
        let wait = if self.probing {
            BURST_SPACING.min(interval)
        } else if self.burst.is_some() {
            let spacing = BURST_SPACING.min(interval / 4);
            // Requests that cannot be sent do not use up the burst; they space it out instead.
            let doublings = i32::from(self.failures.min(24));
            (spacing * (1 << doublings)).min(interval).max(spacing)
        } else {
            let regular = self
                .settling_interval()
                .map_or(interval, |it| it.min(interval));
            let most = (regular / SPREAD).as_units();
            regular + Duration::from_units((most * i128::from(self.spread)) >> 16)
        };
        self.last.map(|last| last + wait.max(self.round_trip * 2))
    }

    /// A burst of seconds tells the time, and the frequency only to some ppm: by that the clock would be
    /// off by a hundred microseconds before the next sample, a minute later. So requests after it are
    /// 2 s apart, then 4 s, 8 s, and so on, until they are an interval apart.
    fn settling_interval(&self) -> Option<Duration> {
        let doublings = i32::from((self.settling? / EACH).min(24));
        Some(BURST_SPACING * (1 << doublings))
    }

    /// A request is handed out at `now`; `spread` is random. A `probe` is beyond the regular ones.
    pub(super) fn requested(&mut self, now: Timestamp<Raw>, spread: u16, probe: bool) {
        self.last = Some(now);
        self.spread = spread;
        self.probing = probe;
        if probe {
            return;
        }
        if let Some(burst) = &mut self.burst {
            burst.sent += 1;
            if burst.sent >= BURST_REQUESTS {
                self.burst = None;
            }
            return;
        }
        let whole = self.poll().interval();
        let apart = self.settling_interval().filter(|it| *it < whole);
        self.settling = self
            .settling
            .filter(|_| apart.is_some())
            .map(|sent| sent + 1);
    }

    /// The last request could not be sent, as was found at `now`.
    pub(super) const fn failed(&mut self, now: Timestamp<Raw>) {
        self.last = Some(now);
        self.failures = self.failures.saturating_add(1);
        if let Some(burst) = &mut self.burst {
            burst.sent = burst.sent.saturating_sub(1);
        }
    }

    /// The last request left this host.
    pub(super) const fn sent(&mut self) {
        self.failures = 0;
    }

    /// Nobody has answered for long: ask less often, up to the configured longest interval.
    pub(super) const fn back_off(&mut self) {
        if self.backoff < Poll::MAX.log2().abs_diff(Poll::MIN.log2()) {
            self.backoff += 1;
        }
    }

    /// The server answered with the time.
    pub(super) fn replied(&mut self) {
        self.probing = false;
        self.backoff = 0;
        if self.denied {
            self.denied = false;
            self.floor = None;
        }
        let Some(floor) = self.floor else { return };
        self.replies_at_floor += 1;
        if self.replies_at_floor >= RATE_RECOVERY {
            self.replies_at_floor = 0;
            self.floor = Some(floor.shorter()).filter(|shorter| *shorter > self.min);
        }
    }

    /// An exchange was good, and took `round_trip` from request to reply.
    pub(super) fn exchanged(&mut self, round_trip: Duration) {
        self.round_trip = round_trip.min(SLOWEST);
        if let Some(burst) = &mut self.burst {
            burst.good += 1;
            if burst.good >= BURST_GOOD {
                self.burst = None;
                self.settling = Some(0);
            }
        }
    }

    /// The server wants to be asked less often (RFC 5905 section 7.4, RATE).
    pub(super) fn rate_limited(&mut self) {
        let longer = self.poll().longer().min(KISS_CAP);
        self.demand(longer);
    }

    /// The server denies service: ask as rarely as a kiss can demand, or rarer where the
    /// configuration allows it.
    pub(super) fn denied_service(&mut self) {
        self.denied = true;
        self.demand(self.max.max(KISS_CAP));
    }

    fn demand(&mut self, poll: Poll) {
        self.probing = false;
        self.floor = self.floor.max(Some(poll));
        self.replies_at_floor = 0;
        self.burst = None;
        self.settling = None;
    }

    /// The next request no longer follows from the last one.
    pub(super) const fn forget_last(&mut self) {
        self.last = None;
        self.failures = 0;
        self.backoff = 0;
    }
}
