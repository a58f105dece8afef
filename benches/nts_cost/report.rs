//! The table.

use std::collections::BTreeMap;

use clockwright_ntp::nts::Algorithm;

use crate::WINDOWS;
use crate::servers::{Servers, Target};

/// What costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cost {
    /// A key establishment, from accepting the connection on.
    Handshake,
    /// A request for the time, answered.
    Request {
        /// By how many under way at a time.
        window: usize,
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
    let [ours, theirs @ ..] = &servers.targets[..] else {
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
    println!("|---{}|", "|---".repeat(2 * servers.targets.len() - 1));
    let row = |what: &str, cost| {
        print!("| {what}");
        for target in &servers.targets {
            print!(" | {}", cell(median(measured.of(target, cost)), 2));
        }
        for target in theirs {
            let ratio = ratio(measured.of(ours, cost), measured.of(target, cost));
            print!(" | {}", cell(ratio, 2));
        }
        println!(" |");
    };
    row("a handshake", Cost::Handshake);
    for window in WINDOWS {
        let cost = |kind| Cost::Request { window, kind };
        row(&format!("a plain request, {window} at a time"), cost(None));
        for algorithm in Algorithm::ALL {
            let kind = Some(algorithm);
            row(&format!("the same, {algorithm}"), cost(kind));
            print!("| ratio to plain");
            for target in &servers.targets {
                let [sealed, plain] =
                    [cost(kind), cost(None)].map(|cost| measured.of(target, cost));
                print!(" | {}", cell(ratio(sealed, plain), 2));
            }
            println!(" |{}", " |".repeat(theirs.len()));
        }
    }
}

fn cell(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
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
