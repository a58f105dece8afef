//! Asks a server, at a pace.

use std::time::{Duration, Instant};

use nix::sys::time::TimeValLike as _;
use nix::time::ClockId;
use serde::{Deserialize, Serialize};

use crate::clients::{Clients, Counts};
use crate::latency::Latencies;
use crate::wire::{BATCH, Wire};

/// A reply that has not come by then is lost.
pub(crate) const PATIENCE: Duration = Duration::from_millis(200);
/// How often lost requests are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// In a closed loop more is sent at once when so many have been answered, or nothing more has come.
const REFILL: usize = 16;

/// How fast.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Pace {
    /// As fast as replies come, so many requests being under way.
    Closed(usize),
    /// So many a second, evenly spread: each as soon as it is due, or not at all.
    Open(u32),
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Requests answered.
    pub(crate) answered: u64,
    /// Those of them that were answered in interleaved mode.
    pub(crate) interleaved: u64,
    /// Requests not answered within 200 ms.
    pub(crate) lost: u64,
    /// From the first request to the last reply, s.
    pub(crate) seconds: f64,
    /// The share of that time in which this side had its CPU: it never sleeps, so the rest went to others.
    pub(crate) presence: f64,
    /// From before sending to after receiving, us.
    pub(crate) p50_us: f64,
    pub(crate) p95_us: f64,
    pub(crate) p99_us: f64,
}

/// Asks for so long, or, where `requests` says so, until so many have been answered. Waits for the last
/// replies.
///
/// This side never sleeps: a server that has to wake the one that it answers pays for it, and the more
/// often, the slower it is itself.
pub(crate) fn run(
    clients: &mut Clients,
    wire: &mut Wire,
    pace: Pace,
    time: Duration,
    requests: u64,
) -> Outcome {
    clients.counts = Counts::default();
    let mut latencies = Latencies::new();
    let (patience, end) = (ns(PATIENCE), ns(time));
    // `sent` counts what was skipped as well.
    let (mut sent, mut last, mut look) = (0, 0, 0);
    let mut received = 0;
    let spent = spent_ns();
    let start = Instant::now();
    loop {
        let now = ns(start.elapsed());
        if now < end && clients.counts.answered < requests {
            let more = match pace {
                Pace::Closed(window) => match window.saturating_sub(clients.under_way()) {
                    more if more < REFILL && received > 0 => 0,
                    more => more,
                },
                Pace::Open(rate) => {
                    let due = due(rate, now);
                    // After this side had to wait for its CPU, it does not make up for it in one go.
                    sent = sent.max(due.saturating_sub(BATCH));
                    due.saturating_sub(sent)
                }
            };
            let more = more.min(clients.free()).min(BATCH);
            if more > 0 {
                clients.send(wire, more, now);
                sent += more;
            }
        } else if clients.under_way() == 0 {
            break;
        }
        let mut replies = 0;
        let mut arrived = 0;
        received = wire.receive(|reply| {
            if replies == 0 {
                arrived = ns(start.elapsed());
            }
            replies += 1;
            if let Some(sent) = clients.take(reply) {
                latencies.add(arrived - sent);
            }
        });
        last = arrived.max(last);
        if now > look {
            look = now + ns(LOOK_EVERY);
            clients.give_up(now.saturating_sub(patience));
        }
    }
    let quantile = |share| latencies.quantile_us(share).unwrap_or(0.0);
    Outcome {
        answered: clients.counts.answered,
        interleaved: clients.counts.interleaved,
        lost: clients.counts.lost,
        seconds: last as f64 * 1e-9,
        presence: (spent_ns() - spent) as f64 / start.elapsed().as_nanos() as f64,
        p50_us: quantile(0.5),
        p95_us: quantile(0.95),
        p99_us: quantile(0.99),
    }
}

/// CPU time of this process so far, ns.
fn spent_ns() -> i64 {
    let spent = ClockId::CLOCK_PROCESS_CPUTIME_ID.now();
    spent.expect("read this process's clock").num_nanoseconds()
}

/// How many of so many a second are due after so many ns.
fn due(rate: u32, ns: u64) -> usize {
    let due = u128::from(rate) * u128::from(ns) / 1_000_000_000;
    usize::try_from(due).expect("a short time")
}

fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("a short time")
}
