//! What a scenario says of a server.

use serde::{Deserialize, Serialize};

use super::{PathScenario, Span, Trouble, not_negative};

/// One server and the way to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceScenario {
    /// How far its clock is ahead at first, s.
    pub error_s: f64,
    /// How its clock wanders about that.
    pub error_wander: Option<ErrorWander>,
    /// How its error changes later.
    pub error_change: Vec<ErrorChange>,
    /// Its stratum.
    pub stratum: u8,
    /// Its root delay, s.
    pub root_delay_s: f64,
    /// Its root dispersion, s.
    pub root_dispersion_s: f64,
    /// Time from the arrival of a request to the departure of its reply, at least, s.
    pub turnaround_s: f64,
    /// What is added to it at random (exponential): its mean, s.
    pub turnaround_jitter_s: f64,
    /// Shortest poll interval, log2 s.
    pub poll_min: i8,
    /// Longest poll interval, log2 s.
    pub poll_max: i8,
    /// Interleaved mode.
    pub interleaved: bool,
    /// A burst at the start.
    pub iburst: bool,
    /// When the host begins to ask it, s.
    pub from_s: f64,
    /// When the host is told to forget it, s.
    pub until_s: Option<f64>,
    /// When nothing gets through to it.
    pub outage: Vec<Span>,
    /// The way to it.
    pub path: PathScenario,
}

impl Default for SourceScenario {
    fn default() -> Self {
        Self {
            error_s: 0.0,
            error_wander: None,
            error_change: Vec::new(),
            stratum: 1,
            root_delay_s: 0.0,
            root_dispersion_s: 0.0,
            turnaround_s: 12e-6,
            turnaround_jitter_s: 0.0,
            poll_min: 6,
            poll_max: 10,
            interleaved: true,
            iburst: true,
            from_s: 0.0,
            until_s: None,
            outage: Vec::new(),
            path: PathScenario::default(),
        }
    }
}

/// A server's clock that swings about its mean error (an Ornstein–Uhlenbeck process), as one does
/// that is itself disciplined.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorWander {
    /// Standard deviation, s.
    pub deviation_s: f64,
    /// Time within which the error forgets what it was, s.
    pub time_s: f64,
}

/// A server whose error changes: one that begins to lie, say.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorChange {
    /// When, s.
    pub at_s: f64,
    /// By how much at once, s.
    #[serde(default)]
    pub by_s: f64,
    /// How fast the error grows from then on, until the next change, ppm.
    #[serde(default)]
    pub drift_ppm: f64,
}

impl SourceScenario {
    pub(super) fn check(&self) -> Result<(), Trouble> {
        not_negative("root_delay_s", self.root_delay_s)?;
        not_negative("root_dispersion_s", self.root_dispersion_s)?;
        not_negative("turnaround_s", self.turnaround_s)?;
        not_negative("turnaround_jitter_s", self.turnaround_jitter_s)?;
        if self.poll_min > self.poll_max {
            return Err(Trouble::value("poll_min", "at most poll_max"));
        }
        if !(1..=15).contains(&self.stratum) {
            return Err(Trouble::value("stratum", "between 1 and 15"));
        }
        let numbers = [("error_s", self.error_s)].into_iter();
        let changes = self.error_change.iter();
        let later = changes.flat_map(|change| {
            [
                ("error_change.by_s", change.by_s),
                ("error_change.drift_ppm", change.drift_ppm),
            ]
        });
        for (key, value) in numbers.chain(later) {
            if !value.is_finite() {
                return Err(Trouble::value(key, "a number"));
            }
        }
        if let Some(wander) = self.error_wander
            && !(wander.deviation_s >= 0.0 && wander.time_s > 0.0)
        {
            return Err(Trouble::value(
                "error_wander",
                "a deviation and a positive time",
            ));
        }
        let until_s = self.until_s.unwrap_or(f64::INFINITY);
        Span {
            from_s: self.from_s,
            until_s,
        }
        .check("until_s")?;
        for outage in &self.outage {
            outage.check("outage.until_s")?;
        }
        self.path.check()
    }
}
