//! Which clocks this host has.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fmt, fs, io};

use clockwright_sys::{hwtstamp, net};
use clockwright_timebase::Duration;

use crate::PhcError;

/// Where the kernel lists its clocks.
const CLASS: &str = "/sys/class/ptp";

/// A PTP hardware clock this host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// N of `/dev/ptpN`.
    pub index: u32,
    /// The driver's name for it, such as `KVM virtual PTP`.
    pub name: String,
    /// The character device.
    pub path: PathBuf,
    /// N of the physical clock that this one is a view of, if it is virtual.
    pub physical: Option<u32>,
    /// Virtual clocks made of it. As long as there are some, nobody can steer it.
    pub virtual_clocks: u32,
}

/// Names a clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// By its device, such as `/dev/ptp0` or `/dev/ptp_hyperv`.
    Path(PathBuf),
    /// By its driver's name, such as `KVM virtual PTP`.
    Name(String),
    /// By an interface whose packets it stamps, such as `eth0`.
    Interface(String),
}

impl FromStr for Selector {
    type Err = std::convert::Infallible;

    /// An absolute path is a device; the name of an interface is an interface; everything else a
    /// clock's name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text.starts_with('/') {
            Self::Path(text.into())
        } else if net::index_of(text).is_ok() {
            Self::Interface(text.to_owned())
        } else {
            Self::Name(text.to_owned())
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Name(name) | Self::Interface(name) => f.write_str(name),
        }
    }
}

impl Selector {
    /// The device of the clock named.
    pub fn path(&self) -> Result<PathBuf, PhcError> {
        match self {
            Self::Path(path) => Ok(path.clone()),
            Self::Interface(interface) => of_interface(interface).map(device),
            Self::Name(name) => by_name(list()?, name),
        }
    }
}

/// The PTP hardware clocks of this host, by index; none where the kernel has no PTP support.
pub fn list() -> Result<Vec<Found>, PhcError> {
    list_in(Path::new(CLASS))
}

/// The index of the clock that stamps for `interface`: N of `/dev/ptpN`.
pub fn of_interface(interface: &str) -> Result<u32, PhcError> {
    let capabilities = hwtstamp::capabilities(interface)?;
    capabilities
        .phc_index
        .ok_or_else(|| PhcError::NoneOnInterface(interface.to_owned()))
}

/// The character device of the clock with this index.
pub fn device(index: u32) -> PathBuf {
    format!("/dev/ptp{index}").into()
}

fn by_name(known: Vec<Found>, name: &str) -> Result<PathBuf, PhcError> {
    if let Some(found) = known.iter().find(|found| found.name == name) {
        return Ok(found.path.clone());
    }
    let names = known.into_iter().map(|found| found.name).collect();
    Err(PhcError::NoSuchName(name.to_owned(), names))
}

fn list_in(class: &Path) -> Result<Vec<Found>, PhcError> {
    let failed = |error| PhcError::Kernel(class.to_owned(), error);
    let entries = match fs::read_dir(class) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let file_name = entry.file_name();
        let Some(index) = index_in(&file_name) else {
            continue;
        };
        // A clock that vanished since the listing began has no name any more.
        let Ok(name) = fs::read_to_string(entry.path().join("clock_name")) else {
            continue;
        };
        found.push(Found {
            index,
            name: name.trim_end().to_owned(),
            path: device(index),
            physical: physical_of(&entry.path()),
            virtual_clocks: number_in(&entry.path().join("n_vclocks")).unwrap_or(0),
        });
    }
    found.sort_by_key(|found| found.index);
    Ok(found)
}

/// N of `ptpN`.
fn index_in(name: &OsStr) -> Option<u32> {
    name.to_str()?.strip_prefix("ptp")?.parse().ok()
}

/// The parent of a virtual clock is the clock it is a view of; that of a physical one is the
/// device that it is in.
fn physical_of(entry: &Path) -> Option<u32> {
    index_in(fs::read_link(entry.join("device")).ok()?.file_name()?)
}

fn number_in<N: FromStr>(file: &Path) -> Option<N> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The bound of a clock's error where its driver publishes one: Amazon's ENA.
pub(crate) fn error_bound(path: &Path) -> Option<Duration> {
    error_bound_in(Path::new(CLASS), path)
}

fn error_bound_in(class: &Path, path: &Path) -> Option<Duration> {
    let file = class.join(path.file_name()?).join("device/phc_error_bound");
    number_in(&file).map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks like `/sys/class/ptp`, removed when dropped.
    struct Class(PathBuf);

    impl Class {
        fn new(test: &str) -> Self {
            let name = format!("clockwright-phc-{test}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn add(&self, entry: &str, name: Option<&str>) {
            let path = self.0.join(entry);
            fs::create_dir(&path).unwrap();
            if let Some(name) = name {
                fs::write(path.join("clock_name"), format!("{name}\n")).unwrap();
            }
        }
    }

    impl Drop for Class {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn clocks_are_listed_by_number_and_found_by_name() {
        let class = Class::new("list");
        class.add("ptp10", Some("ice-0000:01:00.0-clk"));
        class.add("ptp2", Some("KVM virtual PTP"));
        class.add("ptp3", None);
        class.add("ptpx", Some("no number"));
        let found = list_in(&class.0).unwrap();
        let indices: Vec<u32> = found.iter().map(|f| f.index).collect();
        assert_eq!(indices, [2, 10]);
        assert_eq!(found[0].name, "KVM virtual PTP");
        let path = by_name(found.clone(), "ice-0000:01:00.0-clk").unwrap();
        assert_eq!(path, Path::new("/dev/ptp10"));
        let error = by_name(found, "igb").unwrap_err();
        assert!(
            matches!(&error, PhcError::NoSuchName(name, known) if name == "igb" && known.len() == 2)
        );
    }

    #[test]
    fn virtual_clocks_and_bounds_are_known() {
        let class = Class::new("virtual");
        class.add("ptp0", Some("ice"));
        class.add("ptp1", Some("ptp0_virt"));
        fs::write(class.0.join("ptp0/n_vclocks"), "1\n").unwrap();
        fs::create_dir(class.0.join("ptp0/device")).unwrap();
        fs::write(class.0.join("ptp0/device/phc_error_bound"), "4200\n").unwrap();
        std::os::unix::fs::symlink("../ptp0", class.0.join("ptp1/device")).unwrap();
        let found = list_in(&class.0).unwrap();
        assert_eq!((found[0].physical, found[0].virtual_clocks), (None, 1));
        assert_eq!((found[1].physical, found[1].virtual_clocks), (Some(0), 0));
        let bound = |path| error_bound_in(&class.0, Path::new(path));
        assert_eq!(bound("/dev/ptp0"), Some(Duration::from_nanos(4200)));
        assert_eq!(bound("/dev/ptp9"), None);
    }

    #[test]
    fn a_kernel_without_ptp_has_no_clocks() {
        assert_eq!(list_in(Path::new("/nonexistent/ptp")).unwrap(), []);
        list().unwrap();
    }

    #[test]
    fn text_is_told_apart() {
        let parse = |text: &str| text.parse::<Selector>().unwrap();
        assert_eq!(
            parse("/dev/ptp_hyperv"),
            Selector::Path("/dev/ptp_hyperv".into())
        );
        assert_eq!(parse("lo"), Selector::Interface("lo".into()));
        assert_eq!(
            parse("KVM virtual PTP"),
            Selector::Name("KVM virtual PTP".into())
        );
        assert_eq!(parse("lo").to_string(), "lo");
    }

    #[test]
    fn interfaces_without_a_clock_and_without_existence_differ() {
        let error = of_interface("lo").unwrap_err();
        assert_eq!(error.to_string(), "lo has no PTP hardware clock");
        let error = of_interface("no-such-if0").unwrap_err();
        assert!(
            error.to_string().contains("there is no network interface"),
            "{error}"
        );
    }
}
