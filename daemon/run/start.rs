//! Everything that has to work before the daemon can run.

use std::path::Path;
use std::{fmt, io};

use clockwright_discipline::{Config as Rules, Discipline, Learnt};
use clockwright_sys::adjust::AdjustError;
use clockwright_sys::clock::raw_now;
use clockwright_timebase::{Timestamp, Utc};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::daemon::{Daemon, Finding, Parts};
use super::disruptions::warn_of_rivals;
use super::logging::LevelSwitch;
use super::reload::{gains, max_frequency_step, max_slew, resume_policy, step_policy};
use super::restore::{RTCS, restore, rtcs_of};
use super::sessions::SessionsFile;
use super::state::{Kept, StateFile};
use crate::cli::RunArgs;
use crate::clock::{self, Clock, lower_bound};
use crate::config::Config;
use crate::control::{ClockName, ControlError, ControlSocket, Steering};
use crate::interfaces::{Access, Interfaces, Policy};
use crate::measure::Wakes;
use crate::nts::server::KeError;
use crate::serve::ListenError;

/// Why the daemon cannot run.
#[derive(Debug)]
pub(super) enum StartError {
    /// The clock cannot be opened.
    Clock(AdjustError),
    /// There can be no control socket.
    Control(ControlError),
    /// An address cannot be served on.
    Listen(ListenError),
    /// Keys cannot be handed out.
    KeyServer(KeError),
    /// Signals cannot be received.
    Signals(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clock(error) => write!(f, "the system clock cannot be taken over: {error}"),
            Self::Control(error) => error.fmt(f),
            Self::Listen(error) => error.fmt(f),
            Self::KeyServer(error) => error.fmt(f),
            Self::Signals(error) => write!(f, "signals cannot be received: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::Signals(error)
    }
}

/// A daemon that is about to run.
pub(super) struct Started {
    /// The daemon.
    pub(super) daemon: Daemon,
    /// Its control socket, if it could be made.
    pub(super) control: Option<ControlSocket>,
}

/// Opens everything. To be called within the tokio runtime.
///
/// # Errors
/// What cannot be opened, and what to do.
pub(super) fn start(
    args: &RunArgs,
    config: Config,
    level: LevelSwitch,
    wakes: Wakes,
    findings: mpsc::UnboundedSender<Finding>,
) -> Result<Started, StartError> {
    // First, since it is what tells that another daemon is running already.
    let control = bind_control(&config)?;
    let mut clock = clock::open(&config.clock, args.no_adjust).map_err(StartError::Clock)?;
    introduce(clock.as_ref());
    let (state, made) = StateFile::new(&config.state.directory, clock.name());
    if let Err(error) = made {
        warn!("{error}");
    }
    let kept = kept(&state);
    let lower_bound = lower_bound(kept.as_ref().map(Kept::saved_at));
    if config.clock.restore {
        restore_clock(clock.as_mut(), lower_bound);
    }
    let mut discipline = Discipline::new(Rules {
        step: step_policy(&config.clock),
        max_slew: max_slew(&config.clock),
        learnt: learnt(kept.as_ref(), clock.as_ref()),
    });
    discipline.set_resume_policy(resume_policy(&config.clock));
    discipline.set_max_frequency_step(max_frequency_step(&config.clock));
    discipline.set_gains(gains(&config.clock));
    let sessions = SessionsFile::new(&config.state.directory);
    let remembered = sessions.take().unwrap_or_else(|error| {
        warn!("{error}");
        Vec::new()
    });
    let interfaces = Interfaces::new(
        Policy::new(config.timestamping.clone()),
        Access::Configure,
        raw_now(),
    );
    let mut daemon = Daemon::new(Parts {
        main_file: args.config.clone(),
        config,
        level,
        clock,
        discipline,
        state,
        lower_bound,
        sessions: (sessions, remembered),
        interfaces,
        wakes,
        findings,
    });
    daemon.tell_of_interfaces();
    match open(&mut daemon) {
        Ok(()) => Ok(Started { daemon, control }),
        Err(failure) => {
            // They were taken out of their file, and nothing has been asked with them yet.
            daemon.save_sessions();
            Err(failure)
        }
    }
}

/// Opens what is served on.
fn open(daemon: &mut Daemon) -> Result<(), StartError> {
    let server = daemon.config.server.clone();
    daemon.serve(server.as_ref()).map_err(StartError::Listen)?;
    daemon.serve_over_ptp();
    let key_server = daemon
        .prepare_key_server(&daemon.config)
        .map_err(StartError::KeyServer)?;
    daemon.take_over_key_server(key_server);
    daemon.post();
    tell_who_is_served(daemon);
    Ok(())
}

/// Says where time and keys can be had.
fn tell_who_is_served(daemon: &Daemon) {
    let list = |addresses: Vec<String>| addresses.join(", ");
    let places = daemon.serving.service.places();
    if let Some((_, workers)) = places.first() {
        let on = list(places.iter().map(|(place, _)| place.to_string()).collect());
        let threads = if *workers == 1 { "thread" } else { "threads" };
        info!("answering requests for the time on {on}, with {workers} {threads} each");
    }
    if let Some(server) = &daemon.key_server
        && let Some(until) = server.certified_until()
    {
        let on = list(server.addresses().map(|at| at.to_string()).collect());
        info!("handing out NTS keys on {on}, by certificates that are valid until {until}");
    }
}

/// The control socket. A daemon that only cannot write there works all the same; one that would
/// be the second does not.
fn bind_control(config: &Config) -> Result<Option<ControlSocket>, StartError> {
    match ControlSocket::bind(&config.control) {
        Ok(socket) => Ok(Some(socket)),
        Err(error @ ControlError::Io { .. }) => {
            warn!("{error}; `clockwright status` and `sources` will not work. Set control.socket");
            Ok(None)
        }
        Err(error) => Err(StartError::Control(error)),
    }
}

/// Lets the clock start no earlier than `lower_bound`, and says what was done.
fn restore_clock(clock: &mut dyn Clock, lower_bound: Timestamp<Utc>) {
    let rtcs = rtcs_of(&clock.name(), Path::new(RTCS));
    let restored = restore(clock, lower_bound, &rtcs);
    if restored.is_trouble() {
        warn!("{restored}");
    } else {
        info!("{restored}");
    }
}

/// Says what is going to happen to which clock.
fn introduce(clock: &dyn Clock) {
    let version = env!("CARGO_PKG_VERSION");
    match (clock.name(), clock.steering()) {
        (ClockName::System, Steering::Adjusting) => {
            info!("clockwright {version}: steering the system clock");
            warn_of_rivals();
        }
        (ClockName::System, Steering::Disabled) => {
            info!(
                "clockwright {version}: measuring the system clock, not steering it: --no-adjust"
            );
        }
        (ClockName::System, Steering::NotPermitted) => warn!(
            "clockwright {version}: measuring the system clock, not steering it: CAP_SYS_TIME is \
             missing; start as root, or with AmbientCapabilities=CAP_SYS_TIME. Containers need \
             --cap-add SYS_TIME"
        ),
        (ClockName::Virtual, _) => {
            info!("clockwright {version}: steering a virtual clock; the host's is not touched");
        }
        (ClockName::Phc(device), _) => {
            info!("clockwright {version}: steering {device}; the host's clock is not touched");
        }
    }
}

/// A frequency that may be an oscillator's. What is further off was left behind by a program that
/// died in the middle of a correction.
fn plausible(frequency: f64) -> f64 {
    const LARGEST: f64 = 500e-6;
    if frequency.abs() <= LARGEST {
        frequency
    } else {
        0.0
    }
}

/// What was kept of an earlier run, if it can be used.
fn kept(state: &StateFile) -> Option<Kept> {
    state.load().unwrap_or_else(|error| {
        warn!("{error}");
        None
    })
}

/// What is known of the oscillator: from the last run, or from whoever steered the clock before.
fn learnt(kept: Option<&Kept>, clock: &dyn Clock) -> Learnt {
    let Some(kept) = kept else {
        return Learnt {
            frequency: plausible(clock.rate()),
            ..Learnt::default()
        };
    };
    let learnt = kept.learnt(clock.now());
    info!(
        "going on from a frequency of {:+.3} ppm, known to {:.3} ppm",
        learnt.frequency * 1e6,
        learnt.frequency_sd * 1e6
    );
    learnt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_left_behind_is_not_taken_for_a_drift() {
        assert_eq!(plausible(30e-6).to_bits(), 30e-6_f64.to_bits());
        assert_eq!(plausible(-0.05).to_bits(), 0.0_f64.to_bits());
        assert_eq!(plausible(f64::NAN).to_bits(), 0.0_f64.to_bits());
    }
}
