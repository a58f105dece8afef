//! `clockwright set`: corrects the clock once, and exits.

use std::fmt;
use std::thread::sleep;

use clockwright_discipline::{
    ClockReading, Config, Discipline, Learnt, Role, Sample, SourceId, SourceOptions, Standing,
    State, StepPolicy, Upstream,
};
use clockwright_sys::adjust::{self, AdjustError};
use clockwright_sys::clock::ClockId;
use clockwright_timebase::{Duration, Poll};

use crate::cli::{Exit, SetArgs};
use crate::clock::{Clock, Observed};
use crate::control::Steering;
use crate::measure::{Answers, Plan, Taken};
use crate::output::si::{signed, span};
use crate::output::{complain, print, printable};
use crate::query::{ask, family, nts};

/// Fewer measurements of a server cannot show that it is consistent with itself.
const LEAST_REQUESTS: u32 = 3;
/// Smaller corrections are slewed, so that no program sees the clock jump.
const SLEW_BELOW: Duration = Duration::from_millis(10);
/// How fast, s/s: 10 ms take 0.2 s.
const SLEW_RATE: f64 = 0.05;

/// Measures, decides, corrects.
pub fn main(args: &SetArgs) -> Exit {
    if !args.no_adjust
        && let Err(error) = adjust::can_steer()
    {
        complain(&format!("{error}; --no-adjust shows what would be done"));
        return Exit::Failed;
    }
    let plan = Plan {
        count: args.count.max(LEAST_REQUESTS),
        interleaved: false,
        family: family(args.family),
        nts: nts(&args.nts),
    };
    let answers = match ask(&args.servers, &plan) {
        Ok(answers) => answers,
        Err(error) => {
            complain(&format!("cannot ask: {error}"));
            return Exit::Failed;
        }
    };
    let clock = Observed::new(Steering::Disabled);
    let (verdicts, decision) = decide(&answers, clock.read());
    for line in &verdicts {
        complain(line);
    }
    let correction = match decision {
        Ok(correction) => correction,
        Err(refusal) => {
            complain(&format!("the clock was not touched: {refusal}"));
            return Exit::Unsynchronized;
        }
    };
    if args.no_adjust {
        return print(&[format!("The clock would be {correction}.")]);
    }
    match correction.carry_out() {
        Ok(()) => print(&[format!("The clock was {correction}.")]),
        Err(error) => {
            complain(&error.to_string());
            Exit::Failed
        }
    }
}

/// What is to be done to the clock.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Correction {
    by: Duration,
    /// The clock is within this of UTC afterwards.
    bound_s: f64,
    /// How many servers agree.
    agree: usize,
    /// Of how many.
    of: usize,
}

impl Correction {
    fn is_slew(&self) -> bool {
        self.by.abs() < SLEW_BELOW
    }

    fn carry_out(&self) -> Result<(), AdjustError> {
        if !self.is_slew() {
            return adjust::step(ClockId::REALTIME, self.by).map(drop);
        }
        let before = adjust::read(ClockId::REALTIME)?.rate;
        let lasts = self.by.abs().scaled(1.0 / SLEW_RATE);
        let faster = if self.by.is_negative() {
            -SLEW_RATE
        } else {
            SLEW_RATE
        };
        adjust::set_frequency(ClockId::REALTIME, before + faster)?;
        sleep(lasts.to_std());
        adjust::set_frequency(ClockId::REALTIME, before).map(drop)
    }
}

impl fmt::Display for Correction {
    /// `stepped by +1.2 s (3 of 4 servers agree; now right within 5 ms)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.is_slew() { "slewed" } else { "stepped" };
        write!(
            f,
            "{how} by {} ({} of {} servers agree; right within {} then)",
            signed(self.by.as_secs_f64()),
            self.agree,
            self.of,
            span(self.bound_s)
        )
    }
}

/// Why the clock is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// Nobody told the time.
    NoAnswer,
    /// Those that did contradict each other.
    NoMajority {
        /// How many answered.
        of: usize,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer => f.write_str("no server told the time"),
            Self::NoMajority { of } => write!(
                f,
                "no majority of the {of} servers that answered agrees; ask more servers"
            ),
        }
    }
}

/// What to do, by the same rules by which the daemon selects; and what is to be said about each
/// server that is not believed.
fn decide(
    answers: &[Answers],
    reading: ClockReading,
) -> (Vec<String>, Result<Correction, Refusal>) {
    let mut discipline = Discipline::new(Config {
        step: StepPolicy {
            above: Duration::MAX,
            first: 0,
        },
        max_slew: SLEW_RATE,
        learnt: Learnt::default(),
    });
    let mut said = Vec::new();
    let mut asked = Vec::new();
    for (id, server) in (0..).map(SourceId).zip(answers) {
        if let Some(trouble) = &server.trouble {
            said.push(format!("{}: {trouble}", shown(server)));
        } else {
            let poll = (Poll::MIN, Poll::MAX);
            let standing = Standing::Ordinary;
            discipline.add_source(
                id,
                SourceOptions {
                    poll,
                    standing,
                    role: Role::default(),
                },
                reading.raw,
            );
            asked.push((id, server));
        }
    }
    feed(&mut discipline, &asked, reading);
    let of = asked.len();
    let mut agree = 0;
    for (id, server) in &asked {
        let Some(status) = discipline.source_status(*id, reading) else {
            continue;
        };
        match status.state {
            State::Selected | State::Combined | State::Candidate => agree += 1,
            _ => said.push(format!(
                "{}: {}: {}",
                shown(server),
                status.state.name(),
                status.reason
            )),
        }
    }
    let status = discipline.status(reading);
    let decision = if of == 0 {
        Err(Refusal::NoAnswer)
    } else if agree == 0 || status.updated.is_none() {
        Err(Refusal::NoMajority { of })
    } else {
        Ok(Correction {
            by: Duration::from_secs_f64(status.offset_s),
            bound_s: (status.error_bound_s - status.offset_s.abs()).max(0.0),
            agree,
            of,
        })
    };
    (said, decision)
}

/// A server's name, for a message.
fn shown(server: &Answers) -> String {
    printable(&server.name.to_string()).into_owned()
}

/// Gives the discipline all measurements, in the order in which they were made.
fn feed(discipline: &mut Discipline, asked: &[(SourceId, &Answers)], reading: ClockReading) {
    let mut samples: Vec<(SourceId, &Taken)> = asked
        .iter()
        .flat_map(|(id, server)| server.taken.iter().map(|taken| (*id, taken)))
        .collect();
    samples.sort_by_key(|(_, taken)| taken.measured.at);
    for (id, taken) in samples {
        let Taken {
            exchange, measured, ..
        } = taken;
        let sample = Sample {
            at: measured.at,
            offset: measured.offset,
            delay: measured.delay,
            uncertainty: measured.uncertainty,
            upstream: Upstream {
                stratum: exchange.stratum,
                leap: clockwright_discipline::Leap::None,
                root_delay: exchange.root_delay,
                root_dispersion: exchange.root_dispersion,
                reference_id: exchange.reference_id.0,
            },
        };
        discipline.handle_sample(id, &sample, reading);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Trouble;
    use clockwright_ntp::{Exchange, Leap, Measurement, NtpTimestamp, ReferenceId};
    use clockwright_timebase::{Stamp, StampKind, Timestamp};

    /// When the clock is read, after all measurements; it shows raw plus 1.8e9 s then.
    const READING: ClockReading = ClockReading {
        raw: Timestamp::from_timespec(100, 0),
        clock: Timestamp::from_timespec(1_800_000_100, 0),
    };

    /// Four measurements over a path of 100 us: the clock lacks `offset`.
    fn server(name: &str, offset: Duration) -> Answers {
        let taken = (0..4).map(|n| take(Duration::from_secs(90 + n), offset));
        Answers {
            name: name.parse().unwrap(),
            address: None,
            keys: None,
            taken: taken.collect(),
            sent: 4,
            received: 4,
            trouble: None,
        }
    }

    fn take(at: Duration, offset: Duration) -> Taken {
        let at = Timestamp::from_epoch(at);
        let delay = Duration::from_micros(100);
        let zero = NtpTimestamp::ZERO;
        Taken {
            exchange: Exchange {
                t1: Stamp::exact(at, StampKind::Kernel),
                t2: zero,
                t3: zero,
                t4: Stamp::exact(at + delay, StampKind::Kernel),
                interleaved: false,
                leap: Leap::None,
                stratum: 1,
                poll: 6,
                precision: -25,
                root_delay: Duration::ZERO,
                root_dispersion: Duration::from_micros(50),
                reference_id: ReferenceId::ZERO,
                reference_time: zero,
                residence: None,
            },
            measured: Measurement {
                at,
                offset: Duration::from_secs(1_800_000_000) + offset,
                delay,
                uncertainty: Duration::ZERO,
            },
            offset,
        }
    }

    #[test]
    fn the_majority_decides_and_the_liar_is_named() {
        let second = Duration::from_secs(1);
        let answers = [
            server("192.0.2.1", second),
            server("192.0.2.2", second + Duration::from_micros(20)),
            server("192.0.2.3", second - Duration::from_secs(60)),
            server("192.0.2.4", second - Duration::from_micros(20)),
        ];
        let (said, decision) = decide(&answers, READING);
        let correction = decision.unwrap();
        assert!(
            (correction.by - second).abs() < Duration::from_micros(60),
            "{correction:?}"
        );
        assert_eq!((correction.agree, correction.of), (3, 4));
        assert!(!correction.is_slew());
        assert!(
            correction
                .to_string()
                .starts_with("stepped by +1.00 s (3 of 4"),
            "{correction}"
        );
        assert!(
            said.len() == 1 && said[0].starts_with("192.0.2.3: falseticker"),
            "{said:?}"
        );
    }

    #[test]
    fn two_that_contradict_each_other_decide_nothing() {
        let answers = [
            server("192.0.2.1", Duration::ZERO),
            server("192.0.2.2", Duration::from_secs(1)),
        ];
        let (said, decision) = decide(&answers, READING);
        assert_eq!(decision, Err(Refusal::NoMajority { of: 2 }));
        assert_eq!(said.len(), 2);
    }

    #[test]
    fn small_corrections_are_slewed_and_silence_corrects_nothing() {
        let (_, decision) = decide(&[server("192.0.2.1", Duration::from_millis(-2))], READING);
        assert!(decision.is_ok_and(|correction| correction.is_slew()));
        let silent = Answers {
            taken: Vec::new(),
            trouble: Some(Trouble::Silent),
            ..server("192.0.2.1", Duration::ZERO)
        };
        let (said, decision) = decide(&[silent], READING);
        assert_eq!(decision, Err(Refusal::NoAnswer));
        assert!(
            said.iter().any(|line| line.contains("no answer")),
            "{said:?}"
        );
    }
}
