//! A directory for one test.

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::mkdtemp;

/// An empty directory with a short path (a Unix socket's has at most 107 octets), removed when
/// dropped.
#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// Makes it, readable by this user only.
    pub(crate) fn new() -> Self {
        Self(mkdtemp("/tmp/clockwright-test-XXXXXX").expect("make a directory in /tmp"))
    }

    /// Where `name` is in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file into it and says where it is.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("write a file of the test");
        path
    }
}

impl AsRef<Path> for Directory {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A test that failed is not made to fail again.
        let _ = fs::remove_dir_all(&self.0);
    }
}
