//! Where a server's cookie keys come from: its own file, or one it shares with others.

use std::path::Path;

use clockwright_ntp::Entropy;
use clockwright_ntp::nts::CookieKeys;
use clockwright_timebase::{Duration, Raw, Timestamp};
use tracing::{info, warn};

use super::key_file::KeyFile;
use super::keyring::Keyring;
use super::moment::Moment;
use super::shared_keys::{SharedKeys, SharedKeysError};
use crate::config::ServerNtsConfig;

/// How often the age of our own keys is written down. If the daemon is killed, no more than this is
/// forgotten of it.
const SAVE_EVERY: Duration = Duration::from_secs(3600);

/// The keys, kept up to date.
#[derive(Debug)]
pub(super) enum KeyStore {
    /// This server's own.
    Own(OwnKeys),
    /// Somebody else's, who rotates them.
    Shared(SharedKeys),
}

/// Keys that are made, rotated and saved here.
#[derive(Debug)]
pub(super) struct OwnKeys {
    ring: Keyring,
    rotate: Duration,
    file: KeyFile,
    save_at: Timestamp<Raw>,
}

impl KeyStore {
    /// The keys that are configured. Keys of its own a server always has, if need be new ones.
    ///
    /// # Errors
    /// Keys that are to be shared cannot be read.
    pub(super) fn open(
        config: &ServerNtsConfig,
        state: &Path,
        now: Moment,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, SharedKeysError> {
        Ok(match &config.keys {
            Some(path) => Self::Shared(SharedKeys::open(path)?),
            None => Self::Own(OwnKeys::open(config.rotate, state, now, entropy)),
        })
    }

    /// Are these the keys that are configured, so that they need not be opened?
    pub(super) fn is_configured(&self, config: &ServerNtsConfig) -> bool {
        match self {
            Self::Own(_) => config.keys.is_none(),
            Self::Shared(shared) => config.keys.as_deref() == Some(shared.path()),
        }
    }

    /// Takes over what may change while they stay open.
    pub(super) fn reconfigure(&mut self, config: &ServerNtsConfig) {
        if let Self::Own(own) = self {
            own.rotate = config.rotate;
        }
    }

    /// The keys now.
    pub(super) fn keys(&self) -> CookieKeys {
        match self {
            Self::Own(own) => own.ring.cookie_keys(),
            Self::Shared(shared) => shared.keys().clone(),
        }
    }

    /// When [`handle_time`](Self::handle_time) has something to do.
    pub(super) fn next_timeout(&self) -> Option<Timestamp<Raw>> {
        match self {
            Self::Own(own) => Some(own.ring.due(own.rotate).min(own.save_at)),
            Self::Shared(_) => None,
        }
    }

    /// Rotates and saves our own keys when it is time; true if the keys have changed.
    pub(super) fn handle_time(&mut self, now: Moment, entropy: &mut dyn Entropy) -> bool {
        match self {
            Self::Own(own) => own.handle_time(now, entropy),
            Self::Shared(_) => false,
        }
    }

    /// Looks whether shared keys were changed; true if so.
    pub(super) fn check_files(&mut self) -> bool {
        let Self::Shared(shared) = self else {
            return false;
        };
        match shared.check() {
            Ok(true) => {
                let count = 1 + shared.keys().others.len();
                info!(
                    "{count} NTS cookie keys read anew from {}",
                    shared.path().display()
                );
                true
            }
            Ok(false) => false,
            Err(error) => {
                warn!("{error}; the NTS cookie keys in use stay");
                false
            }
        }
    }

    /// Writes down how old our own keys are, before the daemon ends.
    pub(super) fn save(&mut self, now: Moment) {
        if let Self::Own(own) = self {
            own.save(now);
        }
    }
}

impl OwnKeys {
    fn open(rotate: Duration, state: &Path, now: Moment, entropy: &mut dyn Entropy) -> Self {
        let file = KeyFile::new(state);
        let saved = file.load(now).unwrap_or_else(|error| {
            warn!("{error}");
            None
        });
        let ring = saved.unwrap_or_else(|| Keyring::new(now.raw, entropy));
        let mut own = Self {
            ring,
            rotate,
            file,
            save_at: now.raw,
        };
        own.handle_time(now, entropy);
        own
    }

    fn handle_time(&mut self, now: Moment, entropy: &mut dyn Entropy) -> bool {
        let rotated = self.ring.handle_time(now.raw, self.rotate, entropy);
        if rotated {
            info!("the next NTS cookie key is in use");
        }
        if rotated || self.save_at <= now.raw {
            self.save(now);
        }
        rotated
    }

    fn save(&mut self, now: Moment) {
        self.save_at = now.raw + SAVE_EVERY;
        if let Err(error) = self.file.save(&self.ring, now) {
            warn!("{error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;
    use crate::measure::OsEntropy;
    use crate::nts::scratch::Scratch;

    fn config(keys: Option<PathBuf>) -> ServerNtsConfig {
        ServerNtsConfig {
            keys,
            ..ServerNtsConfig::default()
        }
    }

    fn moment(secs: u64) -> Moment {
        Moment {
            raw: Timestamp::from_timespec(i64::try_from(secs).unwrap(), 0),
            unix_s: 1_800_000_000 + secs,
        }
    }

    fn open(scratch: &Scratch, now: Moment) -> KeyStore {
        let entropy = &mut OsEntropy::new();
        KeyStore::open(&config(None), scratch.directory(), now, entropy).unwrap()
    }

    #[test]
    fn a_restart_keeps_the_keys_and_their_age() {
        let scratch = Scratch::new("key-store");
        let mut entropy = OsEntropy::new();
        let mut first = open(&scratch, moment(0));
        let before = first.keys();
        assert!(!first.handle_time(moment(40_000), &mut entropy));
        first.save(moment(40_000));

        let mut second = open(&scratch, moment(50_000));
        assert_eq!(second.keys(), before);
        assert!(!second.handle_time(moment(86_399), &mut entropy));
        assert!(second.handle_time(moment(86_400), &mut entropy));
        let after = second.keys();
        assert!(after.others.contains(&before.sealing));
        assert!(before.others.contains(&after.sealing), "the next one");

        // The rotation was saved at once.
        assert_eq!(open(&scratch, moment(86_500)).keys(), after);
        // And what was due while nobody ran is made up for.
        let late = open(&scratch, moment(2 * 86_400 + 100)).keys();
        assert!(late.others.contains(&after.sealing) && late != after);
    }

    #[test]
    fn a_kill_costs_an_hour_of_the_age_at_most() {
        let scratch = Scratch::new("key-store-kill");
        let mut entropy = OsEntropy::new();
        let mut first = open(&scratch, moment(0));
        assert_eq!(first.next_timeout(), Some(moment(3600).raw));
        first.handle_time(moment(3600), &mut entropy);
        drop(first);
        // The clock is wrong after the kill, and tells nothing of the time between.
        let wrong = Moment {
            unix_s: 0,
            ..moment(10_000)
        };
        let second = open(&scratch, wrong);
        let KeyStore::Own(own) = &second else {
            panic!("{second:?}");
        };
        assert_eq!(own.ring.age(wrong.raw), Duration::from_secs(3600));
    }

    #[test]
    fn damaged_and_exposed_files_are_replaced_by_good_ones() {
        let scratch = Scratch::new("key-store-damage");
        let path = scratch.path("nts-server-keys.json");
        let before = open(&scratch, moment(0)).keys();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let exposed = open(&scratch, moment(10)).keys();
        assert_ne!(exposed, before);
        assert_eq!(open(&scratch, moment(20)).keys(), exposed);
        fs::write(&path, "{").unwrap();
        let damaged = open(&scratch, moment(30)).keys();
        assert_ne!(damaged, exposed);
        assert_eq!(open(&scratch, moment(40)).keys(), damaged);
    }

    #[test]
    fn without_a_directory_there_are_keys_all_the_same() {
        let entropy = &mut OsEntropy::new();
        let nowhere = Path::new("/proc/clockwright");
        let store = KeyStore::open(&config(None), nowhere, moment(0), entropy).unwrap();
        assert_eq!(store.keys().others.len(), 1);
    }

    #[test]
    fn shared_keys_have_no_age() {
        let scratch = Scratch::new("key-store-shared");
        let path = scratch.path("keys");
        crate::nts::secret::replace(&path, "ab".repeat(32).as_bytes()).unwrap();
        let entropy = &mut OsEntropy::new();
        let configured = config(Some(path.clone()));
        let mut store =
            KeyStore::open(&configured, scratch.directory(), moment(0), entropy).unwrap();
        assert_eq!(store.next_timeout(), None);
        assert!(!store.handle_time(moment(1_000_000), entropy));
        store.save(moment(0));
        assert!(!scratch.path("nts-server-keys.json").exists());
        assert!(store.is_configured(&configured) && !store.is_configured(&config(None)));
        crate::nts::secret::replace(&path, "cd".repeat(32).as_bytes()).unwrap();
        let before = store.keys();
        assert!(store.check_files());
        assert_ne!(store.keys(), before);
        let bad = config(Some(scratch.path("missing")));
        assert!(KeyStore::open(&bad, scratch.directory(), moment(0), entropy).is_err());
    }
}
