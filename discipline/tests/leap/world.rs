//! A host and servers around a midnight with a leap second.

use std::collections::BTreeMap;

use clockwright_discipline::{
    Action, ClockReading, Config, Discipline, Leap, LeapManner, LeapSecond, Learnt, Outlook, Role,
    Sample, SourceId, SourceOptions, Standing, State, Status, StepPolicy, Upstream, Verdict,
    VirtualClock,
};
use clockwright_timebase::{Duration, Poll, Raw, Timestamp, Utc};

/// The midnight, as POSIX counts: 2035-07-01.
pub(crate) const MIDNIGHT_S: i64 = 2_066_860_800;
/// The day begins so long before the world does, s.
const LEAD_S: i64 = 3_600;
/// The oscillator is fast by this, s/s.
const FAST: f64 = 12e-6;

pub(crate) const fn us(micros: i64) -> Duration {
    Duration::from_micros(micros)
}

/// How a server counts through the leap second.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Count {
    /// At the instant.
    InTime,
    /// So long after it.
    Late(Duration),
    /// Not.
    Never,
}

/// A server.
struct Server {
    count: Count,
    announces: Leap,
    name: [u8; 4],
    muted: bool,
    suspects: u32,
}

/// True time is in seconds of TAI from an hour before the turn of the count.
pub(crate) struct World {
    leap: Leap,
    now: Duration,
    clock: VirtualClock,
    discipline: Discipline,
    servers: Vec<Server>,
    dice: u64,
    /// When the kernel makes the leap second, and has not yet.
    kernel: Option<Duration>,
    pub(crate) steps: u32,
    pub(crate) leaps: u32,
    pub(crate) most_frequency: f64,
    polled: BTreeMap<u32, Duration>,
}

impl World {
    pub(crate) fn new(leap: Leap) -> Self {
        let start = Duration::ZERO;
        let discipline = Discipline::new(Config {
            step: StepPolicy {
                above: Duration::from_millis(100),
                first: 3,
            },
            max_slew: 0.05,
            learnt: Learnt::default(),
        });
        let mut world = Self {
            leap,
            now: start,
            clock: VirtualClock::new(Timestamp::EPOCH, Timestamp::EPOCH),
            discipline,
            servers: Vec::new(),
            dice: 7,
            kernel: None,
            steps: 0,
            leaps: 0,
            most_frequency: 0.0,
            polled: BTreeMap::new(),
        };
        world.clock = VirtualClock::new(world.raw(), world.utc(start) + us(300));
        world
    }

    /// What happens to the count of UTC.
    fn shift(&self) -> Duration {
        let shift = LeapSecond::new(Timestamp::EPOCH, self.leap);
        shift.map_or(Duration::ZERO, LeapSecond::shift)
    }

    /// The count of one who makes the leap second `late`.
    fn count(&self, at: Duration, late: Duration) -> Timestamp<Utc> {
        let turn = Duration::from_secs(LEAD_S);
        let start = match self.leap {
            Leap::Delete => MIDNIGHT_S - 1 - LEAD_S,
            _ => MIDNIGHT_S - LEAD_S,
        };
        let shift = if at >= turn + late {
            self.shift()
        } else {
            Duration::ZERO
        };
        Timestamp::from_epoch(Duration::from_secs(start) + at + shift)
    }

    fn utc(&self, at: Duration) -> Timestamp<Utc> {
        self.count(at, Duration::ZERO)
    }

    fn raw(&self) -> Timestamp<Raw> {
        Timestamp::from_epoch(Duration::from_secs(5_000) + self.now + self.now.scaled(FAST))
    }

    /// Seconds since the count turned.
    pub(crate) fn midnight_ago_s(&self) -> f64 {
        self.now.as_secs_f64() - LEAD_S as f64
    }

    pub(crate) fn add(&mut self, count: Count) -> u32 {
        let id = u32::try_from(self.servers.len()).unwrap();
        let options = SourceOptions {
            poll: (Poll::new(0), Poll::new(4)),
            standing: Standing::Ordinary,
            role: Role::default(),
        };
        let now = self.raw();
        self.discipline.add_source(SourceId(id), options, now);
        self.servers.push(Server {
            count,
            announces: self.leap,
            name: *b"TEST",
            muted: false,
            suspects: 0,
        });
        id
    }

    fn server(&mut self, id: u32) -> &mut Server {
        &mut self.servers[usize::try_from(id).unwrap()]
    }

    pub(crate) fn name(&mut self, id: u32, name: [u8; 4]) {
        self.server(id).name = name;
    }

    pub(crate) fn announce(&mut self, id: u32, leap: Leap) {
        self.server(id).announces = leap;
    }

    pub(crate) fn mute(&mut self, id: u32) {
        self.server(id).muted = true;
    }

    pub(crate) fn suspects(&mut self, id: u32) -> u32 {
        self.server(id).suspects
    }

    pub(crate) fn kernel_makes_it(&mut self, late: Duration) {
        self.kernel = Some(Duration::from_secs(LEAD_S) + late);
    }

    /// Expects what there is.
    pub(crate) fn expect(&mut self, manner: LeapManner) {
        self.expect_kind(self.leap, manner);
    }

    pub(crate) fn expect_kind(&mut self, leap: Leap, manner: LeapManner) {
        let midnight = Timestamp::from_timespec(MIDNIGHT_S, 0);
        let second = LeapSecond::new(midnight, leap);
        let now = self.raw();
        self.discipline
            .expect_leap(second.map(|second| (second, manner)), now);
    }

    /// The kernel has just set the clock to it, and a daemon that was not synchronised starts afresh.
    pub(crate) fn was_made(&mut self) {
        let midnight = Timestamp::from_timespec(MIDNIGHT_S, 0);
        let second = LeapSecond::new(midnight, self.leap).unwrap();
        self.discipline.restart(self.raw());
        self.discipline.leap_was_made(second, self.raw());
        self.carry_out();
    }

    /// The daemon ends.
    pub(crate) fn end(&mut self) {
        self.discipline.end_correction();
        self.carry_out();
    }

    pub(crate) fn votes(&self) -> Leap {
        self.discipline.leap(self.raw())
    }

    pub(crate) fn in_hand(&self) -> Option<LeapSecond> {
        self.discipline.leap_in_hand(self.raw())
    }

    pub(crate) fn passed(&self) -> Option<LeapSecond> {
        self.discipline.leap_passed()
    }

    pub(crate) fn outlook(&self) -> Outlook {
        self.discipline.outlook()
    }

    pub(crate) fn reading(&self) -> ClockReading {
        let raw = self.raw();
        ClockReading {
            raw,
            clock: self.clock.read(raw),
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.discipline.status(self.reading())
    }

    pub(crate) fn state(&self, id: u32) -> State {
        let status = self.discipline.source_status(SourceId(id), self.reading());
        status.unwrap().state
    }

    /// What the clock shows minus UTC, s.
    pub(crate) fn error_s(&self) -> f64 {
        (self.reading().clock - self.utc(self.now)).as_secs_f64()
    }

    /// A sample of a server, with up to 20 us of queueing each way.
    pub(crate) fn sample(&mut self, id: u32) -> Sample {
        let (out, back) = (self.roll(), self.roll());
        let now = self.now;
        let server = self.server(id);
        let (count, announces, name) = (server.count, server.announces, server.name);
        let shown = match count {
            Count::InTime => self.utc(now),
            Count::Late(late) => self.count(now, late),
            Count::Never => self.count(now, Duration::from_secs(1_000_000)),
        };
        Sample {
            at: self.raw(),
            offset: shown.since_epoch() - self.raw().since_epoch() + (out - back).half(),
            delay: us(200) + out + back,
            uncertainty: Duration::ZERO,
            upstream: Upstream {
                stratum: 1,
                leap: announces,
                root_delay: Duration::ZERO,
                root_dispersion: us(10),
                reference_id: name,
            },
        }
    }

    fn roll(&mut self) -> Duration {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        Duration::from_nanos(i64::try_from(self.dice >> 33).unwrap() % 20_000)
    }

    pub(crate) fn hand_in(&mut self, id: u32, sample: &Sample) {
        let reading = self.reading();
        let verdict = self.discipline.handle_sample(SourceId(id), sample, reading);
        if verdict == Some(Verdict::Suspect) {
            self.server(id).suspects += 1;
        }
        self.carry_out();
    }

    /// Each server is asked every 2 s, in turn.
    pub(crate) fn run_to(&mut self, from_midnight_s: f64) {
        let end = Duration::from_secs(LEAD_S) + Duration::from_secs_f64(from_midnight_s);
        loop {
            let polls = (0u32..).zip(&self.servers).map(|(id, _)| {
                let first = Duration::from_millis(1_000 + 370 * i64::from(id));
                (*self.polled.get(&id).unwrap_or(&first), id)
            });
            let poll = polls.min();
            let timer = self.discipline.next_timeout().map(Self::when);
            let kernel = self.kernel;
            let next = [poll.map(|(at, _)| at), timer, kernel];
            let Some(next) = next.into_iter().flatten().min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if kernel == Some(next) {
                self.kernel = None;
                self.clock.step(self.shift());
            } else if timer == Some(next) {
                self.discipline.handle_timeout(self.raw());
                self.carry_out();
            } else if let Some((at, id)) = poll {
                self.polled
                    .insert(id, at.max(self.now) + Duration::from_secs(2));
                if !self.server(id).muted {
                    let sample = self.sample(id);
                    self.hand_in(id, &sample);
                }
            }
        }
        self.now = self.now.max(end);
    }

    /// The host sleeps, its clock keeps time, and it starts afresh.
    pub(crate) fn sleep_to(&mut self, from_midnight_s: f64) {
        self.now = Duration::from_secs(LEAD_S) + Duration::from_secs_f64(from_midnight_s);
        let raw = self.raw();
        self.clock = VirtualClock::new(raw, self.utc(self.now) + us(300));
        self.discipline.restart(raw);
        self.carry_out();
    }

    /// The true time at which the oscillator shows `raw`, not before.
    fn when(raw: Timestamp<Raw>) -> Duration {
        let elapsed = raw.since_epoch() - Duration::from_secs(5_000);
        elapsed - elapsed.scaled(FAST / (1.0 + FAST)) + Duration::from_nanos(1)
    }

    fn carry_out(&mut self) {
        let now = self.raw();
        while let Some(action) = self.discipline.poll_action() {
            match action {
                Action::SetFrequency { frequency } => {
                    if self.status().synchronized && self.midnight_ago_s() > -600.0 {
                        self.most_frequency = self.most_frequency.max(frequency.abs());
                    }
                    self.clock.set_frequency(now, frequency);
                }
                Action::Step { by } => {
                    self.steps += 1;
                    self.clock.step(by);
                }
                Action::Leap { second, step } => {
                    self.leaps += 1;
                    if step {
                        self.clock.step(second.shift());
                    }
                }
                Action::SetPoll { .. } => {}
            }
        }
    }
}
