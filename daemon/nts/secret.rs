//! Files that hold secrets: refused when others can read them, and written so that nobody else
//! ever could.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use zeroize::Zeroizing;

/// The longest file read, octets: keys and cookies of a hundred sources.
const LONGEST: u64 = 256 * 1024;
/// Whoever may do any of this to a secret besides its owner, and besides the group of a file that
/// belongs to root reading it, is one too many.
const FORBIDDEN: u32 = 0o037;
const GROUP_READS: u32 = 0o040;
const ROOT: u32 = 0;

/// Why a secret is not used.
#[derive(Debug)]
pub enum SecretError {
    /// It cannot be read.
    Io(PathBuf, io::Error),
    /// It is a directory, a device or the like.
    NotAFile(PathBuf),
    /// Nothing that is expected there is so long.
    TooLong(PathBuf),
    /// Others can read or change it.
    Exposed {
        /// The file.
        path: PathBuf,
        /// The permission bits of its mode.
        mode: u32,
    },
    /// It is somebody else's, who can read and change it.
    Foreign {
        /// The file.
        path: PathBuf,
        /// The user id that it belongs to.
        owner: u32,
    },
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::NotAFile(path) => write!(f, "{} is not a file", path.display()),
            Self::TooLong(path) => {
                write!(f, "{} is longer than {LONGEST} octets", path.display())
            }
            Self::Exposed { path, mode } => write!(
                f,
                "{path} holds a secret and its mode is {mode:04o}, so that others can read or \
                 change it: `chmod 600 {path}` (640 will do for a file of root's)",
                path = path.display()
            ),
            Self::Foreign { path, owner } => write!(
                f,
                "{path} holds a secret and belongs to the user with id {owner}, who can read and \
                 change it; `chown {me} {path}`",
                me = geteuid(),
                path = path.display()
            ),
        }
    }
}

impl std::error::Error for SecretError {}

impl SecretError {
    /// Is there just no such file?
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Io(_, error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// Reads a secret.
///
/// # Errors
/// It cannot be read, or it is none any more.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let unreadable = |error| SecretError::Io(path.to_owned(), error);
    // A pipe without a writer would keep the daemon waiting.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .map_err(unreadable)?;
    // Of what was opened, whatever the name may lead to by now.
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(SecretError::NotAFile(path.to_owned()));
    }
    if is_exposed(metadata.mode(), metadata.uid()) {
        return Err(SecretError::Exposed {
            path: path.to_owned(),
            mode: metadata.mode() & 0o7777,
        });
    }
    let owner = metadata.uid();
    if is_foreign(owner, geteuid().as_raw()) {
        let path = path.to_owned();
        return Err(SecretError::Foreign { path, owner });
    }
    read_all(&file)
        .map_err(unreadable)?
        .ok_or_else(|| SecretError::TooLong(path.to_owned()))
}

/// Can others than `owner` read or change a file with this mode? Groups like Debian's `ssl-cert`
/// are root's way of giving a key to a few daemons.
const fn is_exposed(mode: u32, owner: u32) -> bool {
    mode & FORBIDDEN != 0 || (mode & GROUP_READS != 0 && owner != ROOT)
}

/// Does what belongs to `owner` belong to somebody whom a daemon of the user `me` need not obey? Its
/// mode says nothing then: who owns a file has it as he likes.
pub(crate) const fn is_foreign(owner: u32, me: u32) -> bool {
    owner != ROOT && owner != me
}

/// All of a file, `None` if it is too long.
fn read_all(file: &File) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let length = file.metadata()?.len().min(LONGEST);
    // Room for all of it: a vector that grows leaves copies behind.
    let room = usize::try_from(length).unwrap_or(0) + 1;
    let mut octets = Zeroizing::new(Vec::with_capacity(room));
    file.take(LONGEST + 1).read_to_end(&mut octets)?;
    Ok((octets.len() as u64 <= LONGEST).then_some(octets))
}

/// Puts a secret in the place of another one, or of none: under another name first, so that a power
/// failure leaves either the old file or the new one.
///
/// # Errors
/// The kernel refused a step.
pub(crate) fn replace(path: &Path, secret: &[u8]) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    // Whatever is there may be readable, or lead elsewhere.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(secret)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    // The name is in the directory, which has to reach the disk too.
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;
    use crate::nts::scratch::Scratch;

    #[test]
    fn what_is_written_is_for_its_owner_only() {
        let scratch = Scratch::new("secret-replace");
        let path = scratch.path("secret");
        for secret in [b"one".as_slice(), b"another"] {
            replace(&path, secret).unwrap();
            assert_eq!(**read(&path).unwrap(), *secret);
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        }
        // No draft is left behind.
        assert_eq!(fs::read_dir(scratch.directory()).unwrap().count(), 1);
    }

    #[test]
    fn a_draft_does_not_lead_elsewhere() {
        let scratch = Scratch::new("secret-draft");
        let (path, elsewhere) = (scratch.path("secret"), scratch.path("elsewhere"));
        fs::write(&elsewhere, "untouched").unwrap();
        symlink(&elsewhere, scratch.path("secret.new")).unwrap();
        replace(&path, b"secret").unwrap();
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "untouched");
        assert!(!fs::symlink_metadata(&path).unwrap().is_symlink());
    }

    #[test]
    fn what_others_can_read_or_change_is_no_secret() {
        let exposed = |mode: u32| is_exposed(0o100_000 | mode, 1000);
        assert!(!exposed(0o600) && !exposed(0o400) && !exposed(0o700));
        assert!(exposed(0o640) && exposed(0o604) && exposed(0o620) && exposed(0o602));
        // Debian's ssl-cert.
        assert!(!is_exposed(0o100_640, ROOT) && !is_exposed(0o100_440, ROOT));
        assert!(is_exposed(0o100_644, ROOT) && is_exposed(0o100_660, ROOT));

        let scratch = Scratch::new("secret-exposed");
        let path = scratch.path("secret");
        replace(&path, b"secret").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let refused = read(&path).unwrap_err();
        assert!(matches!(refused, SecretError::Exposed { mode: 0o644, .. }));
        let text = refused.to_string();
        assert!(
            text.contains("0644") && text.contains("chmod 600"),
            "{text}"
        );
    }

    #[test]
    fn what_belongs_to_somebody_else_is_no_secret() {
        assert!(!is_foreign(ROOT, ROOT) && !is_foreign(ROOT, 1000) && !is_foreign(1000, 1000));
        assert!(is_foreign(1000, ROOT) && is_foreign(1000, 1001));

        let scratch = Scratch::new("secret-foreign");
        let path = scratch.path("secret");
        replace(&path, b"secret").unwrap();
        // Only root can give it away.
        if geteuid().is_root() {
            chown(&path, Some(1234), None).unwrap();
            let refused = read(&path).unwrap_err();
            assert!(matches!(refused, SecretError::Foreign { owner: 1234, .. }));
            let text = refused.to_string();
            assert!(
                text.contains("1234") && text.contains("chown 0 /"),
                "{text}"
            );
        }
    }

    #[test]
    fn only_files_of_some_length_are_read() {
        let scratch = Scratch::new("secret-odd");
        assert!(read(&scratch.path("none")).unwrap_err().is_not_found());
        assert!(matches!(
            read(scratch.directory()),
            Err(SecretError::NotAFile(_))
        ));
        let path = scratch.path("secret");
        replace(&path, &vec![b'x'; 256 * 1024]).unwrap();
        assert_eq!(read(&path).unwrap().len(), 256 * 1024);
        replace(&path, &vec![b'x'; 256 * 1024 + 1]).unwrap();
        assert!(matches!(read(&path), Err(SecretError::TooLong(_))));
    }
}
