//! What a client was seen to do over time, and whether it did what the demo claims.

use std::collections::VecDeque;
use std::fmt;

use serde::Serialize;

use super::cast::Client;
use super::screen::goal;
use crate::control::{AuthReport, SourceReport, StampReport, StatusReport};
use crate::output::si::span;

/// The true error that a client must get below, and stay below, s.
pub(super) const GOAL_S: f64 = 20e-6;
/// Being below the goal for this long counts as having arrived, s.
const ARRIVED_AFTER_S: f64 = 2.0;
/// Readings kept for drawing.
const KEPT: usize = 600;

/// One look at a client.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Reading {
    /// Since the clients were started, s.
    pub elapsed_s: f64,
    /// What the clock shows minus the truth, s.
    pub true_error_s: f64,
    /// What the daemon believes must be added to its clock, s.
    pub offset_s: Option<f64>,
    /// What the daemon promises: its clock is no more than this off, s.
    pub error_bound_s: Option<f64>,
    /// What the daemon steers its clock by, ppm: the opposite of the speed error it found.
    pub frequency_ppm: Option<f64>,
    /// Does the daemon call its clock synchronised?
    pub synchronized: bool,
    /// Was the last exchange with the server in interleaved mode?
    pub interleaved: bool,
    /// Are the server and its replies authenticated by NTS?
    pub authenticated: bool,
    /// Who stamped the last request's departure.
    pub tx_stamp: Option<StampReport>,
    /// Who stamped the last reply's arrival.
    pub rx_stamp: Option<StampReport>,
}

impl Reading {
    /// From what the daemon reports. None if it does not know its true error, which a daemon on
    /// a virtual clock always does.
    pub(super) fn new(
        elapsed_s: f64,
        status: &StatusReport,
        sources: &[SourceReport],
    ) -> Option<Self> {
        let source = sources.first();
        Some(Self {
            elapsed_s,
            true_error_s: status.true_error_s?,
            offset_s: status.offset_s,
            error_bound_s: status.error_bound_s,
            frequency_ppm: status.frequency_ppm,
            synchronized: status.synchronized,
            interleaved: source.is_some_and(|source| source.interleaved),
            authenticated: source.is_some_and(|source| source.auth == AuthReport::Nts),
            tx_stamp: source.and_then(|source| source.tx_stamp),
            rx_stamp: source.and_then(|source| source.rx_stamp),
        })
    }

    /// Does the promise hold? None while nothing is promised.
    pub(super) fn bound_holds(&self) -> Option<bool> {
        self.error_bound_s
            .map(|bound| self.true_error_s.abs() <= bound)
    }
}

/// What a client did.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// Who it is.
    pub client: Client,
    recent: VecDeque<Reading>,
    readings: u64,
    first_error_s: Option<f64>,
    largest_error_s: f64,
    /// Start of the present stay below the goal, and the largest error in it.
    below: Option<(f64, f64)>,
    arrived: bool,
    promises: u64,
    broken_promises: u64,
}

impl Record {
    /// Of a client that nothing is known of yet.
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            recent: VecDeque::new(),
            readings: 0,
            first_error_s: None,
            largest_error_s: 0.0,
            below: None,
            arrived: false,
            promises: 0,
            broken_promises: 0,
        }
    }

    /// Takes note of one more reading; readings come in order of time.
    pub(super) fn note(&mut self, reading: Reading) {
        let error = reading.true_error_s.abs();
        self.readings += 1;
        self.first_error_s.get_or_insert(reading.true_error_s);
        self.largest_error_s = self.largest_error_s.max(error);
        self.note_goal(reading.elapsed_s, error);
        if let Some(holds) = reading.bound_holds() {
            self.promises += 1;
            self.broken_promises += u64::from(!holds);
        }
        if self.recent.len() == KEPT {
            self.recent.pop_front();
        }
        self.recent.push_back(reading);
    }

    fn note_goal(&mut self, elapsed_s: f64, error: f64) {
        match &mut self.below {
            Some((since, worst)) => {
                *worst = worst.max(error);
                // Having arrived, it is held to it: the worst that follows is kept.
                self.arrived |= *worst < GOAL_S && elapsed_s - *since >= ARRIVED_AFTER_S;
                if !self.arrived && error >= GOAL_S {
                    self.below = None;
                }
            }
            None if error < GOAL_S => self.below = Some((elapsed_s, error)),
            None => {}
        }
    }

    /// The last readings, the oldest first.
    pub(super) fn recent(&self) -> impl DoubleEndedIterator<Item = &Reading> {
        self.recent.iter()
    }

    /// The last reading.
    pub(super) fn last(&self) -> Option<&Reading> {
        self.recent.back()
    }

    /// When the true error came below the goal and stayed there, s since the start.
    pub(super) fn arrived_at(&self) -> Option<f64> {
        self.below.filter(|_| self.arrived).map(|(since, _)| since)
    }

    /// What is to be told at the end.
    pub(super) fn verdict(&self) -> Verdict {
        let last = self.last();
        Verdict {
            host: self.client.name,
            start_error_s: self.first_error_s,
            initial_error_s: self.client.initial_error_s,
            drift_ppm: self.client.drift_ppm,
            settled_at_s: self.arrived_at(),
            worst_error_after_s: self.below.filter(|_| self.arrived).map(|(_, worst)| worst),
            final_error_s: last.map(|reading| reading.true_error_s),
            final_error_bound_s: last.and_then(|reading| reading.error_bound_s),
            final_frequency_ppm: last.and_then(|reading| reading.frequency_ppm),
            readings: self.readings,
            bounds_checked: self.promises,
            bounds_violated: self.broken_promises,
            interleaved: last.is_some_and(|reading| reading.interleaved),
            authenticated: last.is_some_and(|reading| reading.authenticated),
            tx_stamp: last.and_then(|reading| reading.tx_stamp),
            rx_stamp: last.and_then(|reading| reading.rx_stamp),
            failures: self.failures().iter().map(Failure::to_string).collect(),
        }
    }

    fn failures(&self) -> Vec<Failure> {
        let Some(last) = self.last() else {
            return vec![Failure::Silent];
        };
        let mut failures = Vec::new();
        if self.largest_error_s < self.client.initial_error_s.abs() / 2.0 {
            failures.push(Failure::NothingToCorrect(self.largest_error_s));
        }
        match self.below {
            Some((_, worst)) if self.arrived && worst >= GOAL_S => {
                failures.push(Failure::Strayed(worst));
            }
            _ if !self.arrived => failures.push(Failure::NeverArrived(last.true_error_s)),
            _ => {}
        }
        if self.promises == 0 {
            failures.push(Failure::NoPromise);
        }
        if self.broken_promises > 0 {
            failures.push(Failure::BrokenPromises(self.broken_promises, self.promises));
        }
        if !last.interleaved {
            failures.push(Failure::Basic);
        }
        if !last.authenticated {
            failures.push(Failure::Plain);
        }
        for (direction, stamp) in [("request", last.tx_stamp), ("reply", last.rx_stamp)] {
            if !matches!(stamp, Some(StampReport::Kernel | StampReport::Hardware)) {
                failures.push(Failure::PoorStamp(direction, stamp));
            }
        }
        failures
    }
}

/// What a client is told to have done wrong.
#[derive(Debug, Clone, PartialEq)]
enum Failure {
    Silent,
    NothingToCorrect(f64),
    NeverArrived(f64),
    Strayed(f64),
    NoPromise,
    BrokenPromises(u64, u64),
    Basic,
    Plain,
    PoorStamp(&'static str, Option<StampReport>),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let goal = goal();
        match self {
            Self::Silent => f.write_str("its daemon never answered"),
            Self::NothingToCorrect(largest) => {
                write!(
                    f,
                    "its clock was never more than {} off: nothing to see",
                    span(*largest)
                )
            }
            Self::NeverArrived(last) => write!(
                f,
                "it was never below {goal} for {ARRIVED_AFTER_S} s, and {} off at the end",
                span(last.abs())
            ),
            Self::Strayed(worst) => {
                write!(
                    f,
                    "after it had come below {goal} it was {} off",
                    span(*worst)
                )
            }
            Self::NoPromise => f.write_str("it never said how far off it can be at most"),
            Self::BrokenPromises(broken, promises) => write!(
                f,
                "it was further off than it promised in {broken} of {promises} readings"
            ),
            Self::Basic => f.write_str("it did not get into interleaved mode"),
            Self::Plain => f.write_str("its server did not prove who it is"),
            Self::PoorStamp(direction, None) => {
                write!(f, "nobody timestamped its last {direction}")
            }
            Self::PoorStamp(direction, Some(stamp)) => write!(
                f,
                "its last {direction} was timestamped by the {}, not by the kernel",
                stamp.name()
            ),
        }
    }
}

/// The end of a client's story.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Verdict {
    /// Its name.
    pub host: &'static str,
    /// The true error when first looked at, s.
    pub start_error_s: Option<f64>,
    /// The error it was told to start with, s.
    pub initial_error_s: f64,
    /// The speed error it was told to have, ppm.
    pub drift_ppm: f64,
    /// When the true error came below the goal and stayed there, s since the start.
    pub settled_at_s: Option<f64>,
    /// The largest true error from then on, s.
    pub worst_error_after_s: Option<f64>,
    /// The true error at the end, s.
    pub final_error_s: Option<f64>,
    /// The promise at the end, s.
    pub final_error_bound_s: Option<f64>,
    /// What its clock is steered by at the end, ppm.
    pub final_frequency_ppm: Option<f64>,
    /// How often it was looked at.
    pub readings: u64,
    /// How many readings came with a promise.
    pub bounds_checked: u64,
    /// How many of these promises were not kept.
    pub bounds_violated: u64,
    /// Was the last exchange in interleaved mode?
    pub interleaved: bool,
    /// Were the server and its replies authenticated by NTS?
    pub authenticated: bool,
    /// Who stamped the last request's departure.
    pub tx_stamp: Option<StampReport>,
    /// Who stamped the last reply's arrival.
    pub rx_stamp: Option<StampReport>,
    /// What did not hold, in words; empty if all did.
    pub failures: Vec<String>,
}

#[cfg(test)]
impl Reading {
    /// Of a client that does what it should, and knows its error to the nanosecond as soon as it
    /// promises a bound.
    pub(super) fn example(elapsed_s: f64, true_error_s: f64, bound: Option<f64>) -> Self {
        Self {
            elapsed_s,
            true_error_s,
            offset_s: bound.map(|_| -true_error_s),
            error_bound_s: bound,
            frequency_ppm: bound.map(|_| -31.0),
            synchronized: bound.is_some(),
            interleaved: true,
            authenticated: true,
            tx_stamp: Some(StampReport::Kernel),
            rx_stamp: Some(StampReport::Kernel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cast::CLIENTS;
    use super::*;

    fn reading(elapsed_s: f64, true_error_s: f64) -> Reading {
        Reading::example(elapsed_s, true_error_s, Some(true_error_s.abs() + 20e-6))
    }

    /// A clock that halves its error every half second.
    fn convergence(until_s: f64) -> Vec<Reading> {
        let mut error = 7.3e-3;
        let mut readings = Vec::new();
        let mut at = 0.0;
        while at < until_s {
            readings.push(reading(at, error));
            error = f64::max(error / 2.0, 1e-6);
            at += 0.5;
        }
        readings
    }

    fn verdict(readings: impl IntoIterator<Item = Reading>) -> Verdict {
        let mut record = Record::new(CLIENTS[0]);
        for reading in readings {
            record.note(reading);
        }
        record.verdict()
    }

    #[test]
    fn a_clock_that_converges_and_stays_holds_all_claims() {
        let verdict = verdict(convergence(30.0));
        assert_eq!(verdict.failures, Vec::<String>::new());
        // 7.3 ms / 2^9 is the first below 20 us.
        assert_eq!(verdict.settled_at_s, Some(4.5));
        assert_eq!(verdict.start_error_s, Some(7.3e-3));
        assert_eq!(verdict.worst_error_after_s, Some(7.3e-3 / 512.0));
        assert_eq!((verdict.bounds_checked, verdict.bounds_violated), (60, 0));
    }

    #[test]
    fn passing_through_zero_is_not_arriving() {
        let crossing = [
            reading(0.0, 7e-3),
            reading(1.0, 1e-6),
            reading(2.0, -3e-3),
            reading(10.0, -3e-3),
        ];
        let verdict = verdict(crossing);
        assert_eq!(verdict.settled_at_s, None);
        assert!(
            verdict.failures[0].contains("3.00 ms off"),
            "{:?}",
            verdict.failures
        );
    }

    #[test]
    fn straying_after_arrival_fails() {
        let mut readings = convergence(20.0);
        readings.push(reading(20.0, 25e-6));
        readings.push(reading(20.5, 1e-6));
        let verdict = verdict(readings);
        assert_eq!(verdict.worst_error_after_s, Some(25e-6));
        assert!(
            verdict.failures[0].contains("it was 25.0 us off"),
            "{:?}",
            verdict.failures
        );
    }

    #[test]
    fn one_broken_promise_among_many_fails() {
        let mut readings = convergence(20.0);
        readings[7].error_bound_s = Some(readings[7].true_error_s / 2.0);
        let verdict = verdict(readings);
        assert_eq!(verdict.bounds_violated, 1);
        assert_eq!(verdict.failures.len(), 1);
        assert!(
            verdict.failures[0].contains("1 of 40"),
            "{:?}",
            verdict.failures
        );
    }

    #[test]
    fn promising_nothing_is_not_keeping_promises() {
        let readings = convergence(20.0).into_iter().map(|mut reading| {
            reading.error_bound_s = None;
            reading
        });
        assert!(verdict(readings).failures[0].contains("never said"));
    }

    #[test]
    fn basic_mode_and_daemon_stamps_are_named() {
        let mut readings = convergence(20.0);
        if let Some(last) = readings.last_mut() {
            last.interleaved = false;
            last.authenticated = false;
            last.tx_stamp = Some(StampReport::Daemon);
            last.rx_stamp = None;
        }
        let failures = verdict(readings).failures;
        assert_eq!(failures.len(), 4);
        assert!(failures[1].contains("prove who it is"), "{failures:?}");
        assert!(failures[2].contains("by the daemon"), "{failures:?}");
    }

    #[test]
    fn a_clock_that_was_right_all_along_shows_nothing() {
        let readings = (0..40).map(|tick| reading(f64::from(tick) / 2.0, 1e-6));
        assert!(verdict(readings).failures[0].contains("nothing to see"));
    }

    #[test]
    fn a_daemon_that_never_answers_fails() {
        assert_eq!(verdict([]).failures.len(), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut record = Record::new(CLIENTS[0]);
        for tick in 0..10_000 {
            record.note(reading(f64::from(tick), 1e-6));
        }
        assert_eq!(record.recent().count(), KEPT);
        assert_eq!(record.verdict().readings, 10_000);
    }
}
