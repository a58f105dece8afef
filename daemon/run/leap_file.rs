//! The leap second that is being smeared, kept over a restart: after midnight nobody announces it any
//! more, and the time that is served must not jump.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use clockwright_timebase::Timestamp;
use serde::{Deserialize, Serialize};

use crate::nts::secret;
use crate::serve::smear::{LeapKind, Smear};

/// The file's name in the state directory.
const NAME: &str = "leap-second.json";

/// Its content.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    /// The end of its day, seconds of POSIX time.
    day_ends_unix_s: i64,
    /// Is a second inserted, or left out?
    inserted: bool,
}

/// The file in a state directory.
#[derive(Debug)]
pub(super) struct LeapFile(PathBuf);

impl LeapFile {
    /// The file in `directory`.
    pub(super) fn new(directory: &Path) -> Self {
        Self(directory.join(NAME))
    }

    /// What was kept; `None`: nothing, or nothing that can be made sense of.
    pub(super) fn load(&self) -> Option<Smear> {
        let saved: Saved = serde_json::from_str(&fs::read_to_string(&self.0).ok()?).ok()?;
        let kind = if saved.inserted {
            LeapKind::Insert
        } else {
            LeapKind::Delete
        };
        let day_ends = Timestamp::from_timespec(saved.day_ends_unix_s, 0);
        Some(Smear::new(day_ends, kind))
    }

    /// Keeps a leap second, or none.
    ///
    /// # Errors
    /// The file cannot be written, or removed.
    pub(super) fn save(&self, smear: Option<&Smear>) -> io::Result<()> {
        let Some(smear) = smear else {
            return match fs::remove_file(&self.0) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        };
        let saved = Saved {
            day_ends_unix_s: smear.leap_at().since_epoch().as_nanos() / 1_000_000_000,
            inserted: smear.kind() == LeapKind::Insert,
        };
        let text = serde_json::to_string(&saved).map_err(io::Error::other)?;
        secret::replace(&self.0, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_second_is_kept_until_there_is_none() {
        let directory =
            std::env::temp_dir().join(format!("clockwright-leap-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let file = LeapFile::new(&directory);
        assert_eq!(file.load(), None);
        for kind in [LeapKind::Insert, LeapKind::Delete] {
            // 2016-12-31 was the last day with 86401 seconds.
            let smear = Smear::new(Timestamp::from_timespec(1_483_228_800, 0), kind);
            file.save(Some(&smear)).unwrap();
            assert_eq!(file.load(), Some(smear));
        }
        file.save(None).unwrap();
        file.save(None).unwrap();
        assert_eq!(file.load(), None);
        fs::write(directory.join(NAME), "nonsense").unwrap();
        assert_eq!(file.load(), None);
        fs::remove_dir_all(&directory).unwrap();
    }
}
