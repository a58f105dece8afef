//! `clockwright timestamps` for people.

use super::si::{age, ppm, rate, span};
use super::style::{Paint, Style};
use super::table::{Align, Cell, Table};
use super::text::{printable, wrapped};
use crate::control::{
    InterfaceReport, PhcReport, RxReport, StampCounts, StampReport, TimestampsReport, TxStampReport,
};

/// Columns of a value before it is continued on another line.
const WIDTH: usize = 76;

/// A paragraph for each interface: a sentence, and the details.
pub fn timestamp_lines(report: &TimestampsReport, paint: Paint) -> Vec<String> {
    if report.interfaces.is_empty() {
        return vec![
            "No interface has sent or received a packet of the daemon's, and none stamps in hardware."
                .to_owned(),
        ];
    }
    let mut lines = Vec::new();
    for interface in &report.interfaces {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(headline(interface, paint));
        lines.extend(details(interface).lines(paint));
    }
    lines
}

/// `eth0: hardware timestamps both ways (25 Gb/s, part of bond0)`.
fn headline(interface: &InterfaceReport, paint: Paint) -> String {
    let (verdict, style) = verdict(interface);
    let name = printable(&interface.name);
    let mut about = Vec::new();
    if !interface.running {
        about.push("no carrier".to_owned());
    }
    about.extend(interface.link_speed_bps.map(rate));
    let below = interface.lower.as_deref();
    about.extend(below.map(|lower| format!("on {}", printable(lower))));
    let above = interface.master.as_deref();
    about.extend(above.map(|master| format!("part of {}", printable(master))));
    let about = if about.is_empty() {
        String::new()
    } else {
        format!(" ({})", about.join(", "))
    };
    format!(
        "{}{about}",
        paint.apply(style, &format!("{name}: {verdict}"))
    )
}

/// What the interface stamps, in a few words.
const fn verdict(interface: &InterfaceReport) -> (&'static str, Style) {
    use RxReport as Rx;
    if matches!(&interface.phc, Some(clock) if clock.error.is_some()) {
        return (
            "software timestamps, since its clock cannot be read",
            Style::Doubtful,
        );
    }
    match (interface.tx_best, interface.rx_best) {
        (StampReport::Hardware, Rx::All | Rx::Ntp) => {
            ("hardware timestamps both ways", Style::Good)
        }
        (StampReport::Hardware, Rx::Ptp) => (
            "hardware timestamps on what is sent, and on PTP received",
            Style::Doubtful,
        ),
        (StampReport::Hardware, Rx::None) => {
            ("hardware timestamps on what is sent only", Style::Doubtful)
        }
        (_, Rx::All | Rx::Ntp | Rx::Ptp) => (
            "hardware timestamps on what is received only",
            Style::Doubtful,
        ),
        (_, Rx::None) => ("software timestamps", Style::Plain),
    }
}

fn details(interface: &InterfaceReport) -> Table {
    let mut table = Table::new(&[("", Align::Left), ("", Align::Left)]);
    let mut row = |name: &str, values: Vec<String>| {
        let names = std::iter::once(name).chain(std::iter::repeat(""));
        for (name, value) in names.zip(values) {
            table.row(vec![
                Cell::new(format!("  {name:<9}"), Style::Heading),
                value.into(),
            ]);
        }
    };
    if let Some(reason) = &interface.reason {
        row("Why", wrapped(&printable(reason), WIDTH));
    }
    row("Filter", filter(interface));
    if let Some(clock) = &interface.phc {
        row("Clock", phc(clock));
    }
    row("Sent", vec![sent(interface)]);
    row("Received", vec![counts(interface.rx)]);
    row("Tx stamps", tx_stamps(&interface.tx_stamps));
    let mut fallbacks: Vec<String> = Vec::new();
    for fallback in &interface.fallbacks {
        let words = format!("{} × {}", fallback.count, printable(&fallback.words));
        fallbacks.extend(wrapped(&words, WIDTH));
    }
    if let Some(last) = &interface.last_fallback {
        fallbacks.extend(wrapped(&format!("last: {}", printable(last)), WIDTH));
    }
    row("Fallback", fallbacks);
    table
}

fn filter(interface: &InterfaceReport) -> Vec<String> {
    let (Some(tx), Some(rx)) = (&interface.tx_type, &interface.rx_filter) else {
        return Vec::new();
    };
    vec![format!(
        "receive {}, transmit {}",
        printable(rx),
        printable(tx)
    )]
}

fn phc(clock: &PhcReport) -> Vec<String> {
    let mut facts = vec![printable(&clock.path).into_owned()];
    facts.extend(
        clock
            .error_bound_s
            .map(|bound| format!("known to ±{}", span(bound))),
    );
    facts.extend(clock.noise_s.map(|noise| format!("noise {}", span(noise))));
    facts.extend(clock.frequency_ppm.map(ppm));
    let mut lines = vec![facts.join(", ")];
    if let Some(method) = &clock.method {
        let mut facts = vec![format!(
            "{} readings, {}",
            clock.readings,
            printable(method)
        )];
        // Zero: hardware compares the clocks, nothing has to be taken.
        let delay = clock.read_delay_s.filter(|delay| *delay > 0.0);
        facts.extend(delay.map(|delay| format!("taking {}", span(delay))));
        facts.extend(
            clock
                .last_reading_age_s
                .map(|past| format!("last {} ago", age(past))),
        );
        if clock.poor_readings > 0 {
            facts.push(format!("{} too slow", clock.poor_readings));
        }
        lines.push(facts.join(", "));
    }
    let wanders = |wander| format!("its rate against the host's wanders by {wander:.1e} per √s");
    lines.extend(clock.wander.map(wanders));
    if clock.jumps > 0 {
        let times = if clock.jumps == 1 { "time" } else { "times" };
        lines.push(format!("set by another program {} {times}", clock.jumps));
    }
    if let Some(error) = &clock.error {
        // It mostly begins with the path.
        if error.starts_with(&clock.path) {
            lines.clear();
        }
        lines.extend(wrapped(&printable(error), WIDTH));
    }
    lines
}

/// Who stamped what was sent. Where nothing stamps in hardware the kernel is not asked for the
/// interface of what was sent, so that no packet has to be looped back whole.
fn sent(interface: &InterfaceReport) -> String {
    let none = StampCounts::default();
    let without_hardware = interface.tx_best != StampReport::Hardware;
    if interface.tx == none && interface.rx != none && without_hardware {
        "not told by interface, since nothing stamps in hardware".to_owned()
    } else {
        counts(interface.tx)
    }
}

/// `1204 hardware, 3 kernel`.
fn counts(counts: StampCounts) -> String {
    let kinds = [
        (counts.hardware, "hardware"),
        (counts.kernel, "kernel"),
        (counts.daemon, "daemon"),
    ];
    let shown: Vec<String> = kinds
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, kind)| format!("{count} {kind}"))
        .collect();
    if shown.is_empty() {
        "nothing".to_owned()
    } else {
        shown.join(", ")
    }
}

fn tx_stamps(stamps: &TxStampReport) -> Vec<String> {
    let mut lines = Vec::new();
    let quantiles = [
        (stamps.latency_p50_s, "median"),
        (stamps.latency_p99_s, "99 %"),
        (stamps.latency_max_s, "longest"),
    ];
    let mut facts: Vec<String> = quantiles
        .into_iter()
        .filter_map(|(latency, name)| Some(format!("{} ({name})", span(latency?))))
        .collect();
    if let Some(first) = facts.first_mut() {
        *first = format!("come after {first}");
    }
    facts.extend(
        stamps
            .wait_s
            .map(|wait| format!("are waited for {}", span(wait))),
    );
    if !facts.is_empty() {
        lines.push(facts.join(", "));
    }
    let mut lost = Vec::new();
    if stamps.missing > 0 {
        lost.push(format!("{} never came", stamps.missing));
    }
    if stamps.late > 0 {
        lost.push(format!("{} too late", stamps.late));
    }
    let by_driver = stamps.lost_by_driver.filter(|count| *count > 0);
    lost.extend(by_driver.map(|count| format!("{count} lost by the driver's own count")));
    if !lost.is_empty() {
        lines.push(lost.join(", "));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn each_interface_is_a_sentence_and_its_details() {
        let shown = timestamp_lines(&samples::timestamps(), Paint::NEVER).join("\n");
        assert_eq!(
            shown,
            "eth0: hardware timestamps both ways (25 Gb/s, part of bond0)
  Filter     receive all, transmit on
  Clock      /dev/ptp0, known to ±410 ns, noise 6.20 ns, -3.412 ppm
             3601 readings, extended, taking 720 ns, last 0 s ago, 2 too slow
             its rate against the host's wanders by 1.3e-10 per √s
  Sent       1204 hardware, 3 kernel
  Received   1207 hardware
  Tx stamps  come after 41.0 us (median), 212 us (99 %), 5.10 ms (longest), are waited for 1.00 ms
             2 never came, 1 too late, 2 lost by the driver's own count
  Fallback   3 × the hardware gave no timestamp
             last: sent: the hardware gave no timestamp

eth1.7: hardware timestamps on what is sent, and on PTP received (1 Gb/s, on eth1)
  Sent       nothing
  Received   nothing

eth1: hardware timestamps on what is sent, and on PTP received (1 Gb/s)
  Why        the NIC stamps received packets only in PTP messages
  Filter     receive ptpv2-l4-event, transmit on
  Clock      /dev/ptp0, known to ±410 ns, noise 6.20 ns, -3.412 ppm
             3601 readings, extended, taking 720 ns, last 0 s ago, 2 too slow
             its rate against the host's wanders by 1.3e-10 per √s
  Sent       1204 hardware, 3 kernel
  Received   66 kernel, 1 daemon
  Tx stamps  come after 41.0 us (median), 212 us (99 %), 5.10 ms (longest), are waited for 1.00 ms
             2 never came, 1 too late, 2 lost by the driver's own count
  Fallback   67 × the receive filter leaves these packets out
             last: received: the receive filter leaves these packets out

virbr0: software timestamps (no carrier)
  Why        its driver does not support hardware timestamping
  Sent       nothing
  Received   nothing"
        );
        let none = TimestampsReport {
            interfaces: Vec::new(),
        };
        assert!(timestamp_lines(&none, Paint::NEVER)[0].starts_with("No interface has"));
    }

    #[test]
    fn stamps_of_a_clock_that_cannot_be_read_are_none() {
        let mut report = samples::timestamps();
        let clock = report.interfaces[0].phc.as_mut().unwrap();
        clock.error = Some("/dev/ptp0: not permitted to open it".to_owned());
        let shown = timestamp_lines(&report, Paint::NEVER).join("\n");
        assert!(
            shown.starts_with("eth0: software timestamps, since its clock cannot be read (25 Gb/s"),
            "{shown}"
        );
        assert!(
            shown.contains("\n  Clock      /dev/ptp0: not permitted to open it\n"),
            "{shown}"
        );
    }

    #[test]
    fn what_is_not_counted_is_not_called_nothing() {
        let mut interface = samples::timestamps().interfaces.remove(3);
        assert_eq!(sent(&interface), "nothing");
        interface.rx.kernel = 11;
        assert!(sent(&interface).starts_with("not told by interface"));
        interface.tx.kernel = 1;
        assert_eq!(sent(&interface), "1 kernel");
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        let mut report = samples::timestamps();
        for interface in &mut report.interfaces {
            let long =
                "not permitted to configure hardware timestamping: CAP_NET_ADMIN is missing ";
            interface.reason = Some(long.repeat(3));
            interface.last_fallback = Some(long.repeat(2));
        }
        for line in timestamp_lines(&report, Paint::NEVER) {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    #[test]
    fn text_from_outside_cannot_reach_the_terminal() {
        let mut report = samples::timestamps();
        for interface in &mut report.interfaces {
            interface.name = "\u{1b}[2J".to_owned();
            interface.reason = Some("\u{9b}2J".to_owned());
            interface.rx_filter = Some("\r".to_owned());
            interface.last_fallback = Some("\u{7}".to_owned());
        }
        let shown = timestamp_lines(&report, Paint::NEVER).join("");
        assert!(!shown.chars().any(char::is_control));
    }
}
