//! Other programs that set the clock: who they may be.

use std::fmt;
use std::fs;
use std::path::Path;

/// Where the kernel lists processes.
pub(super) const PROCESSES: &str = "/proc";
/// Processes looked at, at most.
const MOST: usize = 65_536;
/// Named in one message, at most.
const MOST_NAMED: usize = 4;

/// Programs that steer the system clock, by the name that the kernel knows their processes by (15
/// octets of it), and how each of them is kept from it.
const KNOWN: [(&str, &str); 11] = [
    ("chronyd", "systemctl disable --now chrony"),
    ("ntpd", "systemctl disable --now ntpsec (or ntp, openntpd)"),
    ("ntp-daemon", "systemctl disable --now ntpd-rs"),
    (
        "systemd-timesyn",
        "systemctl disable --now systemd-timesyncd",
    ),
    ("phc2sys", "stop it, or give it another clock with -c"),
    ("ptp4l", "run it with free_running 1, or stop it"),
    ("timemaster", "systemctl disable --now timemaster"),
    ("VBoxService", "start it with --disable-timesync"),
    ("vmtoolsd", "vmware-toolbox-cmd timesync disable"),
    ("adjtimed", "stop it"),
    ("clockwright", "stop it, or run it with --no-adjust"),
];

/// A program that may steer the clock beside this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rival {
    name: &'static str,
    process: u32,
    remedy: &'static str,
}

impl fmt::Display for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            process,
            remedy,
        } = self;
        write!(f, "{name} (process {process}; {remedy})")
    }
}

/// The programs that run now, by what is listed in `processes`, but for the process `own`. A list
/// that cannot be read, as where `/proc` hides others' processes, has nobody in it.
pub(super) fn running(processes: &Path, own: u32) -> Vec<Rival> {
    let Ok(list) = fs::read_dir(processes) else {
        return Vec::new();
    };
    let numbers = list.take(MOST).filter_map(|entry| {
        let number = entry.ok()?.file_name().to_str()?.parse().ok()?;
        (number != own).then_some(number)
    });
    numbers
        .filter_map(|process: u32| {
            let name = fs::read(processes.join(format!("{process}/comm"))).ok()?;
            let name = name.trim_ascii_end();
            let (name, remedy) = KNOWN.into_iter().find(|(it, _)| it.as_bytes() == name)?;
            Some(Rival {
                name,
                process,
                remedy,
            })
        })
        .take(MOST_NAMED)
        .collect()
}

/// They in a sentence about who else may have done it.
pub(super) fn suspects(rivals: &[Rival]) -> String {
    if rivals.is_empty() {
        return "no program known for it runs where this one can see it; it may be in a container, or \
                be the hypervisor's"
            .to_owned();
    }
    let named: Vec<String> = rivals.iter().map(Rival::to_string).collect();
    format!("it may have been {}", named.join(", or "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nts::scratch::Scratch;

    fn with_processes(test: &str, names: &[(&str, &str)]) -> Scratch {
        let scratch = Scratch::new(test);
        for (number, name) in names {
            let directory = scratch.path(number);
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("comm"), format!("{name}\n")).unwrap();
        }
        scratch
    }

    #[test]
    fn programs_that_steer_the_clock_are_found_by_name() {
        let scratch = with_processes(
            "rivals",
            &[
                ("1", "systemd"),
                ("17", "chronyd"),
                ("18", "chronyd-helper"),
                ("20", "clockwright"),
                ("version", "ntpd"),
                ("33", "systemd-timesyn"),
            ],
        );
        let mut found = running(scratch.directory(), 20);
        found.sort_by_key(|rival| rival.process);
        let names: Vec<_> = found.iter().map(|rival| rival.name).collect();
        assert_eq!(names, ["chronyd", "systemd-timesyn"]);
        assert_eq!(
            suspects(&found),
            "it may have been chronyd (process 17; systemctl disable --now chrony), or \
             systemd-timesyn (process 33; systemctl disable --now systemd-timesyncd)"
        );
    }

    #[test]
    fn nobody_is_suspected_where_nobody_is_seen() {
        let scratch = with_processes("no-rivals", &[("1", "systemd")]);
        assert_eq!(running(&scratch.path("none"), 1), []);
        assert!(suspects(&running(scratch.directory(), 2)).starts_with("no program known"));
    }
}
