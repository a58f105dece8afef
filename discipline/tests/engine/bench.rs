//! A clock and sources that say what a test wants.

use clockwright_discipline::{
    Action, ClockReading, Config, Discipline, Leap, Learnt, Role, Sample, SourceId, SourceOptions,
    SourceStatus, Standing, State, Status, StepPolicy, Upstream, Verdict, VirtualClock,
};
use clockwright_timebase::{Duration, Poll, Raw, Timestamp, Utc};

const START: Timestamp<Utc> = Timestamp::from_timespec(1_800_000_000, 0);

/// A perfect oscillator with a clock on it, and sources that say what the test wants.
pub(crate) struct Bench {
    pub(crate) now: Timestamp<Raw>,
    pub(crate) clock: VirtualClock,
    pub(crate) discipline: Discipline,
    pub(crate) steps: Vec<Duration>,
    pub(crate) frequencies: Vec<f64>,
    pub(crate) polls: Vec<(SourceId, Poll)>,
}

impl Bench {
    pub(crate) fn new(initial_error: Duration, step: StepPolicy) -> Self {
        let config = Config {
            step,
            max_slew: 0.05,
            learnt: Learnt::default(),
        };
        Self {
            now: Timestamp::EPOCH,
            clock: VirtualClock::new(Timestamp::EPOCH, START + initial_error),
            discipline: Discipline::new(config),
            steps: Vec::new(),
            frequencies: Vec::new(),
            polls: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, id: u32) {
        self.add_as(id, Standing::Ordinary);
    }

    pub(crate) fn add_as(&mut self, id: u32, standing: Standing) {
        self.discipline
            .add_source(SourceId(id), options(standing), self.now);
    }

    /// The same source, to be treated otherwise from now on.
    pub(crate) fn change(&mut self, id: u32, standing: Standing) {
        self.discipline
            .set_options(SourceId(id), options(standing), self.now);
    }

    /// The same source, to be something else to the others from now on.
    pub(crate) fn give(&mut self, id: u32, role: Role) {
        let options = SourceOptions {
            role,
            ..options(Standing::Ordinary)
        };
        self.discipline.set_options(SourceId(id), options, self.now);
    }

    pub(crate) fn reading(&self) -> ClockReading {
        ClockReading {
            raw: self.now,
            clock: self.clock.read(self.now),
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.discipline.status(self.reading())
    }

    pub(crate) fn state(&self, id: u32) -> State {
        self.source(id).state
    }

    pub(crate) fn reason(&self, id: u32) -> String {
        self.source(id).reason.to_string()
    }

    pub(crate) fn source(&self, id: u32) -> SourceStatus {
        let status = self.discipline.source_status(SourceId(id), self.reading());
        status.expect("the source exists")
    }

    /// How far the clock is ahead of UTC.
    pub(crate) fn error(&self) -> Duration {
        self.reading().clock - (START + self.now.since_epoch())
    }

    /// Lets time pass, ending corrections when they end.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.discipline.next_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.discipline.handle_timeout(self.now);
            self.carry_out();
        }
        self.now = end;
    }

    pub(crate) fn say(&mut self, id: u32, error: Duration) -> Option<Verdict> {
        self.say_with(id, error, Leap::None)
    }

    /// A source's sample: its clock is ahead of UTC by `error`, 200 us away.
    pub(crate) fn say_with(&mut self, id: u32, error: Duration, leap: Leap) -> Option<Verdict> {
        let sample = self.sample(error, leap);
        self.hand_in(id, &sample)
    }

    pub(crate) fn sample(&self, error: Duration, leap: Leap) -> Sample {
        Sample {
            at: self.now,
            offset: START.since_epoch() + error,
            delay: Duration::from_micros(200),
            uncertainty: Duration::ZERO,
            upstream: Upstream {
                stratum: 2,
                leap,
                root_delay: Duration::from_micros(30),
                root_dispersion: Duration::from_micros(10),
                reference_id: *b"TEST",
            },
        }
    }

    pub(crate) fn hand_in(&mut self, id: u32, sample: &Sample) -> Option<Verdict> {
        let reading = self.reading();
        let verdict = self.discipline.handle_sample(SourceId(id), sample, reading);
        self.carry_out();
        verdict
    }

    /// Each second all of `sources` say their error once.
    pub(crate) fn rounds(&mut self, count: u32, sources: &[(u32, Duration)]) {
        for _ in 0..count {
            self.pass(Duration::from_secs(1));
            for (id, error) in sources {
                self.say(*id, *error);
            }
        }
    }

    pub(crate) fn carry_out(&mut self) {
        while let Some(action) = self.discipline.poll_action() {
            match action {
                Action::SetFrequency { frequency } => {
                    self.frequencies.push(frequency);
                    self.clock.set_frequency(self.now, frequency);
                }
                Action::Step { by } => {
                    self.steps.push(by);
                    self.clock.step(by);
                }
                Action::Leap { second, step: true } => self.clock.step(second.shift()),
                Action::Leap { .. } => {}
                Action::SetPoll { id, poll } => self.polls.push((id, poll)),
            }
        }
    }
}

pub(crate) fn ms(millis: i64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn step(above: Duration, first: u32) -> StepPolicy {
    StepPolicy { above, first }
}

pub(crate) const NEVER: StepPolicy = StepPolicy {
    above: Duration::ZERO,
    first: 0,
};

fn options(standing: Standing) -> SourceOptions {
    SourceOptions {
        poll: (Poll::new(0), Poll::new(6)),
        standing,
        role: Role::default(),
    }
}
