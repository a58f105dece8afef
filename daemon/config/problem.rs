//! What is wrong with a configuration, and where: `FILE:LINE:COLUMN`, the line, a caret.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Longest piece of a source line that is shown, characters.
const SHOWN: usize = 100;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file it is in.
    pub file: PathBuf,
    /// Where in the file, unless it concerns the file as a whole.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What is allowed, or what to do.
    pub help: Vec<String>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line's text as shown: shortened, control characters replaced.
    text: String,
    /// Characters of `text` before the marked piece.
    indent: usize,
    /// Characters marked; at least 1.
    width: usize,
}

impl Place {
    /// The place of the octets `span` in a file's whole `text`. A span that is out of range, or
    /// inside a character, is moved to the nearest place that exists.
    pub fn find(text: &str, span: &Range<usize>) -> Self {
        let start = floor(text, span.start);
        let end = floor(text, span.end).max(start);
        let (before, after) = text.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = after
            .find('\n')
            .map_or(text.len(), |newline| start + newline);
        let part = |range: Range<usize>| text.get(range).unwrap_or_default();

        let column = part(line_start..start).chars().count();
        let marked = part(start..end.min(line_end)).chars().count().max(1);
        // Of a very long line, what surrounds the place.
        let skipped = if column + marked > SHOWN {
            column.saturating_sub(SHOWN / 4)
        } else {
            0
        };
        let shown: String = part(line_start..line_end)
            .trim_end_matches('\r')
            .chars()
            .skip(skipped)
            .take(SHOWN)
            .map(|c| {
                if c == '\t' {
                    ' '
                } else if c.is_control() {
                    '\u{fffd}'
                } else {
                    c
                }
            })
            .collect();
        let indent = column - skipped;
        Self {
            line: before.matches('\n').count() + 1,
            column: column + 1,
            width: marked.min((SHOWN - indent.min(SHOWN - 1)).max(1)),
            text: shown,
            indent,
        }
    }
}

/// The nearest character boundary at or before `index`.
fn floor(text: &str, index: usize) -> usize {
    (0..=index.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

impl Problem {
    /// A problem of a file as a whole.
    pub(super) fn of_file(file: &Path, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            place: None,
            message: message.into(),
            help: Vec::new(),
        }
    }

    /// The same with a line of help.
    #[must_use]
    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(place) = &self.place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(place) = &self.place {
            let (indent, width) = (place.indent, place.width);
            write!(f, "\n    | {}\n    | ", place.text)?;
            write!(f, "{:indent$}{:^<width$}", "", "")?;
        }
        for help in &self.help {
            write!(f, "\n    = {help}")?;
        }
        Ok(())
    }
}

/// A configuration that is not valid: everything that is wrong, in the order of files and lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        match self.problems.len() {
            1 => f.write_str("1 problem; the configuration is not used"),
            many => write!(f, "{many} problems; the configuration is not used"),
        }
    }
}

impl std::error::Error for Invalid {}

/// Of `known`, what was probably meant by `word`: at most a third of its letters differ.
pub(super) fn did_you_mean<'k>(
    word: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    // The distance costs the product of the lengths; no key is nearly as long as this.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_ascii_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|candidate| {
            let plain = candidate.replace('-', "_");
            (strsim::damerau_levenshtein(&word, &plain), candidate)
        })
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem(text: &str, span: Range<usize>) -> String {
        Problem {
            file: "a.toml".into(),
            place: Some(Place::find(text, &span)),
            message: "wrong".into(),
            help: vec!["do right".into()],
        }
        .to_string()
    }

    #[test]
    fn the_caret_is_under_the_word() {
        assert_eq!(
            problem("one = 1\n  twö = \"x\"\n", 17..20),
            "a.toml:2:9: wrong\n    |   twö = \"x\"\n    |         ^^^\n    = do right"
        );
    }

    #[test]
    fn the_end_of_the_file_is_a_place() {
        assert_eq!(
            problem("a = ", 4..4),
            "a.toml:1:5: wrong\n    | a = \n    |     ^\n    = do right"
        );
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert!(!problem("a = \"\u{1b}[2J\"", 4..5).contains('\u{1b}'));
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let text = format!("{} here {}", "x".repeat(500), "y".repeat(500));
        let shown = problem(&text, 501..505);
        assert!(shown.contains(" here ") && shown.len() < 300, "{shown}");
        let caret = shown.lines().nth(2).unwrap().find('^');
        assert_eq!(caret, shown.lines().nth(1).unwrap().find("here"));
    }

    #[test]
    fn a_typo_is_recognised_and_a_stranger_is_not() {
        let known = ["server", "pool", "interleaved", "max_delay"];
        assert_eq!(did_you_mean("severs", known), Some("server"));
        assert_eq!(did_you_mean("interleave", known), Some("interleaved"));
        assert_eq!(did_you_mean("max-delay", known), Some("max_delay"));
        assert_eq!(did_you_mean("Pool", known), Some("pool"));
        assert_eq!(did_you_mean("makestep", known), None);
    }

    proptest! {
        #[test]
        fn any_span_of_any_text_can_be_shown(text in any::<String>(), start in 0_usize..300, len in 0_usize..300) {
            let place = Place::find(&text, &(start..start + len));
            prop_assert!(place.indent <= SHOWN && place.width <= SHOWN);
            prop_assert!(place.line >= 1 && place.column >= 1);
        }
    }
}
