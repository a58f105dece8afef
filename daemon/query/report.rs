//! The answer of one server, for programs and for people.

use clockwright_ntp::Leap;
use serde::Serialize;

use super::best;
use crate::config::NTP_PORT;
use crate::control::{LeapReport, StampReport};
use crate::measure::{Answers, KeysTaken, Taken};
use crate::output::si::{signed, span};
use crate::output::{Align, Cell, Paint, Style, Table, printable};

/// One element of `clockwright query --json`. Stable; values that are not known are null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ServerReport {
    /// The server as it was named.
    pub(super) name: String,
    /// The IP address that was asked.
    pub(super) address: Option<String>,
    /// The UDP port; as long as it is not known, the one that was named.
    pub(super) port: u16,
    /// Did it tell the time?
    pub(super) answered: bool,
    /// Why not.
    pub(super) error: Option<String>,
    /// The keys it was asked with, by `--nts`.
    pub(super) keys: Option<KeysReport>,
    /// Requests sent.
    pub(super) sent: u64,
    /// Replies believed.
    pub(super) received: u64,
    /// What it says.
    #[serde(flatten)]
    pub(super) said: Said,
}

/// Keys that were established with a server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct KeysReport {
    /// With whom, address and port.
    pub(super) key_server: String,
    /// How long that took, s.
    pub(super) took_s: f64,
    /// The algorithm of the keys.
    pub(super) aead: String,
    /// Its number.
    pub(super) aead_id: u16,
    /// Cookies that came with them.
    pub(super) cookies: usize,
    /// Octets of each.
    pub(super) cookie_length: usize,
}

impl From<KeysTaken> for KeysReport {
    fn from(keys: KeysTaken) -> Self {
        Self {
            key_server: keys.server.to_string(),
            took_s: keys.took_s,
            aead: keys.algorithm.name().to_owned(),
            aead_id: keys.algorithm.id(),
            cookies: keys.cookies,
            cookie_length: keys.cookie_length,
        }
    }
}

/// What a server says: all null where it says nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct Said {
    /// What must be added to the system clock, by the measurement with the shortest round trip, s.
    pub(super) offset_s: Option<f64>,
    /// UTC is within this of the clock corrected by `offset_s`, if the server is right, s.
    pub(super) error_bound_s: Option<f64>,
    /// Round trip of that measurement, s.
    pub(super) delay_s: Option<f64>,
    /// Standard deviation of all measured offsets; null with fewer than two, s.
    pub(super) jitter_s: Option<f64>,
    /// 1 is attached to a reference clock.
    pub(super) stratum: Option<u8>,
    /// What it follows: an IPv4 address (or hash of an IPv6 one), or a name at stratum 1.
    pub(super) reference_id: Option<String>,
    /// The leap second it announces.
    pub(super) leap: Option<LeapReport>,
    /// Its round trip to the primary reference, s.
    pub(super) root_delay_s: Option<f64>,
    /// Its dispersion, s.
    pub(super) root_dispersion_s: Option<f64>,
    /// The resolution of its clock, s.
    pub(super) precision_s: Option<f64>,
    /// Was the last measurement in interleaved mode (RFC 9769)?
    pub(super) interleaved: Option<bool>,
    /// Who stamped the request's departure.
    pub(super) tx_stamp: Option<StampReport>,
    /// Who stamped the reply's arrival.
    pub(super) rx_stamp: Option<StampReport>,
}

impl ServerReport {
    pub(super) fn new(answers: &Answers) -> Self {
        Self {
            name: answers.name.host.to_string(),
            address: answers.address.map(|address| address.ip().to_string()),
            port: answers.address.map_or(answers.name.port, |at| at.port()),
            answered: !answers.taken.is_empty(),
            error: answers.trouble.as_ref().map(ToString::to_string),
            keys: answers.keys.map(KeysReport::from),
            sent: answers.sent,
            received: answers.received,
            said: match (best(answers), answers.taken.last()) {
                (Some(best), Some(last)) => Said::new(best, last, &answers.taken),
                _ => Said::default(),
            },
        }
    }
}

impl Said {
    fn new(best: &Taken, last: &Taken, all: &[Taken]) -> Self {
        let exchange = &last.exchange;
        let delay_s = best.measured.delay.as_secs_f64();
        let root_delay_s = exchange.root_delay.as_secs_f64();
        let root_dispersion_s = exchange.root_dispersion.as_secs_f64();
        let distance_s = f64::midpoint(delay_s.max(0.0), root_delay_s)
            + root_dispersion_s
            + best.measured.uncertainty.as_secs_f64();
        Self {
            offset_s: Some(best.offset.as_secs_f64()),
            error_bound_s: Some(distance_s),
            delay_s: Some(delay_s),
            jitter_s: deviation(all),
            stratum: Some(exchange.stratum),
            reference_id: Some(exchange.reference_id.display(exchange.stratum).to_string()),
            leap: Some(match exchange.leap {
                Leap::None => LeapReport::None,
                Leap::Insert => LeapReport::Insert,
                Leap::Delete => LeapReport::Delete,
                Leap::Unsynchronized => LeapReport::Unsynchronized,
            }),
            root_delay_s: Some(root_delay_s),
            root_dispersion_s: Some(root_dispersion_s),
            precision_s: Some(f64::from(exchange.precision).exp2()),
            interleaved: Some(exchange.interleaved),
            tx_stamp: Some(exchange.t1.kind.into()),
            rx_stamp: Some(exchange.t4.kind.into()),
        }
    }
}

/// The standard deviation of the offsets, s.
fn deviation(all: &[Taken]) -> Option<f64> {
    if all.len() < 2 {
        return None;
    }
    let offsets: Vec<f64> = all.iter().map(|taken| taken.offset.as_secs_f64()).collect();
    let count = offsets.len() as f64;
    let mean = offsets.iter().sum::<f64>() / count;
    let squares: f64 = offsets.iter().map(|offset| (offset - mean).powi(2)).sum();
    Some((squares / (count - 1.0)).sqrt())
}

const COLUMNS: [(&str, Align); 13] = [
    ("server", Align::Left),
    ("stratum", Align::Right),
    ("reference", Align::Left),
    ("leap", Align::Left),
    ("mode", Align::Left),
    ("stamps tx/rx", Align::Left),
    ("replies", Align::Right),
    ("offset", Align::Right),
    ("delay", Align::Right),
    ("jitter", Align::Right),
    ("root delay", Align::Right),
    ("root disp.", Align::Right),
    ("", Align::Left),
];

/// A table of all servers; those without an answer say why in its last column.
pub(super) fn lines(reports: &[ServerReport], paint: Paint) -> Vec<String> {
    let mut table = Table::new(&COLUMNS);
    for report in reports {
        table.row(row(report));
    }
    let mut lines = table.lines(paint);
    lines.extend(reports.iter().filter_map(keys_line));
    lines
}

/// `time.example.net: keys of AES-128-GCM-SIV from 192.0.2.1:4460 in 12.1 ms, with 8 cookies of 68 octets`.
fn keys_line(report: &ServerReport) -> Option<String> {
    let keys = report.keys.as_ref()?;
    Some(format!(
        "{}: keys of {} from {} in {}, with {} cookies of {} octets",
        printable(&report.name),
        keys.aead,
        keys.key_server,
        span(keys.took_s),
        keys.cookies,
        keys.cookie_length
    ))
}

fn row(report: &ServerReport) -> Vec<Cell> {
    let said = &report.said;
    let style = if report.answered {
        Style::Good
    } else {
        Style::Bad
    };
    let number = |value: Option<f64>, how: fn(f64) -> String| -> Cell {
        value.map_or_else(dash, how).into()
    };
    let stamps = match (said.tx_stamp, said.rx_stamp) {
        (Some(tx), Some(rx)) => format!("{}/{}", tx.name(), rx.name()),
        _ => dash(),
    };
    vec![
        Cell::new(name(report), style),
        said.stratum.map_or_else(dash, |s| s.to_string()).into(),
        said.reference_id
            .as_deref()
            .map_or_else(dash, |id| printable(id).into_owned())
            .into(),
        said.leap.map_or("-", leap_name).into(),
        match said.interleaved {
            None => "-",
            Some(true) => "interleaved",
            Some(false) => "basic",
        }
        .into(),
        stamps.into(),
        format!("{}/{}", report.received, report.sent).into(),
        number(said.offset_s, signed),
        number(said.delay_s, span),
        number(said.jitter_s, span),
        number(said.root_delay_s, span),
        number(said.root_dispersion_s, span),
        Cell::new(
            report
                .error
                .as_deref()
                .map_or_else(String::new, |error| printable(error).into_owned()),
            Style::Doubtful,
        ),
    ]
}

fn dash() -> String {
    "-".to_owned()
}

const fn leap_name(leap: LeapReport) -> &'static str {
    match leap {
        LeapReport::None => "none",
        LeapReport::Insert => "insert",
        LeapReport::Delete => "delete",
        LeapReport::Unsynchronized => "unsynchronized",
    }
}

/// The name as given, and the address where that is not the same.
fn name(report: &ServerReport) -> String {
    let mut parts = vec![printable(&report.name).into_owned()];
    if let Some(address) = &report.address
        && *address != report.name
    {
        parts.push(format!("({address})"));
    }
    if report.port != NTP_PORT {
        parts.push(format!("port {}", report.port));
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Trouble;

    #[test]
    fn a_server_without_an_answer_says_why_and_has_only_nulls() {
        let report = ServerReport::new(&Answers {
            name: "192.0.2.1:1123".parse().unwrap(),
            address: "192.0.2.1:1123".parse().ok(),
            keys: None,
            taken: Vec::new(),
            sent: 4,
            received: 0,
            trouble: Some(Trouble::Silent),
        });
        let shown = lines(std::slice::from_ref(&report), Paint::NEVER).join("\n");
        assert!(shown.contains("192.0.2.1 port 1123"), "{shown}");
        assert!(
            shown.contains("0/4") && shown.contains("no answer within 2 s"),
            "{shown}"
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["answered"], false);
        assert!(
            json["offset_s"].is_null() && json["tx_stamp"].is_null(),
            "{json}"
        );
    }
}
