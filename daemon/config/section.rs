//! Tables of options, declared once: `section!` turns one declaration into the struct, its
//! defaults, the reader with its errors, the comparison for reloads and the list of keys that
//! the documentation is tested against.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::planned;
use super::problem::{Place, Problem, did_you_mean};

/// A key that a configuration may contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its full name, `source.poll.min`.
    pub path: String,
    /// What kind of value it takes, in words.
    pub kind: String,
    /// Its default as TOML, or `none`.
    pub default: String,
}

/// Where each key was given, by full name (`source[2].poll.min`); of a key given several times,
/// the last place, which is the one that counts.
pub(super) type Origins = BTreeMap<String, (PathBuf, Place)>;

/// Reads one file into a configuration and collects everything that is wrong with it.
pub(super) struct Reader<'f> {
    file: &'f Path,
    text: &'f str,
    path: String,
    problems: Vec<Problem>,
    bad: Vec<String>,
    origins: &'f mut Origins,
}

impl<'f> Reader<'f> {
    /// A reader of `file`, whose whole content is `text`.
    pub(super) fn new(file: &'f Path, text: &'f str, origins: &'f mut Origins) -> Self {
        Self {
            file,
            text,
            path: String::new(),
            problems: Vec::new(),
            bad: Vec::new(),
            origins,
        }
    }

    /// What was wrong, and the full names of the keys that were.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<String>) {
        (self.problems, self.bad)
    }

    /// How many problems there are so far.
    pub(super) fn count(&self) -> usize {
        self.problems.len()
    }

    /// Notes that the octets `span` are wrong.
    pub(super) fn wrong(&mut self, span: &Range<usize>, wrong: Wrong) {
        self.bad.push(self.path.clone());
        self.problems.push(Problem {
            file: self.file.to_owned(),
            place: Some(Place::find(self.text, span)),
            message: wrong.message,
            help: wrong.help,
        });
    }

    /// Remembers where the key being read was given.
    pub(super) fn note_origin(&mut self, span: &Range<usize>) {
        let place = Place::find(self.text, span);
        self.origins
            .insert(self.path.clone(), (self.file.to_owned(), place));
    }

    /// Runs `read` with `name` appended to the path of the key being read.
    pub(super) fn within(&mut self, name: &str, read: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if !(self.path.is_empty() || name.starts_with('[')) {
            self.path.push('.');
        }
        self.path.push_str(name);
        read(self);
        self.path.truncate(length);
    }

    /// Reads `value` as a table whose keys belong to one of `sections`.
    pub(super) fn table(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        sections: &mut [&mut dyn Section],
    ) {
        match value.get_ref() {
            DeValue::Table(table) => self.entries(table, sections),
            other => {
                let message = format!("expected a table, found {}", with_article(other));
                let help = format!("allowed keys: {}", key_list(sections));
                self.wrong(&value.span(), Wrong::new(message).help(help));
            }
        }
    }

    /// Reads `value` as what switches a table of options on, with their defaults, or off. False:
    /// it is the table itself, which is still to be read.
    pub(super) fn switch<S: Section + Default>(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        section: &mut Option<S>,
    ) -> bool {
        match value.get_ref() {
            DeValue::Table(_) => return false,
            DeValue::Boolean(on) => *section = on.then(S::default),
            other => {
                let found = with_article(other);
                let message = format!("expected true, false or a table, found {found}");
                let help = format!("allowed keys: {}", S::default().names().join(", "));
                self.wrong(&value.span(), Wrong::new(message).help(help));
            }
        }
        true
    }

    /// Reads the entries of a table whose keys belong to one of `sections`.
    pub(super) fn entries(&mut self, table: &DeTable<'_>, sections: &mut [&mut dyn Section]) {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if !sections
                .iter_mut()
                .any(|section| section.set(name, value, self))
            {
                let wrong = self.unknown(name, sections);
                self.wrong(&key.span(), wrong);
            }
        }
    }

    /// What to say about a key that no section knows.
    fn unknown(&self, name: &str, sections: &[&mut dyn Section]) -> Wrong {
        let table = plain(&self.path);
        let path = if table.is_empty() {
            name.to_owned()
        } else {
            format!("{table}.{name}")
        };
        if let Some(what) = planned::key(&path) {
            return Wrong::new(format!("`{path}`: {what}"));
        }
        let place = match table.as_str() {
            "" => "at the top level".to_owned(),
            table => format!("in {}", heading(table)),
        };
        let mut wrong = Wrong::new(format!("unknown key `{}` {place}", name.escape_debug()));
        let known = sections.iter().flat_map(|section| section.names());
        if let Some(meant) = did_you_mean(name, known.copied()) {
            wrong = wrong.help(format!("did you mean `{meant}`?"));
        } else if let Some(home) = planned::home(name) {
            wrong = wrong.help(format!("`{name}` {home}"));
        }
        wrong.help(format!("allowed keys: {}", key_list(sections)))
    }
}

/// A path without the numbers of sources: `source[2].poll` becomes `source.poll`.
pub(super) fn plain(path: &str) -> String {
    let mut depth = 0_u32;
    path.chars()
        .filter(|c| {
            match c {
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && *c != ']'
        })
        .collect()
}

/// How a table is written: `[clock]`, `[[source]]`.
pub(super) fn heading(table: &str) -> String {
    match table {
        "source" | "follow" | "timestamping.interface" => format!("[[{table}]]"),
        table => format!("[{table}]"),
    }
}

/// The keys of all `sections`, for an error message.
fn key_list(sections: &[&mut dyn Section]) -> String {
    let names: Vec<&str> = sections
        .iter()
        .flat_map(|section| section.names())
        .copied()
        .collect();
    names.join(", ")
}

/// `an integer`, `a string`, ...
pub(super) fn with_article(value: &DeValue<'_>) -> String {
    let name = value.type_str();
    let article = if name.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {name}")
}

/// Why a value or key was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    message: String,
    help: Vec<String>,
}

impl Wrong {
    /// Says what is wrong.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: Vec::new(),
        }
    }

    /// Adds what is allowed or what to do.
    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }
}

/// A table of options.
pub(super) trait Section {
    /// The names of its keys.
    fn names(&self) -> &'static [&'static str];
    /// Reads `value` into the option `key`; false if there is no such option.
    fn set(&mut self, key: &str, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> bool;
}

/// Something a key can be set to: a scalar, a list, or a table of further options.
pub(super) trait Value: Clone {
    /// Reads `value` over this one: tables merge, everything else is replaced.
    fn apply(&mut self, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>);
    /// Appends the keys found at `path`, with this value as the default.
    fn describe(&self, path: &str, keys: &mut Vec<Key>);
    /// Appends the full names of the keys that differ between this and `new`.
    fn differences(&self, new: &Self, path: &str, changed: &mut Vec<String>);
}

/// Declares a table of options: `"key" => field: Type = default, if check;`. One declared `or bool`
/// can be left out, `true` stands for its defaults, and `false` for none.
macro_rules! section {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident $(or $switch:ty)? {
            $(
                $(#[$field_meta:meta])*
                $key:literal => $field:ident: $type:ty = $default:expr $(, if $check:path)?;
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::config::section::Section for $name {
            fn names(&self) -> &'static [&'static str] {
                &[$($key),*]
            }

            fn set(
                &mut self,
                key: &str,
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                reader: &mut $crate::config::section::Reader<'_>,
            ) -> bool {
                match key {
                    $($key => reader.within($key, |reader| {
                        #[allow(unused_variables, clippy::allow_attributes, reason = "used where the key has a check")]
                        let before = reader.count();
                        $crate::config::section::Value::apply(&mut self.$field, value, reader);
                        $(if reader.count() == before && let Err(wrong) = $check(self.$field) {
                            reader.wrong(&value.span(), $crate::config::section::Wrong::new(wrong));
                        })?
                        reader.note_origin(&value.span());
                    }),)*
                    _ => return false,
                }
                true
            }
        }

        impl $crate::config::section::Value for $name {
            fn apply(
                &mut self,
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                reader: &mut $crate::config::section::Reader<'_>,
            ) {
                reader.table(value, &mut [self]);
            }

            fn describe(&self, path: &str, keys: &mut Vec<$crate::config::section::Key>) {
                let dot = if path.is_empty() { "" } else { "." };
                $($crate::config::section::Value::describe(
                    &self.$field, &format!("{path}{dot}{}", $key), keys,
                );)*
            }

            fn differences(&self, new: &Self, path: &str, changed: &mut Vec<String>) {
                let dot = if path.is_empty() { "" } else { "." };
                $($crate::config::section::Value::differences(
                    &self.$field, &new.$field, &format!("{path}{dot}{}", $key), changed,
                );)*
            }
        }

        impl $crate::config::section::Value for Option<$name> {
            fn apply(
                &mut self,
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                reader: &mut $crate::config::section::Reader<'_>,
            ) {
                $(
                    let done: $switch = reader.switch(value, self);
                    if done {
                        return;
                    }
                )?
                self.get_or_insert_default().apply(value, reader);
            }

            fn describe(&self, path: &str, keys: &mut Vec<$crate::config::section::Key>) {
                $(keys.push($crate::config::section::Key {
                    path: path.to_owned(),
                    kind: format!("{}, or a table", <$switch as $crate::config::value::Scalar>::kind()),
                    default: self.is_some().to_string(),
                });)?
                $name::default().describe(path, keys);
            }

            fn differences(&self, new: &Self, path: &str, changed: &mut Vec<String>) {
                match (self, new) {
                    (Some(old), Some(new)) => old.differences(new, path, changed),
                    (None, None) => {}
                    _ => changed.push(path.to_owned()),
                }
            }
        }
    };
}
pub(super) use section;
