//! File descriptors for connections, without taking those that the rest of the daemon needs.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors for everything else: sources, devices, files, the control socket and its clients.
const REST: u64 = 256;

/// How many connections can be open at once, of `wanted`. Raises the process's limit as far as that
/// takes and the system administrator lets it: systemd's default is 1024 of 524288.
pub(super) fn room_for(wanted: usize) -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return wanted;
    };
    let needed = REST.saturating_add(wanted as u64);
    let target = needed.min(hard);
    let limit = if soft >= target || setrlimit(Resource::RLIMIT_NOFILE, target, hard).is_err() {
        soft
    } else {
        target
    };
    fit(wanted, limit)
}

/// Of few descriptors, connections have half.
fn fit(wanted: usize, limit: u64) -> usize {
    let room = limit.saturating_sub(REST).max(limit / 2).max(1);
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_daemon_keeps_its_descriptors() {
        assert_eq!(fit(1024, 524_288), 1024);
        assert_eq!(fit(1024, 1024), 768);
        assert_eq!(fit(16, 1024), 16);
        assert_eq!(fit(1024, 100), 50);
        assert_eq!(fit(1024, 0), 1);
    }
}
