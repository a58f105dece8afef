//! What is seen: the live table on a terminal, sentences on a pipe.

use super::cast::SERVER;
use super::record::{GOAL_S, Reading, Record, Verdict};
use crate::control::StampReport;
use crate::output::si::{ppm, signed, span};
use crate::output::{Align, Cell, Paint, Style, Table};

/// Marks in a curve of the true error.
const CURVE_WIDTH: usize = 30;
/// The errors at the bottom and the top of a curve, powers of ten of a second.
const CURVE_DECADES: (f64, f64) = (-7.0, -2.0);
/// A curve's marks, the smallest error first.
const MARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Longest line drawn, columns: no terminal in use is narrower, and a line that wraps would
/// spoil drawing in place.
#[cfg(test)]
const WIDTH: usize = 79;

/// What is going on, for someone who has never heard of NTP.
pub(super) const EXPLANATION: &str = "\
Three computers in a private network inside this one; its clock is not touched.
\"server\" has the right time. The clocks of \"alpha\" and \"beta\" start wrong, and
run at the wrong speed. Each asks the server over the network (NTP), works out
both errors, steers its clock, and says how wrong it can still be at most.";

/// The live picture, as lines.
pub(super) fn frame(records: &[Record], elapsed_s: f64, seconds: u32, paint: Paint) -> Vec<String> {
    let mut lines = table(records).lines(paint);
    lines.push(String::new());
    lines.extend(records.iter().map(|record| {
        format!(
            "{:8}{:CURVE_WIDTH$}  {}",
            record.client.name,
            curve(record),
            record.last().map_or_else(String::new, |last| path(
                (last.authenticated, last.interleaved),
                last.tx_stamp,
                last.rx_stamp
            ))
        )
    }));
    let legend = "how wrong, over time: the highest mark is 10 ms, the lowest 100 ns";
    lines.push(format!("{:8}{}", "", paint.apply(Style::Quiet, legend)));
    lines.push(String::new());
    lines.extend(records.iter().map(|record| {
        record.last().map_or_else(
            || format!("{}'s daemon has not answered yet.", record.client.name),
            |reading| sentence(record.client.name, reading),
        )
    }));
    lines.push(String::new());
    lines.push(progress(records, elapsed_s, seconds));
    lines
}

fn table(records: &[Record]) -> Table {
    let mut table = Table::new(&[
        ("host", Align::Left),
        ("truly off by", Align::Right),
        ("it believes", Align::Right),
        ("at most", Align::Right),
        ("true?", Align::Left),
        ("runs fast by", Align::Right),
        ("it found", Align::Right),
    ]);
    let right = span(0.0);
    table.row(vec![
        SERVER.into(),
        right.into(),
        "-".into(),
        "-".into(),
        "".into(),
        "-".into(),
        "-".into(),
    ]);
    for record in records {
        table.row(row(record));
    }
    table
}

fn row(record: &Record) -> Vec<Cell> {
    let reading = record.last();
    let cell = |text: Option<String>| Cell::from(text.unwrap_or_else(|| "-".to_owned()));
    vec![
        record.client.name.into(),
        cell(reading.map(|reading| signed(reading.true_error_s))),
        // What must be added is the opposite of what it is off by.
        cell(
            reading
                .and_then(|reading| reading.offset_s)
                .map(|offset| signed(-offset)),
        ),
        cell(reading.and_then(|reading| reading.error_bound_s).map(span)),
        match reading.and_then(Reading::bound_holds) {
            None => "-".into(),
            Some(true) => Cell::new("true", Style::Good),
            Some(false) => Cell::new("FALSE", Style::Bad),
        },
        ppm(record.client.drift_ppm).into(),
        cell(
            reading
                .and_then(|reading| reading.frequency_ppm)
                .map(|steered| ppm(-steered)),
        ),
    ]
}

/// How requests and replies travel: `NTS interleaved, kernel stamps`.
fn path(
    (authenticated, interleaved): (bool, bool),
    tx: Option<StampReport>,
    rx: Option<StampReport>,
) -> String {
    let mode = match (authenticated, interleaved) {
        (true, true) => "NTS interleaved",
        (true, false) => "NTS basic",
        (false, true) => "interleaved",
        (false, false) => "basic",
    };
    match (tx, rx) {
        (Some(tx), Some(rx)) if tx == rx => format!("{mode}, {} stamps", tx.name()),
        (Some(tx), Some(rx)) => format!("{mode}, {}/{} stamps", tx.name(), rx.name()),
        _ => "no answer yet".to_owned(),
    }
}

/// The true error over time, its logarithm as the height of the marks.
fn curve(record: &Record) -> String {
    let readings: Vec<f64> = record
        .recent()
        .map(|reading| reading.true_error_s.abs())
        .collect();
    // As many readings for each mark as it takes to fit; of these the largest is drawn.
    let share = readings.len().div_ceil(CURVE_WIDTH).max(1);
    readings
        .chunks(share)
        .map(|chunk| mark(chunk.iter().copied().fold(0.0, f64::max)))
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the marks there are"
)]
fn mark(error_s: f64) -> char {
    let (bottom, top) = CURVE_DECADES;
    let height = (error_s.max(1e-12).log10() - bottom) / (top - bottom);
    let highest = MARKS.len() - 1;
    MARKS[(height * MARKS.len() as f64).clamp(0.0, highest as f64) as usize]
}

/// A reading in plain words.
pub(super) fn sentence(name: &str, reading: &Reading) -> String {
    let off = span(reading.true_error_s.abs());
    match (reading.error_bound_s, reading.bound_holds()) {
        (Some(bound), Some(holds)) => format!(
            "{name}'s clock is {off} off; it says it is at most {} off: {}.",
            span(bound),
            if holds { "true" } else { "NOT TRUE" }
        ),
        _ => format!("{name}'s clock is {off} off; it does not know the time yet."),
    }
}

fn progress(records: &[Record], elapsed_s: f64, seconds: u32) -> String {
    let arrivals: Vec<String> = records
        .iter()
        .filter_map(|record| {
            Some(format!(
                "{} after {:.1} s",
                record.client.name,
                record.arrived_at()?
            ))
        })
        .collect();
    let clock = format!("{elapsed_s:.0} s of {seconds} s.");
    if arrivals.is_empty() {
        return clock;
    }
    format!("{clock} Below {}: {}.", goal(), arrivals.join(", "))
}

/// The end of the story, as lines. If it was ended early, what did not hold may only not have
/// come to pass yet.
pub(super) fn summary(verdicts: &[Verdict], interrupted: bool) -> Vec<String> {
    let failed = if interrupted { "so far" } else { "FAILED" };
    let mut lines = Vec::new();
    for verdict in verdicts {
        lines.push(format!("{:7}{}", verdict.host, story(verdict)));
        lines.push(format!("{:7}{}", "", promises(verdict)));
        for failure in &verdict.failures {
            lines.push(format!("{:7}{failed}: {failure}", ""));
        }
    }
    lines
}

fn story(verdict: &Verdict) -> String {
    let off = |seconds: Option<f64>| seconds.map_or_else(|| "?".to_owned(), |s| span(s.abs()));
    let start = off(verdict.start_error_s);
    match verdict.settled_at_s {
        Some(at) => format!(
            "{start} off at first, below {} after {at:.1} s, then never beyond {}",
            goal(),
            off(verdict.worst_error_after_s)
        ),
        None => format!(
            "{start} off at first, {} off at the end",
            off(verdict.final_error_s)
        ),
    }
}

fn promises(verdict: &Verdict) -> String {
    let checked = verdict.bounds_checked;
    let kept = checked - verdict.bounds_violated;
    let path = path(
        (verdict.authenticated, verdict.interleaved),
        verdict.tx_stamp,
        verdict.rx_stamp,
    );
    format!("promise kept {kept} of {checked} times; {path}")
}

/// What a clock has to get below, for people.
pub(super) fn goal() -> String {
    format!("{:.0} us", GOAL_S * 1e6)
}

#[cfg(test)]
mod tests {
    use super::super::cast::CLIENTS;
    use super::*;

    fn records(readings: &[Reading]) -> Vec<Record> {
        let mut records: Vec<Record> = CLIENTS.into_iter().map(Record::new).collect();
        for record in &mut records {
            for reading in readings {
                record.note(reading.clone());
            }
        }
        records
    }

    fn columns(line: &str) -> usize {
        line.chars().count()
    }

    #[test]
    fn no_line_wraps_on_a_terminal_of_80_columns() {
        let mut hybrid = Reading::example(99_999.0, -0.123_456, Some(0.234_567));
        hybrid.frequency_ppm = Some(-1_234.567_8);
        hybrid.tx_stamp = Some(StampReport::Hardware);
        for readings in [
            vec![],
            vec![Reading::example(0.0, 7.3e-3, None)],
            (0..600)
                .map(|tick| Reading::example(f64::from(tick), 1.3e-6, Some(20.4e-6)))
                .chain([hybrid])
                .collect(),
        ] {
            let records = records(&readings);
            let frame = frame(&records, 86_400.0, 86_400, Paint::NEVER);
            let verdicts: Vec<Verdict> = records.iter().map(Record::verdict).collect();
            let explanation = EXPLANATION.lines().map(str::to_owned);
            let summary = summary(&verdicts, false);
            assert!(!summary.is_empty());
            for line in frame.into_iter().chain(explanation).chain(summary) {
                assert!(
                    columns(&line) <= WIDTH,
                    "{} columns: {line}",
                    columns(&line)
                );
            }
        }
    }

    #[test]
    fn every_frame_has_as_many_lines() {
        let before = frame(&records(&[]), 0.0, 30, Paint::NEVER);
        let after = frame(
            &records(&[Reading::example(1.0, 1e-6, Some(2e-5))]),
            1.0,
            30,
            Paint::NEVER,
        );
        assert_eq!(before.len(), after.len());
    }

    #[test]
    fn the_table_shows_what_the_clock_is_off_by_and_not_its_correction() {
        let lines =
            table(&records(&[Reading::example(1.0, 3.2e-6, Some(21e-6))])).lines(Paint::NEVER);
        let words: Vec<&str> = lines[2]
            .split("  ")
            .filter(|word| !word.is_empty())
            .map(str::trim)
            .collect();
        let right = [
            "alpha",
            "+3.20 us",
            "+3.20 us",
            "21.0 us",
            "true",
            "+31.000 ppm",
            "+31.000 ppm",
        ];
        assert_eq!(words, right);
    }

    #[test]
    fn sentences_tell_truth_from_falsehood() {
        assert_eq!(
            sentence("beta", &Reading::example(1.0, -3.2e-6, Some(21e-6))),
            "beta's clock is 3.20 us off; it says it is at most 21.0 us off: true."
        );
        assert!(
            sentence("beta", &Reading::example(1.0, -22e-6, Some(21e-6))).ends_with("NOT TRUE.")
        );
        assert!(
            sentence("beta", &Reading::example(1.0, -4e-3, None))
                .ends_with("does not know the time yet.")
        );
    }

    #[test]
    fn a_curve_goes_down_with_the_error_and_fits() {
        let readings: Vec<Reading> = (0..100)
            .map(|tick| Reading::example(f64::from(tick), 7e-3 * 0.9_f64.powi(tick), None))
            .collect();
        let curve = curve(&records(&readings)[0]);
        assert!(columns(&curve) <= CURVE_WIDTH);
        let heights: Vec<usize> = curve
            .chars()
            .map(|mark| {
                MARKS
                    .iter()
                    .position(|candidate| *candidate == mark)
                    .unwrap()
            })
            .collect();
        assert!(heights.is_sorted_by(|left, right| left >= right), "{curve}");
        assert_eq!((heights[0], heights.last()), (7, Some(&0)));
        assert_eq!((mark(0.0), mark(1.0)), ('▁', '█'));
    }
}
