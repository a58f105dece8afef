//! Notices that the machine was moved to another host, or goes on from a snapshot.
//!
//! A hypervisor that has a clock for its guests (`/dev/vmclockN`) says so there: a number changes, and
//! nothing that was learnt of the oscillator holds any more. Looking costs a few reads of memory.

use std::io::ErrorKind;
use std::path::Path;

use clockwright_sys::vmclock::Device;
use tracing::warn;

/// The first such clock; nobody has seen a second one.
const CLOCK: &str = "/dev/vmclock0";

/// A watch on the hypervisor's number.
#[derive(Debug, Default)]
pub(super) struct MoveWatch {
    device: Option<Device>,
    seen: Seen,
}

/// The number when it was last looked at.
#[derive(Debug, Default)]
struct Seen(Option<u64>);

impl Seen {
    /// Has it changed since?
    fn changes(&mut self, number: u64) -> bool {
        self.0.replace(number).is_some_and(|seen| seen != number)
    }
}

impl MoveWatch {
    /// Begins to watch, where there is something to look at.
    pub(super) fn new() -> Self {
        let device = match Device::open(Path::new(CLOCK)) {
            Ok(device) => Some(device),
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    warn!(
                        "{CLOCK} cannot be read, so that this host would not notice being moved: {error}"
                    );
                }
                None
            }
        };
        let mut watch = Self {
            device,
            seen: Seen::default(),
        };
        watch.was_moved();
        watch
    }

    /// Was the machine moved since this was last asked?
    pub(super) fn was_moved(&mut self) -> bool {
        let looked = self.device.as_ref().and_then(|device| device.read().ok());
        looked.is_some_and(|looked| self.seen.changes(looked.state.disruption_marker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_number_is_told_once_and_the_first_one_is_no_change() {
        let mut seen = Seen::default();
        assert!(!seen.changes(7));
        assert!(!seen.changes(7));
        assert!(seen.changes(8));
        assert!(!seen.changes(8));
        assert!(seen.changes(7));
    }
}
