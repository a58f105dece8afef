//! A simulated world that drives clockwright's real state machines in virtual time.
//!
//! One host with an imperfect oscillator asks servers over imperfect networks. Client, server and
//! discipline are those of the daemon, byte for byte; only the world around them is made up, so
//! the true error of the host's clock is known at every instant. The same scenario and seed give
//! the same result on any machine.

mod axis;
mod events;
mod histogram;
mod host;
mod limit;
mod nic;
mod oscillator;
mod path;
mod plot;
mod queue;
mod random;
mod recorder;
mod report;
mod root_distance;
mod scenario;
mod sensor;
mod series;
mod server;
mod server_clock;
mod stamps;
mod world;

pub use plot::plot;
pub use report::{EventReport, Report, SourceReport};
pub use scenario::{
    Attack, ClockScenario, Counts, Disruption, Distribution, ErrorChange, ErrorWander,
    FrequencyStep, LossBurst, NicScenario, OscillatorScenario, PathScenario, RouteChange, Scenario,
    ScenarioError, SensorScenario, SourceScenario, Span, StampScenario, TemperatureScenario,
    TemperatureStep, Way, WayScenario,
};
pub use series::{Selection, Series, SeriesPart};
pub use world::{run, run_with_seeds, run_with_series};

/// The world's own time, which no clock in it shows. Zero is the start.
#[derive(Debug, Clone, Copy)]
pub enum True {}

impl clockwright_timebase::TimeBase for True {
    const NAME: &'static str = "true";
}
