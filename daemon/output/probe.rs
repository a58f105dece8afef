//! `clockwright probe` for people.

use super::si::{age, ppm, rate, signed, span};
use super::style::{Paint, Style};
use super::table::{Align, Cell, Table};
use super::text::{printable, wrapped};
use crate::probe::{ClockProbe, InterfaceProbe, ProbeReport, Stamping};

/// Columns of a value before it is continued on another line.
const WIDTH: usize = 80;

/// A paragraph for each interface and each clock that belongs to none, and the configuration.
pub fn probe_lines(report: &ProbeReport, paint: Paint) -> Vec<String> {
    let mut lines = vec![head(report)];
    for interface in &report.interfaces {
        lines.push(String::new());
        lines.push(headline(interface, paint));
        lines.extend(details(interface, &report.clocks).lines(paint));
    }
    for clock in report
        .clocks
        .iter()
        .filter(|clock| clock.interfaces.is_empty())
    {
        lines.push(String::new());
        lines.push(paint.apply(Style::Heading, &title(clock)));
        let mut table = Table::new(&[("", Align::Left), ("", Align::Left)]);
        put(&mut table, "Clock", about_clock(clock));
        lines.extend(table.lines(paint));
    }
    lines.push(String::new());
    lines.push(paint.apply(Style::Heading, "A configuration that makes use of it:"));
    lines.push(String::new());
    lines.extend(report.configuration.lines().map(|line| {
        if line.starts_with('#') {
            paint.apply(Style::Quiet, line)
        } else {
            line.to_owned()
        }
    }));
    lines
}

/// The kernel, and what this user may.
fn head(report: &ProbeReport) -> String {
    let kernel = printable(&report.kernel);
    if report.interfaces.is_empty() {
        return format!("Linux {kernel}: no network interface besides loopback.");
    }
    let refused = report.clocks.iter().any(|clock| clock.error.is_some());
    if refused && !report.net_admin {
        format!("Linux {kernel}; run as root to have the clocks measured as well.")
    } else {
        format!("Linux {kernel}, nothing is changed by looking.")
    }
}

/// `eth0: hardware timestamps both ways (igb, 1 Gb/s, part of bond0)`.
fn headline(interface: &InterfaceProbe, paint: Paint) -> String {
    let style = match interface.stamping {
        Stamping::Hardware => Style::Good,
        Stamping::HardwareOverPtp => Style::Doubtful,
        Stamping::Software => Style::Plain,
    };
    let name = printable(&interface.name);
    let mut about = Vec::new();
    if interface.kind != "device" {
        about.push(printable(&interface.kind).into_owned());
    }
    let driver = interface.driver.as_deref();
    about.extend(
        // What lies on top of others is told by its kind.
        driver
            .filter(|_| interface.kind == "device")
            .map(|driver| printable(driver).into_owned()),
    );
    if !interface.running {
        about.push("no carrier".to_owned());
    }
    about.extend(interface.link_speed_bps.map(rate));
    let master = interface.master.as_deref();
    about.extend(master.map(|master| format!("part of {}", printable(master))));
    let words = interface.stamping.words();
    let by = match interface.below.as_slice() {
        [] => String::new(),
        below => format!(" of {}", printable(&below.join(" and "))),
    };
    let title = paint.apply(style, &format!("{name}: {words}{by}"));
    format!("{title} ({})", about.join(", "))
}

fn details(interface: &InterfaceProbe, clocks: &[ClockProbe]) -> Table {
    let mut table = Table::new(&[("", Align::Left), ("", Align::Left)]);
    // What lies on top of others has no hardware of its own.
    if !interface.below.is_empty() {
        return table;
    }
    if interface.judgement != interface.stamping.words() {
        put(
            &mut table,
            "Use",
            wrapped(&printable(&interface.judgement), WIDTH),
        );
    }
    for reason in &interface.reasons {
        put(&mut table, "Note", wrapped(&printable(reason), WIDTH));
    }
    put(&mut table, "Offers", offers(interface));
    if let (Some(tx), Some(rx)) = (&interface.tx_type, &interface.rx_filter) {
        put(
            &mut table,
            "Set now",
            vec![format!("transmit {tx}, receive {rx}")],
        );
    }
    let clock = clocks
        .iter()
        .find(|clock| Some(&clock.path) == interface.clock.as_ref());
    if let Some(clock) = clock {
        let mut lines = vec![title(clock)];
        lines.extend(about_clock(clock));
        put(&mut table, "Clock", lines);
    }
    table
}

/// Appends a row, which may go on for several lines.
fn put(table: &mut Table, name: &str, values: Vec<String>) {
    let names = std::iter::once(name).chain(std::iter::repeat(""));
    for (name, value) in names.zip(values) {
        table.row(vec![
            Cell::new(format!("  {name:<7}"), Style::Heading),
            value.into(),
        ]);
    }
}

/// What driver and kernel can do, in a line or two.
fn offers(interface: &InterfaceProbe) -> Vec<String> {
    let mut hardware = Vec::new();
    if interface.tx_hardware {
        hardware.push(format!("transmit {}", interface.tx_types.join(", ")));
    }
    if interface.rx_hardware {
        hardware.push(format!("receive {}", interface.rx_filters.join(", ")));
    }
    let kernel = match (interface.tx_kernel, interface.rx_kernel) {
        (true, true) => "both ways",
        (true, false) => "what is sent",
        (false, true) => "what is received",
        (false, false) => "nothing",
    };
    let mut lines = Vec::new();
    if !hardware.is_empty() {
        lines.extend(wrapped(
            &format!("hardware: {}", hardware.join("; ")),
            WIDTH,
        ));
    }
    lines.push(format!("kernel: {kernel}"));
    lines
}

/// `/dev/ptp0 (igb)`.
fn title(clock: &ClockProbe) -> String {
    match &clock.name {
        Some(name) => format!("{} ({})", clock.path, printable(name)),
        None => clock.path.clone(),
    }
}

fn about_clock(clock: &ClockProbe) -> Vec<String> {
    if let Some(error) = &clock.error {
        return wrapped(&format!("not measured: {}", printable(error)), WIDTH);
    }
    let mut lines = Vec::new();
    let mut facts = Vec::new();
    if let Some(method) = &clock.method {
        let delay = clock.read_delay_s.filter(|delay| *delay > 0.0);
        let delay = delay.map_or_else(String::new, |delay| format!(" in {}", span(delay)));
        facts.push(format!("read {method}{delay}"));
    }
    facts.extend(clock.noise_s.map(|noise| format!("noise {}", span(noise))));
    facts.extend(
        clock
            .frequency_ppm
            .map(|fast| format!("{} to the oscillator", ppm(fast))),
    );
    lines.push(facts.join(", "));
    lines.extend(clock.offset_s.map(apart));
    let mut facts = Vec::new();
    match clock.max_adjustment_ppm {
        Some(most) if most > 0.0 => facts.push(format!("can be steered by {most:.0} ppm")),
        Some(_) => facts.push("cannot be steered".to_owned()),
        None => {}
    }
    if clock.external_timestamps > 0 {
        let plural = if clock.external_timestamps == 1 {
            ""
        } else {
            "s"
        };
        facts.push(format!(
            "{} input{plural} for pulses",
            clock.external_timestamps
        ));
    }
    if !clock.virtual_clocks.is_empty() {
        facts.push(format!(
            "virtual clocks {}",
            clock.virtual_clocks.join(", ")
        ));
    }
    lines.extend(wrapped(&facts.join(", "), WIDTH));
    lines
}

/// How far a clock is from the system clock, in words.
fn apart(offset_s: f64) -> String {
    const DAY: f64 = 86_400.0;
    let side = if offset_s < 0.0 { "behind" } else { "ahead of" };
    let size = offset_s.abs();
    if size < 1.0 {
        format!("{} to the system clock", signed(offset_s))
    } else if size >= DAY {
        format!("{} {side} the system clock: not set", age(size))
    } else if (35.0..45.0).contains(&offset_s) {
        format!("{size:.3} s ahead of the system clock: it shows TAI")
    } else {
        format!("{size:.3} s {side} the system clock")
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn an_operator_reads_what_will_be_used_and_why_not_more() {
        let shown = probe_lines(&samples::probe(), Paint::NEVER).join("\n");
        assert_eq!(
            shown,
            "Linux 6.12.57; run as root to have the clocks measured as well.

eth0: hardware timestamps (igc, 2.5 Gb/s, part of bond0)
  Note     the daemon sets transmit on, receive all, which takes CAP_NET_ADMIN
  Offers   hardware: transmit off, on; receive none, all
           kernel: both ways
  Set now  transmit off, receive none
  Clock    /dev/ptp0 (igc)
           read extended in 1.42 us, noise 8.10 ns, -3.412 ppm to the oscillator
           37.000 s ahead of the system clock: it shows TAI
           can be steered by 62500 ppm, 2 inputs for pulses

eth1: hardware timestamps by NTP over PTP (bcmgenet, 1 Gb/s)
  Use      hardware timestamps where the server answers NTP over PTP, software timestamps
           elsewhere
  Offers   hardware: transmit off, on; receive none, ptpv2-l4-event
           kernel: both ways
  Set now  transmit off, receive none
  Clock    /dev/ptp1 (bcm-ptp)
           not measured: /dev/ptp1: not permitted to open it

eth2: software timestamps (virtio_net, no carrier)
  Note     the driver, virtio_net, does not stamp in hardware
  Offers   kernel: both ways

bond0: hardware timestamps of eth0 (bond)

/dev/ptp2 (KVM virtual PTP)
  Clock    read precise, noise 8.10 ns, -3.412 ppm to the oscillator
           -12.3 us to the system clock
           cannot be steered

A configuration that makes use of it:

[[source]]
server = \"time.example.net\"    # yours"
        );
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        for line in probe_lines(&samples::probe(), Paint::NEVER) {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    #[test]
    fn distances_have_their_side() {
        assert_eq!(
            apart(37.0),
            "37.000 s ahead of the system clock: it shows TAI"
        );
        assert_eq!(apart(-2.5), "2.500 s behind the system clock");
        assert_eq!(apart(-1.2e-6), "-1.20 us to the system clock");
        assert_eq!(apart(-1.8e9), "20833 d behind the system clock: not set");
    }
}
