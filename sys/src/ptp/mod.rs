//! PTP hardware clocks: `/dev/ptpN`.
//!
//! Three ways to compare such a clock with the host's, best first: a cross-timestamp taken by
//! hardware ([`Device::cross_timestamp`]), readings each between two of the host's clock
//! ([`Device::extended_offsets`]), and readings that share those edges ([`Device::offsets`]).

mod external;

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::{fmt, io};

use clockwright_timebase::{Phc, Raw, TimeBase, Timestamp, Utc};

use crate::clock::ClockId;
use crate::ioctl::ioctl;
use crate::uapi;

pub use external::ExternalEvent;

/// The most readings one call can make (`PTP_MAX_SAMPLES`).
pub const MAX_READINGS: u32 = uapi::PTP_MAX_SAMPLES;

/// An open PTP hardware clock.
#[derive(Debug)]
pub struct Device {
    file: File,
}

/// What a clock can do (`struct ptp_clock_caps`); by default nothing but tell the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceCapabilities {
    /// The largest frequency adjustment, in ppb; 0 = it cannot be steered.
    pub max_adjustment_ppb: u32,
    /// Channels that stamp external events.
    pub external_timestamps: u32,
    /// Channels that make periodic output.
    pub periodic_outputs: u32,
    /// Programmable pins.
    pub pins: u32,
    /// Does it offer PPS to the kernel?
    pub pps: bool,
    /// Does hardware take cross-timestamps?
    pub cross_timestamping: bool,
    /// Does it slew phase by itself?
    pub adjust_phase: bool,
}

/// A hardware clock and the host's clocks at the same instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrossTimestamp {
    /// The hardware clock.
    pub phc: Timestamp<Phc>,
    /// `CLOCK_REALTIME`.
    pub utc: Timestamp<Utc>,
    /// `CLOCK_MONOTONIC_RAW`.
    pub raw: Timestamp<Raw>,
}

/// A reading of the hardware clock between two of a clock of the host, on base `B`.
pub struct Between<B> {
    /// The host's clock, just before.
    pub before: Timestamp<B>,
    /// The hardware clock.
    pub phc: Timestamp<Phc>,
    /// The host's clock, just after.
    pub after: Timestamp<B>,
}

// Derived implementations would ask of `B` what only the timestamps need.
impl<B> Clone for Between<B> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<B> Copy for Between<B> {}
impl<B> PartialEq for Between<B> {
    fn eq(&self, other: &Self) -> bool {
        self.before == other.before && self.phc == other.phc && self.after == other.after
    }
}
impl<B> Eq for Between<B> {}
impl<B: TimeBase> fmt::Debug for Between<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} <= {:?} <= {:?}", self.before, self.phc, self.after)
    }
}

impl Device {
    /// Opens the character device for reading, which suffices for reading the clock.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::from_file(File::open(path)?)
    }

    /// Opens the character device for reading and writing, which steering and stamping of
    /// external events need.
    pub fn open_to_change(path: &Path) -> io::Result<Self> {
        Self::from_file(OpenOptions::new().read(true).write(true).open(path)?)
    }

    fn from_file(file: File) -> io::Result<Self> {
        let device = Self { file };
        // Something that is no clock answers ENOTTY here rather than garbage later.
        device.capabilities()?;
        Ok(device)
    }

    /// What the clock can do.
    pub fn capabilities(&self) -> io::Result<DeviceCapabilities> {
        let mut caps = uapi::ptp_clock_caps::default();
        // SAFETY: PTP_CLOCK_GETCAPS writes one `ptp_clock_caps`.
        unsafe { ioctl(&self.file, uapi::PTP_CLOCK_GETCAPS, &mut caps) }?;
        let count = |number: i32| u32::try_from(number).unwrap_or_default();
        Ok(DeviceCapabilities {
            max_adjustment_ppb: count(caps.max_adj),
            external_timestamps: count(caps.n_ext_ts),
            periodic_outputs: count(caps.n_per_out),
            pins: count(caps.n_pins),
            pps: caps.pps != 0,
            cross_timestamping: caps.cross_timestamping != 0,
            adjust_phase: caps.adjust_phase != 0,
        })
    }

    /// The clock's id for [`crate::adjust`]; valid as long as the device is open.
    pub fn clock_id(&self) -> ClockId {
        ClockId::of_descriptor(self.file.as_raw_fd())
    }

    /// The clock's time now, without saying when now was.
    pub fn now(&self) -> io::Result<Timestamp<Phc>> {
        let mut now = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: `now` is a valid timespec to write to for the whole call.
        let result = unsafe { libc::clock_gettime(self.clock_id().as_raw(), &raw mut now) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Timestamp::from_timespec(now.tv_sec, now.tv_nsec))
    }

    /// A cross-timestamp by hardware (`PTP_SYS_OFFSET_PRECISE`).
    ///
    /// # Errors
    /// `Unsupported` where the hardware has none.
    pub fn cross_timestamp(&self) -> io::Result<CrossTimestamp> {
        let mut offset = uapi::ptp_sys_offset_precise::default();
        // SAFETY: PTP_SYS_OFFSET_PRECISE writes one `ptp_sys_offset_precise`.
        unsafe { ioctl(&self.file, uapi::PTP_SYS_OFFSET_PRECISE, &mut offset) }?;
        Ok(CrossTimestamp {
            phc: instant(offset.device),
            utc: instant(offset.sys_realtime),
            raw: instant(offset.sys_monoraw),
        })
    }

    /// `count` readings (1 to [`MAX_READINGS`], clamped), each between two of
    /// `CLOCK_MONOTONIC_RAW` (`PTP_SYS_OFFSET_EXTENDED`, Linux 6.12).
    ///
    /// # Errors
    /// `InvalidInput` on kernels that compare with `CLOCK_REALTIME` only; `Unsupported` where the
    /// driver cannot.
    pub fn extended_offsets_raw(&self, count: u32) -> io::Result<Vec<Between<Raw>>> {
        self.extended(count, libc::CLOCK_MONOTONIC_RAW)
    }

    /// `count` readings (1 to [`MAX_READINGS`], clamped), each between two of `CLOCK_REALTIME`
    /// (`PTP_SYS_OFFSET_EXTENDED`).
    ///
    /// # Errors
    /// `Unsupported` where the driver cannot.
    pub fn extended_offsets(&self, count: u32) -> io::Result<Vec<Between<Utc>>> {
        self.extended(count, libc::CLOCK_REALTIME)
    }

    /// `count` readings (1 to [`MAX_READINGS`], clamped), neighbours sharing the reading of
    /// `CLOCK_REALTIME` between them (`PTP_SYS_OFFSET`). Every driver can.
    pub fn offsets(&self, count: u32) -> io::Result<Vec<Between<Utc>>> {
        let mut offset = uapi::ptp_sys_offset {
            n_samples: count.clamp(1, MAX_READINGS),
            ..Default::default()
        };
        // SAFETY: PTP_SYS_OFFSET reads and writes one `ptp_sys_offset`.
        unsafe { ioctl(&self.file, uapi::PTP_SYS_OFFSET, &mut offset) }?;
        Ok(from_shared_edges(&offset))
    }

    fn extended<B>(&self, count: u32, clock: libc::clockid_t) -> io::Result<Vec<Between<B>>> {
        let mut offset = uapi::PtpSysOffsetExtended {
            n_samples: count.clamp(1, MAX_READINGS),
            clockid: clock,
            rsv: [0; 2],
            ts: Default::default(),
        };
        // SAFETY: PTP_SYS_OFFSET_EXTENDED reads and writes one `ptp_sys_offset_extended`, of which
        // ours is a copy.
        unsafe { ioctl(&self.file, uapi::PTP_SYS_OFFSET_EXTENDED, &mut offset) }?;
        Ok(from_rows(&offset))
    }
}

fn instant<B>(time: uapi::ptp_clock_time) -> Timestamp<B> {
    Timestamp::from_timespec(time.sec, i64::from(time.nsec))
}

/// Rows of before, clock, after.
fn from_rows<B>(offset: &uapi::PtpSysOffsetExtended) -> Vec<Between<B>> {
    let rows = offset.ts.iter().take(offset.n_samples as usize);
    rows.map(|&[before, phc, after]| Between {
        before: instant(before),
        phc: instant(phc),
        after: instant(after),
    })
    .collect()
}

/// Host and clock in turn, beginning and ending with the host.
fn from_shared_edges(offset: &uapi::ptp_sys_offset) -> Vec<Between<Utc>> {
    let triples = offset.ts.windows(3).step_by(2);
    triples
        .take(offset.n_samples as usize)
        .filter_map(|triple| {
            let &[before, phc, after] = triple.first_chunk()?;
            Some(Between {
                before: instant(before),
                phc: instant(phc),
                after: instant(after),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(sec: i64, nsec: u32) -> uapi::ptp_clock_time {
        uapi::ptp_clock_time {
            sec,
            nsec,
            reserved: 0,
        }
    }

    #[test]
    fn shared_edges_make_overlapping_readings() {
        let mut offset = uapi::ptp_sys_offset {
            n_samples: 2,
            ..Default::default()
        };
        for (n, ts) in (0..).zip(offset.ts.iter_mut().take(5)) {
            *ts = time(1, n);
        }
        let readings = from_shared_edges(&offset);
        let row = |before, phc, after| Between {
            before: Timestamp::from_timespec(1, before),
            phc: Timestamp::from_timespec(1, phc),
            after: Timestamp::from_timespec(1, after),
        };
        assert_eq!(readings, [row(0, 1, 2), row(2, 3, 4)]);
        offset.n_samples = MAX_READINGS;
        assert_eq!(from_shared_edges(&offset).len(), 25);
        offset.n_samples = u32::MAX;
        assert_eq!(
            from_shared_edges(&offset).len(),
            25,
            "what the kernel says is not believed"
        );
    }

    #[test]
    fn rows_are_before_clock_after() {
        let mut offset = uapi::PtpSysOffsetExtended {
            n_samples: 1,
            clockid: 0,
            rsv: [0; 2],
            ts: Default::default(),
        };
        offset.ts[0] = [time(5, 1), time(-9, 2), time(5, 3)];
        let readings: Vec<Between<Raw>> = from_rows(&offset);
        assert_eq!(readings.len(), 1);
        assert_eq!(readings[0].phc, Timestamp::from_timespec(-9, 2));
        assert_eq!(readings[0].after, Timestamp::from_timespec(5, 3));
    }

    #[test]
    fn what_is_no_clock_is_refused_when_opened() {
        let error = Device::open(Path::new("/dev/null")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
        let error = Device::open(Path::new("/dev/ptp4000000")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
