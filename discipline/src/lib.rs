//! The mathematics of clock discipline, without I/O.
//!
//! ```text
//! Sample ──► SourceFilter ──► SourceEstimate ──► selection, combination ──► PI loop ──► Action
//!            (one a source)                       (Discipline)              (Loop)
//! ```
//!
//! Nothing here reads a clock, a file or a random number: instants are arguments, what is to be
//! done comes out as [`Action`]s. The same code runs in the daemon and in the simulator.
//!
//! One sign convention, everywhere: an offset is what must be *added* to the local clock to make
//! it right. Positive: the clock is behind. A frequency is what must be added to the rate of the
//! local oscillator (`CLOCK_MONOTONIC_RAW`), in seconds a second.
//!
//! Estimates are made against the unsteered oscillator, so steering never bends a measurement.

mod bank;
mod bound;
mod combine;
mod companion;
mod congestion;
mod delay;
#[cfg(test)]
mod dice;
mod engine;
mod estimate;
mod evidence;
mod filter;
mod first_few;
mod fresh;
mod gains;
mod gauge;
mod hull;
mod kalman;
mod lead;
mod leap;
mod learnt;
mod memory;
mod noise;
mod normal;
mod one_way;
mod orphan;
mod part;
mod pi;
mod policy;
mod poll;
mod route;
mod sample;
mod seam;
mod select;
mod smear;
mod source;
mod status;
mod steady;
mod thermal;
mod track;
mod virtual_clock;
mod warmth;
mod whiteness;

pub use bank::Bank;
pub use companion::Companion;
pub use engine::{Action, ClockReading, Config, Discipline, Outlook, StepPolicy};
pub use estimate::{SourceEstimate, SourceId};
pub use filter::{SourceFilter, Verdict};
pub use fresh::Fresh;
pub use gains::Gains;
pub use kalman::{Covariance, Kalman};
pub use leap::{LeapManner, LeapSecond, smears};
pub use learnt::Learnt;
pub use noise::Hypothesis;
pub use orphan::{Identities, OrphanReason};
pub use part::{Reason, State};
pub use pi::{Correction, Loop};
pub use policy::{Role, Selection};
pub use sample::{Leap, Sample, Upstream};
pub use smear::Smear;
pub use source::{SourceOptions, Standing};
pub use status::{SourceStatus, Status};
pub use steady::SteadyState;
pub use thermal::TemperatureFit;
pub use virtual_clock::VirtualClock;
