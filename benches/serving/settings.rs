//! What the environment says.

use std::env;
use std::fmt::Display;
use std::str::FromStr;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::kind::{Kind, Loop};
use crate::load::{PATIENCE, Pace};

/// The CPU of the generator.
const GENERATOR: &str = "1";
const KINDS: &str = "plain,interleaved,nts30,nts15,plain-open,interleaved-open";
const SERVERS: &str = "clockwright,chronyd,ntpd-rs,echo";

/// All of it.
pub(crate) struct Settings {
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) servers: Vec<String>,
    pub(crate) addresses: u32,
    pub(crate) window: usize,
    pub(crate) rate: u32,
    pub(crate) workers: Option<u32>,
    /// Of a CPU, for each worker of a server that is named by their number.
    pub(crate) share: f64,
    cpus: Cpus,
}

/// CPUs, as in `0,2-3`.
pub(crate) struct Cpus(CpuSet);

impl Settings {
    pub(crate) fn read() -> Self {
        let list = |name, default: &str| {
            let text = env::var(name).unwrap_or_else(|_| default.to_owned());
            text.split(',').map(|word| word.trim().to_owned()).collect()
        };
        let kinds: Vec<String> = list("SERVING_KINDS", KINDS);
        Self {
            rounds: number("SERVING_ROUNDS").unwrap_or(5),
            seconds: number("SERVING_SECONDS").unwrap_or(2.0),
            kinds: kinds.iter().map(|name| Kind::named(name)).collect(),
            servers: list("SERVING_SERVERS", SERVERS),
            addresses: number("SERVING_ADDRESSES").unwrap_or(4000),
            window: number("SERVING_WINDOW").unwrap_or(64),
            rate: number("SERVING_RATE").unwrap_or(10_000),
            workers: number("SERVING_WORKERS"),
            share: number("SERVING_SHARE").unwrap_or(0.3),
            cpus: Cpus::parse(&env::var("SERVING_CPUS").unwrap_or_else(|_| "0".to_owned())),
        }
    }

    /// The pace of a kind of load.
    pub(crate) const fn pace(&self, when: Loop) -> Pace {
        match when {
            Loop::Closed => Pace::Closed(self.window),
            Loop::Open => Pace::Open(self.rate),
        }
    }

    /// Requests that are under way at most: in an open loop, all that are not yet given up.
    pub(crate) fn most_requests(&self) -> usize {
        let open = f64::from(self.rate) * PATIENCE.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small positive number"
        )]
        let open = open.ceil() as usize;
        let is_open = self.kinds.iter().any(|kind| kind.when == Loop::Open);
        self.window.max(if is_open { open } else { 0 })
    }

    /// What this process starts from now on runs on the servers' CPUs.
    pub(crate) fn be_on_the_servers_cpus(&self) {
        self.cpus.be_on();
    }
}

impl Cpus {
    fn parse(text: &str) -> Self {
        let number = |text: &str| -> usize {
            let number = text.trim().parse();
            number.unwrap_or_else(|error| panic!("a CPU of the list: {text:?}: {error}"))
        };
        let mut set = CpuSet::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            for cpu in number(first)..=number(last) {
                set.set(cpu).expect("a CPU's number");
            }
        }
        Self(set)
    }

    /// The generator's.
    pub(crate) fn of_generator() -> Self {
        Self::parse(GENERATOR)
    }

    /// This thread, and what it starts from now on, run on them.
    pub(crate) fn be_on(&self) {
        sched_setaffinity(Pid::from_raw(0), &self.0)
            .unwrap_or_else(|error| panic!("run on the CPUs asked for: {error}"));
    }
}

/// A number from the environment.
fn number<N: FromStr<Err: Display>>(name: &str) -> Option<N> {
    let text = env::var(name).ok()?;
    let number = text.trim().parse();
    Some(number.unwrap_or_else(|error| panic!("{name} is a number: {error}")))
}
