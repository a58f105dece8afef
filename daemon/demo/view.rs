//! How the demo tells what it sees: in place on a terminal, in lines on a pipe, as JSON.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use super::record::{GOAL_S, Reading, Record, Verdict};
use super::screen::{EXPLANATION, frame, sentence, summary};
use crate::output::{Paint, Screen};

/// Seconds between two reports on a pipe.
const LINES_EVERY_S: f64 = 1.0;

/// What the demo is shown on: standard output, in one of three ways.
pub(super) enum View {
    /// A terminal; a picture replaces the one before, and the last one is kept.
    Terminal {
        /// Where pictures are drawn, from the first one on.
        screen: Option<Screen>,
        /// The picture that is seen.
        picture: Vec<String>,
    },
    /// A pipe or a file, where a report is due at this time, s since the start.
    Lines {
        /// When.
        due_s: f64,
    },
    /// One object per line.
    Json,
}

/// One line of `--json`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Sample {
        host: &'static str,
        #[serde(flatten)]
        reading: &'a Reading,
        bound_holds: Option<bool>,
    },
    Summary {
        passed: bool,
        interrupted: bool,
        elapsed_s: f64,
        goal_s: f64,
        hosts: &'a [Verdict],
    },
}

/// How the demo ended.
pub(super) struct End<'a> {
    /// What each client did.
    pub verdicts: &'a [Verdict],
    /// Ended before its time?
    pub interrupted: bool,
    /// How long it ran, s.
    pub elapsed_s: f64,
}

impl End<'_> {
    /// Did every claim hold?
    pub(super) fn passed(&self) -> bool {
        self.verdicts
            .iter()
            .all(|verdict| verdict.failures.is_empty())
    }
}

impl View {
    /// Of standard output as it is.
    pub(super) fn of_stdout(json: bool) -> Self {
        if json {
            Self::Json
        } else if io::stdout().is_terminal() {
            Self::Terminal {
                screen: None,
                picture: Vec::new(),
            }
        } else {
            Self::Lines { due_s: 0.0 }
        }
    }

    /// Says what is going to be seen.
    pub(super) fn begin(&self) -> io::Result<()> {
        append(&self.opening())
    }

    /// Shows the last reading of each client.
    pub(super) fn update(
        &mut self,
        records: &[Record],
        elapsed_s: f64,
        seconds: u32,
    ) -> io::Result<()> {
        if let Self::Terminal { screen, picture } = self {
            *picture = frame(records, elapsed_s, seconds, Paint::for_stdout());
            let whole = [&explanation()[..], picture].concat();
            return screen.get_or_insert_with(Screen::stdout).draw(&whole);
        }
        append(&self.report(records, elapsed_s))
    }

    /// Tells how it ended.
    pub(super) fn end(mut self, end: &End<'_>) -> io::Result<()> {
        let closing = self.closing(end);
        if let Self::Terminal { screen, .. } = &mut self {
            // Back to what the terminal showed before; the closing lines go below that.
            drop(screen.take());
        }
        append(&closing)
    }

    fn opening(&self) -> Vec<String> {
        match self {
            Self::Lines { .. } => explanation(),
            Self::Terminal { .. } | Self::Json => Vec::new(),
        }
    }

    /// What is added while it goes on; a terminal is drawn over instead.
    fn report(&mut self, records: &[Record], elapsed_s: f64) -> Vec<String> {
        let last = records
            .iter()
            .filter_map(|record| Some((record.client.name, record.last()?)));
        match self {
            Self::Json => last
                .map(|(host, reading)| {
                    json_line(&Line::Sample {
                        host,
                        reading,
                        bound_holds: reading.bound_holds(),
                    })
                })
                .collect(),
            Self::Lines { due_s } if elapsed_s >= *due_s => {
                // Late once does not mean late for ever.
                *due_s = elapsed_s.max(*due_s + LINES_EVERY_S);
                last.map(|(name, reading)| {
                    format!("{:6.1} s  {}", reading.elapsed_s, sentence(name, reading))
                })
                .collect()
            }
            Self::Lines { .. } | Self::Terminal { .. } => Vec::new(),
        }
    }

    fn closing(&self, end: &End<'_>) -> Vec<String> {
        let mut lines = match self {
            Self::Json => {
                return vec![json_line(&Line::Summary {
                    passed: end.passed(),
                    interrupted: end.interrupted,
                    elapsed_s: end.elapsed_s,
                    goal_s: GOAL_S,
                    hosts: end.verdicts,
                })];
            }
            Self::Terminal { picture, .. } => [&explanation()[..], picture].concat(),
            Self::Lines { .. } => Vec::new(),
        };
        lines.push(String::new());
        lines.extend(summary(end.verdicts, end.interrupted));
        lines.push(match (end.interrupted, end.passed()) {
            (true, _) => "Ended early. The three computers are gone, without a trace.".to_owned(),
            (false, true) => {
                "Every claim held. The three computers are gone, without a trace.".to_owned()
            }
            (false, false) => {
                "NOT every claim held. The three computers are gone, without a trace.".to_owned()
            }
        });
        lines
    }
}

fn explanation() -> Vec<String> {
    EXPLANATION.lines().chain([""]).map(str::to_owned).collect()
}

/// None of these have keys that are not strings, or numbers that JSON lacks as keys: this cannot
/// fail.
fn json_line(line: &Line<'_>) -> String {
    serde_json::to_string(line).unwrap_or_default()
}

/// Writes lines to standard output, at once.
fn append(lines: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::super::cast::CLIENTS;
    use super::*;

    /// Every line written in a run of `seconds`, four looks a second.
    fn written(mut view: View, seconds: u32) -> Vec<String> {
        let mut records: Vec<Record> = CLIENTS.into_iter().map(Record::new).collect();
        let mut lines = view.opening();
        for tick in 0..4 * seconds {
            let elapsed_s = f64::from(tick) / 4.0;
            for record in &mut records {
                record.note(Reading::example(elapsed_s, 1e-6, Some(2e-5)));
            }
            lines.extend(view.report(&records, elapsed_s));
        }
        let verdicts: Vec<Verdict> = records.iter().map(Record::verdict).collect();
        lines.extend(view.closing(&End {
            verdicts: &verdicts,
            interrupted: false,
            elapsed_s: f64::from(seconds),
        }));
        lines
    }

    #[test]
    fn json_is_one_object_a_line_and_a_summary_last() {
        let lines: Vec<serde_json::Value> = written(View::Json, 5)
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let (summary, samples) = lines.split_last().unwrap();
        assert_eq!(samples.len(), 5 * 4 * CLIENTS.len());
        assert!(samples.iter().all(|sample| sample["type"] == "sample"
            && sample["true_error_s"] == 1e-6
            && sample["bound_holds"] == true));
        assert_eq!(samples[1]["host"], "beta");
        assert_eq!(summary["type"], "summary");
        // Its clock was never wrong, so nothing was shown.
        assert_eq!(summary["passed"], false);
        assert_eq!(summary["hosts"][0]["failures"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn a_pipe_gets_a_line_a_second_for_each_client_and_no_control_characters() {
        let text = written(View::Lines { due_s: 0.0 }, 10).join("\n");
        assert_eq!(
            text.matches("it says it is at most").count(),
            10 * CLIENTS.len()
        );
        assert!(!text.contains('\x1b'));
        assert!(text.starts_with(EXPLANATION) && text.contains("NOT every claim held."));
    }
}
