//! The real server machine on a clock that is only wrong by what the scenario says.

use clockwright_ntp::{Leap, ReferenceId, ReplyBuffer, Server, ServerConfig, SystemVariables};
use clockwright_timebase::{Duration, Timestamp, Utc};

use crate::True;
use crate::random::Random;
use crate::scenario::SourceScenario;
use crate::server_clock::ServerClock;

/// UTC at the start of every simulation: 2026-11-23 00:00:00.
const START: Timestamp<Utc> = Timestamp::from_timespec(1_795_392_000, 0);

/// UTC at an instant of true time.
pub(crate) fn utc(at: Timestamp<True>) -> Timestamp<Utc> {
    START + at.since_epoch()
}

/// A server with perfect stamps.
#[derive(Debug)]
pub(crate) struct SimServer {
    machine: Server,
    buffer: Box<ReplyBuffer>,
    random: Random,
    clock: ServerClock,
    stratum: u8,
    root_delay: Duration,
    root_dispersion: Duration,
    turnaround_s: f64,
    turnaround_jitter_s: f64,
}

/// What the server sends and when.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) payload: Vec<u8>,
    pub(crate) departs: Timestamp<True>,
}

impl SimServer {
    /// A server that draws its own numbers from `random`, and its clock's error from
    /// `clock_random`.
    pub(crate) fn new(scenario: &SourceScenario, random: Random, clock_random: Random) -> Self {
        Self {
            machine: Server::new(ServerConfig::default()),
            buffer: Box::default(),
            random,
            clock: ServerClock::new(scenario, clock_random),
            stratum: scenario.stratum,
            root_delay: Duration::from_secs_f64(scenario.root_delay_s),
            root_dispersion: Duration::from_secs_f64(scenario.root_dispersion_s),
            turnaround_s: scenario.turnaround_s,
            turnaround_jitter_s: scenario.turnaround_jitter_s,
        }
    }

    /// How long the next reply takes.
    fn turnaround(&mut self) -> Duration {
        let mut seconds = self.turnaround_s;
        if self.turnaround_jitter_s > 0.0 {
            seconds += self.turnaround_jitter_s * self.random.exponential();
        }
        Duration::from_secs_f64(seconds)
    }

    /// Answers a request that arrives at `at`, if the machine finds it worth an answer.
    pub(crate) fn answer(&mut self, request: &[u8], at: Timestamp<True>) -> Option<Answer> {
        let departs = at + self.turnaround();
        let system = SystemVariables {
            leap: Leap::None,
            stratum: self.stratum,
            precision: -32,
            root_delay: self.root_delay,
            root_dispersion: self.root_dispersion,
            reference_id: ReferenceId(*b"SIM\0"),
            reference_time: utc(at),
        };
        let received = utc(at) + self.clock.error_at(at);
        let (random, buffer) = (&mut self.random, &mut self.buffer);
        let reply = self
            .machine
            .handle(request, received, &system, random, buffer)
            .ok()?;
        let key = reply.tx_stamp_wanted();
        let sent = utc(departs) + self.clock.error_at(departs);
        let payload = reply.write(sent).to_vec();
        if let Some(key) = key {
            self.machine.transmitted(key, sent);
        }
        Some(Answer { payload, departs })
    }
}
