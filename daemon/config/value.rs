//! What a key can be set to.

use std::net::SocketAddr;
use std::path::PathBuf;

use clockwright_timebase::{Duration, Poll};
use toml::Spanned;
use toml::de::DeValue;

use super::address::{Host, Network};
use super::clock::ClockKind;
use super::device::{InterfacePattern, PhcName, RefName, SourceLabel};
use super::section::{Key, Reader, Value, Wrong, with_article};
use super::units::{Frequency, parse_duration, parse_poll, show_duration};

/// A value that is one TOML value.
pub(super) trait Scalar: Clone + PartialEq {
    /// May a list of a single one be written without its brackets?
    const ALONE: bool = false;

    /// What kind of value, in words and with an article.
    fn kind() -> String;
    /// An example, as TOML.
    fn example() -> String;
    /// Reads it. `None`: it is of another TOML type.
    fn read(value: &DeValue<'_>) -> Option<Result<Self, Wrong>>;
    /// Writes it as TOML.
    fn show(&self) -> String;

    /// Reads it, with the error for a wrong TOML type.
    fn read_or_explain(value: &DeValue<'_>) -> Result<Self, Wrong> {
        Self::read(value).unwrap_or_else(|| {
            let message = format!("expected {}, found {}", Self::kind(), with_article(value));
            Err(Wrong::new(message).help(format!("for example {}", Self::example())))
        })
    }
}

impl<T: Scalar> Value for T {
    fn apply(&mut self, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
        match T::read_or_explain(value.get_ref()) {
            Ok(read) => *self = read,
            Err(wrong) => reader.wrong(&value.span(), wrong),
        }
    }

    fn describe(&self, path: &str, keys: &mut Vec<Key>) {
        keys.push(Key {
            path: path.to_owned(),
            kind: T::kind(),
            default: self.show(),
        });
    }

    fn differences(&self, new: &Self, path: &str, changed: &mut Vec<String>) {
        if self != new {
            changed.push(path.to_owned());
        }
    }
}

/// A key that may be left out.
impl<T: Scalar> Value for Option<T> {
    fn apply(&mut self, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
        match T::read_or_explain(value.get_ref()) {
            Ok(read) => *self = Some(read),
            Err(wrong) => reader.wrong(&value.span(), wrong),
        }
    }

    fn describe(&self, path: &str, keys: &mut Vec<Key>) {
        keys.push(Key {
            path: path.to_owned(),
            kind: T::kind(),
            default: self
                .as_ref()
                .map_or_else(|| "none".to_owned(), Scalar::show),
        });
    }

    fn differences(&self, new: &Self, path: &str, changed: &mut Vec<String>) {
        if self != new {
            changed.push(path.to_owned());
        }
    }
}

/// A list; every element that is wrong is reported at its own place.
impl<T: Scalar> Value for Vec<T> {
    fn apply(&mut self, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
        let elements = match value.get_ref() {
            DeValue::Array(array) => array.iter().collect(),
            _ if T::ALONE => vec![value],
            other => {
                let message = format!("expected an array, found {}", with_article(other));
                let help = format!("for example [{}]", T::example());
                reader.wrong(&value.span(), Wrong::new(message).help(help));
                return;
            }
        };
        self.clear();
        for element in elements {
            match T::read_or_explain(element.get_ref()) {
                Ok(read) => self.push(read),
                Err(wrong) => reader.wrong(&element.span(), wrong),
            }
        }
    }

    fn describe(&self, path: &str, keys: &mut Vec<Key>) {
        let elements: Vec<String> = self.iter().map(Scalar::show).collect();
        keys.push(Key {
            path: path.to_owned(),
            kind: if T::ALONE {
                format!("{}, or an array of such", T::kind())
            } else {
                format!("array, each {}", T::kind())
            },
            default: format!("[{}]", elements.join(", ")),
        });
    }

    fn differences(&self, new: &Self, path: &str, changed: &mut Vec<String>) {
        if self != new {
            changed.push(path.to_owned());
        }
    }
}

impl Scalar for bool {
    fn kind() -> String {
        "true or false".to_owned()
    }
    fn example() -> String {
        "true".to_owned()
    }
    fn read(value: &DeValue<'_>) -> Option<Result<Self, Wrong>> {
        value.as_bool().map(Ok)
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

/// Whole numbers: the range is that of the type, and where less is meant, a check's.
macro_rules! integer_scalar {
    ($type:ty, $example:literal) => {
        impl Scalar for $type {
            fn kind() -> String {
                "a whole number".to_owned()
            }
            fn example() -> String {
                $example.to_owned()
            }
            fn read(value: &DeValue<'_>) -> Option<Result<Self, Wrong>> {
                let integer = value.as_integer()?;
                let read = Self::from_str_radix(integer.as_str(), integer.radix());
                Some(read.map_err(|_| {
                    Wrong::new(format!("{integer} is not between 0 and {}", Self::MAX))
                }))
            }
            fn show(&self) -> String {
                self.to_string()
            }
        }
    };
}
integer_scalar!(u8, "1");
integer_scalar!(u16, "123");
integer_scalar!(u32, "3");

/// Values written as TOML strings, with the function that reads the text.
macro_rules! text_scalar {
    (
        $type:ty, $kind:literal, $example:literal, $parse:expr, $show:expr
        $(, alone = $alone:literal)?
    ) => {
        impl Scalar for $type {
            $(const ALONE: bool = $alone;)?

            fn kind() -> String {
                $kind.to_owned()
            }
            fn example() -> String {
                quoted($example)
            }
            fn read(value: &DeValue<'_>) -> Option<Result<Self, Wrong>> {
                let text = value.as_str()?;
                let parse: fn(&str) -> Result<Self, String> = $parse;
                Some(parse(text).map_err(|message| {
                    Wrong::new(message).help(format!(
                        "expected {}, for example {}",
                        $kind,
                        Self::example()
                    ))
                }))
            }
            fn show(&self) -> String {
                let show: fn(&Self) -> String = $show;
                quoted(&show(self))
            }
        }
    };
}

/// `text` as a TOML string; none of the texts here can contain what needs more than this.
fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

text_scalar!(Duration, "a duration", "100ms", parse_duration, |d| {
    show_duration(*d)
});
text_scalar!(Poll, "a poll interval", "64s", parse_poll, Poll::to_string);
text_scalar!(
    Frequency,
    "a frequency",
    "50ppm",
    str::parse,
    Frequency::to_string
);
text_scalar!(
    Host,
    "a host name or IP address",
    "time.example.net",
    parse_host,
    Host::to_string
);
text_scalar!(
    Network,
    "an IP network",
    "10.0.0.0/8",
    str::parse,
    Network::to_string
);
text_scalar!(
    SocketAddr,
    "an IP address and port",
    "0.0.0.0:123",
    parse_listen,
    SocketAddr::to_string
);
text_scalar!(
    PathBuf,
    "an absolute path",
    "/var/lib/clockwright",
    parse_path,
    |path| path.display().to_string(),
    alone = true
);
text_scalar!(
    GroupName,
    "the name of a group",
    "clockwright",
    parse_group,
    |group| group.0.clone()
);

text_scalar!(
    PhcName,
    "a PTP hardware clock",
    "/dev/ptp0",
    str::parse,
    PhcName::to_string
);
text_scalar!(
    InterfacePattern,
    "the name of an interface",
    "eth*",
    str::parse,
    InterfacePattern::to_string
);
text_scalar!(
    RefName,
    "a reference id",
    "GPS",
    str::parse,
    RefName::to_string
);
text_scalar!(
    SourceLabel,
    "the name of a source",
    "time.example.net",
    str::parse,
    |label| label.as_str().to_owned()
);
text_scalar!(
    ClockKind,
    "\"system\", \"virtual\" or a PTP hardware clock",
    "system",
    str::parse,
    ClockKind::to_string
);

/// A host; where a port was written too, says where ports go.
fn parse_host(text: &str) -> Result<Host, String> {
    text.parse::<Host>().map_err(|why| {
        let port = text
            .parse::<super::ServerName>()
            .ok()
            .map(|server| server.port);
        match port {
            Some(port) => format!("`{text}` has a port in it; write `port = {port}` beside it"),
            None => format!("`{}` is not a host: {why}", text.escape_debug()),
        }
    })
}

/// An address to listen on.
fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => Err("port 0 is not a port".to_owned()),
        Ok(address) => Ok(address),
        Err(_) if text.parse::<std::net::IpAddr>().is_ok() => Err(format!("`{text}` has no port")),
        Err(_) => Err(format!(
            "`{}` is not an IP address and port",
            text.escape_debug()
        )),
    }
}

/// A path that means the same wherever the daemon is started.
fn parse_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if text.chars().any(char::is_control) {
        Err(format!(
            "`{}` has control characters in it",
            text.escape_debug()
        ))
    } else if path.is_absolute() {
        Ok(path)
    } else {
        Err(format!("`{text}` is not an absolute path"))
    }
}

/// The name of a Unix group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupName(String);

impl GroupName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A group's name: whether it exists is found out where it is used.
fn parse_group(text: &str) -> Result<GroupName, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !text.is_empty() && text.len() <= 32 && text.chars().all(fits) {
        Ok(GroupName(text.to_owned()))
    } else {
        Err(format!(
            "`{}` cannot be the name of a group",
            text.escape_debug()
        ))
    }
}

/// Declares an enum whose values are written as TOML strings.
macro_rules! choice {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        $vis enum $name {
            $($(#[$variant_meta])* $variant,)*
        }

        impl $name {
            /// As written in the configuration.
            $vis const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl $crate::config::value::Scalar for $name {
            fn kind() -> String {
                [$(concat!("\"", $text, "\"")),*].join(" or ")
            }
            fn example() -> String {
                let texts = [$(concat!("\"", $text, "\"")),*];
                texts[0].to_owned()
            }
            fn read(
                value: &toml::de::DeValue<'_>,
            ) -> Option<Result<Self, $crate::config::section::Wrong>> {
                match value.as_str()? {
                    $($text => Some(Ok(Self::$variant)),)*
                    other => Some(Err($crate::config::value::no_such_choice(other, &[$($text),*]))),
                }
            }
            fn show(&self) -> String {
                format!("\"{}\"", self.name())
            }
        }
    };
}
pub(super) use choice;

/// What to say where none of the allowed words was given.
pub(super) fn no_such_choice(word: &str, allowed: &[&str]) -> Wrong {
    let mut wrong = Wrong::new(format!("\"{}\" is not allowed here", word.escape_debug()));
    if let Some(meant) = super::problem::did_you_mean(word, allowed.iter().copied()) {
        wrong = wrong.help(format!("did you mean \"{meant}\"?"));
    }
    wrong.help(format!("allowed: \"{}\"", allowed.join("\", \"")))
}
