//! The cookie keys on the disk, so that clients need not ask for new ones after a restart.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use clockwright_ntp::nts::CookieKey;
use clockwright_timebase::Duration;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::keyring::Keyring;
use super::moment::Moment;
use crate::nts::hex::Digits;
use crate::nts::secret::{self, SecretError};

/// The file's name in the state directory.
const NAME: &str = "nts-server-keys.json";
/// The format this program writes, and the only one it reads.
const FORMAT: u32 = 1;
/// Room for the text, octets, so that it never moves and leaves a copy behind.
const ROOM: usize = 2048;
/// Ages above this are as good as any, s.
const OLDEST: u64 = 100 * 365 * 86_400;

/// The file, as JSON.
#[derive(Serialize, Deserialize)]
struct Saved {
    format: u32,
    /// When it was saved, by the clock of the time.
    unix_time_s: u64,
    /// How long the current key had been that.
    age_s: u64,
    /// The next one, the current one, and former ones, the latest first.
    keys: Vec<SavedKey>,
}

#[derive(Serialize, Deserialize)]
struct SavedKey {
    id: u32,
    key: Digits,
}

/// Why keys are not kept across a restart.
#[derive(Debug)]
pub(super) enum KeyFileError {
    /// The file cannot be read, or others can read it.
    Unusable(SecretError),
    /// It can, and makes no sense.
    Damaged(PathBuf, String),
    /// The file cannot be written.
    Unwritable(PathBuf, io::Error),
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const INSTEAD: &str =
            "new NTS cookie keys were made instead; clients that have cookies ask for new ones";
        match self {
            Self::Unusable(error) => write!(f, "{error}; {INSTEAD}"),
            Self::Damaged(path, why) => {
                write!(f, "{} is damaged ({why}); {INSTEAD}", path.display())
            }
            Self::Unwritable(path, error) => write!(
                f,
                "cannot write {}: {error}; after a restart, NTS clients will have to ask for new \
                 cookies. Make the directory writable for this daemon, or set state.directory",
                path.display()
            ),
        }
    }
}

impl std::error::Error for KeyFileError {}

/// The file of one server.
#[derive(Debug)]
pub(super) struct KeyFile(PathBuf);

impl KeyFile {
    /// The file in this directory.
    pub(super) fn new(state: &Path) -> Self {
        Self(state.join(NAME))
    }

    /// The keys of the last run, as old as they are by now; `None` if there was none.
    ///
    /// # Errors
    /// There was, and its keys are not to be used.
    pub(super) fn load(&self, now: Moment) -> Result<Option<Keyring>, KeyFileError> {
        let text = match secret::read(&self.0) {
            Ok(text) => text,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(KeyFileError::Unusable(error)),
        };
        let damaged = |why: String| KeyFileError::Damaged(self.0.clone(), why);
        // Only where: serde would quote what it found there, which may be a key.
        let saved: Saved = serde_json::from_slice(&text).map_err(|error| {
            damaged(format!(
                "no key file at line {}, column {}",
                error.line(),
                error.column()
            ))
        })?;
        if saved.format != FORMAT {
            return Err(damaged(format!("format {} is unknown", saved.format)));
        }
        let key = |saved: &SavedKey| CookieKey::new(saved.id, &saved.key.octets()?);
        let keys: Option<Vec<_>> = saved.keys.iter().map(key).collect();
        let keys = keys.ok_or_else(|| damaged("a key is not 64 hexadecimal digits".to_owned()))?;
        Keyring::resume(keys, saved.age(now.unix_s), now.raw)
            .map(Some)
            .ok_or_else(|| damaged("there are fewer than two keys".to_owned()))
    }

    /// Keeps the keys.
    ///
    /// # Errors
    /// The kernel refused a step.
    pub(super) fn save(&self, keyring: &Keyring, now: Moment) -> Result<(), KeyFileError> {
        let saved = Saved {
            format: FORMAT,
            unix_time_s: now.unix_s,
            age_s: keyring.age(now.raw).to_std().as_secs(),
            keys: keyring.all().map(SavedKey::new).collect(),
        };
        let mut text = Zeroizing::new(Vec::with_capacity(ROOM));
        serde_json::to_writer_pretty(&mut *text, &saved)
            .map_err(io::Error::from)
            .and_then(|()| {
                text.push(b'\n');
                secret::replace(&self.0, &text)
            })
            .map_err(|error| KeyFileError::Unwritable(self.0.clone(), error))
    }
}

impl Saved {
    /// How old the current key is. A time in the future was or is a wrong clock's: then the
    /// daemon's own count at the time is all there is to go by, and it goes on from there.
    fn age(&self, now_unix_s: u64) -> Duration {
        let since = now_unix_s.saturating_sub(self.unix_time_s);
        let age = self.age_s.saturating_add(since).min(OLDEST);
        Duration::from_secs(i64::try_from(age).unwrap_or(0))
    }
}

impl SavedKey {
    fn new(key: &CookieKey) -> Self {
        Self {
            id: key.id(),
            key: Digits::of(key.expose()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use clockwright_timebase::Timestamp;

    use super::*;
    use crate::measure::OsEntropy;
    use crate::nts::scratch::Scratch;

    const DAY: Duration = Duration::from_secs(86_400);
    const THEN: u64 = 1_800_000_000;

    /// A moment of another boot each time it is asked for.
    fn moment(raw_s: i64, unix_s: u64) -> Moment {
        Moment {
            raw: Timestamp::from_timespec(raw_s, 0),
            unix_s,
        }
    }

    /// Keys of which the current one is 1000 s old at `THEN`, saved.
    fn saved(scratch: &Scratch) -> (KeyFile, Keyring) {
        let file = KeyFile::new(scratch.directory());
        let now = moment(5000, THEN);
        let mut entropy = OsEntropy::new();
        let begin = now.raw - Duration::from_secs(1000) - DAY - DAY;
        let mut keyring = Keyring::new(begin, &mut entropy);
        keyring.handle_time(now.raw, DAY, &mut entropy);
        file.save(&keyring, now).unwrap();
        (file, keyring)
    }

    fn age_s(keyring: &Keyring, now: Moment) -> u64 {
        keyring.age(now.raw).to_std().as_secs()
    }

    #[test]
    fn keys_come_back_as_old_as_they_are() {
        let scratch = Scratch::new("key-file");
        let (file, keyring) = saved(&scratch);
        let now = moment(10, THEN + 500);
        let back = file.load(now).unwrap().unwrap();
        assert_eq!(age_s(&back, now), 1500);
        assert!(back.all().eq(keyring.all()));
        assert_eq!(back.all().count(), 4);
        let mode = fs::metadata(&file.0).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
    }

    #[test]
    fn a_wrong_clock_does_not_stop_the_rotation() {
        let scratch = Scratch::new("key-file-clock");
        let (file, _) = saved(&scratch);
        // The clock was ahead by years when the keys were saved, or stands at 1970 now. The daemon
        // is restarted every six hours, again and again, and the clock is never right.
        let mut rotations = 0;
        for start in 0..9 {
            let boot = moment(10, start * 30_000);
            let mut keyring = file.load(boot).unwrap().unwrap();
            let end = moment(21_610, start * 30_000 + 21_600);
            rotations += u32::from(keyring.handle_time(end.raw, DAY, &mut OsEntropy::new()));
            file.save(&keyring, end).unwrap();
        }
        assert!((2..=3).contains(&rotations), "{rotations}");
    }

    #[test]
    fn nothing_saved_is_no_error() {
        let scratch = Scratch::new("key-file-none");
        let file = KeyFile::new(scratch.directory());
        assert!(file.load(moment(0, 0)).unwrap().is_none());
        let nowhere = KeyFile::new(&scratch.path("missing"));
        let (_, keyring) = saved(&scratch);
        let error = nowhere.save(&keyring, moment(0, 0)).unwrap_err();
        assert!(error.to_string().contains("state.directory"), "{error}");
    }

    #[test]
    fn damage_is_named_and_no_secret_told() {
        let scratch = Scratch::new("key-file-damage");
        let (file, keyring) = saved(&scratch);
        let good = fs::read_to_string(&file.0).unwrap();
        let secret = crate::nts::hex::encode(keyring.current.expose());
        let with = |change: fn(&mut serde_json::Value)| {
            let mut saved: serde_json::Value = serde_json::from_str(&good).unwrap();
            change(&mut saved);
            saved.to_string()
        };
        for (bad, why) in [
            (String::new(), "line 1"),
            (good.chars().take(300).collect(), "line "),
            (with(|it| it["format"] = 2.into()), "format 2"),
            (with(|it| it["age_s"] = (-1).into()), "line 1"),
            (with(|it| it["keys"] = serde_json::json!([])), "two keys"),
            (with(|it| it["keys"][1]["key"] = "ab".into()), "64"),
            (good.replace("\"id\"", "\"name\""), "line "),
            (good.replace("\"key\": \"", "\"key\": 1"), "line "),
        ] {
            fs::write(&file.0, &bad).unwrap();
            let error = file.load(moment(0, THEN)).unwrap_err();
            assert!(matches!(error, KeyFileError::Damaged(..)), "{bad}: {error}");
            let text = error.to_string();
            assert!(text.contains(why), "{bad}: {text}");
            assert!(text.contains("nts-server-keys.json"), "{text}");
            assert!(!text.contains(secret.get(..8).unwrap()), "{text}");
        }
    }

    #[test]
    fn keys_that_others_can_read_are_not_used() {
        let scratch = Scratch::new("key-file-exposed");
        let (file, _) = saved(&scratch);
        fs::set_permissions(&file.0, Permissions::from_mode(0o644)).unwrap();
        let error = file.load(moment(0, THEN)).unwrap_err();
        assert!(matches!(error, KeyFileError::Unusable(_)), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}
