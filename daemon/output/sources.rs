//! `clockwright sources` for people.

use clockwright_timebase::Poll;

use super::si::{age, signed, span};
use super::style::{Paint, Style};
use super::table::{Align, Cell, Table};
use super::text::printable;
use crate::control::{KindReport, SourceReport, SourceState, TransportReport};

/// The columns.
const COLUMNS: [(&str, Align); 13] = [
    ("  source", Align::Left),
    ("state", Align::Left),
    ("stratum", Align::Right),
    ("reach", Align::Right),
    ("poll", Align::Right),
    ("age", Align::Right),
    ("stamps tx/rx", Align::Left),
    ("mode", Align::Left),
    ("offset", Align::Right),
    ("delay", Align::Right),
    ("jitter", Align::Right),
    ("bound", Align::Right),
    ("why", Align::Left),
];

/// A table of all sources.
pub fn source_lines(sources: &[SourceReport], paint: Paint) -> Vec<String> {
    if sources.is_empty() {
        return vec!["No source is configured.".to_owned()];
    }
    let mut table = Table::new(&COLUMNS);
    for source in sources {
        table.row(row(source));
    }
    table.lines(paint)
}

fn row(source: &SourceReport) -> Vec<Cell> {
    let (marker, style) = appearance(source.state);
    let show = |value: Option<f64>, how: fn(f64) -> String| -> Cell {
        value.map_or_else(|| "-".to_owned(), how).into()
    };
    let stamp = |kind: Option<crate::control::StampReport>| kind.map_or("-", |kind| kind.name());
    let stamps = if source.tx_stamp.is_none() && source.rx_stamp.is_none() {
        "-".to_owned()
    } else {
        format!("{}/{}", stamp(source.tx_stamp), stamp(source.rx_stamp))
    };
    vec![
        Cell::new(format!("{marker} {}", name(source)), style),
        Cell::new(source.state.name(), style),
        source
            .stratum
            .map_or_else(|| "-".to_owned(), |stratum| stratum.to_string())
            .into(),
        format!("{:03o}", source.reach).into(),
        Poll::new(source.poll).to_string().into(),
        show(source.last_sample_age_s, age),
        stamps.into(),
        mode(source).into(),
        show(source.offset_s, signed),
        show(source.delay_s, span),
        show(source.jitter_s, span),
        show(source.error_bound_s, |bound| format!("±{}", span(bound))),
        Cell::new(why(source), Style::Quiet),
    ]
}

/// How it is read: the mode of NTP, and what carries it where that is not plain UDP.
fn mode(source: &SourceReport) -> &'static str {
    let by_ptp = source.transport == Some(TransportReport::Ptp);
    match source.kind {
        KindReport::Phc => "phc",
        KindReport::Pps => "pps",
        KindReport::Sock => "sock",
        KindReport::Shm => "shm",
        KindReport::Server if source.received == 0 => "-",
        KindReport::Server => match (source.interleaved, by_ptp) {
            (true, false) => "interleaved",
            (false, false) => "basic",
            (true, true) => "interleaved, ptp",
            (false, true) => "basic, ptp",
        },
    }
}

/// The configured name, and the address where that is not the same.
fn name(source: &SourceReport) -> String {
    let mut parts = vec![printable(&source.name).into_owned()];
    if let Some(address) = &source.address
        && *address != source.name
    {
        parts.push(format!("({})", printable(address)));
    }
    if let Some(port) = source.port.filter(|port| *port != crate::config::NTP_PORT) {
        parts.push(format!("port {port}"));
    }
    parts.join(" ")
}

/// What there is to say besides the numbers.
fn why(source: &SourceReport) -> String {
    let said = match (&source.reason, source.reachable) {
        (Some(reason), _) => Some(reason),
        (None, true) => None,
        (None, false) => source
            .last_error
            .as_ref()
            .or(source.last_rejection.as_ref()),
    };
    said.map_or_else(String::new, |text| printable(text).into_owned())
}

/// The mark in front of a source and its style.
const fn appearance(state: SourceState) -> (char, Style) {
    match state {
        SourceState::Selected => ('*', Style::Good),
        SourceState::Combined => ('+', Style::Good),
        SourceState::Candidate => ('-', Style::Plain),
        SourceState::Falseticker => ('x', Style::Bad),
        SourceState::Unusable => ('!', Style::Doubtful),
        SourceState::Starting => ('.', Style::Quiet),
        SourceState::Unreachable | SourceState::Unresolved => ('?', Style::Doubtful),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn the_table_says_who_is_followed_and_why_not_the_others() {
        let shown = source_lines(&samples::sources(), Paint::NEVER);
        assert_eq!(
            shown,
            [
                "  source                         state        stratum  reach  poll   age  stamps tx/rx   mode           offset   delay   jitter     bound  why",
                "* time1.example.net (192.0.2.1)  selected           2    377   64s  12 s  kernel/kernel  interleaved   -120 ns  240 us  80.0 ns  ±12.3 us",
                "x 192.0.2.9 port 1123            falseticker        2    017   64s  12 s  kernel/daemon  basic        +20.0 ms  240 us  80.0 ns  ±12.3 us  off by 20.0 ms from the majority",
                "? none.example                   unresolved         -    000   64s     -  -              -                   -       -        -         -  name not found",
            ]
        );
        assert_eq!(
            source_lines(&[], Paint::NEVER),
            ["No source is configured."]
        );
    }

    #[test]
    fn the_mode_says_what_is_not_plain_ntp() {
        let mut source = samples::sources().remove(0);
        source.transport = Some(TransportReport::Ptp);
        assert_eq!(mode(&source), "interleaved, ptp");
        source.interleaved = false;
        assert_eq!(mode(&source), "basic, ptp");
        source.kind = KindReport::Phc;
        assert_eq!(mode(&source), "phc");
        // A reference clock has no port to name.
        source.address = None;
        source.port = None;
        assert_eq!(name(&source), source.name);
    }

    #[test]
    fn text_from_outside_cannot_reach_the_terminal() {
        let mut sources = samples::sources();
        for source in &mut sources {
            source.name = "\u{9b}2J".to_owned();
            source.reason = Some("\u{1b}]0;x\u{7}".to_owned());
            source.address = Some("\r".to_owned());
        }
        assert!(
            !source_lines(&sources, Paint::NEVER)
                .join("")
                .chars()
                .any(char::is_control)
        );
    }
}
