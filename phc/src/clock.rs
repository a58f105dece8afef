//! Opening a clock and reading it.

use std::io;
use std::path::{Path, PathBuf};

use clockwright_sys::clock::{ClockId, bracket};
use clockwright_sys::ptp::{Between, CrossTimestamp, Device, DeviceCapabilities, MAX_READINGS};
use clockwright_sys::vmclock::{self, ClockStatus};
use clockwright_timebase::{Duration, Phc, Raw, Timestamp, Utc};
use libc::{EINVAL, ENOTTY, EOPNOTSUPP};

use crate::band::{Band, Placed, on_raw};
use crate::{PhcError, Selector, find};

/// How a clock is compared with the host's; better ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// A cross-timestamp by hardware (`PTP_SYS_OFFSET_PRECISE`).
    Precise,
    /// Each reading between two of `CLOCK_MONOTONIC_RAW` (`PTP_SYS_OFFSET_EXTENDED`, Linux 6.12).
    Extended,
    /// Each reading between two of `CLOCK_REALTIME` (`PTP_SYS_OFFSET_EXTENDED`).
    ExtendedUtc,
    /// Readings that share those edges (`PTP_SYS_OFFSET`).
    Basic,
    /// The page of a hypervisor's clock (`/dev/vmclockN`), between two readings of
    /// `CLOCK_MONOTONIC_RAW`.
    Hypervisor,
}

impl Method {
    /// The name used in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Precise => "precise",
            Self::Extended => "extended",
            Self::ExtendedUtc => "extended-utc",
            Self::Basic => "basic",
            Self::Hypervisor => "hypervisor",
        }
    }

    /// The next one to try where this one is not supported.
    const fn worse(self) -> Option<Self> {
        match self {
            Self::Precise => Some(Self::Extended),
            Self::Extended => Some(Self::ExtendedUtc),
            Self::ExtendedUtc => Some(Self::Basic),
            Self::Basic | Self::Hypervisor => None,
        }
    }
}

/// What a clock showed, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What the clock showed.
    pub phc: Timestamp<Phc>,
    /// The raw instant at which it did.
    pub raw: Timestamp<Raw>,
    /// How far the true raw instant can lie from `raw`; zero where hardware compared the two.
    pub half_width: Duration,
    /// How much longer it took than a good reading does: what is unusual in it may be all on one
    /// side.
    pub excess: Duration,
    /// How it was read.
    pub method: Method,
}

impl Reading {
    /// The clock minus raw.
    pub fn offset(&self) -> Duration {
        self.phc.since_epoch() - self.raw.since_epoch()
    }
}

/// An open PTP hardware clock, or a hypervisor's.
#[derive(Debug)]
pub struct Clock {
    instrument: Instrument,
    path: PathBuf,
    /// The best method not known to fail.
    method: Method,
    /// How long readings take.
    band: Band,
}

/// What is read.
#[derive(Debug)]
enum Instrument {
    /// `/dev/ptpN`.
    Ptp(Device),
    /// `/dev/vmclockN`, with the marker that changes when the machine is moved, and the bound of
    /// its error when it was last read.
    Hypervisor {
        device: vmclock::Device,
        marker: u64,
        bound: Option<Duration>,
    },
}

impl Clock {
    /// Opens the clock that `selector` names, for reading.
    pub fn open(selector: &Selector) -> Result<Self, PhcError> {
        let path = selector.path()?;
        let fault = |error| PhcError::of_device(&path, error);
        let instrument = if is_hypervisors(&path) {
            let device = vmclock::Device::open(&path).map_err(fault)?;
            let state = device.read().map_err(fault)?.state;
            Instrument::Hypervisor {
                device,
                marker: state.disruption_marker,
                bound: None,
            }
        } else {
            Instrument::Ptp(Device::open(&path).map_err(fault)?)
        };
        Ok(Self::new(instrument, path))
    }

    /// Opens the clock that `selector` names, for steering it and for stamping events.
    pub fn open_to_change(selector: &Selector) -> Result<Self, PhcError> {
        let path = selector.path()?;
        let device =
            Device::open_to_change(&path).map_err(|error| PhcError::of_device(&path, error))?;
        Ok(Self::new(Instrument::Ptp(device), path))
    }

    fn new(instrument: Instrument, path: PathBuf) -> Self {
        Self {
            instrument,
            path,
            method: Method::Precise,
            band: Band::default(),
        }
    }

    /// The character device.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The device, for its events and its id for `clockwright_sys::adjust`; `None` of a
    /// hypervisor's clock.
    pub fn device(&self) -> Option<&Device> {
        match &self.instrument {
            Instrument::Ptp(device) => Some(device),
            Instrument::Hypervisor { .. } => None,
        }
    }

    /// The clock's id for `clockwright_sys::adjust`; valid as long as this is. `None` of a
    /// hypervisor's clock, which nobody in the machine can steer.
    pub fn id(&self) -> Option<ClockId> {
        self.device().map(Device::clock_id)
    }

    /// What the clock can do.
    pub fn capabilities(&self) -> Result<DeviceCapabilities, PhcError> {
        match &self.instrument {
            Instrument::Ptp(device) => device.capabilities().map_err(|error| self.fault(error)),
            Instrument::Hypervisor { .. } => Ok(DeviceCapabilities::default()),
        }
    }

    /// How wrong the clock itself says it may be: a hypervisor's clock, and Amazon's (ENA). `None`
    /// where it does not say.
    pub fn error_bound(&self) -> Option<Duration> {
        match &self.instrument {
            Instrument::Ptp(_) => find::error_bound(&self.path),
            Instrument::Hypervisor { bound, .. } => *bound,
        }
    }

    /// Reads the clock by the best method it supports, remembering which that is.
    ///
    /// Takes microseconds to a fraction of a millisecond, most of it bus transactions. Some
    /// clocks limit how often they may be read (ENA: 125 times a second).
    ///
    /// # Errors
    /// [`PhcError::Moved`] once after a virtual machine was moved: what was known of the clock,
    /// and of the host's oscillator, is void.
    pub fn read(&mut self) -> Result<Reading, PhcError> {
        let path = &self.path;
        let (method, batch) = match &mut self.instrument {
            Instrument::Ptp(device) => try_methods(self.method, |method| attempt(device, method))
                .map_err(|error| PhcError::of_device(path, error))?,
            Instrument::Hypervisor {
                device,
                marker,
                bound,
            } => {
                let looked = look(device).map_err(|error| PhcError::of_device(path, error))?;
                *bound = looked.bound;
                if std::mem::replace(marker, looked.marker) != looked.marker {
                    self.band = Band::default();
                    return Err(PhcError::Moved(path.clone()));
                }
                (Method::Hypervisor, looked.batch)
            }
        };
        if method != self.method {
            self.method = method;
            self.band = Band::default();
        }
        let Some(placed) = batch.placed(&mut self.band) else {
            return Err(PhcError::NoReading(self.path.clone()));
        };
        Ok(Reading {
            phc: placed.phc,
            raw: placed.raw,
            half_width: placed.half_width,
            excess: placed.excess,
            method,
        })
    }

    fn fault(&self, error: io::Error) -> PhcError {
        PhcError::of_device(&self.path, error)
    }
}

/// Is this the clock of a hypervisor?
fn is_hypervisors(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with("vmclock"))
}

/// Looks at a hypervisor's clock.
struct Looked {
    batch: Batch,
    marker: u64,
    bound: Option<Duration>,
}

/// Reads a hypervisor's clock a few times.
fn look(device: &vmclock::Device) -> io::Result<Looked> {
    const TIMES: usize = 8;
    let mut between = Vec::with_capacity(TIMES);
    let mut last = device.read()?;
    for _ in 0..TIMES {
        let reading = device.read()?;
        if reading.state.status == ClockStatus::Unreliable {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // The marker is that of all readings, or the next call will see it change.
        if reading.state.disruption_marker == last.state.disruption_marker {
            between.push(Between {
                before: reading.before,
                phc: Timestamp::from_epoch(reading.state.time_at(reading.counter)),
                after: reading.after,
            });
        }
        last = reading;
    }
    Ok(Looked {
        batch: Batch::Read {
            between,
            error: Duration::ZERO,
        },
        marker: last.state.disruption_marker,
        bound: last.state.max_error_at(last.counter),
    })
}

/// Tries methods from `first` on until one is supported; other errors end the search, so that a
/// clock that is busy for a moment is not degraded for ever.
fn try_methods<T>(
    first: Method,
    mut attempt: impl FnMut(Method) -> io::Result<T>,
) -> io::Result<(Method, T)> {
    let mut method = first;
    loop {
        match attempt(method) {
            Ok(reading) => return Ok((method, reading)),
            Err(error) if is_unsupported(method, &error) => match method.worse() {
                Some(worse) => method = worse,
                None => return Err(error),
            },
            Err(error) => return Err(error),
        }
    }
}

/// Does the error mean that the driver or the kernel does not have this method? Old kernels call
/// an ioctl they do not know `ENOTTY`, and a clock id where zero was reserved `EINVAL`.
fn is_unsupported(method: Method, error: &io::Error) -> bool {
    match error.raw_os_error() {
        Some(EOPNOTSUPP | ENOTTY) => true,
        Some(EINVAL) => method == Method::Extended,
        _ => false,
    }
}

/// What one call returned.
enum Batch {
    /// The clock and raw at the same instant.
    Compared(CrossTimestamp),
    /// Readings, and how far off `between` may be placed on raw.
    Read {
        between: Vec<Between<Raw>>,
        error: Duration,
    },
}

impl Batch {
    /// The one reading to make of it; `None` where nothing usable was read.
    fn placed(&self, band: &mut Band) -> Option<Placed> {
        match self {
            Self::Compared(cross) => Some(Placed {
                phc: cross.phc,
                raw: cross.raw,
                half_width: Duration::ZERO,
                excess: Duration::ZERO,
            }),
            Self::Read { between, error } => {
                let placed = band.choose(between)?;
                let half_width = placed.half_width + *error;
                Some(Placed {
                    half_width,
                    ..placed
                })
            }
        }
    }
}

/// A batch of readings by one method.
fn attempt(device: &Device, method: Method) -> io::Result<Batch> {
    match method {
        Method::Precise => device.cross_timestamp().map(Batch::Compared),
        Method::Extended => Ok(Batch::Read {
            between: device.extended_offsets_raw(MAX_READINGS)?,
            error: Duration::ZERO,
        }),
        Method::ExtendedUtc => bracketed(|| device.extended_offsets(MAX_READINGS)),
        Method::Basic | Method::Hypervisor => bracketed(|| device.offsets(MAX_READINGS)),
    }
}

/// Readings against the system clock, placed on raw.
fn bracketed(read: impl FnOnce() -> io::Result<Vec<Between<Utc>>>) -> io::Result<Batch> {
    let earlier = bracket();
    let readings = read()?;
    let (between, error) = on_raw(&readings, &earlier, &bracket());
    Ok(Batch::Read { between, error })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The methods tried and the outcome, for a clock that answers each method by `errno` (0 =
    /// success).
    fn search(errno: impl Fn(Method) -> i32) -> (Vec<Method>, io::Result<Method>) {
        let mut tried = Vec::new();
        let outcome = try_methods(Method::Precise, |method| {
            tried.push(method);
            match errno(method) {
                0 => Ok(()),
                number => Err(io::Error::from_raw_os_error(number)),
            }
        });
        (tried, outcome.map(|(method, ())| method))
    }

    #[test]
    fn the_best_supported_method_is_found() {
        let (tried, found) = search(|_| 0);
        assert_eq!((tried.len(), found.unwrap()), (1, Method::Precise));
        // An old kernel: no cross-timestamps, no clock id.
        let (_, found) = search(|method| match method {
            Method::Precise => EOPNOTSUPP,
            Method::Extended => EINVAL,
            _ => 0,
        });
        assert_eq!(found.unwrap(), Method::ExtendedUtc);
        let (_, found) = search(|method| if method == Method::Basic { 0 } else { ENOTTY });
        assert_eq!(found.unwrap(), Method::Basic);
    }

    #[test]
    fn a_passing_failure_degrades_nothing() {
        let (tried, found) = search(|_| libc::EBUSY);
        assert_eq!(tried, [Method::Precise]);
        assert_eq!(found.unwrap_err().raw_os_error(), Some(libc::EBUSY));
        let (tried, found) = search(|_| EOPNOTSUPP);
        assert_eq!(tried.len(), 4);
        assert!(found.is_err());
        // EINVAL means an old kernel only where the clock id is what it does not know.
        let (tried, _) = search(|_| EINVAL);
        assert_eq!(tried.len(), 1);
    }

    #[test]
    fn opening_what_is_not_there_says_so() {
        let open = |text: &str| Clock::open(&text.parse().unwrap()).unwrap_err();
        assert!(matches!(open("/dev/ptp4000000"), PhcError::NoSuchDevice(_)));
        assert!(matches!(open("/dev/null"), PhcError::NotAClock(_)));
        assert!(matches!(open("lo"), PhcError::NoneOnInterface(_)));
        assert!(matches!(open("no such clock"), PhcError::NoSuchName(..)));
    }
}
