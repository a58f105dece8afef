//! Keys and cookies of NTS sources across a restart, so that none have to be established anew.
//!
//! A cookie is used once, also across a crash: the file is gone from the disk before the first of
//! its cookies is used, and is written when the daemon ends, which then has none left. After a crash
//! there is no file, and keys are established anew.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fmt, io, time};

use clockwright_ntp::nts::{Algorithm, COOKIES, Cookie, Key, Session, SessionKeys};
use clockwright_timebase::Duration;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::nts::hex::Digits;
use crate::nts::secret::{self, SecretError};

/// The file's name in the state directory.
const NAME: &str = "nts-sessions.json";
/// The format this program writes, and the only one it reads.
const FORMAT: u32 = 1;
/// Room for the text of a source, octets, so that it never moves and leaves a copy behind.
const ROOM: usize = 8192;

/// A session with one server, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SavedSession {
    /// The source's name as configured.
    pub(super) name: String,
    /// Where the keys were established.
    pub(super) key_server: SocketAddr,
    /// Whom they are for.
    pub(super) server: SocketAddr,
    /// Whom they were established in trust of.
    pub(super) trust: String,
    /// The keys and cookies.
    pub(super) session: Session,
    /// How old the keys are.
    pub(super) age: Duration,
}

/// The file, as JSON.
#[derive(Serialize, Deserialize)]
struct Saved {
    format: u32,
    sessions: Vec<SavedEntry>,
}

#[derive(Serialize, Deserialize)]
struct SavedEntry {
    name: String,
    key_server: SocketAddr,
    server: SocketAddr,
    trust: String,
    /// When the keys were established, by the clock of the time.
    established_unix_s: u64,
    aead: u16,
    keys: SavedKeys,
    alternative_keys: Option<SavedKeys>,
    cookies: Vec<Digits>,
}

#[derive(Serialize, Deserialize)]
struct SavedKeys {
    c2s: Digits,
    s2c: Digits,
}

/// Why there is nothing to go on from, or nothing was kept.
#[derive(Debug)]
pub(super) enum SessionsError {
    /// The file cannot be read, or others could have read it. It was removed if that was possible.
    Unusable(SecretError),
    /// It can be read, and makes no sense. It was removed.
    Damaged(PathBuf, String),
    /// It cannot be removed, so that its cookies might be used twice.
    Irremovable(PathBuf, io::Error),
    /// The file cannot be written.
    Unwritable(PathBuf, io::Error),
}

impl fmt::Display for SessionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(error) => error.fmt(f)?,
            Self::Damaged(path, why) => {
                write!(f, "{} was damaged ({why}) and was removed", path.display())?;
            }
            Self::Irremovable(path, error) => write!(
                f,
                "cannot remove {}: {error}; its cookies are not used, since they could be used \
                 twice",
                path.display()
            )?,
            Self::Unwritable(path, error) => write!(
                f,
                "cannot write {}: {error}; make the directory writable for this daemon, or set \
                 state.directory",
                path.display()
            )?,
        }
        f.write_str(". NTS keys are established anew")
    }
}

impl std::error::Error for SessionsError {}

/// The file of one daemon.
#[derive(Debug)]
pub(super) struct SessionsFile {
    path: PathBuf,
}

impl SessionsFile {
    /// The file in `directory`, which exists if it can.
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            path: directory.join(NAME),
        }
    }

    /// Takes the sessions out of the file: afterwards they are nowhere but here.
    ///
    /// # Errors
    /// There are some, and they cannot be used.
    pub(super) fn take(&self) -> Result<Vec<SavedSession>, SessionsError> {
        let read = secret::read(&self.path);
        if read.as_ref().is_err_and(SecretError::is_not_found) {
            return Ok(Vec::new());
        }
        self.remove()
            .map_err(|error| SessionsError::Irremovable(self.path.clone(), error))?;
        let text = read.map_err(SessionsError::Unusable)?;
        let damaged = |why| SessionsError::Damaged(self.path.clone(), why);
        // Only where: serde would quote what it found there, which may be a secret.
        let saved: Saved = serde_json::from_slice(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            damaged(format!(
                "no file of sessions at line {line}, column {column}"
            ))
        })?;
        if saved.format != FORMAT {
            return Err(damaged(format!("format {} is unknown", saved.format)));
        }
        let now = unix_now();
        let sessions = saved.sessions.iter().map(|entry| entry.session(now));
        sessions
            .collect::<Option<_>>()
            .ok_or_else(|| damaged("a key or cookie is none".to_owned()))
    }

    /// Removes the file so that it stays so. The name is in the directory, which has to reach the
    /// disk too.
    fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)?;
        match self.path.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    }

    /// Keeps sessions that are not used any more.
    ///
    /// # Errors
    /// They are lost.
    pub(super) fn save(&self, sessions: &[SavedSession]) -> Result<(), SessionsError> {
        if sessions.is_empty() {
            return Ok(());
        }
        let now = unix_now();
        let saved = Saved {
            format: FORMAT,
            sessions: sessions.iter().map(|s| SavedEntry::new(s, now)).collect(),
        };
        let mut text = Zeroizing::new(Vec::with_capacity(ROOM * sessions.len()));
        serde_json::to_writer(&mut *text, &saved)
            .map_err(io::Error::from)
            .and_then(|()| secret::replace(&self.path, &text))
            .map_err(|error| SessionsError::Unwritable(self.path.clone(), error))
    }
}

impl SavedEntry {
    fn new(saved: &SavedSession, now_unix_s: u64) -> Self {
        let session = &saved.session;
        let age_s = u64::try_from(saved.age.as_nanos() / 1_000_000_000).unwrap_or(0);
        Self {
            name: saved.name.clone(),
            key_server: saved.key_server,
            server: saved.server,
            trust: saved.trust.clone(),
            established_unix_s: now_unix_s.saturating_sub(age_s),
            aead: session.keys.algorithm().id(),
            keys: SavedKeys::new(&session.keys),
            alternative_keys: session.alternative.as_ref().map(SavedKeys::new),
            cookies: session
                .cookies
                .iter()
                .map(|cookie| Digits::of(cookie.expose()))
                .collect(),
        }
    }

    /// `None` if a key or a cookie is none.
    fn session(&self, now_unix_s: u64) -> Option<SavedSession> {
        let algorithm = Algorithm::from_id(self.aead)?;
        let alternative = match &self.alternative_keys {
            Some(keys) => Some(keys.keys(algorithm)?),
            None => None,
        };
        let cookies = self.cookies.iter().take(COOKIES);
        let cookies = cookies.map(|cookie| Cookie::new(&cookie.octets()?));
        // By a clock that may have been wrong then or be wrong now: at worst, keys are replaced
        // sooner or later than they would have been.
        let age_s = now_unix_s.saturating_sub(self.established_unix_s);
        Some(SavedSession {
            name: self.name.clone(),
            key_server: self.key_server,
            server: self.server,
            trust: self.trust.clone(),
            session: Session {
                keys: self.keys.keys(algorithm)?,
                alternative,
                cookies: cookies.collect::<Option<_>>()?,
            },
            age: Duration::from_secs(i64::try_from(age_s).ok()?),
        })
    }
}

impl SavedKeys {
    fn new(keys: &SessionKeys) -> Self {
        Self {
            c2s: Digits::of(keys.c2s().expose()),
            s2c: Digits::of(keys.s2c().expose()),
        }
    }

    fn keys(&self, algorithm: Algorithm) -> Option<SessionKeys> {
        let key = |secret: &Digits| Key::new(algorithm, &secret.octets()?);
        SessionKeys::new(key(&self.c2s)?, key(&self.s2c)?)
    }
}

fn unix_now() -> u64 {
    time::SystemTime::now()
        .duration_since(time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::fs::PermissionsExt as _;

    use crate::nts::scratch::Scratch;

    fn file(scratch: &Scratch) -> SessionsFile {
        SessionsFile::new(scratch.directory())
    }

    fn saved(algorithm: Algorithm) -> SavedSession {
        let keys = |fill: u8| {
            let key = |fill| Key::new(algorithm, &vec![fill; algorithm.key_length()]).unwrap();
            SessionKeys::new(key(fill), key(fill + 1)).unwrap()
        };
        SavedSession {
            name: "time.example.net".to_owned(),
            key_server: "192.0.2.1:4460".parse().unwrap(),
            server: "[2001:db8::1]:123".parse().unwrap(),
            trust: "everybody".to_owned(),
            session: Session {
                keys: keys(0x10),
                alternative: (algorithm == Algorithm::Aes128GcmSiv).then(|| keys(0x20)),
                cookies: vec![Cookie::new(&[0xab; 68]).unwrap(); 8],
            },
            age: Duration::from_secs(3600),
        }
    }

    #[test]
    fn what_is_saved_is_taken_once() {
        let scratch = Scratch::new("sessions-once");
        let sessions = Algorithm::ALL.map(saved);
        file(&scratch).save(&sessions).unwrap();
        let mode = fs::metadata(scratch.path(NAME))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut taken = file(&scratch).take().unwrap();
        for session in &mut taken {
            assert!((session.age - Duration::from_secs(3600)).abs() <= Duration::from_secs(2));
            session.age = Duration::from_secs(3600);
        }
        assert_eq!(taken, sessions);
        assert!(!scratch.path(NAME).exists(), "gone before a cookie is used");
        assert!(file(&scratch).take().unwrap().is_empty());
        assert_eq!(fs::read_dir(scratch.directory()).unwrap().count(), 0);
    }

    #[test]
    fn what_others_could_read_is_not_used() {
        let scratch = Scratch::new("sessions-exposed");
        file(&scratch)
            .save(&[saved(Algorithm::AesSivCmac256)])
            .unwrap();
        fs::set_permissions(scratch.path(NAME), fs::Permissions::from_mode(0o644)).unwrap();
        let error = file(&scratch).take().unwrap_err();
        assert!(error.to_string().contains("mode is 0644"), "{error}");
        assert!(!scratch.path(NAME).exists());
    }

    #[test]
    fn damage_is_named_and_survived() {
        let scratch = Scratch::new("sessions-damage");
        for (text, why) in [
            ("", "line 1"),
            ("{\"format\":9,\"sessions\":[]}", "format 9"),
            ("[1]", "column"),
        ] {
            fs::write(scratch.path(NAME), text).unwrap();
            fs::set_permissions(scratch.path(NAME), fs::Permissions::from_mode(0o600)).unwrap();
            let error = file(&scratch).take().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("anew"), "{error}");
        }
        let file = file(&scratch);
        file.save(&[saved(Algorithm::AesSivCmac256)]).unwrap();
        let text = fs::read_to_string(scratch.path(NAME)).unwrap();
        fs::write(scratch.path(NAME), text.replace("abab", "abxy")).unwrap();
        assert!(matches!(file.take(), Err(SessionsError::Damaged(..))));
    }

    #[test]
    fn no_secret_is_shown() {
        let shown = format!("{:?}", saved(Algorithm::Aes128GcmSiv));
        assert!(!shown.contains("171") && !shown.contains("abab"), "{shown}");
    }
}
