//! Servers in virtual time that ask each other, and may have a source that knows UTC.

use clockwright_discipline::{
    Action, ClockReading, Config, Discipline, Identities, Leap, Learnt, Role, Sample, SourceId,
    SourceOptions, Standing, Status, StepPolicy, Upstream, VirtualClock,
};
use clockwright_timebase::{Duration, Poll, Raw, Timestamp, Utc};

const START: Timestamp<Utc> = Timestamp::from_timespec(1_800_000_000, 0);
/// The stratum of orphans.
pub(crate) const ORPHAN: u8 = 10;
/// How long a server has no source before it serves its own clock.
pub(crate) const WAIT: Duration = Duration::from_secs(300);
/// The id by which every server knows the source that has UTC.
const REAL: SourceId = SourceId(100);
/// Each server asks everybody this often.
const POLL: Duration = Duration::from_secs(16);

/// What a server says of its own clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Served {
    /// 16: not synchronised.
    pub(crate) stratum: u8,
    pub(crate) reference_id: [u8; 4],
    root_delay_s: f64,
    root_dispersion_s: f64,
}

/// One server.
pub(crate) struct Server {
    address: [u8; 4],
    /// Rate of its oscillator minus that of true time, s/s.
    drift: f64,
    clock: VirtualClock,
    pub(crate) discipline: Discipline,
    pub(crate) up: bool,
    /// Does its source with UTC answer?
    pub(crate) has_real: bool,
    /// Requests to each source that went unanswered in a row.
    unanswered: [u32; 101],
    /// When it last was synchronised to UTC.
    real_at: Timestamp<Raw>,
    pub(crate) steps: Vec<Duration>,
    dice: u64,
}

impl Server {
    fn new(number: u8, error: Duration, drift: f64) -> Self {
        let mut discipline = Discipline::new(Config {
            step: StepPolicy {
                above: Duration::from_millis(100),
                first: 3,
            },
            max_slew: 0.05,
            learnt: Learnt::default(),
        });
        discipline.set_orphan_stratum(Some(ORPHAN), Timestamp::EPOCH);
        Self {
            address: [10, 0, 0, number],
            drift,
            clock: VirtualClock::new(Timestamp::EPOCH, START + error),
            discipline,
            up: true,
            has_real: false,
            unanswered: [0; 101],
            real_at: Timestamp::EPOCH,
            steps: Vec::new(),
            dice: number.into(),
        }
    }

    /// Its oscillator at an instant of true time since the start.
    fn raw(&self, at: Duration) -> Timestamp<Raw> {
        Timestamp::from_epoch(at + at.scaled(self.drift))
    }

    fn reading(&self, at: Duration) -> ClockReading {
        let raw = self.raw(at);
        ClockReading {
            raw,
            clock: self.clock.read(raw),
        }
    }

    pub(crate) fn status(&self, at: Duration) -> Status {
        self.discipline.status(self.reading(at))
    }

    /// What it says to those who ask, as the daemon would.
    pub(crate) fn served(&self, at: Duration) -> Served {
        let status = self.status(at);
        let own = self.raw(at) - self.real_at >= WAIT;
        let (stratum, reference_id) = match status.selected {
            Some(REAL) if status.synchronized => (status.stratum, [192, 0, 2, 1]),
            Some(id) if status.synchronized => (status.stratum, address_of(id)),
            _ if own => (ORPHAN, [127, 127, 1, 1]),
            _ => (16, [0; 4]),
        };
        let known = |value: f64| if status.synchronized { value } else { 0.0 };
        Served {
            stratum,
            reference_id,
            root_delay_s: known(status.root_delay_s),
            root_dispersion_s: known(status.root_dispersion_s),
        }
    }

    fn carry_out(&mut self, now: Timestamp<Raw>) {
        while let Some(action) = self.discipline.poll_action() {
            match action {
                Action::SetFrequency { frequency } => self.clock.set_frequency(now, frequency),
                Action::Step { by } => {
                    self.steps.push(by);
                    self.clock.step(by);
                }
                Action::Leap { .. } | Action::SetPoll { .. } => {}
            }
        }
    }

    /// What waiting on the way there (positive) or back adds to a round trip.
    fn noise(&mut self) -> Duration {
        // Knuth's generator; the upper bits are random enough.
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let upper = i64::try_from(self.dice >> 33).expect("31 bits");
        Duration::from_nanos(upper % 20_001 - 10_000)
    }

    /// Ends corrections that end until then.
    fn advance(&mut self, at: Duration) {
        let end = self.raw(at);
        while let Some(due) = self.discipline.next_timeout().filter(|due| *due <= end) {
            self.discipline.handle_timeout(due);
            self.carry_out(due);
        }
    }

    /// Takes in what a source said: its clock and what it says of it; `None`: no usable answer.
    fn take(&mut self, id: SourceId, answer: Option<(Timestamp<Utc>, Served)>, at: Duration) {
        let unanswered = &mut self.unanswered[id.0 as usize];
        let Some((shown, served)) = answer else {
            *unanswered += 1;
            if *unanswered == 8 {
                self.discipline.set_reachable(id, false);
            }
            return;
        };
        *unanswered = 0;
        let reading = self.reading(at);
        let noise = self.noise();
        let sample = Sample {
            at: reading.raw,
            offset: shown.since_epoch() - reading.raw.since_epoch() + noise.half(),
            delay: Duration::from_micros(200) + noise.abs(),
            uncertainty: Duration::ZERO,
            upstream: Upstream {
                stratum: served.stratum,
                leap: Leap::None,
                root_delay: Duration::from_secs_f64(served.root_delay_s),
                root_dispersion: Duration::from_secs_f64(served.root_dispersion_s),
                reference_id: served.reference_id,
            },
        };
        let identities = (id != REAL).then(|| Identities {
            source: address_of(id),
            own: self.address,
        });
        self.discipline.set_identities(id, identities);
        self.discipline.handle_sample(id, &sample, reading);
        self.carry_out(reading.raw);
        let status = self.status(at);
        if status.synchronized && !status.orphan {
            self.real_at = reading.raw;
        }
    }
}

/// The address of the server that goes by this id among the others.
fn address_of(id: SourceId) -> [u8; 4] {
    [10, 0, 0, u8::try_from(id.0).expect("a small number")]
}

/// All servers of a group, each of which asks all others.
pub(crate) struct Group {
    /// True time since the start.
    pub(crate) now: Duration,
    /// The one at 10.0.0.1 first.
    pub(crate) servers: Vec<Server>,
    /// Who was followed by each when that was last looked at.
    followed: Vec<Option<SourceId>>,
    /// How often that has changed.
    pub(crate) changes: u32,
}

impl Group {
    /// Servers with clocks that are wrong by so much, and oscillators by so much.
    pub(crate) fn new(clocks: &[(Duration, f64)]) -> Self {
        let mut servers: Vec<Server> = (1..)
            .zip(clocks)
            .map(|(number, (error, drift))| Server::new(number, *error, *drift))
            .collect();
        let count = u32::try_from(servers.len()).expect("few");
        for (own, server) in (1..).zip(&mut servers) {
            for id in (1..=count).filter(|id| *id != own) {
                server.add(SourceId(id));
            }
        }
        Self {
            now: Duration::ZERO,
            followed: vec![None; servers.len()],
            servers,
            changes: 0,
        }
    }

    /// Gives a server a source that knows UTC, at stratum 2.
    pub(crate) fn add_real(&mut self, server: usize) {
        self.servers[server].add(REAL);
        self.servers[server].has_real = true;
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let turns = i64::try_from(self.servers.len()).expect("few");
        let turn = Duration::from_units(POLL.as_units() / i128::from(turns));
        while self.now < end {
            for number in 0..self.servers.len() {
                self.now += turn;
                for server in &mut self.servers {
                    server.advance(self.now);
                }
                self.ask_all(number);
                let followed = self.servers[number].status(self.now).selected;
                if self.followed[number] != followed {
                    self.followed[number] = followed;
                    self.changes += 1;
                }
            }
        }
    }

    /// One server asks all its sources.
    fn ask_all(&mut self, number: usize) {
        let at = self.now;
        if !self.servers[number].up {
            return;
        }
        for other in 0..self.servers.len() {
            if other == number {
                continue;
            }
            let source = &self.servers[other];
            let served = source.served(at);
            let answers = source.up && served.stratum < 16;
            let answer = answers.then(|| (source.reading(at).clock, served));
            let id = SourceId(u32::try_from(other).expect("few") + 1);
            self.servers[number].take(id, answer, at);
        }
        let real = Served {
            stratum: 2,
            reference_id: [192, 0, 2, 7],
            root_delay_s: 1e-3,
            root_dispersion_s: 1e-3,
        };
        let answer = self.servers[number].has_real.then(|| (START + at, real));
        self.servers[number].take(REAL, answer, at);
    }

    /// The strata that the servers say.
    pub(crate) fn strata(&self) -> Vec<u8> {
        let served = self.servers.iter().map(|server| server.served(self.now));
        served.map(|served| served.stratum).collect()
    }

    /// The third of three has a source at stratum 2, and the others follow it, one perhaps through
    /// the other.
    #[track_caller]
    pub(crate) fn assert_third_leads(&self) {
        let strata = self.strata();
        let follow = [[4, 4, 3], [4, 5, 3], [5, 4, 3]];
        assert!(
            follow.iter().any(|wanted| *wanted == strata[..]),
            "{strata:?}"
        );
    }

    /// How far each clock is ahead of UTC, s.
    pub(crate) fn errors(&self) -> Vec<f64> {
        let shown = self.servers.iter().map(|one| one.reading(self.now).clock);
        shown
            .map(|shown| (shown - (START + self.now)).as_secs_f64())
            .collect()
    }

    /// How far the clocks of those that are up lie apart, s.
    pub(crate) fn spread(&self) -> f64 {
        let up = self.servers.iter().zip(self.errors());
        let errors: Vec<f64> = up.filter(|(s, _)| s.up).map(|(_, error)| error).collect();
        let extreme = |f: fn(f64, f64) -> f64, from| errors.iter().copied().fold(from, f);
        extreme(f64::max, f64::NEG_INFINITY) - extreme(f64::min, f64::INFINITY)
    }

    /// Why a server does not follow another, in words.
    pub(crate) fn reason(&self, server: usize, source: u32) -> String {
        let server = &self.servers[server];
        let status = server
            .discipline
            .source_status(SourceId(source), server.reading(self.now));
        status.expect("the source exists").reason.to_string()
    }
}

impl Server {
    /// Its host sleeps for a moment, after which the oscillator has lost count.
    pub(crate) fn sleep(&mut self, at: Duration) {
        let now = self.raw(at);
        self.discipline.restart(now);
        self.carry_out(now);
    }

    fn add(&mut self, id: SourceId) {
        let options = SourceOptions {
            poll: (Poll::new(4), Poll::new(4)),
            standing: Standing::Ordinary,
            role: Role::default(),
        };
        let now = Timestamp::EPOCH;
        self.discipline.add_source(id, options, now);
    }
}
