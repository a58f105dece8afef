//! What is measured.

use std::process::Command;

/// A program's name and version: two words of what it says, wherever it says it.
pub(crate) fn version(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error} (`make deps` brings the peers)"));
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let words = text.split_whitespace();
    let words = words.filter(|word| !word.starts_with('(') && *word != "version");
    words.take(2).collect::<Vec<_>>().join(" ")
}
