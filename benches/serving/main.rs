//! What a server can do: our daemon, chronyd, ntpd-rs and a bare echo under the same load, in the same
//! run.
//!
//! All of them run at the same time, each in a network namespace of its own, on CPU 0; a generator in
//! another namespace, on CPU 1, is thousands of clients with an address each, and asks one server
//! after the other, in rounds, each in the opposite order of the one before. Nobody's clock is
//! touched. The echo is the least that a server can do: it receives 32 datagrams at a time, sends
//! them back, and looks at nothing.
//!
//! The kinds of load (`SERVING_KINDS`):
//!
//! - `plain`: requests of the basic mode, as fast as replies come: a closed loop, `SERVING_WINDOW`
//!   requests being under way.
//! - `interleaved`: each client gives back the receive timestamp of the last reply to it (RFC 9769), so
//!   that a server that remembers answers in interleaved mode. Every client has asked three times before
//!   it counts.
//! - `nts30`, `nts15`: authentic requests, for AES-128-GCM-SIV and AES-SIV-CMAC-256. The keys come from
//!   the server, and cookies are used again and again; of 256 replies one is verified.
//! - `plain-open`, `interleaved-open`, `nts30-open`, `nts15-open`: the same at a fixed rate
//!   (`SERVING_RATE` a second), each request as soon as it is due: an open loop.
//!
//! What the columns say:
//!
//! - CPU is what the kernel counts for all threads and processes of a server. A datagram's way to a
//!   socket is work of the sender's CPU on such cables, for all servers alike, which is why the
//!   generator has another CPU: a request costs its server receiving it, and sending the reply as
//!   far as the generator's socket. The generator never sleeps, so nobody pays for waking it.
//! - "busy" is that CPU time through the time that passed. In a closed loop, a rate says what a
//!   server can do only if this is close to 100; "generator present" is how much of its CPU the generator had.
//!   Where others run on this machine, both are less, and only CPU a request can be
//!   compared, or what follows from it: the requests that one second of CPU answers.
//! - Latency is from before a request is sent to after its reply is received. In a closed loop it says
//!   little more than the window through the rate.
//!   Where others run on this machine or beside it, all servers stand still together now and then, and whether
//!   one in a hundred requests is met by that is chance: so there is also the 99 % that a quarter of the
//!   rounds stay below. Many short rounds (`SERVING_ROUNDS=60 SERVING_SECONDS=0.3`) tell it.
//! - Memory is what is resident (`VmRSS`) of a server's first process, after the load.
//! - A request is lost if it is not answered within 200 ms.
//! - Ratios are medians of each round's ratios; those to the echo are to packets of the same length.
//!
//! Where others run on this machine, `chrt --rr 1` before the program lets the servers and the generator
//! go first (all but a twentieth of the time, which the kernel keeps for others); build it before.
//! `stamping-echo`, which runs only if it is asked for, is an echo with receive stamps and addresses: no
//! server that tells the time can cost less.
//!
//! `clockwright-1`, `clockwright-2` and so on are our daemon with so many workers, each of which gets
//! `SERVING_SHARE` of a CPU (0.3): without that, the generator's CPU is what limits two of them on two CPUs.
//! This is not for `chrt`, which knows no quotas.
//!
//! From the environment: `SERVING_ROUNDS` (5), `SERVING_SECONDS` of each measurement (2),
//! `SERVING_KINDS` and `SERVING_SERVERS` (lists with commas), `SERVING_ADDRESSES` (4000), `SERVING_WINDOW` (64),
//! `SERVING_RATE` (10000), `SERVING_CPUS` of the servers (0; or 0,1 or 0-1), and `SERVING_WORKERS`, our daemon's
//! `server.workers`, which is left out of its configuration if this is not set.

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
mod share;
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
use common::helper::Helper;
use common::interrupts::Interrupted;
use generator::{Command, Order};
use kind::Kind;
use load::Outcome;
use report::{Measured, Sample};
use servers::{Servers, Target};
use settings::{Cpus, Settings};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    match arguments.next().as_deref() {
        Some(generator::ARGUMENT) => {
            let authority = arguments.next().expect("the file of the authority");
            generator::run(authority.as_ref());
            return ExitCode::SUCCESS;
        }
        Some(echo::ARGUMENT) => echo::run(false),
        Some(echo::STAMPING_ARGUMENT) => echo::run(true),
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
        is_echo: target.program.is_echo(),
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
    Ok(Sample {
        outcome,
        cpu_us,
        memory_mb: target.memory_mb(),
    })
}
