//! Taking over a changed configuration, all of it or nothing.

use std::fmt;

use crate::interfaces::Policy;
use clockwright_discipline::{Gains, StepPolicy};
use clockwright_sys::clock::raw_now;
use tracing::{error, info, warn};

use super::daemon::Daemon;
use crate::config::{Changes, ClockConfig, Config, GainsConfig, Invalid, StepConfig};
use crate::nts::server::KeError;
use crate::serve::ListenError;

/// Keys that only count when the daemon starts.
const AT_START_ONLY: [&str; 7] = [
    "clock.kind",
    "clock.virtual",
    "clock.timescale",
    "clock.restore",
    "clock.temperature",
    "state",
    "control",
];

/// Why the configuration in force stays.
#[derive(Debug)]
pub(super) enum ReloadError {
    /// The files are not valid.
    Invalid(Invalid),
    /// A new address cannot be served on.
    Listen(ListenError),
    /// Keys cannot be handed out as configured.
    KeyServer(KeError),
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::Listen(error) => error.fmt(f),
            Self::KeyServer(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReloadError {}

impl Daemon {
    /// Reads the configuration again and takes it over. Sources that are configured as before go
    /// on as if nothing had happened.
    pub(super) fn reload(&mut self) {
        match self.try_reload() {
            Ok(()) => {}
            Err(failure) => {
                for line in failure.to_string().lines() {
                    error!("reload: {line}");
                }
                error!("reload: nothing was changed; the configuration in force stays");
            }
        }
    }

    fn try_reload(&mut self) -> Result<(), ReloadError> {
        self.check_key_files();
        self.read_leap_list_again();
        let loaded = Config::load(&self.main_file).map_err(ReloadError::Invalid)?;
        let changes = self.config.changes_to(&loaded.config);
        if changes.is_empty() {
            info!("reload: the configuration is the same as before");
            return Ok(());
        }
        // The steps that can fail come first.
        let next_key_server = self
            .prepare_key_server(&loaded.config)
            .map_err(ReloadError::KeyServer)?;
        self.serve(loaded.config.server.as_ref())
            .map_err(ReloadError::Listen)?;
        self.take_over_key_server(next_key_server);

        let (later, now): (Vec<&str>, Vec<&str>) = changes
            .settings
            .iter()
            .map(String::as_str)
            .partition(|key| is_at_start_only(key));
        self.config = in_force(&self.config, loaded.config);
        self.take_over_settings();
        self.take_over_sources(&changes);
        info!(
            "reload: {} sources added, {} removed, {} changed{}",
            changes.added.len() + changes.refclocks.added.len(),
            changes.removed.len() + changes.refclocks.removed.len(),
            changes.altered.len() + changes.refclocks.altered.len(),
            list(", and ", &now)
        );
        if !later.is_empty() {
            warn!("reload: a restart is needed for{}", list(" ", &later));
        }
        Ok(())
    }

    fn take_over_settings(&mut self) {
        self.level.set(self.config.log.level);
        let policy = Policy::new(self.config.timestamping.clone());
        self.instruments.interfaces.reconfigure(policy, raw_now());
        let stamping = &self.config.timestamping;
        let (ptp, domain) = (stamping.ptp_transport, stamping.ptp_domain);
        self.instruments.ptp.reconfigure(ptp, domain);
        self.serve_over_ptp();
        self.tell_of_interfaces();
        let clock = &self.config.clock;
        self.discipline
            .reconfigure(step_policy(clock), max_slew(clock));
        self.discipline.set_resume_policy(resume_policy(clock));
        self.discipline
            .set_max_frequency_step(max_frequency_step(clock));
        self.discipline.set_gains(gains(clock));
        self.take_over_orphans();
        self.read_leap_list_again();
        self.tell();
        self.post();
    }

    fn take_over_sources(&mut self, changes: &Changes) {
        let now = self.clock.timescale().now();
        for address in &changes.removed {
            let turnover = self.sources.remove(address);
            self.apply(turnover);
        }
        for config in &changes.altered {
            let turnover = self.sources.alter(config, now);
            self.apply(turnover);
        }
        for config in &changes.added {
            let turnover = self.sources.add(config.clone(), now, &mut self.instruments);
            self.apply(turnover);
        }
        self.sources.sort_like(&self.config);
        self.take_over_options();
        self.take_over_refclocks(&changes.refclocks);
        self.followers.reconfigure(&changes.follow);
        self.carry_out();
        self.judge();
    }
}

/// The step policy as the discipline wants it.
pub(super) fn step_policy(clock: &ClockConfig) -> StepPolicy {
    policy_of(&clock.step)
}

/// The same after a disruption.
pub(super) fn resume_policy(clock: &ClockConfig) -> StepPolicy {
    policy_of(clock.resume.as_ref().unwrap_or(&clock.step))
}

fn policy_of(step: &StepConfig) -> StepPolicy {
    StepPolicy {
        above: step.above,
        first: step.first,
    }
}

/// The slew limit, s/s.
pub(super) fn max_slew(clock: &ClockConfig) -> f64 {
    clock.max_slew.as_ppm() * 1e-6
}

/// How far the oscillator's frequency may jump at once, s/s.
pub(super) fn max_frequency_step(clock: &ClockConfig) -> f64 {
    clock.max_frequency_step.as_ppm() * 1e-6
}

/// The gains that are fixed.
pub(super) fn gains(clock: &ClockConfig) -> Option<Gains> {
    clock.gains.as_ref().and_then(GainsConfig::gains)
}

fn is_at_start_only(key: &str) -> bool {
    AT_START_ONLY.iter().any(|only| {
        key.strip_prefix(only)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// The new configuration with what cannot change in a running daemon left as it is, so that the
/// next reload compares with what is really in force.
fn in_force(old: &Config, new: Config) -> Config {
    Config {
        clock: ClockConfig {
            kind: old.clock.kind.clone(),
            timescale: old.clock.timescale,
            virtual_clock: old.clock.virtual_clock.clone(),
            restore: old.clock.restore,
            temperature: old.clock.temperature.clone(),
            ..new.clock
        },
        state: old.state.clone(),
        control: old.control.clone(),
        ..new
    }
}

/// `before` and the names, or nothing where there are none.
fn list(before: &str, names: &[&str]) -> String {
    if names.is_empty() {
        String::new()
    } else {
        format!("{before}{}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn config(text: &str) -> Config {
        Config::from_text(Path::new("test.toml"), text).unwrap()
    }

    #[test]
    fn what_needs_a_restart_stays_as_it_is_and_is_named_again_next_time() {
        let old = config("[[source]]\nserver = '192.0.2.1'\n[clock]\nkind = 'virtual'\n");
        let new = config(
            "[[source]]\nserver = '192.0.2.1'\n[clock]\nkind = 'system'\nmax_slew = '100ppm'\n\
             [state]\ndirectory = '/elsewhere'\n",
        );
        let changes = old.changes_to(&new);
        let (later, now): (Vec<&String>, Vec<&String>) = changes
            .settings
            .iter()
            .partition(|key| is_at_start_only(key));
        assert_eq!(later, ["clock.kind", "state.directory"]);
        assert_eq!(now, ["clock.max_slew"]);

        let running = in_force(&old, new.clone());
        assert_eq!(running.clock.max_slew, new.clock.max_slew);
        assert_eq!(running.clock.kind, old.clock.kind);
        assert_eq!(running.changes_to(&new).settings.len(), 2);
    }

    #[test]
    fn a_key_is_not_confused_with_a_longer_name() {
        assert!(is_at_start_only("state.directory"));
        assert!(!is_at_start_only("statement"));
        assert!(!is_at_start_only("clock.step.above"));
    }
}
