//! `[[source]]`: where time comes from.

use std::fmt;

use toml::Spanned;
use toml::de::DeValue;

use super::address::{Host, NTP_PORT};
use super::section::{Key, Reader, Value, Wrong, section, with_article};
use super::settings::{PollLimits, SourceSettings, source_port};

/// One `[[source]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// Which source it is: its identity across reloads.
    pub address: SourceAddress,
    /// How it is used.
    pub settings: SourceSettings,
}

/// Which source: two with the same address are the same source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceAddress {
    /// One server, or a name that stands for several.
    pub kind: SourceKind,
    /// The name or IP address as configured.
    pub host: Host,
    /// The UDP port.
    pub port: u16,
}

/// Whether a source is one server or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// `server = ...`: one server.
    Server,
    /// `pool = ...`: a name that resolves to several servers, some of which are used.
    Pool,
}

impl fmt::Display for SourceAddress {
    /// `server time.example.net`, `pool pool.example.net port 1123`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            SourceKind::Server => "server",
            SourceKind::Pool => "pool",
        };
        write!(f, "{kind} {}", self.host)?;
        if self.port == NTP_PORT {
            Ok(())
        } else {
            write!(f, " port {}", self.port)
        }
    }
}

section! {
    /// The keys of `[[source]]` that say which source it is.
    pub(super) struct AddressKeys {
        /// One server.
        "server" => server: Option<Host> = None;
        /// Several servers behind one name.
        "pool" => pool: Option<Host> = None;
        /// Their UDP port.
        "port" => port: u16 = NTP_PORT, if source_port;
    }
}

impl AddressKeys {
    fn resolve(self) -> Result<SourceAddress, Wrong> {
        let (kind, host) = match (self.server, self.pool) {
            (Some(host), None) => (SourceKind::Server, host),
            (None, Some(host)) => (SourceKind::Pool, host),
            (Some(_), Some(_)) => {
                return Err(Wrong::new("a source has `server` or `pool`, not both")
                    .help("write two [[source]] tables"));
            }
            (None, None) => {
                return Err(Wrong::new("this source has neither `server` nor `pool`")
                    .help("for example server = \"time.example.net\""));
            }
        };
        Ok(SourceAddress {
            kind,
            host,
            port: self.port,
        })
    }
}

/// Reads one `[[source]]`; `None` if anything about it is wrong.
fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<SourceConfig> {
    let before = reader.count();
    let mut address = AddressKeys::default();
    let mut settings = SourceSettings::default();
    reader.table(value, &mut [&mut address, &mut settings]);
    if reader.count() != before {
        return None;
    }
    let span_of = |key: &str| value.get_ref().get(key).map_or(value.span(), Spanned::span);
    let PollLimits { min, max } = settings.poll;
    if min > max {
        let message =
            format!("the shortest poll interval, {min}, is longer than the longest, {max}");
        let PollLimits { min, max } = PollLimits::default();
        let help = format!("where one is not given it is min = \"{min}\" or max = \"{max}\"");
        reader.wrong(&span_of("poll"), Wrong::new(message).help(help));
    }
    if let Some(Host::Address(pool)) = address.pool {
        let message = format!("{pool} is one server; a pool is a name that stands for several");
        let help = format!("write server = \"{pool}\"");
        reader.wrong(&span_of("pool"), Wrong::new(message).help(help));
    }
    match address.resolve() {
        Ok(address) => {
            let pooled = value.get_ref().get("pool_size").is_some();
            if pooled && address.kind == SourceKind::Server {
                let wrong =
                    Wrong::new("`pool_size` goes with `pool`, and this source is one server");
                reader.wrong(&span_of("pool_size"), wrong);
            }
            (reader.count() == before).then_some(SourceConfig { address, settings })
        }
        Err(wrong) => {
            reader.wrong(&value.span(), wrong);
            None
        }
    }
}

/// Sources append: each file adds its own to those of the files before it.
impl Value for Vec<SourceConfig> {
    fn apply(&mut self, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
        let DeValue::Array(tables) = value.get_ref() else {
            let found = with_article(value.get_ref());
            let message =
                format!("sources are written as [[source]], with two brackets; found {found}");
            reader.wrong(&value.span(), Wrong::new(message));
            return;
        };
        for table in tables {
            reader.within(&format!("[{}]", self.len()), |reader| {
                if let Some(source) = read(table, reader) {
                    reader.note_origin(&table.span());
                    self.push(source);
                }
            });
        }
    }

    fn describe(&self, path: &str, keys: &mut Vec<Key>) {
        AddressKeys::default().describe(path, keys);
        SourceSettings::default().describe(path, keys);
    }

    fn differences(&self, new: &Self, path: &str, changed: &mut Vec<String>) {
        if self != new {
            changed.push(path.to_owned());
        }
    }
}
