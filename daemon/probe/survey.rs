//! Looking at the interfaces and clocks of this host.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{fmt, fs, io};

use clockwright_sys::ethtool::Ethtool;
use clockwright_sys::hwtstamp::{Capabilities, TxType};
use clockwright_sys::link::{self, Kind, Link};
use clockwright_sys::process::{Capability, has_capability};

use super::below::devices_below;
use super::report::{ClockProbe, InterfaceProbe, ProbeReport, Stamping};
use super::{clocks, configuration, judge};

/// Why nothing could be found out.
#[derive(Debug)]
pub(super) enum ProbeError {
    /// The kernel does not list interfaces.
    Links(io::Error),
    /// The kernel does not answer questions about interfaces.
    Ethtool(io::Error),
    /// There is no such interface; those that exist.
    NoSuchInterface(String, Vec<String>),
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Links(error) => write!(f, "the kernel does not list its interfaces: {error}"),
            Self::Ethtool(error) => write!(f, "interfaces cannot be asked: {error}"),
            Self::NoSuchInterface(name, known) => write!(
                f,
                "there is no network interface {name:?}; there are: {}",
                known.join(", ")
            ),
        }
    }
}

impl std::error::Error for ProbeError {}

/// Looks at the interfaces called `names`, with the devices below them; at all with a device of
/// their own if there is none, and then at all clocks.
///
/// # Errors
/// The kernel does not tell about interfaces, or has none of such a name.
pub(super) fn survey(names: &[String]) -> Result<ProbeReport, ProbeError> {
    let all = link::list().map_err(ProbeError::Links)?;
    let mut ethtool = Ethtool::open().map_err(ProbeError::Ethtool)?;
    let chosen = choose(names, &all)?;
    let mut interfaces: Vec<InterfaceProbe> = chosen
        .iter()
        .map(|link| look_at(link, &all, &mut ethtool))
        .collect();
    judge_from_below(&mut interfaces);
    let clocks = look_at_clocks(&interfaces, names.is_empty(), &mut ethtool);
    Ok(ProbeReport {
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
            .map(|release| release.trim().to_owned())
            .unwrap_or_default(),
        net_admin: has_capability(Capability::NetAdmin).unwrap_or(false),
        configuration: configuration::configuration(&interfaces, &clocks),
        interfaces,
        clocks,
    })
}

/// The interfaces to look at, by index.
fn choose<'l>(names: &[String], all: &'l [Link]) -> Result<Vec<&'l Link>, ProbeError> {
    let mut chosen: Vec<&Link> = Vec::new();
    for name in names {
        let Some(link) = all.iter().find(|link| link.name == *name) else {
            let known = all.iter().map(|link| link.name.clone()).collect();
            return Err(ProbeError::NoSuchInterface(name.clone(), known));
        };
        chosen.push(link);
        chosen.extend(devices_below(link, all));
    }
    if names.is_empty() {
        let interesting = |link: &&Link| {
            !link.loopback
                && matches!(
                    link.kind,
                    Kind::Device | Kind::Vlan | Kind::Bond | Kind::Team
                )
        };
        chosen.extend(all.iter().filter(interesting));
        if chosen.is_empty() {
            // A container has only one end of a virtual cable: better than nothing to look at.
            chosen.extend(all.iter().filter(|link| !link.loopback));
        }
    }
    chosen.sort_by_key(|link| link.index);
    chosen.dedup_by_key(|link| link.index);
    Ok(chosen)
}

/// One interface by itself.
fn look_at(link: &Link, all: &[Link], ethtool: &mut Ethtool) -> InterfaceProbe {
    let driver = ethtool.driver(link.index).ok();
    let known = driver.clone().unwrap_or_else(|| link.kind.to_string());
    let capabilities = ethtool.capabilities(link.index);
    let able = capabilities.as_ref().copied().unwrap_or_default();
    let set = ethtool.config(link.index).ok();
    let mut judged = judge::judge(&able, set, &known);
    if let Err(error) = &capabilities {
        judged.reasons = vec![error.to_string()];
    }
    let below = devices_below(link, all);
    if below.is_empty() && matches!(link.kind, Kind::Bond | Kind::Team) {
        judged.reasons = vec![format!("this {} has no members", link.kind)];
    }
    let speed = ethtool.speed_mbps(link.index).ok().flatten();
    let name_of = |index: u32| {
        let link = all.iter().find(|link| link.index == index);
        link.map(|link| link.name.clone())
    };
    InterfaceProbe {
        name: link.name.clone(),
        index: link.index,
        kind: link.kind.to_string(),
        running: link.running,
        driver,
        link_speed_bps: speed.map(|mbps| f64::from(mbps) * 1e6),
        master: link.master.and_then(name_of),
        below: below
            .into_iter()
            .map(|device| device.name.clone())
            .collect(),
        tx_hardware: able.hardware_tx(),
        rx_hardware: able.hardware_rx(),
        tx_kernel: able.software_tx(),
        rx_kernel: able.software_rx(),
        tx_types: tx_types(&able),
        rx_filters: judge::filters(&able)
            .map(|filter| filter.to_string())
            .collect(),
        tx_type: set.map(|config| config.tx.to_string()),
        rx_filter: set.map(|config| config.rx.to_string()),
        tx_type_wanted: judged.wanted.map(|config| config.tx.to_string()),
        rx_filter_wanted: judged.wanted.map(|config| config.rx.to_string()),
        clock: able.phc_index.map(device),
        stamping: judged.stamping,
        judgement: judged.words,
        reasons: judged.reasons,
    }
}

/// A clock's character device, as it is reported.
fn device(index: u32) -> String {
    clockwright_phc::device(index).display().to_string()
}

fn tx_types(able: &Capabilities) -> Vec<String> {
    let offered = |tx: &&TxType| able.offers_tx(**tx);
    TxType::KNOWN
        .iter()
        .filter(offered)
        .map(ToString::to_string)
        .collect()
}

/// What lies on top of other interfaces gets what these get, the worst of them.
fn judge_from_below(interfaces: &mut [InterfaceProbe]) {
    let devices: BTreeMap<String, Stamping> = interfaces
        .iter()
        .map(|interface| (interface.name.clone(), interface.stamping))
        .collect();
    for interface in interfaces {
        let below = interface.below.iter().filter_map(|name| devices.get(name));
        let Some(worst) = below.min().copied() else {
            continue;
        };
        interface.stamping = worst;
        interface.judgement = format!("stamped by {} below it", interface.below.join(" and "));
        interface.reasons.clear();
        // It is the devices below that are set, and that have clocks.
        interface.tx_type_wanted = None;
        interface.rx_filter_wanted = None;
        interface.clock = None;
    }
}

/// The clocks of `interfaces`, and all others as well if `all`.
fn look_at_clocks(
    interfaces: &[InterfaceProbe],
    all: bool,
    ethtool: &mut Ethtool,
) -> Vec<ClockProbe> {
    let listed = clockwright_phc::list().unwrap_or_default();
    let mut paths: Vec<PathBuf> = interfaces
        .iter()
        .filter_map(|interface| interface.clock.as_ref().map(PathBuf::from))
        .collect();
    if all {
        paths.extend(listed.iter().map(|found| found.path.clone()));
    }
    let mut clocks = clocks::measure(&paths);
    for (path, clock) in &mut clocks {
        clock.name = listed
            .iter()
            .find(|found| found.path == *path)
            .map(|found| found.name.clone());
        let of_clock = interfaces
            .iter()
            .filter(|interface| interface.clock.as_ref() == Some(&clock.path));
        for interface in of_clock {
            clock.interfaces.push(interface.name.clone());
            let made = ethtool.virtual_clocks(interface.index).unwrap_or_default();
            clock.virtual_clocks = made.iter().copied().map(device).collect();
        }
    }
    clocks.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_can_be_looked_at_without_privilege() {
        let report = survey(&["lo".to_owned()]).unwrap();
        let [lo] = report.interfaces.as_slice() else {
            panic!("{report:?}")
        };
        assert_eq!((lo.name.as_str(), lo.stamping), ("lo", Stamping::Software));
        assert!(lo.rx_kernel && !lo.rx_hardware && lo.clock.is_none());
        assert!(report.clocks.is_empty());
        survey(&[]).unwrap();
    }

    #[test]
    fn an_interface_that_is_not_there_is_named_with_those_that_are() {
        let error = survey(&["no-such-if0".to_owned()]).unwrap_err().to_string();
        assert!(
            error.starts_with("there is no network interface \"no-such-if0\"; there are: "),
            "{error}"
        );
        assert!(error.contains("lo"), "{error}");
    }
}
