//! What a reload changes.

use super::device::PhcName;
use super::follow::FollowConfig;
use super::refclock::{RefclockConfig, RefclockDevice};
use super::section::Value;
use super::settings::Config;
use super::source::{Source, SourceAddress, SourceConfig};

/// The differences between the configuration in use and a new one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// Sources to start.
    pub added: Vec<SourceConfig>,
    /// Sources to stop.
    pub removed: Vec<SourceAddress>,
    /// Sources that stay, with their new settings.
    pub altered: Vec<SourceConfig>,
    /// Sources that are reference clocks.
    pub refclocks: RefclockChanges,
    /// Clocks that follow.
    pub follow: FollowChanges,
    /// Full names of all other keys that differ, such as `clock.max_slew`.
    pub settings: Vec<String>,
}

/// What becomes of the sources that are reference clocks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RefclockChanges {
    /// To start.
    pub added: Vec<RefclockConfig>,
    /// To stop.
    pub removed: Vec<RefclockDevice>,
    /// Those that stay, with their new settings.
    pub altered: Vec<RefclockConfig>,
}

/// What becomes of the clocks that follow.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FollowChanges {
    /// To start.
    pub added: Vec<FollowConfig>,
    /// To leave to themselves.
    pub removed: Vec<PhcName>,
    /// Those that stay, with their new settings.
    pub altered: Vec<FollowConfig>,
}

impl Changes {
    /// Is nothing different?
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What must be done to get from `old` to `new`, each known by its `identity`: what is added, what
/// is gone, and what stays with other settings.
fn difference<C: Clone + PartialEq, I: PartialEq>(
    old: &[C],
    new: &[C],
    identity: impl Fn(&C) -> I,
) -> (Vec<C>, Vec<I>, Vec<C>) {
    let (mut added, mut altered) = (Vec::new(), Vec::new());
    for entry in new {
        match old.iter().find(|old| identity(old) == identity(entry)) {
            None => added.push(entry.clone()),
            Some(before) if before != entry => altered.push(entry.clone()),
            Some(_) => {}
        }
    }
    let removed = old
        .iter()
        .map(&identity)
        .filter(|gone| !new.iter().any(|entry| identity(entry) == *gone))
        .collect();
    (added, removed, altered)
}

impl Config {
    /// What must be done to get from this configuration to `new`. The order of sources does not
    /// count: a source is known by its address or device.
    pub fn changes_to(&self, new: &Self) -> Changes {
        let servers = |config: &Self| config.servers().cloned().collect::<Vec<_>>();
        let refclocks = |config: &Self| config.refclocks().cloned().collect::<Vec<_>>();
        let (added, removed, altered) = difference(&servers(self), &servers(new), |source| {
            source.address.clone()
        });
        let refclocks = difference(&refclocks(self), &refclocks(new), |clock| {
            clock.device.clone()
        });
        let follow = difference(&self.follow, &new.follow, |follow| follow.clock.clone());
        let mut changes = Changes {
            added,
            removed,
            altered,
            refclocks: RefclockChanges {
                added: refclocks.0,
                removed: refclocks.1,
                altered: refclocks.2,
            },
            follow: FollowChanges {
                added: follow.0,
                removed: follow.1,
                altered: follow.2,
            },
            settings: Vec::new(),
        };
        let without_lists = |config: &Self| Self {
            sources: Vec::new(),
            follow: Vec::new(),
            ..config.clone()
        };
        without_lists(self).differences(&without_lists(new), "", &mut changes.settings);
        changes
    }

    /// The sources that are asked over the network, in order.
    pub fn servers(&self) -> impl Iterator<Item = &SourceConfig> + Clone {
        self.sources.iter().filter_map(|source| match source {
            Source::Ntp(source) => Some(source),
            Source::Refclock(_) => None,
        })
    }

    /// The sources that are reference clocks, in order.
    pub fn refclocks(&self) -> impl Iterator<Item = &RefclockConfig> + Clone {
        self.sources.iter().filter_map(|source| match source {
            Source::Ntp(_) => None,
            Source::Refclock(clock) => Some(clock),
        })
    }
}
