//! Keys of the design that this version does not have, and where known keys belong: so that the
//! answer to a key that is merely early or misplaced is better than "unknown".

use super::settings::Config;

/// What to say about a key that a later version will know, by its full name.
pub(super) fn key(path: &str) -> Option<&'static str> {
    Some(match path {
        "source.nts" | "server.nts" => "NTS is not supported in this version",
        "source.phc" | "source.pps" | "source.sock" | "source.shm" => {
            "reference clocks are not supported in this version; a source is a server or a pool"
        }
        "timestamping" => {
            "this version takes the kernel's timestamps wherever there are any; \
             hardware timestamps cannot be configured yet"
        }
        "server.workers" => "this version serves from one thread",
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
        ["source"] => Some("belongs in [[source]]".to_owned()),
        [table] => Some(format!("belongs in [{table}]")),
        _ => None,
    }
}
