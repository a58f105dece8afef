//! PTP hardware clocks: `/dev/ptpN`.

use std::io;
use std::path::Path;

/// An open PTP hardware clock.
#[derive(Debug)]
pub struct Device {}

impl Device {
    /// Opens the character device for reading, which suffices for reading the time.
    pub fn open(path: &Path) -> io::Result<Self> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }
}
