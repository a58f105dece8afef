//! Where lines go: once, again and again on a pipe, or redrawn in place on a terminal.

use std::io::{self, IsTerminal, Write, stdout};

use crate::cli::Exit;

/// Enter the alternate screen, hide the cursor, let long lines end at the edge.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l";
/// Undo all of that.
const LEAVE: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";

/// A place that shows a picture made of lines, and then the next one.
#[derive(Debug)]
pub struct Screen {
    in_place: bool,
    drawn: bool,
}

impl Screen {
    /// Standard output: redrawn in place on a terminal, appended to otherwise.
    pub fn stdout() -> Self {
        Self {
            in_place: stdout().is_terminal(),
            drawn: false,
        }
    }

    /// Does a new picture replace the one before?
    pub const fn is_in_place(&self) -> bool {
        self.in_place
    }

    /// Shows `lines`.
    ///
    /// # Errors
    /// If standard output does not take them; a pipe nobody reads is `BrokenPipe`.
    pub fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let text = if self.in_place {
            let enter = if self.drawn { "" } else { ENTER };
            format!("{enter}{}", in_place(lines))
        } else {
            appended(lines)
        };
        self.drawn = true;
        // One write: the terminal never shows half a picture.
        let mut out = stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.in_place && self.drawn {
            let mut out = stdout().lock();
            // A terminal that is gone needs no restoring.
            let _ = out.write_all(LEAVE.as_bytes()).and_then(|()| out.flush());
        }
    }
}

/// Every line at its own row, over what was there. Rows beyond the window all land on its last
/// row, so that nothing scrolls however small it is.
fn in_place(lines: &[String]) -> String {
    let placed = (1..)
        .zip(lines)
        .map(|(row, line)| format!("\u{1b}[{row};1H{line}\u{1b}[K"));
    placed
        .chain(["\u{1b}[J".to_owned()])
        .collect::<Vec<_>>()
        .concat()
}

/// The lines, one after the other.
fn appended(lines: &[String]) -> String {
    lines
        .iter()
        .flat_map(|line| [line.as_str(), "\n"])
        .collect()
}

/// Prints `lines` to standard output. A reader that has gone away (`| head`) wanted no more, and
/// that is no failure.
pub fn print(lines: &[String]) -> Exit {
    let mut out = stdout().lock();
    let written = out
        .write_all(appended(lines).as_bytes())
        .and_then(|()| out.flush());
    after_writing(&written)
}

/// What becomes of the command after its output was written, or was not.
pub fn after_writing(written: &io::Result<()>) -> Exit {
    match written {
        Ok(()) => Exit::Done,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => {
            complain(&format!("cannot write to standard output: {error}"));
            Exit::Failed
        }
    }
}

/// Prints a message for people to standard error; a closed one leaves no one to tell.
pub fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "clockwright: {message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_replaces_the_one_before_without_clearing_first() {
        let picture = in_place(&["a".to_owned(), "b".to_owned()]);
        assert_eq!(picture, "\u{1b}[1;1Ha\u{1b}[K\u{1b}[2;1Hb\u{1b}[K\u{1b}[J");
        assert!(!picture.contains('\n') && !picture.contains("[2J"));
    }
}
