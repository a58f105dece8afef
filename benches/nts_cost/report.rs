//! The table.

use std::collections::BTreeMap;

use clockwright_ntp::nts::Algorithm;

use crate::BURSTS;
use crate::servers::{Servers, Target};

/// What costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cost {
    /// A key establishment, from accepting the connection on.
    Handshake,
    /// A request for the time, answered.
    Request {
        /// One of so many that were sent at a time.
        burst: usize,
        /// Plain, or with keys for an algorithm.
        kind: Option<Algorithm>,
    },
}

/// What was measured, us, a value for each round.
pub(crate) struct Measured(BTreeMap<(String, Cost), Vec<f64>>);

impl Measured {
    pub(crate) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(crate) fn add(&mut self, target: &Target, cost: Cost, us: f64) {
        let key = (target.name.clone(), cost);
        self.0.entry(key).or_default().push(us);
    }

    /// Its values; none if the server has no such thing.
    fn of(&self, target: &Target, cost: Cost) -> &[f64] {
        let values = self.0.get(&(target.name.clone(), cost));
        values.map_or(&[], Vec::as_slice)
    }
}

/// Medians of the rounds; ratios are medians of the rounds' ratios.
pub(crate) fn print(servers: &Servers, measured: &Measured) {
    let Some((ours, theirs)) = servers.targets.split_first() else {
        return;
    };
    print!("| CPU at the server, us");
    for target in &servers.targets {
        print!(" | {}", target.name);
    }
    for target in theirs {
        print!(" | ratio to {}", target.name);
    }
    println!(" |");
    println!("|---{}|", "|---".repeat(1 + 2 * theirs.len() + 1));
    let table = Table {
        measured,
        ours,
        theirs,
        all: &servers.targets,
    };
    table.costs("a handshake, keys and cookies", Cost::Handshake);
    for burst in BURSTS {
        let cost = |kind| Cost::Request { burst, kind };
        let what = match burst {
            1 => "a request by itself".to_owned(),
            _ => format!("a request in bursts of {burst}"),
        };
        table.costs(&format!("{what}, plain"), cost(None));
        for algorithm in Algorithm::ALL.map(Some) {
            let name = algorithm.map_or("", Algorithm::name);
            table.costs(&format!("{what}, {name}"), cost(algorithm));
            table.compared(
                &format!("{what}, {name} : plain"),
                cost(algorithm),
                cost(None),
            );
        }
    }
}

struct Table<'m> {
    measured: &'m Measured,
    ours: &'m Target,
    theirs: &'m [Target],
    all: &'m [Target],
}

impl Table<'_> {
    /// A row with what something costs each server, and ours in relation to the others.
    fn costs(&self, what: &str, cost: Cost) {
        print!("| {what}");
        for target in self.all {
            print!(" | {}", cell(median(self.measured.of(target, cost))));
        }
        for target in self.theirs {
            let [this, that] = [self.ours, target].map(|target| self.measured.of(target, cost));
            print!(" | {}", cell(ratio(this, that)));
        }
        println!(" |");
    }

    /// A row with what something costs each server in relation to something else.
    fn compared(&self, what: &str, cost: Cost, to: Cost) {
        print!("| {what}");
        for target in self.all {
            let [this, that] = [cost, to].map(|cost| self.measured.of(target, cost));
            print!(" | {}", cell(ratio(this, that)));
        }
        println!(" |{}", " |".repeat(self.theirs.len()));
    }
}

fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"))
}

fn ratio(these: &[f64], those: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = these
        .iter()
        .zip(those)
        .map(|(this, that)| this / that)
        .collect();
    median(&ratios)
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
