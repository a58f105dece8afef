//! Small things about processes that the daemon needs.

use std::os::unix::fs::MetadataExt;
use std::{fs, io};

use nix::sys::signal::Signal;
use nix::unistd::getppid;

/// Privileges this project can make use of, with their bit in the kernel's capability sets
/// (`linux/capability.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Capability {
    /// `CAP_NET_BIND_SERVICE`: ports below 1024.
    NetBindService = 10,
    /// `CAP_NET_ADMIN`: configure hardware timestamping.
    NetAdmin = 12,
    /// `CAP_SYS_TIME`: step and steer the system clock.
    SysTime = 25,
}

/// Does the calling thread have `capability` in its effective set?
pub fn has_capability(capability: Capability) -> io::Result<bool> {
    let status = fs::read_to_string("/proc/thread-self/status")?;
    let effective = effective_capabilities(&status).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "/proc/thread-self/status has no CapEff line",
        )
    })?;
    Ok(effective >> (capability as u8) & 1 == 1)
}

/// Is the process in the user namespace the kernel booted with? Privileges over the clock count
/// only there.
pub fn in_initial_user_namespace() -> io::Result<bool> {
    /// `PROC_USER_INIT_INO` of the kernel's `proc_ns.h`; part of its ABI by now.
    const INITIAL: u64 = 0xefff_fffd;
    Ok(fs::metadata("/proc/self/ns/user")?.ino() == INITIAL)
}

/// Asks the kernel to send this process SIGTERM when its parent's thread dies, and fails when the
/// parent is no longer `parent` (it died before the request).
pub fn die_with_parent(parent: u32) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
    if u32::try_from(getppid().as_raw()) == Ok(parent) {
        Ok(())
    } else {
        Err(io::Error::other("the parent process has already ended"))
    }
}

/// The effective set from the text of `/proc/<pid>/status`.
fn effective_capabilities(status: &str) -> Option<u64> {
    let digits = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?
        .trim();
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_set_is_read_from_its_line() {
        let status = "Name:\tx\nCapPrm:\tffffffffffffffff\nCapEff:\t0000000002000400\nCapBnd:\t0\n";
        let set = effective_capabilities(status).unwrap();
        assert_eq!(
            set,
            1 << Capability::SysTime as u8 | 1 << Capability::NetBindService as u8
        );
        assert_eq!(effective_capabilities("Name:\tx\n"), None);
        assert_eq!(effective_capabilities("CapEff:\tnonsense\n"), None);
    }

    #[test]
    fn the_running_kernel_answers() {
        has_capability(Capability::SysTime).unwrap();
        in_initial_user_namespace().unwrap();
    }

    #[test]
    fn a_parent_that_is_gone_is_an_error() {
        // This process is not its own parent.
        assert!(die_with_parent(std::process::id()).is_err());
        nix::sys::prctl::set_pdeathsig(None).unwrap();
    }
}
