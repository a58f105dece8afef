//! Keys and cookies of NTS sources across a restart, so that none have to be established anew.
//!
//! A cookie is used once, also across a crash: the file is gone from the disk before the first of
//! its cookies is used, and is written when the daemon ends, which then has none left. After a crash
//! there is no file, and keys are established anew.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{fmt, time};

use clockwright_ntp::nts::{Algorithm, COOKIES, Cookie, Key, Session, SessionKeys};
use clockwright_timebase::Duration;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The file's name in the state directory.
const NAME: &str = "nts-sessions.json";
/// The format this program writes, and the only one it reads.
const FORMAT: u32 = 1;
/// Longest file read, octets: some hundred sources.
const MAX_FILE: u64 = 1 << 20;

/// A session with one server, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SavedSession {
    /// The source's name as configured.
    pub(super) name: String,
    /// Where the keys were established.
    pub(super) key_server: SocketAddr,
    /// Whom they are for.
    pub(super) server: SocketAddr,
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
    /// When the keys were established, by the clock of the time.
    established_unix_s: u64,
    aead: u16,
    keys: SavedKeys,
    alternative_keys: Option<SavedKeys>,
    cookies: Vec<Secret>,
}

#[derive(Serialize, Deserialize)]
struct SavedKeys {
    c2s: Secret,
    s2c: Secret,
}

/// Octets in hexadecimal, wiped when dropped.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Secret(Zeroizing<String>);

/// Why there is nothing to go on from, or nothing was kept.
#[derive(Debug)]
pub(super) enum SessionsError {
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// Others could have read it.
    Exposed(PathBuf, u32),
    /// It can be read, and makes no sense.
    Damaged(PathBuf, String),
    /// It cannot be removed, so that its cookies might be used twice.
    Irremovable(PathBuf, io::Error),
    /// The file cannot be written.
    Unwritable(PathBuf, io::Error),
}

impl fmt::Display for SessionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => {
                write!(f, "cannot read {}: {error}", path.display())?;
            }
            Self::Exposed(path, mode) => write!(
                f,
                "{} could be read by others (mode {mode:o}, should be 600) and was removed",
                path.display()
            )?,
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
        let unreadable = |error| SessionsError::Unreadable(self.path.clone(), error);
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
        let mut text = Zeroizing::new(Vec::new());
        (&mut file)
            .take(MAX_FILE)
            .read_to_end(&mut text)
            .map_err(unreadable)?;
        fs::remove_file(&self.path)
            .and_then(|()| self.sync_directory())
            .map_err(|error| SessionsError::Irremovable(self.path.clone(), error))?;
        if mode & 0o077 != 0 {
            return Err(SessionsError::Exposed(self.path.clone(), mode));
        }
        let damaged = |why| SessionsError::Damaged(self.path.clone(), why);
        let saved: Saved = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
        if saved.format != FORMAT {
            return Err(damaged(format!("format {} is unknown", saved.format)));
        }
        let now = unix_now();
        let sessions = saved.sessions.iter().map(|entry| entry.session(now));
        sessions
            .collect::<Option<_>>()
            .ok_or_else(|| damaged("a key or cookie is none".to_owned()))
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
        self.replace(&saved)
            .map_err(|error| SessionsError::Unwritable(self.path.clone(), error))
    }

    /// Under another name first: a power failure leaves no file, or a whole one.
    fn replace(&self, saved: &Saved) -> io::Result<()> {
        let draft = self.path.with_extension("json.new");
        let text = Zeroizing::new(serde_json::to_vec(saved)?);
        // One that was left behind may have other permissions.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        self.sync_directory()
    }

    /// A name is in its directory, which has to reach the disk too.
    fn sync_directory(&self) -> io::Result<()> {
        match self.path.parent() {
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
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
            established_unix_s: now_unix_s.saturating_sub(age_s),
            aead: session.keys.algorithm().id(),
            keys: SavedKeys::new(&session.keys),
            alternative_keys: session.alternative.as_ref().map(SavedKeys::new),
            cookies: session
                .cookies
                .iter()
                .map(|cookie| Secret::new(cookie.expose()))
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
            c2s: Secret::new(keys.c2s().expose()),
            s2c: Secret::new(keys.s2c().expose()),
        }
    }

    fn keys(&self, algorithm: Algorithm) -> Option<SessionKeys> {
        let key = |secret: &Secret| Key::new(algorithm, &secret.octets()?);
        SessionKeys::new(key(&self.c2s)?, key(&self.s2c)?)
    }
}

impl Secret {
    fn new(octets: &[u8]) -> Self {
        let digits = octets.iter().flat_map(|octet| [octet >> 4, octet & 15]);
        let text = digits.filter_map(|digit| char::from_digit(digit.into(), 16));
        // With the room it needs, so that no shorter copy is left behind unwiped.
        let mut secret = Zeroizing::new(String::with_capacity(octets.len() * 2));
        secret.extend(text);
        Self(secret)
    }

    fn octets(&self) -> Option<Zeroizing<Vec<u8>>> {
        let digits = self.0.as_bytes();
        if !digits.len().is_multiple_of(2) {
            return None;
        }
        let value = |digit: u8| char::from(digit).to_digit(16);
        let mut octets = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
        for pair in digits.chunks_exact(2) {
            let [high, low] = *pair else { return None };
            octets.push(u8::try_from(value(high)? << 4 | value(low)?).ok()?);
        }
        Some(octets)
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

    /// A directory of this test's own, removed afterwards.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let unique = format!("clockwright-sessions-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(unique);
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self) -> SessionsFile {
            SessionsFile::new(&self.0)
        }

        fn path(&self) -> PathBuf {
            self.0.join(NAME)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
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
        let scratch = Scratch::new("once");
        let sessions = Algorithm::ALL.map(saved);
        scratch.file().save(&sessions).unwrap();
        let mode = fs::metadata(scratch.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut taken = scratch.file().take().unwrap();
        for session in &mut taken {
            assert!((session.age - Duration::from_secs(3600)).abs() <= Duration::from_secs(2));
            session.age = Duration::from_secs(3600);
        }
        assert_eq!(taken, sessions);
        assert!(!scratch.path().exists(), "gone before a cookie is used");
        assert!(scratch.file().take().unwrap().is_empty());
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 0);
    }

    #[test]
    fn what_others_could_read_is_not_used() {
        let scratch = Scratch::new("exposed");
        scratch
            .file()
            .save(&[saved(Algorithm::AesSivCmac256)])
            .unwrap();
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o640)).unwrap();
        let error = scratch.file().take().unwrap_err();
        assert!(matches!(error, SessionsError::Exposed(_, 0o640)), "{error}");
        assert!(!scratch.path().exists());
    }

    #[test]
    fn damage_is_named_and_survived() {
        let scratch = Scratch::new("damage");
        for (text, why) in [
            ("", "EOF"),
            ("{\"format\":9,\"sessions\":[]}", "format 9"),
            ("[1]", "invalid"),
        ] {
            fs::write(scratch.path(), text).unwrap();
            fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o600)).unwrap();
            let error = scratch.file().take().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("anew"), "{error}");
        }
        let file = scratch.file();
        file.save(&[saved(Algorithm::AesSivCmac256)]).unwrap();
        let text = fs::read_to_string(scratch.path()).unwrap();
        fs::write(scratch.path(), text.replace("abab", "abxy")).unwrap();
        assert!(matches!(file.take(), Err(SessionsError::Damaged(..))));
    }

    #[test]
    fn no_secret_is_shown() {
        let shown = format!("{:?}", saved(Algorithm::Aes128GcmSiv));
        assert!(!shown.contains("171") && !shown.contains("abab"), "{shown}");
    }
}
