//! What a reload changes.

use super::section::Value;
use super::settings::Config;
use super::source::{SourceAddress, SourceConfig};

/// The differences between the configuration in use and a new one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// Sources to start.
    pub added: Vec<SourceConfig>,
    /// Sources to stop.
    pub removed: Vec<SourceAddress>,
    /// Sources that stay, with their new settings.
    pub altered: Vec<SourceConfig>,
    /// Full names of all other keys that differ, such as `clock.max_slew`.
    pub settings: Vec<String>,
}

impl Changes {
    /// Is nothing different?
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Config {
    /// What must be done to get from this configuration to `new`. The order of sources does not
    /// count: a source is known by its address.
    pub fn changes_to(&self, new: &Self) -> Changes {
        let mut changes = Changes::default();
        for source in &new.sources {
            match self.source(&source.address) {
                None => changes.added.push(source.clone()),
                Some(old) if old != source => changes.altered.push(source.clone()),
                Some(_) => {}
            }
        }
        changes.removed = self
            .sources
            .iter()
            .filter(|old| new.source(&old.address).is_none())
            .map(|old| old.address.clone())
            .collect();
        let without_sources = |config: &Self| Self {
            sources: Vec::new(),
            ..config.clone()
        };
        without_sources(self).differences(&without_sources(new), "", &mut changes.settings);
        changes
    }

    /// The source with this address.
    pub fn source(&self, address: &SourceAddress) -> Option<&SourceConfig> {
        self.sources
            .iter()
            .find(|source| source.address == *address)
    }
}
