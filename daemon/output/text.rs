//! Text that came from the network, made safe for a terminal.

use std::borrow::Cow;

/// Longest text shown, characters: room for a sentence or two of advice around a name or two.
const MAX: usize = 1000;

/// `text` with everything that could move a cursor, change a colour or reorder what is read
/// replaced by its escape, and cut at a thousand characters.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX && text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == MAX {
            shown.push('…');
            break;
        }
        if is_plain(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_default());
        }
    }
    Cow::Owned(shown)
}

/// `text` in lines of at most `width` characters, broken between words; only a longer word makes a
/// longer line.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Takes one column and has no effect besides. Format characters such as the bidirectional
/// controls are not `is_control`, and no name needs them.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_show_what_was_there() {
        assert_eq!(printable("time.example.net"), "time.example.net");
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(printable("\u{202e}gpj.exe"), "\\u{202e}gpj.exe");
        assert_eq!(printable(&"x".repeat(2000)).chars().count(), 1001);
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("a bb ccc dddd", 6), ["a bb", "ccc", "dddd"]);
        assert_eq!(wrapped("too-long-a-word x", 6), ["too-long-a-word", "x"]);
        assert_eq!(wrapped("", 6), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn no_control_character_survives(text in any::<String>()) {
            prop_assert!(!printable(&text).chars().any(char::is_control));
        }
    }
}
