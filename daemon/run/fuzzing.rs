//! Doors to what is read at the start, for the fuzz targets in `fuzz/`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clockwright_ntp::nts::COOKIES;
use clockwright_timebase::Timestamp;

use super::sessions::SessionsFile;
use super::state::StateFile;
use crate::control::ClockName;

/// A directory of this process, in memory.
pub fn directory() -> PathBuf {
    let directory = Path::new("/dev/shm").join(format!("clockwright-fuzz-{}", std::process::id()));
    let _ = fs::create_dir_all(&directory);
    directory
}

/// Puts a file there that only its owner can read. A file that cannot be written finds nothing.
pub fn put(name: &str, content: &[u8]) {
    let path = directory().join(name);
    let _ = fs::remove_file(&path);
    let options = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    let written = options.and_then(|mut file| file.write_all(content));
    assert!(written.is_ok(), "{}: {written:?}", path.display());
}

/// What was learnt about the oscillator is possible, whatever the file says.
pub fn drift(content: &[u8]) {
    put("drift.json", content);
    let (file, _) = StateFile::new(&directory(), ClockName::System);
    match file.load() {
        Ok(Some(kept)) => {
            let now = Timestamp::from_timespec(1_800_000_000, 0);
            let learnt = kept.learnt(now);
            assert!(learnt.frequency.abs() <= 1e-3 && learnt.wander > 0.0);
            assert!(learnt.frequency_sd > 0.0 && learnt.frequency_sd.is_finite());
            let _ = now - kept.saved_at();
        }
        Ok(None) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Sessions can be used, and are nowhere but in memory afterwards. What is wrong is said without
/// quoting what may be a secret.
pub fn sessions(content: &[u8]) {
    put("nts-sessions.json", content);
    match SessionsFile::new(&directory()).take() {
        Ok(sessions) => {
            assert!(
                sessions
                    .iter()
                    .all(|it| it.session.cookies.len() <= COOKIES)
            );
        }
        Err(error) => assert!(error.to_string().len() < 300),
    }
    assert!(!directory().join("nts-sessions.json").exists());
}
