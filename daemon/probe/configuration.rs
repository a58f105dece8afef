//! The configuration that makes use of what was found.

use super::report::{ClockProbe, InterfaceProbe, Stamping};

/// Clocks of hypervisors and clouds, by the beginning of their drivers' names.
const HYPERVISORS: [&str; 4] = ["KVM", "hyperv", "vmclock", "ena"];

/// A configuration, as TOML that `check` accepts. What is not certain to be wanted is a comment.
pub(super) fn configuration(interfaces: &[InterfaceProbe], clocks: &[ClockProbe]) -> String {
    let mut lines = vec![
        "[[source]]".to_owned(),
        "server = \"time.example.net\"    # yours".to_owned(),
    ];
    for clock in clocks {
        let Some(name) = clock.name.as_deref() else {
            continue;
        };
        if clock.interfaces.is_empty() && HYPERVISORS.iter().any(|known| name.starts_with(known)) {
            lines.extend([
                String::new(),
                "# The clock of the host that this machine runs on, if that is kept right:"
                    .to_owned(),
                "# [[source]]".to_owned(),
                format!("# phc = {}", quoted(name)),
            ]);
        }
    }
    // What lies on top is stamped by the devices below.
    let devices = || {
        interfaces
            .iter()
            .filter(|interface| interface.below.is_empty())
    };
    let stamping: Vec<String> = devices()
        .filter(|interface| interface.stamping != Stamping::Software)
        .map(|interface| quoted(&interface.name))
        .collect();
    lines.extend([String::new(), "[timestamping]".to_owned()]);
    if stamping.is_empty() {
        lines.push("interfaces = []    # no interface stamps NTP in hardware".to_owned());
        return lines.join("\n");
    }
    lines.push(format!(
        "interfaces = [{}]    # [\"*\"], the default, does the same",
        stamping.join(", ")
    ));
    let by_ptp: Vec<&str> = devices()
        .filter(|interface| interface.stamping == Stamping::HardwareOverPtp)
        .map(|interface| interface.name.as_str())
        .collect();
    if !by_ptp.is_empty() {
        lines.push(format!(
            "ptp_transport = \"auto\"    # the default; servers reached by {} must answer NTP over PTP",
            by_ptp.join(", ")
        ));
    }
    lines.join("\n")
}

/// `text` as a TOML string; names have no control characters, but may have quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;
    use crate::output::samples;

    fn parsed(text: &str) -> Config {
        Config::from_text(Path::new("probe"), text)
            .unwrap_or_else(|wrong| panic!("{wrong}\n{text}"))
    }

    #[test]
    fn what_is_written_is_accepted_and_selects_what_stamps() {
        let report = samples::probe();
        let text = configuration(&report.interfaces, &report.clocks);
        let config = parsed(&text);
        assert!(config.timestamping.selects("eth0") && config.timestamping.selects("eth1"));
        assert!(!config.timestamping.selects("eth2") && !config.timestamping.selects("bond0"));
        assert!(
            text.contains("servers reached by eth1 must answer NTP over PTP"),
            "{text}"
        );
        // The suggestion in the comment is one that works.
        let suggested = text.replace("# [[", "[[").replace("# phc", "phc");
        let clock = parsed(&suggested).refclocks().next().cloned().unwrap();
        assert_eq!(clock.device.label(), "KVM virtual PTP");
    }

    #[test]
    fn without_hardware_nothing_is_switched_on() {
        let config = parsed(&configuration(&[], &[]));
        assert!(config.timestamping.interfaces.is_empty());
    }

    #[test]
    fn quotes_do_not_end_a_string() {
        assert_eq!(quoted("a\"b\\"), "\"a\\\"b\\\\\"");
    }
}
