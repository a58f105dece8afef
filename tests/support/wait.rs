//! Waiting for something to become true.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How often conditions are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until `look` gives `Ok`, and returns what is in it; panics after `timeout` with the
/// last `Err`, which says what was seen instead.
#[track_caller]
pub(crate) fn wait_for<T, E: Debug>(
    what: &str,
    timeout: Duration,
    mut look: impl FnMut() -> Result<T, E>,
) -> T {
    let start = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if start.elapsed() > timeout => {
                panic!("waited {timeout:?} for {what}; instead: {seen:#?}")
            }
            Err(_) => std::thread::sleep(LOOK_EVERY),
        }
    }
}

/// `Ok(value)` if `condition` holds for it, else `Err(value)`: for the end of a `wait_for`.
pub(crate) fn when<T>(value: T, condition: impl FnOnce(&T) -> bool) -> Result<T, Box<T>> {
    if condition(&value) {
        Ok(value)
    } else {
        Err(Box::new(value))
    }
}
