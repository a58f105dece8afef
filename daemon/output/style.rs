//! Colour, where a terminal wants it.

use std::env;
use std::io::{IsTerminal, stdout};

/// What a piece of output means; how it looks follows from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// Nothing special.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Worth a look.
    Doubtful,
    /// Wrong.
    Bad,
    /// Less important than the rest.
    Quiet,
    /// A heading.
    Heading,
}

/// Whether styles become colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint(bool);

impl Paint {
    /// No colours.
    pub const NEVER: Self = Self(false);
    /// Colours.
    pub const ALWAYS: Self = Self(true);

    /// Colours if standard output is a terminal that can show them and `NO_COLOR`
    /// (<https://no-color.org>) is not set.
    pub fn for_stdout() -> Self {
        let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self(stdout().is_terminal() && !set("NO_COLOR") && !dumb)
    }

    /// `text` in `style`.
    pub fn apply(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Plain => return text.to_owned(),
            Style::Good => "32",
            Style::Doubtful => "33",
            Style::Bad => "31",
            Style::Quiet => "2",
            Style::Heading => "1",
        };
        if self.0 {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}
