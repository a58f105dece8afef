//! Pulses per second: `/dev/ppsN` (RFC 2783, `linux/pps.h`).
//!
//! The kernel stamps each pulse on `CLOCK_REALTIME` in its interrupt. Only the newest pulse of
//! each edge is kept, with its number, so that reading more often than once a second misses none.

use std::fs::File;
use std::io;
use std::path::Path;

use clockwright_timebase::{Timestamp, Utc};

use crate::ioctl::ioctl;
use crate::uapi;

/// Which end of a pulse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Edge {
    /// Its beginning.
    Assert,
    /// Its end.
    Clear,
}

impl Edge {
    const fn capture(self) -> u32 {
        match self {
            Self::Assert => uapi::PPS_CAPTUREASSERT,
            Self::Clear => uapi::PPS_CAPTURECLEAR,
        }
    }
}

/// The newest pulse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// Counts the pulses; wraps around.
    pub sequence: u32,
    /// When the kernel saw it, by the system clock.
    pub at: Timestamp<Utc>,
}

/// An open source of pulses.
#[derive(Debug)]
pub struct Device {
    file: File,
    edge: Edge,
}

impl Device {
    /// Opens the device, and has it capture this edge.
    ///
    /// # Errors
    /// `NotATty` (`ENOTTY`) where it is no source of pulses; `PermissionDenied` where the edge is
    /// not captured and this process may not change that (`CAP_SYS_TIME`); `Unsupported` where
    /// the source has no such edge.
    pub fn open(path: &Path, edge: Edge) -> io::Result<Self> {
        // Setting needs no write access, but a capability; the device may be read-only for us.
        let file = File::open(path)?;
        let device = Self { file, edge };
        let mut capabilities: libc::c_int = 0;
        // SAFETY: PPS_GETCAP writes one int.
        unsafe { ioctl(&device.file, PPS_GETCAP, &mut capabilities) }?;
        let captures = |mode: libc::c_int| mode.cast_unsigned() & edge.capture() != 0;
        if !captures(capabilities) {
            return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
        }
        let mut parameters = uapi::pps_kparams::default();
        // SAFETY: PPS_GETPARAMS writes one `pps_kparams`.
        unsafe { ioctl(&device.file, PPS_GETPARAMS, &mut parameters) }?;
        if !captures(parameters.mode) {
            parameters.mode |= (edge.capture() | uapi::PPS_TSFMT_TSPEC).cast_signed();
            // SAFETY: PPS_SETPARAMS reads one `pps_kparams`.
            unsafe { ioctl(&device.file, PPS_SETPARAMS, &mut parameters) }?;
        }
        Ok(device)
    }

    /// The newest pulse, without waiting; `None` before the first.
    pub fn newest(&self) -> io::Result<Option<Pulse>> {
        // A timeout of zero, which is not "invalid" (for ever), asks for what is there.
        let mut fetch = uapi::pps_fdata::default();
        // SAFETY: PPS_FETCH reads and writes one `pps_fdata`.
        unsafe { ioctl(&self.file, PPS_FETCH, &mut fetch) }?;
        Ok(pulse_of(&fetch, self.edge))
    }
}

fn pulse_of(fetched: &uapi::pps_fdata, edge: Edge) -> Option<Pulse> {
    let info = &fetched.info;
    let (sequence, time) = match edge {
        Edge::Assert => (info.assert_sequence, info.assert_tu),
        Edge::Clear => (info.clear_sequence, info.clear_tu),
    };
    (sequence != 0).then(|| Pulse {
        sequence,
        at: Timestamp::from_timespec(time.sec, i64::from(time.nsec)),
    })
}

// The header says "struct pps_kparams *" where the size of the structure is meant: the numbers
// have a pointer's size in them.
const SIZE: usize = size_of::<*const libc::c_void>();
/// `PPS_GETPARAMS`.
const PPS_GETPARAMS: libc::Ioctl = nix::request_code_read!(b'p', 0xa1, SIZE);
/// `PPS_SETPARAMS`.
const PPS_SETPARAMS: libc::Ioctl = nix::request_code_write!(b'p', 0xa2, SIZE);
/// `PPS_GETCAP`.
const PPS_GETCAP: libc::Ioctl = nix::request_code_read!(b'p', 0xa3, SIZE);
/// `PPS_FETCH`.
const PPS_FETCH: libc::Ioctl = nix::request_code_readwrite!(b'p', 0xa4, SIZE);

const _: () = {
    assert!(size_of::<uapi::pps_fdata>() == 64);
    assert!(size_of::<uapi::pps_kparams>() == 40);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn ioctl_numbers_are_those_of_the_abi() {
        assert_eq!(PPS_GETPARAMS, 0x8008_70a1);
        assert_eq!(PPS_SETPARAMS, 0x4008_70a2);
        assert_eq!(PPS_GETCAP, 0x8008_70a3);
        assert_eq!(PPS_FETCH, 0xc008_70a4);
    }

    #[test]
    fn each_edge_has_its_own_pulses() {
        let mut fetched = uapi::pps_fdata::default();
        assert_eq!(pulse_of(&fetched, Edge::Assert), None);
        fetched.info.assert_sequence = 7;
        fetched.info.assert_tu.sec = 1_800_000_000;
        fetched.info.assert_tu.nsec = 999_999_990;
        let pulse = Pulse {
            sequence: 7,
            at: Timestamp::from_timespec(1_800_000_000, 999_999_990),
        };
        assert_eq!(pulse_of(&fetched, Edge::Assert), Some(pulse));
        assert_eq!(pulse_of(&fetched, Edge::Clear), None);
    }

    #[test]
    fn what_is_no_source_of_pulses_is_refused_when_opened() {
        let error = Device::open(Path::new("/dev/null"), Edge::Assert).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
    }
}
