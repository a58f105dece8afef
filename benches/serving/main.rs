//! What a server can do: our daemon, chronyd, ntpd-rs and a bare echo under the same load, in the same
//! run.

#![expect(clippy::print_stdout, reason = "the table is what a bench is for")]
#![expect(
    clippy::panic,
    reason = "a bench that cannot measure has nothing else to do"
)]

mod clients;
#[path = "../common/mod.rs"]
mod common;
mod echo;
mod generator;
mod kind;
mod latency;
mod load;
mod report;
mod servers;
mod settings;
#[expect(
    dead_code,
    reason = "made for the integration tests, which use the rest"
)]
#[path = "../../tests/support/mod.rs"]
mod support;
mod wire;

use std::env;
use std::process::ExitCode;

use common::cpu::CpuClocks;
use common::helper::{Helper, Interrupted};
use generator::{Command, Order};
use kind::Kind;
use load::Outcome;
use report::{Measured, Sample};
use servers::{Program, Servers, Target};
use settings::{Cpus, Settings};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    match arguments.next().as_deref() {
        Some(generator::ARGUMENT) => {
            let authority = arguments.next().expect("the file of the authority");
            generator::run(authority.into());
            return ExitCode::SUCCESS;
        }
        Some(echo::ARGUMENT) => echo::run(),
        _ => {}
    }
    let settings = Settings::read();
    settings.be_on_the_servers_cpus();
    let servers = Servers::start(&settings);
    Cpus::of_generator().be_on();
    let program = env::current_exe().expect("know this program's file");
    let mut command = servers.client().command(&program);
    command.arg(generator::ARGUMENT).arg(servers.authority());
    let mut generator = Helper::start(&mut command);
    let Ok(measured) = measure(&settings, &servers, &mut generator) else {
        // All processes and namespaces are gone with the values that hold them.
        eprintln!("interrupted: nothing is left behind");
        return ExitCode::from(130);
    };
    report::print(&servers, &settings.kinds, &measured);
    ExitCode::SUCCESS
}

/// Every server's samples of every kind in every round.
fn measure(
    settings: &Settings,
    servers: &Servers,
    generator: &mut Helper,
) -> Result<Measured, Interrupted> {
    let mut measured = Measured::new();
    for round in 0..settings.rounds {
        eprintln!("round {} of {}", round + 1, settings.rounds);
        for kind in &settings.kinds {
            let mut turns: Vec<&Target> = servers.targets.iter().collect();
            if round % 2 == 1 {
                turns.reverse();
            }
            for target in turns.into_iter().filter(|it| it.program.has(kind.form)) {
                let Some(order) = order(settings, servers, target, *kind) else {
                    continue;
                };
                let sample = sample(settings, target, *kind, order, generator)?;
                measured.add(target, *kind, sample);
            }
        }
    }
    Ok(measured)
}

/// Which clients to be; none for requests that no server can make keys for.
fn order(settings: &Settings, servers: &Servers, target: &Target, kind: Kind) -> Option<Order> {
    Some(Order {
        server: target.address,
        form: kind.form,
        is_echo: target.program == Program::Echo,
        keys_of: servers.keys_of(target, kind.form)?,
        addresses: settings.addresses,
        window: settings.window,
        most: settings.most_requests(),
    })
}

/// One server under one kind of load.
fn sample(
    settings: &Settings,
    target: &Target,
    kind: Kind,
    order: Order,
    generator: &mut Helper,
) -> Result<Sample, Interrupted> {
    let _: Outcome = generator.have_done(&Command::Warm(order))?;
    let ask = Command::Ask {
        pace: settings.pace(kind.when),
        seconds: settings.seconds,
    };
    let before = CpuClocks::of(target.process);
    let outcome: Outcome = generator.have_done(&ask)?;
    let after = CpuClocks::of(target.process);
    assert!(outcome.answered > 0, "{} does not answer", target.name);
    let cpu_us = after.since_us(&before);
    Ok(Sample { outcome, cpu_us })
}
