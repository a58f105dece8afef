//! Keys of the design that this version does not have, and where known keys belong: so that the
//! answer to a key that is merely early or misplaced is better than "unknown".

use super::section::heading;
use super::settings::Config;

/// What to say about a key that a later version will know, by its full name.
pub(super) fn key(path: &str) -> Option<&'static str> {
    Some(match path {
        "metrics" => "metrics are not supported in this version",
        _ => return None,
    })
}

/// Where the key `name` belongs, if it is known in just some other table.
pub(super) fn home(name: &str) -> Option<String> {
    let keys = Config::keys();
    let tables: Vec<&str> = keys
        .iter()
        .filter_map(|key| match key.path.rsplit_once('.') {
            Some((table, last)) if last == name => Some(table),
            None if key.path == name => Some(""),
            _ => None,
        })
        .collect();
    match tables.as_slice() {
        [""] => Some("belongs at the top of the file, before the first [table]".to_owned()),
        [table] => Some(format!("belongs in {}", heading(table))),
        [one, two] => Some(format!("belongs in {} or {}", heading(one), heading(two))),
        [one, two, three] => {
            let [one, two, three] = [one, two, three].map(|table| heading(table));
            Some(format!("belongs in {one}, {two} or {three}"))
        }
        _ => None,
    }
}
