//! `clockwright server` for people.

use std::collections::BTreeMap;

use super::style::{Paint, Style};
use super::table::{Align, Cell, Table};
use super::text::printable;
use crate::control::{
    KeyServerReport, ServerReport, ServerStampsReport, TableReport, TalkerReport,
};

/// Two paragraphs: requests for the time, and establishments of keys.
pub fn server_lines(report: &ServerReport, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    if report.listening.is_empty() {
        lines.push(
            "Nobody is told the time: there is no [server], or it does not listen.".to_owned(),
        );
    } else {
        let answered = report.basic + report.interleaved;
        lines.push(paint.apply(Style::Heading, &format!("NTP on {}", list(&places(report)))));
        let mut table = rows();
        count(&mut table, "answered", answered, "");
        count(&mut table, "interleaved", report.interleaved, "of these");
        count(
            &mut table,
            "authenticated",
            report.authenticated,
            "of these",
        );
        count(
            &mut table,
            "NAKs",
            report.naks,
            "the cookie could not be opened",
        );
        count(&mut table, "not allowed", report.denied, "server.allow");
        count_if_any(
            &mut table,
            "told RATE",
            report.rate_kisses,
            "beyond server.rate",
        );
        reasons(&mut table, &report.dropped);
        count_if_any(
            &mut table,
            "not sent",
            report.unsent,
            "refused by the kernel",
        );
        lines.extend(table.lines(paint));
        lines.push(String::new());
        lines.extend(worker_lines(report, paint));
    }
    if let Some(talkers) = &report.talkers {
        lines.push(String::new());
        lines.extend(talker_lines(talkers, paint));
    }
    if let Some(keys) = &report.key_establishment {
        lines.push(String::new());
        lines.push(paint.apply(
            Style::Heading,
            &format!("NTS keys on {}", list(&keys.listening)),
        ));
        lines.extend(key_rows(keys).lines(paint));
    }
    lines
}

/// Where requests are answered, and where the time told is smeared.
fn places(report: &ServerReport) -> Vec<String> {
    let places = report.listening.iter().map(|address| {
        if report.smeared.contains(address) {
            format!("{address} (smeared)")
        } else {
            address.clone()
        }
    });
    places.collect()
}

/// The threads, who stamped, and what is remembered.
fn worker_lines(report: &ServerReport, paint: Paint) -> Vec<String> {
    let mut table = Table::new(&[
        ("worker", Align::Right),
        ("received", Align::Right),
        ("answered", Align::Right),
        ("interleaved", Align::Right),
        ("authenticated", Align::Right),
        ("at a time", Align::Right),
    ]);
    for worker in &report.workers {
        let together = worker.received as f64 / worker.batches.max(1) as f64;
        table.row(vec![
            worker.number.to_string().into(),
            worker.received.to_string().into(),
            worker.answered.to_string().into(),
            worker.interleaved.to_string().into(),
            worker.authenticated.to_string().into(),
            format!("{together:.1}").into(),
        ]);
    }
    let mut lines = table.lines(paint);
    let ServerStampsReport {
        rx_hardware,
        rx_kernel,
        rx_daemon,
        tx_hardware,
        tx_kernel,
        tx_between,
        tx_missing,
        ..
    } = report.stamps;
    lines.push(format!(
        "arrivals stamped by the NIC {rx_hardware}, the kernel {rx_kernel}, the daemon {rx_daemon}"
    ));
    lines.push(format!(
        "departures by the NIC {tx_hardware}, the kernel {tx_kernel}, by those before and after \
         {tx_between}; missing {tx_missing}"
    ));
    let TableReport {
        capacity,
        remembered,
        replaced,
    } = report.interleaved_table;
    lines.push(format!(
        "interleaved table: {remembered} of {capacity} replies; {replaced} made room for others"
    ));
    let megabytes = report.tables_octets as f64 * 1e-6;
    lines.push(format!("all tables take {megabytes:.1} MB, full or empty"));
    lines
}

/// Who asks most.
fn talker_lines(talkers: &[TalkerReport], paint: Paint) -> Vec<String> {
    let mut table = Table::new(&[
        ("client", Align::Left),
        ("requests", Align::Right),
        ("beyond its limit", Align::Right),
    ]);
    for talker in talkers {
        table.row(vec![
            printable(&talker.address).into_owned().into(),
            talker.requests.to_string().into(),
            talker.limited.to_string().into(),
        ]);
    }
    table.lines(paint)
}

fn key_rows(keys: &KeyServerReport) -> Table {
    let mut table = rows();
    count(&mut table, "established", keys.established, "");
    count(
        &mut table,
        "handshakes",
        keys.accepted,
        "TLS and ALPN agreed",
    );
    count(&mut table, "open", keys.open.into(), "connections");
    reasons(&mut table, &keys.refused);
    let others = format!(
        "and {} others open cookies",
        keys.cookie_keys.saturating_sub(1)
    );
    table.row(vec![
        "  cookie key".into(),
        printable(&keys.cookie_key).into_owned().into(),
        Cell::new(others, Style::Quiet),
    ]);
    table
}

fn rows() -> Table {
    Table::new(&[("", Align::Left), ("", Align::Right), ("", Align::Left)])
}

fn count(table: &mut Table, name: &str, count: u64, note: &str) {
    table.row(vec![
        format!("  {name}").into(),
        count.to_string().into(),
        Cell::new(note, Style::Quiet),
    ]);
}

fn count_if_any(table: &mut Table, name: &str, number: u64, note: &str) {
    if number > 0 {
        count(table, name, number, note);
    }
}

/// A row for each reason that has occurred.
fn reasons(table: &mut Table, counts: &BTreeMap<String, u64>) {
    for (reason, number) in counts {
        let name = printable(reason).replace('_', " ");
        count_if_any(table, &name, *number, "refused");
    }
}

fn list(addresses: &[String]) -> String {
    printable(&addresses.join(", ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn both_servers_are_shown_with_their_reasons() {
        let shown = server_lines(&samples::server(), Paint::NEVER);
        assert_eq!(
            shown,
            [
                "NTP on 0.0.0.0:123, [::]:123",
                "  answered       1200",
                "  interleaved     800  of these",
                "  authenticated   700  of these",
                "  NAKs              3  the cookie could not be opened",
                "  not allowed       5  server.allow",
                "  told RATE         1  beyond server.rate",
                "  framing           2  refused",
                "",
                "worker  received  answered  interleaved  authenticated  at a time",
                "     0       610       605          400            300       10.0",
                "     1       600       595          400            400        1.0",
                "arrivals stamped by the NIC 1100, the kernel 110, the daemon 0",
                "departures by the NIC 790, the kernel 11, by those before and after 0; missing 0",
                "interleaved table: 250 of 131072 replies; 0 made room for others",
                "all tables take 3.4 MB, full or empty",
                "",
                "client         requests  beyond its limit",
                "192.0.2.7           900                20",
                "2001:db8::/64       310                 0",
                "",
                "NTS keys on [::]:4460",
                "  established        41",
                "  handshakes         42  TLS and ALPN agreed",
                "  open                1  connections",
                "  no alpn             4  refused",
                "  cookie key   1a2b3c4d  and 3 others open cookies",
            ]
        );
    }

    #[test]
    fn a_host_that_serves_nobody_says_so() {
        let nobody = ServerReport {
            listening: Vec::new(),
            talkers: None,
            key_establishment: None,
            ..samples::server()
        };
        let shown = server_lines(&nobody, Paint::NEVER);
        assert_eq!(shown.len(), 1);
        assert!(shown[0].contains("Nobody is told the time"));
    }
}
