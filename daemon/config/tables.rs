//! Arrays of tables, `[[source]]` and its like: each file appends its own.

use toml::Spanned;
use toml::de::DeValue;

use super::section::{Reader, Wrong, with_article};

/// Appends the tables of `value` to `list`, each as `read` reads it; those that are wrong are left
/// out. `rule` is what to say where `value` is no such array: how these tables are written.
pub(super) fn append<T>(
    list: &mut Vec<T>,
    value: &Spanned<DeValue<'_>>,
    rule: &str,
    reader: &mut Reader<'_>,
    mut read: impl FnMut(&Spanned<DeValue<'_>>, &mut Reader<'_>) -> Option<T>,
) {
    let DeValue::Array(tables) = value.get_ref() else {
        let found = with_article(value.get_ref());
        let message = format!("{rule}, with two brackets; found {found}");
        reader.wrong(&value.span(), Wrong::new(message));
        return;
    };
    for table in tables {
        reader.within(&format!("[{}]", list.len()), |reader| {
            if let Some(entry) = read(table, reader) {
                reader.note_origin(&table.span());
                list.push(entry);
            }
        });
    }
}
