//! Small things about processes that the daemon needs.

use std::io;

/// Asks the kernel to send this process SIGTERM when its parent thread dies, and fails when the
/// parent is no longer `parent` (it died before the request).
pub fn die_with_parent(parent: u32) -> io::Result<()> {
    let _ = parent;
    Err(io::ErrorKind::Unsupported.into())
}
