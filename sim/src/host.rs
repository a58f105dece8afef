//! The simulated host: the daemon's state machines, put together as the daemon does it.

use clockwright_discipline::{
    Action as ClockAction, ClockReading, Config, Discipline, Fresh, Learnt, Role, Sample, SourceId,
    SourceOptions, Standing, StepPolicy, Upstream, VirtualClock,
};
use clockwright_ntp::{Action, Arrival, Client, ClientConfig, Exchange, Foreseen, PortPolicy};
use clockwright_timebase::{Duration, Poll, Raw, Stamp, StampKind, Timestamp};

use crate::True;
use crate::nic::Nic;
use crate::oscillator::Oscillator;
use crate::random::Random;
use crate::scenario::{Disruption, Scenario, SourceScenario};
use crate::sensor::Sensor;
use crate::server::utc;
use crate::stamps::Stamps;

/// A request on its way out.
#[derive(Debug)]
pub(crate) struct Departure {
    /// Index of the source.
    pub(crate) to: usize,
    pub(crate) payload: Vec<u8>,
}

/// What the clock shows and says of itself at one instant.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Look {
    /// How far it is ahead of UTC, s.
    pub(crate) error_s: f64,
    /// How far it says it may be from UTC, s; `None` before it is synchronised.
    pub(crate) bound_s: Option<f64>,
    /// What it believes must be added to it, s.
    pub(crate) offset_s: f64,
    /// Standard deviations of its estimates of offset (s) and frequency (s/s).
    pub(crate) sd: (f64, f64),
    /// The index of the selected source, while it is synchronised.
    pub(crate) selected: Option<usize>,
    /// Its rate minus that of true time, s/s.
    pub(crate) rate_error: f64,
}

impl Look {
    /// How far the truth lies beyond the published bound, s; negative if within, `None` if there is
    /// no bound.
    pub(crate) fn broken_by_s(&self) -> Option<f64> {
        self.bound_s.map(|bound_s| self.error_s.abs() - bound_s)
    }
}

/// The host with its clock, its clients and its discipline.
#[derive(Debug)]
pub(crate) struct Host {
    oscillator: Oscillator,
    clock: VirtualClock,
    config: Config,
    /// How far the oscillator's frequency may jump at once, as the host is told, s/s.
    jump: f64,
    discipline: Discipline,
    sensor: Option<Sensor>,
    nic: Option<Nic>,
    /// When the daemon is started anew, the next time last.
    restarts: Vec<Timestamp<Raw>>,
    sources: Vec<AskedSource>,
    random: Random,
    stamps: Stamps,
    pub(crate) sleeps: bool,
    pub(crate) exchanges: u64,
    /// The sample just taken in: of which source, and how far UTC may be from it, s.
    pub(crate) newest: Option<(usize, f64)>,
}

/// A source and, while the host asks it, its client.
#[derive(Debug)]
struct AskedSource {
    scenario: SourceScenario,
    client: Option<Client>,
    /// The error of converting the stamps of the exchange under way.
    read_error: Duration,
}

impl Host {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let oscillator = Oscillator::new(
            &scenario.oscillator,
            &scenario.temperature,
            Random::new(scenario.seed, 1),
        );
        let random = Random::new(scenario.seed, 2);
        let now = oscillator.read();
        let initial_error = Duration::from_secs_f64(scenario.clock.initial_error_s);
        let config = Config {
            step: StepPolicy {
                above: Duration::from_secs_f64(scenario.clock.step_above_s),
                first: scenario.clock.step_first,
            },
            max_slew: scenario.clock.max_slew_ppm * 1e-6,
            learnt: kept(scenario.clock.kept_ppm),
        };
        let jump = scenario.clock.max_frequency_step_ppm * 1e-6;
        let asked = |source: &SourceScenario| AskedSource {
            scenario: source.clone(),
            client: None,
            read_error: Duration::ZERO,
        };
        let restarts = scenario.clock.restart_s.iter();
        let mut restarts: Vec<_> = restarts
            .map(|at| now + Duration::from_secs_f64(*at))
            .collect();
        restarts.sort_by(|a, b| b.cmp(a));
        Self {
            oscillator,
            clock: VirtualClock::new(now, utc(Timestamp::EPOCH) + initial_error),
            discipline: discipline(config, jump),
            config,
            jump,
            sensor: Sensor::new(&scenario.temperature, now, Random::new(scenario.seed, 4)),
            nic: Nic::new(
                scenario.nic,
                now,
                (Random::new(scenario.seed, 5), Random::new(scenario.seed, 6)),
            ),
            restarts,
            sources: scenario.source.iter().map(asked).collect(),
            random,
            stamps: Stamps::new(&scenario.stamps, Random::new(scenario.seed, 3)),
            sleeps: false,
            exchanges: 0,
            newest: None,
        }
    }

    /// Begins to ask a source.
    pub(crate) fn add_source(&mut self, index: usize) {
        let now = self.oscillator.read();
        let Some(source) = self.sources.get_mut(index) else {
            return;
        };
        let options = options_of(&source.scenario);
        self.discipline.add_source(id_of(index), options, now);
        let client = Client::new(client_config(&source.scenario), now, &mut self.random);
        source.client = Some(client);
    }

    /// Forgets a source.
    pub(crate) fn remove_source(&mut self, index: usize) {
        if let Some(source) = self.sources.get_mut(index) {
            source.client = None;
        }
        self.discipline.remove_source(id_of(index));
        self.carry_out();
    }

    fn client(&mut self, index: usize) -> Option<&mut Client> {
        self.sources.get_mut(index)?.client.as_mut()
    }

    /// Lets true time pass on the host's oscillator.
    pub(crate) fn advance_to(&mut self, at: Timestamp<True>) {
        self.oscillator.advance_to(at);
    }

    /// Stands still from now on.
    pub(crate) fn fall_asleep(&mut self) {
        self.oscillator.stop();
        self.sleeps = true;
    }

    /// Goes on after a disruption, and is told of it.
    pub(crate) fn wake_up(&mut self, from: &Disruption) {
        self.sleeps = false;
        self.oscillator.go_on(from.ppm * 1e-6);
        let missed_s = from.lasts_s + from.clock_gains_s;
        self.clock.step(Duration::from_secs_f64(missed_s));
        let now = self.oscillator.read();
        if let Some(nic) = &mut self.nic {
            nic.restart();
        }
        if from.moved {
            self.discipline.restart_elsewhere(now);
        } else {
            self.discipline.restart(now);
        }
        for source in &mut self.sources {
            if let Some(client) = &mut source.client {
                client.restart(now);
            }
        }
        self.carry_out();
    }

    /// What the clock shows and says of itself at `at` (now).
    pub(crate) fn look(&self, at: Timestamp<True>) -> Look {
        let reading = self.reading();
        let status = self.discipline.status(reading);
        let selected = status.selected.filter(|_| status.synchronized);
        let rate = self.oscillator.frequency_now();
        Look {
            error_s: (reading.clock - utc(at)).as_secs_f64(),
            bound_s: status.synchronized.then_some(status.error_bound_s),
            offset_s: status.offset_s,
            sd: (status.offset_sd_s, status.frequency_sd),
            selected: selected.and_then(|id| usize::try_from(id.0).ok()),
            rate_error: (1.0 + rate) * (1.0 + self.clock.frequency()) - 1.0,
        }
    }

    /// What the host thinks of a source.
    pub(crate) fn source_reason(&self, index: usize) -> Option<(&'static str, String)> {
        let status = self
            .discipline
            .source_status(id_of(index), self.reading())?;
        Some((status.state.name(), status.reason.to_string()))
    }

    /// The interval at which a source is asked, s.
    pub(crate) fn poll_s(&self, index: usize) -> Option<f64> {
        let client = self.sources.get(index)?.client.as_ref()?;
        Some(client.poll().as_secs_f64())
    }

    /// The intervals at which all sources are asked.
    pub(crate) fn polls(&self) -> impl Iterator<Item = Poll> + Clone {
        self.sources
            .iter()
            .filter_map(|source| Some(source.client.as_ref()?.poll()))
    }

    /// When the host next wants to be woken.
    pub(crate) fn next_wake(&self) -> Option<Timestamp<True>> {
        if self.sleeps {
            return None;
        }
        let clients = self.sources.iter().filter_map(|s| s.client.as_ref());
        let timers = clients.filter_map(Client::next_timeout);
        let next: Timestamp<Raw> = timers
            .chain(self.discipline.next_timeout())
            .chain(self.sensor.as_ref().map(Sensor::next))
            .chain(self.nic.as_ref().map(Nic::next))
            .chain(self.restarts.last().copied())
            .min()?;
        Some(self.oscillator.when(next))
    }

    /// Does what is due now; returns the requests that leave.
    pub(crate) fn wake(&mut self) -> Vec<Departure> {
        if self.sleeps {
            return Vec::new();
        }
        let now = self.oscillator.read();
        while self.restarts.pop_if(|at| *at <= now).is_some() {
            self.restart(now);
        }
        let true_s = self.oscillator.true_s();
        if let Some(celsius) = self.sensor.as_mut().and_then(|s| s.read(now, true_s)) {
            self.discipline.handle_temperature(now, celsius);
        }
        let (at, clock) = (self.oscillator.now(), self.clock.read(now));
        let companion = self.nic.as_mut().and_then(|nic| nic.read(at, now, clock));
        if companion.is_some() {
            self.discipline.handle_companions(now, companion);
        }
        self.discipline.handle_timeout(now);
        self.carry_out();
        let mut departures = Vec::new();
        for index in 0..self.sources.len() {
            let source = self.sources.get_mut(index);
            let client = source.and_then(|source| source.client.as_mut());
            if let Some(client) = client.filter(|c| c.next_timeout().is_some_and(|d| d <= now)) {
                client.handle_timeout(now, &mut self.random);
                self.drain(index, &mut departures);
            }
        }
        departures
    }

    /// The daemon ends and is started anew.
    fn restart(&mut self, now: Timestamp<Raw>) {
        let learnt = self.discipline.learnt().unwrap_or(self.config.learnt);
        let learnt = learnt.after_restart(1.0, RESTART_SD);
        let config = Config {
            learnt,
            ..self.config
        };
        self.discipline = discipline(config, self.jump);
        self.carry_out();
        if let (Some(sensor), Some(fit)) = (&mut self.sensor, learnt.temperature) {
            let true_s = self.oscillator.true_s();
            let celsius = sensor.read(sensor.next(), true_s).unwrap_or(fit.at_c);
            self.discipline.handle_temperature(now, celsius);
        }
        for index in 0..self.sources.len() {
            if self.client(index).is_some() {
                self.add_source(index);
            }
        }
    }

    /// Takes in a reply that has just arrived from a source.
    pub(crate) fn receive(&mut self, from: usize, payload: &[u8]) -> Vec<Departure> {
        if self.sleeps {
            return Vec::new();
        }
        let now = self.oscillator.read();
        if let Some(source) = self.sources.get_mut(from)
            && let Some(client) = &mut source.client
        {
            let arrival = Arrival::udp(self.stamps.stamp(now, source.read_error));
            // A refusal is counted by the client; the network may send anything.
            let _refused = client.handle_datagram(payload, arrival, now);
        }
        let mut departures = Vec::new();
        self.drain(from, &mut departures);
        departures
    }

    /// Carries out what the client of one source wants.
    fn drain(&mut self, index: usize, departures: &mut Vec<Departure>) {
        let now = self.oscillator.read();
        while let Some(source) = self.sources.get_mut(index)
            && let Some(client) = &mut source.client
        {
            match client.poll_action() {
                None => break,
                Some(Action::Send(request)) => {
                    source.read_error = self.stamps.read_error();
                    let stamp = self.stamps.stamp(now, source.read_error);
                    client.sent(&request.token, Stamp::exact(now, StampKind::Daemon));
                    client.stamped(&request.token, stamp);
                    client.stamps_ended(request.token);
                    let payload = request.payload;
                    self.discipline
                        .set_reachable(id_of(index), client.reach() != 0);
                    departures.push(Departure { to: index, payload });
                }
                Some(Action::Exchange(exchange)) => self.take(index, &exchange),
                Some(Action::Foreseen(foreseen)) => self.take_foreseen(index, &foreseen),
                Some(_) => {}
            }
        }
    }

    fn take(&mut self, index: usize, exchange: &Exchange) {
        self.exchanges += 1;
        let reading = self.reading();
        let sample = sample_of(exchange, reading);
        self.discipline
            .handle_sample(id_of(index), &sample, reading);
        self.carry_out();
        let delays = (sample.delay + sample.upstream.root_delay).half();
        let distance_s =
            (delays + sample.upstream.root_dispersion + sample.uncertainty).as_secs_f64();
        self.newest = Some((index, distance_s));
    }

    fn take_foreseen(&mut self, index: usize, foreseen: &Foreseen) {
        let reading = self.reading();
        let fresh = Fresh {
            sample: sample_of(&foreseen.exchange, reading),
            deviation_s: foreseen.deviation.as_secs_f64(),
        };
        self.discipline.handle_fresh(id_of(index), &fresh, reading);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        let now = self.oscillator.read();
        while let Some(action) = self.discipline.poll_action() {
            match action {
                ClockAction::SetFrequency { frequency } => {
                    self.clock.set_frequency(now, frequency);
                }
                ClockAction::Step { by } => self.clock.step(by),
                ClockAction::Leap { second, step: true } => self.clock.step(second.shift()),
                ClockAction::Leap { .. } => {}
                ClockAction::SetPoll { id, poll } => {
                    let client = usize::try_from(id.0)
                        .ok()
                        .and_then(|index| self.client(index));
                    if let Some(client) = client {
                        client.set_poll(poll);
                    }
                }
            }
        }
    }

    fn reading(&self) -> ClockReading {
        let raw = self.oscillator.read();
        ClockReading {
            raw,
            clock: self.clock.read(raw),
        }
    }
}

fn sample_of(exchange: &Exchange, reading: ClockReading) -> Sample {
    let measurement = exchange.measure(reading.clock);
    Sample {
        at: measurement.at,
        offset: measurement.offset,
        delay: measurement.delay,
        uncertainty: measurement.uncertainty,
        upstream: Upstream {
            stratum: exchange.stratum,
            root_delay: exchange.root_delay,
            root_dispersion: exchange.root_dispersion,
            reference_id: exchange.reference_id.0,
            ..Upstream::default()
        },
    }
}

/// A discipline that begins.
fn discipline(config: Config, jump: f64) -> Discipline {
    let mut discipline = Discipline::new(config);
    discipline.set_max_frequency_step(jump);
    discipline
}

/// What a restart alone makes uncertain, as in the daemon, s/s.
const RESTART_SD: f64 = 20e-9;

/// What a file says of the oscillator, if there is one.
fn kept(ppm: Option<f64>) -> Learnt {
    let Some(ppm) = ppm else {
        return Learnt::default();
    };
    Learnt {
        frequency: ppm * 1e-6,
        frequency_sd: RESTART_SD,
        ..Learnt::default()
    }
}

fn id_of(index: usize) -> SourceId {
    SourceId(u32::try_from(index).unwrap_or(u32::MAX))
}

fn options_of(source: &SourceScenario) -> SourceOptions {
    SourceOptions {
        poll: (Poll::new(source.poll_min), Poll::new(source.poll_max)),
        standing: Standing::Ordinary,
        role: Role::default(),
    }
}

fn client_config(source: &SourceScenario) -> ClientConfig {
    ClientConfig {
        interleaved: source.interleaved,
        iburst: source.iburst,
        poll_min: Poll::new(source.poll_min),
        poll_max: Poll::new(source.poll_max),
        ports: PortPolicy::PerRequest,
        max_delay: None,
    }
}
