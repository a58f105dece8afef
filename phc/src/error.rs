//! What can go wrong, and whose fault it is.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use clockwright_sys::hwtstamp::HwtstampError;
use libc::{EACCES, EAGAIN, EBUSY, EINTR, ENODEV, ENOENT, ENOTTY, ENXIO, EPERM, ETIME, ETIMEDOUT};

/// Why a clock could not be found, opened or read.
#[derive(Debug)]
#[non_exhaustive]
pub enum PhcError {
    /// There is no such device: the host has no such clock, or the container was not given it.
    NoSuchDevice(PathBuf),
    /// The device is something else.
    NotAClock(PathBuf),
    /// This user may not open the device.
    NotPermitted(PathBuf),
    /// No clock has this name; those that exist.
    NoSuchName(String, Vec<String>),
    /// The interface has no PTP hardware clock.
    NoneOnInterface(String),
    /// The interface could not be asked.
    Interface(HwtstampError),
    /// Nothing that was read can be used: the system clock was stepped meanwhile, or the driver
    /// returned nonsense. The next reading may succeed.
    NoReading(PathBuf),
    /// The virtual machine was moved to another host: what was known of this clock, and of the
    /// oscillator, is void. The next reading begins anew.
    Moved(PathBuf),
    /// The kernel refused for another reason.
    Kernel(PathBuf, io::Error),
}

impl PhcError {
    /// Was the clock only busy: has it been read too often, or is somebody else reading it?
    pub(crate) fn is_busy(&self) -> bool {
        let Self::Kernel(_, error) = self else {
            return false;
        };
        matches!(
            error.raw_os_error(),
            Some(EAGAIN | EBUSY | EINTR | ETIME | ETIMEDOUT)
        )
    }

    /// An error of the device at `path`.
    pub(crate) fn of_device(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.raw_os_error() {
            // ENODEV and ENXIO: the node is there, the hardware is not (any more).
            Some(ENOENT | ENODEV | ENXIO) => Self::NoSuchDevice(path),
            Some(EACCES | EPERM) => Self::NotPermitted(path),
            Some(ENOTTY) => Self::NotAClock(path),
            _ => Self::Kernel(path, error),
        }
    }
}

impl fmt::Display for PhcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchDevice(path) => write!(
                f,
                "{}: no such PTP hardware clock (ls /sys/class/ptp shows those this host has)",
                path.display()
            ),
            Self::NotAClock(path) => write!(f, "{} is not a PTP hardware clock", path.display()),
            Self::NotPermitted(path) => write!(
                f,
                "{}: not permitted to open it; give this user read access (a udev rule), or in a \
                 container the device",
                path.display()
            ),
            Self::NoSuchName(name, known) if known.is_empty() => {
                write!(
                    f,
                    "no PTP hardware clock is called {name:?}: this host has none"
                )
            }
            Self::NoSuchName(name, known) => write!(
                f,
                "no PTP hardware clock is called {name:?}; there are: {}",
                known.join(", ")
            ),
            Self::NoneOnInterface(name) => write!(f, "{name} has no PTP hardware clock"),
            Self::Interface(error) => error.fmt(f),
            Self::NoReading(path) => write!(
                f,
                "{}: no usable reading (was the system clock stepped just now?)",
                path.display()
            ),
            Self::Moved(path) => write!(
                f,
                "{}: this virtual machine was moved to another host; starting afresh",
                path.display()
            ),
            Self::Kernel(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for PhcError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Interface(error) => Some(error),
            Self::Kernel(_, error) => Some(error),
            _ => None,
        }
    }
}

impl From<HwtstampError> for PhcError {
    fn from(error: HwtstampError) -> Self {
        Self::Interface(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(errno: i32) -> PhcError {
        PhcError::of_device(Path::new("/dev/ptp9"), io::Error::from_raw_os_error(errno))
    }

    #[test]
    fn each_fault_has_a_message_that_says_what_to_do() {
        assert!(matches!(of(ENOENT), PhcError::NoSuchDevice(_)));
        assert!(of(ENODEV).to_string().contains("ls /sys/class/ptp"));
        assert!(matches!(of(EPERM), PhcError::NotPermitted(_)));
        assert!(of(EACCES).to_string().contains("udev rule"));
        assert!(
            of(ENOTTY)
                .to_string()
                .ends_with("is not a PTP hardware clock")
        );
        assert!(matches!(of(EBUSY), PhcError::Kernel(..)));
        for errno in [ENOENT, EPERM, EACCES, ENOTTY, EBUSY] {
            assert!(of(errno).to_string().starts_with("/dev/ptp9"));
        }
    }

    #[test]
    fn a_wrong_name_lists_the_right_ones() {
        let none = PhcError::NoSuchName("x".into(), vec![]).to_string();
        assert!(none.ends_with("this host has none"), "{none}");
        let two = PhcError::NoSuchName("x".into(), vec!["a".into(), "b".into()]).to_string();
        assert!(two.ends_with("there are: a, b"), "{two}");
    }
}
