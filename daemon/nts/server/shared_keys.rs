//! Cookie keys that several servers share, so that each opens the cookies of all: of a pool behind
//! one name, or of a server for key establishment and others for the time.
//!
//! They are in a file, or in the files of a directory in the order of their names: lines of 64
//! hexadecimal digits, `#` before remarks. The first key seals, all open. A new key is added at the
//! end everywhere first, then moved to the front, and the old one is removed when no client has a
//! cookie of it any more.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clockwright_ntp::nts::cookie::MOST_KEYS;
use clockwright_ntp::nts::{CookieKey, CookieKeys};
use nix::unistd::geteuid;

use super::fingerprint::Fingerprint;
use crate::nts::hex;
use crate::nts::secret::{self, SecretError};

/// Files of a directory that are looked at. More than one for each key are of no use.
const MOST_FILES: usize = MOST_KEYS;
/// Its group writes, or anyone. Whoever can put a file before the others says which key seals.
const OTHERS_WRITE: u32 = 0o022;

/// Why shared keys cannot be used.
#[derive(Debug)]
pub enum SharedKeysError {
    /// A file cannot be read, or others can read it.
    Unusable(SecretError),
    /// The directory cannot be read.
    Directory(PathBuf, io::Error),
    /// Others can put keys into the directory.
    Open(PathBuf),
    /// The directory belongs to somebody else, with this user id.
    Foreign(PathBuf, u32),
    /// There are more files in the directory than keys can be used.
    TooManyFiles(PathBuf),
    /// This line of the file is no key.
    NoKey(PathBuf, usize),
    /// There is no key at all.
    None(PathBuf),
    /// There are more than can be used.
    TooMany(PathBuf),
}

impl fmt::Display for SharedKeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(error) => error.fmt(f),
            Self::Directory(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Open(path) => write!(
                f,
                "others can put NTS cookie keys into {path}; `chmod go-w {path}`",
                path = path.display()
            ),
            Self::Foreign(path, owner) => write!(
                f,
                "{path} belongs to the user with id {owner}, who can put NTS cookie keys into it; \
                 `chown {me} {path}`",
                me = geteuid(),
                path = path.display()
            ),
            Self::TooManyFiles(path) => write!(
                f,
                "there are more than {MOST_FILES} files in {}; remove those that hold no NTS \
                 cookie keys",
                path.display()
            ),
            Self::NoKey(path, line) => write!(
                f,
                "{}, line {line}: an NTS cookie key is a line of 64 hexadecimal digits, as \
                 `openssl rand -hex 32` makes it",
                path.display()
            ),
            Self::None(path) => write!(
                f,
                "there is no NTS cookie key in {}; `openssl rand -hex 32` makes one",
                path.display()
            ),
            Self::TooMany(path) => write!(
                f,
                "there are more than {MOST_KEYS} NTS cookie keys in {}; remove old ones",
                path.display()
            ),
        }
    }
}

impl std::error::Error for SharedKeysError {}

/// Keys that are read again when they change.
#[derive(Debug)]
pub(super) struct SharedKeys {
    path: PathBuf,
    seen: Fingerprint,
    keys: CookieKeys,
}

impl SharedKeys {
    /// The keys in a file or directory.
    ///
    /// # Errors
    /// There are none that can be used.
    pub(super) fn open(path: &Path) -> Result<Self, SharedKeysError> {
        let files = files(path)?;
        let seen = fingerprint(path, &files);
        let keys = read(path, &files)?;
        Ok(Self {
            path: path.to_owned(),
            seen,
            keys,
        })
    }

    /// Where they are.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The keys.
    pub(super) const fn keys(&self) -> &CookieKeys {
        &self.keys
    }

    /// Reads them again if the files have changed; true if the keys have.
    ///
    /// # Errors
    /// What is there now cannot be used; the keys stay as they are. Said once for each change.
    pub(super) fn check(&mut self) -> Result<bool, SharedKeysError> {
        // A directory that cannot be read has no files; reading it will say why.
        let seen = fingerprint(&self.path, &files(&self.path).unwrap_or_default());
        if seen == self.seen {
            return Ok(false);
        }
        self.seen = seen;
        let keys = read(&self.path, &files(&self.path)?)?;
        let changed = keys != self.keys;
        self.keys = keys;
        Ok(changed)
    }
}

fn fingerprint(path: &Path, files: &[PathBuf]) -> Fingerprint {
    Fingerprint::of([path].into_iter().chain(files.iter().map(PathBuf::as_path)))
}

/// The file itself, or the files of the directory, in the order of their names. Names that begin
/// with a dot are those of drafts, and of what Kubernetes keeps beside mounted secrets.
fn files(path: &Path) -> Result<Vec<PathBuf>, SharedKeysError> {
    let unreadable = |error| SharedKeysError::Directory(path.to_owned(), error);
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.mode() & OTHERS_WRITE != 0 {
        return Err(SharedKeysError::Open(path.to_owned()));
    }
    if secret::is_foreign(metadata.uid(), geteuid().as_raw()) {
        return Err(SharedKeysError::Foreign(path.to_owned(), metadata.uid()));
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if hidden || entry.path().is_dir() {
            continue;
        }
        if files.len() == MOST_FILES {
            return Err(SharedKeysError::TooManyFiles(path.to_owned()));
        }
        files.push(entry.path());
    }
    files.sort();
    Ok(files)
}

/// The keys in these files of `path`; which are its own, or itself.
fn read(path: &Path, files: &[PathBuf]) -> Result<CookieKeys, SharedKeysError> {
    let mut keys: Vec<CookieKey> = Vec::new();
    for file in files {
        let text = secret::read(file).map_err(SharedKeysError::Unusable)?;
        for (line, number) in text.split(|octet| *octet == b'\n').zip(1..) {
            let digits = without_remark(line);
            if digits.is_empty() {
                continue;
            }
            let key =
                read_key(digits).ok_or_else(|| SharedKeysError::NoKey(file.clone(), number))?;
            // A key that is there twice is there.
            if !keys.contains(&key) {
                keys.push(key);
            }
            if keys.len() > MOST_KEYS {
                return Err(SharedKeysError::TooMany(path.to_owned()));
            }
        }
    }
    let mut keys = keys.into_iter();
    Ok(CookieKeys {
        sealing: keys
            .next()
            .ok_or_else(|| SharedKeysError::None(path.to_owned()))?,
        others: keys.collect(),
    })
}

/// What is before `#`, without spaces around it.
fn without_remark(line: &[u8]) -> &[u8] {
    let end = line.iter().position(|octet| *octet == b'#');
    line.get(..end.unwrap_or(line.len()))
        .unwrap_or_default()
        .trim_ascii()
}

fn read_key(digits: &[u8]) -> Option<CookieKey> {
    let key = hex::decode(str::from_utf8(digits).ok()?)?;
    CookieKey::named_by_itself(key.as_slice())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;
    use crate::nts::scratch::Scratch;

    fn digits(fill: u8) -> String {
        hex::encode(&[fill; 32]).to_string()
    }

    fn key(fill: u8) -> CookieKey {
        CookieKey::named_by_itself(&[fill; 32]).unwrap()
    }

    fn write(path: &Path, text: &str) {
        secret::replace(path, text.as_bytes()).unwrap();
    }

    #[test]
    fn a_file_has_a_key_a_line() {
        let scratch = Scratch::new("shared-file");
        let path = scratch.path("keys");
        let text = format!(
            "# made in 2026\n{}\n\n  {} # the old one\r\n{}",
            digits(1),
            digits(2).to_uppercase(),
            digits(1)
        );
        write(&path, &text);
        let keys = SharedKeys::open(&path).unwrap();
        assert_eq!(keys.keys().sealing, key(1));
        assert_eq!(keys.keys().others, [key(2)]);
    }

    #[test]
    fn a_directory_has_files_in_the_order_of_their_names() {
        let scratch = Scratch::new("shared-directory");
        write(&scratch.path("20-old"), &digits(2));
        write(&scratch.path("10-new"), &digits(1));
        write(&scratch.path(".draft"), "not a key");
        fs::create_dir(scratch.path("15-other")).unwrap();
        let keys = SharedKeys::open(scratch.directory()).unwrap();
        assert_eq!(keys.keys().sealing, key(1));
        assert_eq!(keys.keys().others, [key(2)]);
    }

    #[test]
    fn what_changes_is_read_again_and_what_is_bad_is_told_once() {
        let scratch = Scratch::new("shared-change");
        write(&scratch.path("1"), &digits(1));
        let mut keys = SharedKeys::open(scratch.directory()).unwrap();
        assert!(!keys.check().unwrap());
        write(&scratch.path("0"), &digits(2));
        assert!(keys.check().unwrap());
        assert_eq!(
            (&keys.keys().sealing, keys.keys().others.len()),
            (&key(2), 1)
        );
        // A remark changes the file and not the keys.
        write(&scratch.path("0"), &format!("# new\n{}", digits(2)));
        assert!(!keys.check().unwrap());
        write(&scratch.path("0"), "oops");
        let error = keys.check().unwrap_err();
        assert!(matches!(error, SharedKeysError::NoKey(_, 1)), "{error}");
        assert!(!error.to_string().contains("oops"), "{error}");
        assert!(!keys.check().unwrap());
        assert_eq!(keys.keys().sealing, key(2));
        fs::remove_file(scratch.path("0")).unwrap();
        assert!(keys.check().unwrap());
        assert_eq!(keys.keys().sealing, key(1));
        fs::remove_file(scratch.path("1")).unwrap();
        assert!(matches!(keys.check(), Err(SharedKeysError::None(_))));
        assert_eq!(keys.keys().sealing, key(1));
    }

    #[test]
    fn what_others_can_read_or_fill_is_refused() {
        let scratch = Scratch::new("shared-exposed");
        let path = scratch.path("keys");
        write(&path, &digits(1));
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        mode(&path, 0o644);
        let refused = SharedKeys::open(&path).unwrap_err();
        assert!(refused.to_string().contains("chmod 600"), "{refused}");
        mode(&path, 0o600);
        assert!(SharedKeys::open(scratch.directory()).is_ok());
        for fillable in [0o777, 0o757, 0o775] {
            mode(scratch.directory(), fillable);
            let refused = SharedKeys::open(scratch.directory()).unwrap_err();
            assert!(matches!(refused, SharedKeysError::Open(_)), "{refused}");
        }
        mode(scratch.directory(), 0o755);
        assert!(SharedKeys::open(scratch.directory()).is_ok());
        let missing = SharedKeys::open(&scratch.path("missing")).unwrap_err();
        assert!(missing.to_string().contains("cannot read"), "{missing}");
    }

    #[test]
    fn a_directory_of_somebody_else_is_refused() {
        let scratch = Scratch::new("shared-foreign");
        write(&scratch.path("keys"), &digits(1));
        assert!(SharedKeys::open(scratch.directory()).is_ok());
        // Only root can give it away.
        if geteuid().is_root() {
            chown(scratch.directory(), Some(1234), None).unwrap();
            let refused = SharedKeys::open(scratch.directory()).unwrap_err();
            assert!(
                matches!(refused, SharedKeysError::Foreign(_, 1234)),
                "{refused}"
            );
            assert!(refused.to_string().contains("chown 0 /"), "{refused}");
        }
    }

    #[test]
    fn there_is_a_limit_to_keys_and_to_files() {
        let scratch = Scratch::new("shared-many");
        let path = scratch.path("keys");
        let lines = |count: u8| (1..=count).map(digits).collect::<Vec<_>>().join("\n");
        write(&path, &lines(64));
        assert_eq!(SharedKeys::open(&path).unwrap().keys().others.len(), 63);
        write(&path, &lines(65));
        let refused = SharedKeys::open(&path);
        assert!(matches!(refused, Err(SharedKeysError::TooMany(_))));
        for n in 0..64 {
            write(&scratch.path(&format!("{n}")), &digits(1));
        }
        let refused = SharedKeys::open(scratch.directory());
        assert!(matches!(refused, Err(SharedKeysError::TooManyFiles(_))));
    }
}
