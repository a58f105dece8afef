//! What NTS costs a server: our daemon, chronyd and ntpd-rs side by side, in the same run.
//!
//! All three run at the same time, each in a network namespace of its own, with NTS and certificates
//! of the same kind (ECDSA, P-256). A generator in a fourth namespace establishes keys with one of
//! them, or asks it for the time, plainly and authentically, and counts only replies that are good; what
//! the server's processes spent on that is what the kernel's clocks of their CPU time say. Then the
//! next has its turn, in rounds, each in the opposite order of the one before. Nobody's clock is
//! touched.
//!
//! `NTS_COST_ROUNDS` is how many rounds, `NTS_COST_REQUESTS` how many requests of each kind go to each
//! server in one, `NTS_COST_HANDSHAKES` how many handshakes.

#![expect(clippy::print_stdout, reason = "the table is what a bench is for")]
#![expect(
    clippy::panic,
    reason = "a bench that cannot measure has nothing else to do"
)]

#[path = "../common/mod.rs"]
mod common;
mod generator;
mod handle;
mod load;
mod packet;
mod report;
mod servers;
#[expect(
    dead_code,
    reason = "made for the integration tests, which use the rest"
)]
#[path = "../../tests/support/mod.rs"]
mod support;

use std::env;
use std::process::ExitCode;

use common::cpu::CpuClocks;
use common::interrupts::Interrupted;
use handle::Generator;
use report::{Cost, Measured};
use servers::{Servers, Target};

/// Rounds whose median counts: many short ones, for what else a machine does comes and goes.
const ROUNDS: usize = 9;
/// Requests of each kind to each server in a round.
const REQUESTS: usize = 10_000;
/// Handshakes with each server in a round.
const HANDSHAKES: usize = 100;
/// So much less is done before each measurement, for the code to be in the caches.
const WARMING: usize = 10;
/// Requests sent at a time: one, for which the server has to wake up, or so many that this does not
/// matter.
const BURSTS: [usize; 2] = [1, 16];

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() == Some(generator::ARGUMENT) {
        let authority = arguments.next().expect("the file of the authority");
        generator::run(authority.into());
        return ExitCode::SUCCESS;
    }
    let servers = Servers::start();
    let mut generator = Generator::start(&servers);
    let Ok(measured) = measure(&servers, &mut generator) else {
        // All processes and namespaces are gone with the values that hold them.
        eprintln!("interrupted: nothing is left behind");
        return ExitCode::from(130);
    };
    report::print(&servers, &measured);
    ExitCode::SUCCESS
}

/// A number from the environment.
fn number(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|error| panic!("{name} is a whole number: {error}"))
    })
}

/// Every server's costs in every round.
fn measure(servers: &Servers, generator: &mut Generator) -> Result<Measured, Interrupted> {
    let rounds = number("NTS_COST_ROUNDS", ROUNDS);
    let mut measured = Measured::new();
    for target in &servers.targets {
        for algorithm in target.algorithms {
            generator.establish(target.address, *algorithm, 1)?;
        }
    }
    for round in 0..rounds {
        let mut turns: Vec<&Target> = servers.targets.iter().collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        eprintln!("round {} of {rounds}", round + 1);
        for target in &turns {
            shake_hands(target, generator, &mut measured)?;
        }
        for burst in BURSTS {
            for target in &turns {
                ask(target, burst, round, generator, &mut measured)?;
            }
        }
    }
    Ok(measured)
}

/// A server's handshakes in a round.
fn shake_hands(
    target: &Target,
    generator: &mut Generator,
    measured: &mut Measured,
) -> Result<(), Interrupted> {
    let handshakes = number("NTS_COST_HANDSHAKES", HANDSHAKES);
    let mut shake = |times| generator.establish(target.address, target.algorithms[0], times);
    shake(handshakes / WARMING)?;
    let us = spent(target, || shake(handshakes))?;
    measured.add(target, Cost::Handshake, us);
    Ok(())
}

/// A server's requests of all kinds in a round, another kind being the first in each.
fn ask(
    target: &Target,
    burst: usize,
    round: usize,
    generator: &mut Generator,
    measured: &mut Measured,
) -> Result<(), Interrupted> {
    let requests = number("NTS_COST_REQUESTS", REQUESTS);
    let mut kinds: Vec<_> = target.kinds().collect();
    let first = round % kinds.len();
    kinds.rotate_left(first);
    for kind in kinds {
        let mut ask = |requests| generator.ask(target.address, kind, requests, burst);
        ask(requests / WARMING)?;
        let us = spent(target, || ask(requests))?;
        measured.add(target, Cost::Request { burst, kind }, us);
    }
    Ok(())
}

/// CPU that a server spends on each of the things that it is made to do, us.
fn spent(
    target: &Target,
    load: impl FnOnce() -> Result<usize, Interrupted>,
) -> Result<f64, Interrupted> {
    let before = CpuClocks::of(target.process);
    let times = load()?;
    let after = CpuClocks::of(target.process);
    Ok(after.since_us(&before) / times as f64)
}
