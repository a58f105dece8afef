//! Telling whether files have changed, without reading them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the kernel says about some files at one moment. If they are changed, replaced, or made
/// readable, it says something else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Fingerprint(Vec<(PathBuf, Option<Stamp>)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// Also when its mode or its owner were changed.
    changed: (i64, i64),
}

impl Fingerprint {
    /// Of these files, which need not exist. To be taken before they are read: what changes
    /// meanwhile is noticed the next time.
    pub(super) fn of<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        let stamp = |path: P| {
            let path = path.as_ref();
            (path.to_owned(), Stamp::of(path))
        };
        Self(paths.into_iter().map(stamp).collect())
    }
}

impl Stamp {
    /// Of what the name leads to: programs that renew certificates change links.
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::nts::scratch::Scratch;

    #[test]
    fn whatever_happens_to_a_file_is_noticed() {
        let scratch = Scratch::new("fingerprint");
        let (link, file) = (scratch.path("link"), scratch.path("file"));
        let mut seen = Fingerprint::of([&link]);
        let mut changed = || {
            let now = Fingerprint::of([&link]);
            let changed = now != seen;
            seen = now;
            changed
        };
        assert!(!changed());
        symlink(&file, &link).unwrap();
        assert!(!changed(), "it leads nowhere");
        fs::write(&file, "one").unwrap();
        assert!(changed());
        assert!(!changed());
        fs::write(&file, "three").unwrap();
        assert!(changed());
        let mode = |mode| fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        mode(0o600);
        assert!(changed());
        // Another file in its place, as long and as old.
        let other = scratch.path("other");
        fs::write(&other, "three").unwrap();
        let old = fs::metadata(&file).unwrap().modified().unwrap();
        let other_file = fs::OpenOptions::new().write(true).open(&other).unwrap();
        other_file.set_modified(old).unwrap();
        fs::rename(&other, &file).unwrap();
        assert!(changed());
        fs::remove_file(&file).unwrap();
        assert!(changed());
    }
}
