//! True time: one event after the other.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use clockwright_timebase::{Duration, Timestamp};

use crate::True;
use crate::host::{Departure, Host};
use crate::path::{Path, Way};
use crate::random::Random;
use crate::report::{Recorder, Report, SourceReport};
use crate::scenario::Scenario;
use crate::server::SimServer;

/// Something on its way. Ordered by time, then by sequence, so that runs repeat exactly.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    at: Timestamp<True>,
    sequence: u64,
    source: usize,
    at_server: bool,
    payload: Vec<u8>,
}

struct World {
    host: Host,
    servers: Vec<(SimServer, Path)>,
    arrivals: BinaryHeap<Reverse<Arrival>>,
    sequence: u64,
}

/// Runs a scenario to its end.
pub fn run(scenario: &Scenario) -> Report {
    let mut world = World::new(scenario);
    let mut recorder = Recorder::new(scenario);
    let end = Timestamp::from_epoch(Duration::from_secs_f64(scenario.duration_s));
    let probe = Duration::from_secs_f64(scenario.probe_s);
    let mut next_probe = Timestamp::EPOCH + probe;
    while next_probe <= end {
        match world.next_event() {
            Some(at) if at < next_probe => world.step(at),
            _ => {
                world.host.advance_to(next_probe);
                recorder.record(
                    next_probe,
                    world.host.true_error_s(next_probe),
                    world.host.bound_s(),
                );
                next_probe += probe;
            }
        }
    }
    let sources = world.source_reports(scenario);
    recorder.report(world.host.exchanges, sources)
}

impl World {
    fn new(scenario: &Scenario) -> Self {
        let servers = (0_u64..)
            .zip(&scenario.source)
            .map(|(index, source)| {
                let random = |kind| Random::new(scenario.seed, 100 + 10 * index + kind);
                (
                    SimServer::new(source, random(0)),
                    Path::new(source.path.clone(), random(1)),
                )
            })
            .collect();
        Self {
            host: Host::new(scenario),
            servers,
            arrivals: BinaryHeap::new(),
            sequence: 0,
        }
    }

    fn next_event(&self) -> Option<Timestamp<True>> {
        let arrival = self.arrivals.peek().map(|Reverse(arrival)| arrival.at);
        match (arrival, self.host.next_wake()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Does what happens at `at`, the time of the next event.
    fn step(&mut self, at: Timestamp<True>) {
        self.host.advance_to(at);
        if self
            .arrivals
            .peek()
            .is_none_or(|Reverse(next)| next.at > at)
        {
            let departures = self.host.wake();
            self.depart(at, departures);
            return;
        }
        let Some(Reverse(arrival)) = self.arrivals.pop() else {
            return;
        };
        if arrival.at_server {
            self.serve(&arrival);
        } else {
            let departures = self.host.receive(arrival.source, &arrival.payload);
            self.depart(at, departures);
        }
    }

    fn depart(&mut self, at: Timestamp<True>, departures: Vec<Departure>) {
        for Departure { to, payload } in departures {
            let Some((_, path)) = self.servers.get_mut(to) else {
                continue;
            };
            if let Some(delay) = path.carry(Way::There) {
                self.send(at + delay, to, true, payload);
            }
        }
    }

    fn serve(&mut self, arrival: &Arrival) {
        let Some((server, path)) = self.servers.get_mut(arrival.source) else {
            return;
        };
        let Some(answer) = server.answer(&arrival.payload, arrival.at) else {
            return;
        };
        if let Some(delay) = path.carry(Way::Back) {
            let at = answer.departs + delay;
            self.send(at, arrival.source, false, answer.payload);
        }
    }

    fn send(&mut self, at: Timestamp<True>, source: usize, at_server: bool, payload: Vec<u8>) {
        self.sequence += 1;
        self.arrivals.push(Reverse(Arrival {
            at,
            sequence: self.sequence,
            source,
            at_server,
            payload,
        }));
    }

    fn source_reports(&self, scenario: &Scenario) -> Vec<SourceReport> {
        (0..scenario.source.len())
            .filter_map(|index| {
                let (state, reason) = self.host.source_reason(index)?;
                Some(SourceReport {
                    state: state.to_owned(),
                    reason,
                    poll_s: self.host.poll_s(index)?,
                })
            })
            .collect()
    }
}
