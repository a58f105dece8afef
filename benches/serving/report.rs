//! The table.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::kind::{Form, Kind};
use crate::load::Outcome;
use crate::servers::{Program, Servers, Target};

/// What was measured of one server with one kind of load in one round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) outcome: Outcome,
    /// CPU that the server's processes spent, us.
    pub(crate) cpu_us: f64,
    /// Memory of the first of them afterwards, MB.
    pub(crate) memory_mb: f64,
}

/// All samples, by the server's address, one for each round.
pub(crate) struct Measured(BTreeMap<(Kind, Ipv4Addr), Vec<Sample>>);

impl Sample {
    /// Thousands answered a second.
    fn rate(&self) -> f64 {
        self.outcome.answered as f64 / self.outcome.seconds * 1e-3
    }

    /// CPU a request, us.
    fn cpu(&self) -> f64 {
        self.cpu_us / self.outcome.answered as f64
    }

    /// How much of the time the server's CPU was busy with it, %.
    fn busy(&self) -> f64 {
        self.cpu_us / self.outcome.seconds * 1e-4
    }

    /// The share of interleaved replies, %.
    fn interleaved(&self) -> f64 {
        self.outcome.interleaved as f64 / self.outcome.answered as f64 * 100.0
    }
}

impl Measured {
    pub(crate) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(crate) fn add(&mut self, target: &Target, kind: Kind, sample: Sample) {
        let samples = self.0.entry((kind, target.address));
        samples.or_default().push(sample);
    }

    /// A server's; none if it does not have that kind.
    fn of(&self, target: &Target, kind: Kind) -> &[Sample] {
        let samples = self.0.get(&(kind, target.address));
        samples.map_or(&[], Vec::as_slice)
    }
}

/// Medians of the rounds; ratios are medians of the rounds' ratios; losses are summed up.
pub(crate) fn print(servers: &Servers, kinds: &[Kind], measured: &Measured) {
    println!(
        "| load | server | k answered/s | busy, % | CPU a request, us | k requests/CPU s | p50, us | p95, us | p99, us | quiet p99, us \
         | interleaved, % | lost | memory, MB | generator present, % | rate : chronyd | CPU : chronyd | CPU : echo |"
    );
    println!("|{}", "---|".repeat(17));
    let of_program = |program| servers.targets.iter().find(|it| it.program == program);
    let (chronyd, echo) = (of_program(Program::Chronyd), of_program(Program::Echo));
    for kind in kinds {
        for target in &servers.targets {
            let samples = measured.of(target, *kind);
            if samples.is_empty() {
                continue;
            }
            let of = |it: Option<&Target>| it.map_or(&[][..], |it| measured.of(it, *kind));
            row(*kind, target, samples, (of(chronyd), of(echo)));
        }
    }
}

fn row(kind: Kind, target: &Target, samples: &[Sample], (chronyd, echo): (&[Sample], &[Sample])) {
    let middle = |of: fn(&Sample) -> f64| median(samples.iter().map(of).collect());
    let ratio = |to: &[Sample], of: fn(&Sample) -> f64| {
        let pairs = samples.iter().zip(to);
        median(pairs.map(|(this, that)| of(this) / of(that)).collect())
    };
    let cell = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
    };
    let capacity = |sample: &Sample| 1e3 / sample.cpu();
    let is_told = kind.form == Form::Interleaved && !target.program.is_echo();
    let interleaved = middle(Sample::interleaved).filter(|_| is_told);
    let lost: u64 = samples.iter().map(|sample| sample.outcome.lost).sum();
    let cells = [
        kind.to_string(),
        target.name.clone(),
        cell(middle(Sample::rate), 1),
        cell(middle(Sample::busy), 0),
        cell(middle(Sample::cpu), 2),
        cell(middle(capacity), 1),
        cell(middle(|sample| sample.outcome.p50_us), 1),
        cell(middle(|sample| sample.outcome.p95_us), 1),
        cell(middle(|sample| sample.outcome.p99_us), 1),
        cell(quiet(samples), 1),
        cell(interleaved, 1),
        lost.to_string(),
        cell(middle(|sample| sample.memory_mb), 1),
        cell(middle(|sample| sample.outcome.presence * 100.0), 0),
        cell(ratio(chronyd, Sample::rate), 2),
        cell(ratio(chronyd, Sample::cpu), 2),
        cell(ratio(echo, Sample::cpu), 2),
    ];
    println!("| {} |", cells.join(" | "));
}

/// The 99 % of latency that a quarter of the rounds stay below, us.
fn quiet(samples: &[Sample]) -> Option<f64> {
    let mut values: Vec<f64> = samples.iter().map(|sample| sample.outcome.p99_us).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 4).copied()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
