//! True time: one event after the other.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use clockwright_timebase::{Duration, Timestamp};

use crate::True;
use crate::host::{Departure, Host};
use crate::path::Path;
use crate::random::Random;
use crate::recorder::Recorder;
use crate::report::{Report, SourceReport};
use crate::root_distance::RootDistances;
use crate::scenario::{Disruption, Scenario, Way};
use crate::series::Series;
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
    /// Sources that come and go, the next one last.
    changes: Vec<Change>,
    /// Beginnings and ends of disruptions, the next one last.
    turns: Vec<Turn>,
    root_distances: RootDistances,
}

/// A source comes or goes.
#[derive(Debug, Clone, Copy)]
struct Change {
    at: Timestamp<True>,
    source: usize,
    comes: bool,
}

/// The host stops or goes on.
#[derive(Debug, Clone, Copy)]
struct Turn {
    at: Timestamp<True>,
    disruption: Disruption,
    begins: bool,
}

/// Runs a scenario once with each of these seeds.
pub fn run_with_seeds(scenario: &Scenario, seeds: impl IntoIterator<Item = u64>) -> Vec<Report> {
    let seeds = seeds.into_iter();
    seeds.map(|seed| run(&scenario.with_seed(seed))).collect()
}

/// Runs a scenario to its end.
pub fn run(scenario: &Scenario) -> Report {
    run_and_record(scenario, None).0
}

/// Runs a scenario to its end, and gives its course in at most `parts` parts.
pub fn run_with_series(scenario: &Scenario, parts: u32) -> (Report, Series) {
    let (report, series) = run_and_record(scenario, Some(Series::new(scenario, parts)));
    (
        report,
        series.unwrap_or_else(|| Series::new(scenario, parts)),
    )
}

fn run_and_record(scenario: &Scenario, series: Option<Series>) -> (Report, Option<Series>) {
    let mut world = World::new(scenario);
    let mut recorder = Recorder::new(scenario, series);
    let end = Timestamp::from_epoch(Duration::from_secs_f64(scenario.duration_s));
    let probe = Duration::from_secs_f64(scenario.probe_s);
    let mut next_probe = Timestamp::EPOCH + probe;
    let mut next_event = world.next_event();
    while next_probe <= end {
        match next_event {
            Some(at) if at < next_probe => {
                world.step(at);
                world.note_sample(at, &mut recorder);
                next_event = world.next_event();
            }
            _ => {
                world.probe(next_probe, &mut recorder);
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
                let outages = [scenario.outage.as_slice(), &source.outage].concat();
                (
                    SimServer::new(source, random(0), random(2)),
                    Path::new(source.path.clone(), outages, random(1)),
                )
            })
            .collect();
        Self {
            host: Host::new(scenario),
            servers,
            arrivals: BinaryHeap::new(),
            sequence: 0,
            changes: changes(scenario),
            turns: turns(scenario),
            root_distances: RootDistances::new(scenario.source.len()),
        }
    }

    fn next_event(&self) -> Option<Timestamp<True>> {
        let arrival = self.arrivals.peek().map(|Reverse(arrival)| arrival.at);
        let change = self.changes.last().map(|change| change.at);
        let turn = self.turns.last().map(|turn| turn.at);
        let events = [arrival, change, turn, self.host.next_wake()];
        events.into_iter().flatten().min()
    }

    /// Does what happens at `at`, the time of the next event.
    fn step(&mut self, at: Timestamp<True>) {
        self.host.advance_to(at);
        while let Some(turn) = self.turns.pop_if(|turn| turn.at <= at) {
            if turn.begins {
                self.host.fall_asleep();
            } else {
                self.host.wake_up(&turn.disruption);
            }
        }
        while let Some(change) = self.changes.pop_if(|change| change.at <= at) {
            if change.comes {
                self.host.add_source(change.source);
            } else {
                self.host.remove_source(change.source);
                self.root_distances.forget(change.source);
            }
        }
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

    /// Looks at the clock right after a sample, if one has just been taken in.
    fn note_sample(&mut self, at: Timestamp<True>, recorder: &mut Recorder<'_>) {
        if let Some((source, distance_s)) = self.host.newest.take() {
            let at_s = at.since_epoch().as_secs_f64();
            let look = self.host.look(at);
            self.root_distances.take(source, at_s, distance_s, look.sd);
            recorder.sample(at_s, &look);
        }
    }

    /// Looks at the clock.
    fn probe(&mut self, at: Timestamp<True>, recorder: &mut Recorder<'_>) {
        self.host.advance_to(at);
        if self.host.sleeps {
            // Nobody is there to ask.
            return;
        }
        let at_s = at.since_epoch().as_secs_f64();
        let look = self.host.look(at);
        let root_distance_s = self.root_distances.bound_s(at_s, &look);
        recorder.probe(at_s, &look, root_distance_s, self.host.polls());
    }

    fn depart(&mut self, at: Timestamp<True>, departures: Vec<Departure>) {
        for Departure { to, payload } in departures {
            let Some((_, path)) = self.servers.get_mut(to) else {
                continue;
            };
            if let Some(delay) = path.carry(Way::There, at) {
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
        if let Some(delay) = path.carry(Way::Back, answer.departs) {
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
        let absent = || SourceReport {
            state: "absent".to_owned(),
            reason: "the host is not told of it at that time".to_owned(),
            poll_s: 0.0,
        };
        let report = |index| {
            let (state, reason) = self.host.source_reason(index)?;
            Some(SourceReport {
                state: state.to_owned(),
                reason,
                poll_s: self.host.poll_s(index)?,
            })
        };
        (0..scenario.source.len())
            .map(|index| report(index).unwrap_or_else(absent))
            .collect()
    }
}

/// When the host stops and goes on, the first time last.
fn turns(scenario: &Scenario) -> Vec<Turn> {
    let both = |disruption: &Disruption| {
        let (from, until) = disruption.span();
        let turn = |at, begins| Turn {
            at,
            disruption: *disruption,
            begins,
        };
        [turn(until, false), turn(from, true)]
    };
    scenario.disruption.iter().rev().flat_map(both).collect()
}

/// When which sources come and go, the first one last.
fn changes(scenario: &Scenario) -> Vec<Change> {
    let at = |at_s| Timestamp::from_epoch(Duration::from_secs_f64(at_s));
    let mut changes = Vec::new();
    for (index, source) in scenario.source.iter().enumerate() {
        changes.push((source.from_s, index, true));
        changes.extend(source.until_s.map(|until_s| (until_s, index, false)));
    }
    changes.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
    let change = |(at_s, source, comes)| Change {
        at: at(at_s),
        source,
        comes,
    };
    changes.into_iter().map(change).collect()
}
