//! `clockwright auth` for people.

use super::si::age;
use super::style::{Paint, Style};
use super::table::{Align, Cell, Table};
use super::text::printable;
use crate::control::{AuthEntry, AuthReport};

/// The columns.
const COLUMNS: [(&str, Align); 11] = [
    ("source", Align::Left),
    ("mode", Align::Left),
    ("established", Align::Right),
    ("algorithm", Align::Left),
    ("key", Align::Right),
    ("age", Align::Right),
    ("attempts", Align::Right),
    ("NAKs", Align::Right),
    ("cookies", Align::Right),
    ("each", Align::Right),
    ("what is amiss", Align::Left),
];

/// A table of all sources that are asked over the network.
pub fn auth_lines(sources: &[AuthEntry], paint: Paint) -> Vec<String> {
    if sources.is_empty() {
        return vec!["No source is asked over the network.".to_owned()];
    }
    let mut table = Table::new(&COLUMNS);
    for source in sources {
        table.row(row(source));
    }
    table.lines(paint)
}

fn row(source: &AuthEntry) -> Vec<Cell> {
    let (mode, style) = match source.mode {
        AuthReport::None => {
            let plain = Cell::new("none", Style::Doubtful);
            return vec![name(source).into(), plain];
        }
        AuthReport::Nts if source.aead.is_some() => ("nts", Style::Good),
        AuthReport::Nts => ("nts", Style::Doubtful),
    };
    let or_dash = |text: Option<String>| -> Cell { text.unwrap_or_else(|| "-".to_owned()).into() };
    vec![
        name(source).into(),
        Cell::new(mode, style),
        source.key_establishments.to_string().into(),
        or_dash(source.aead.clone()),
        or_dash(source.key_length_bits.map(|bits| format!("{bits} bit"))),
        or_dash(source.key_age_s.map(age)),
        source.attempts.to_string().into(),
        source.naks.to_string().into(),
        source.cookies.to_string().into(),
        or_dash((source.cookies > 0).then(|| format!("{} B", source.cookie_length))),
        Cell::new(amiss(source), Style::Quiet),
    ]
}

/// The configured name, and the address where that is not the same.
fn name(source: &AuthEntry) -> String {
    let name = printable(&source.name);
    match &source.address {
        Some(address) if *address != source.name => format!("{name} ({})", printable(address)),
        _ => name.into_owned(),
    }
}

/// What there is to say besides the numbers.
fn amiss(source: &AuthEntry) -> String {
    if let Some(error) = &source.last_error {
        return printable(error).into_owned();
    }
    if let Some(doubt) = &source.doubt {
        return printable(doubt).into_owned();
    }
    let text = match (&source.aead, source.establishing, source.key_establishments) {
        (Some(_), ..) | (None, false, 0) => "",
        (None, true, _) => "keys are being established",
        (None, false, 1..) => "all cookies were spent, and no reply came",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn the_table_says_what_proves_whom_and_what_is_amiss() {
        let shown = auth_lines(&samples::auth(), Paint::NEVER);
        assert_eq!(
            shown,
            [
                "source                         mode  established  algorithm            key     age  attempts  NAKs  cookies  each  what is amiss",
                "time1.example.net (192.0.2.1)  nts             1  AES-128-GCM-SIV  128 bit  12 min         0     0        8  68 B",
                "time2.example.net (192.0.2.2)  nts             0  -                      -       -         3     2        0     -  cannot connect to TCP port 4460 of 192.0.2.2: no answer",
                "192.0.2.9                      none",
            ]
        );
        assert_eq!(auth_lines(&[], Paint::NEVER).len(), 1);
    }

    #[test]
    fn text_from_outside_cannot_reach_the_terminal() {
        let mut sources = samples::auth();
        for source in &mut sources {
            source.name = "\u{9b}2J".to_owned();
            source.last_error = Some("\u{1b}]0;x\u{7}".to_owned());
        }
        let shown = auth_lines(&sources, Paint::NEVER).join("");
        assert!(!shown.chars().any(char::is_control));
    }
}
