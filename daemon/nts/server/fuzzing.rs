//! Doors to what a server reads of its cookie keys, for the fuzz targets in `fuzz/`.

use std::path::Path;

use clockwright_ntp::nts::cookie::MOST_KEYS;
use clockwright_timebase::Timestamp;

use super::key_file::KeyFile;
use super::moment::Moment;
use super::shared_keys::SharedKeys;

/// The keys in the state directory's file can be used, or it is said why not, without quoting what
/// may be a secret.
pub fn key_file(directory: &Path) {
    let now = Moment {
        raw: Timestamp::from_timespec(1000, 0),
        unix_s: 1_800_000_000,
    };
    match KeyFile::new(directory).load(now) {
        Ok(Some(keyring)) => assert!(!keyring.age(now.raw).is_negative()),
        Ok(None) => {}
        Err(error) => assert!(error.to_string().len() < 400),
    }
}

/// The same for a file of keys that several servers share.
pub fn shared_keys(file: &Path) {
    match SharedKeys::open(file) {
        Ok(shared) => assert!(shared.keys().others.len() < MOST_KEYS),
        Err(error) => assert!(error.to_string().len() < 400),
    }
}
