//! `[[source]]`: where time comes from.

use std::fmt;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use super::address::{Host, KE_PORT, NTP_PORT};
use super::device::{LONGEST_SOCKET, PhcName};
use super::part::SourcePart;
use super::refclock::{RefclockConfig, RefclockDevice, RefclockSettings};
use super::section::{Key, Reader, Section, Value, Wrong, section};
use super::settings::{PollLimits, SourceSettings, source_port};
use super::tables;

/// One `[[source]]`, of any kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Asked over the network.
    Ntp(SourceConfig),
    /// Read from a device of this host.
    Refclock(RefclockConfig),
}

/// A `[[source]]` that is asked over the network.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// Which source it is: its identity across reloads.
    pub address: SourceAddress,
    /// How it is used.
    pub settings: SourceSettings,
    /// What it is to the other sources.
    pub part: SourcePart,
}

/// Which source: two with the same address are the same source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceAddress {
    /// One server, or a name that stands for several.
    pub kind: SourceKind,
    /// The name or IP address as configured.
    pub host: Host,
    /// The UDP port; with NTS, the one to ask where the key establishment names none.
    pub port: u16,
    /// With NTS, the TCP port of the key establishment; `None`: without NTS. What was learnt
    /// without authentication must not pass for authenticated, so the two are not the same source.
    pub ke_port: Option<u16>,
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
    /// `server time.example.net`, `pool pool.example.net port 1123`, `server a.example with NTS`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            SourceKind::Server => "server",
            SourceKind::Pool => "pool",
        };
        write!(f, "{kind} {}", self.host)?;
        if self.port != NTP_PORT {
            write!(f, " port {}", self.port)?;
        }
        match self.ke_port {
            None => Ok(()),
            Some(KE_PORT) => f.write_str(" with NTS"),
            Some(port) => write!(f, " with NTS on port {port}"),
        }
    }
}

impl SourceAddress {
    /// Are both the same server? It is also if only one is asked with NTS. Of one host two ports
    /// of key establishment can be for two servers.
    fn is_same(&self, other: &Self) -> bool {
        let ports = [self.ke_port, other.ke_port];
        (self.kind, &self.host, self.port) == (other.kind, &other.host, other.port)
            && (ports.contains(&None) || self.ke_port == other.ke_port)
    }
}

impl Source {
    /// What it is called in messages and in `lock`: the name or address of its server, or its
    /// device, as configured.
    pub fn label(&self) -> String {
        match self {
            Self::Ntp(source) => source.address.host.to_string(),
            Self::Refclock(clock) => clock.device.label(),
        }
    }

    /// Does it know which second it is? A pulse only knows when one begins.
    pub fn numbers_seconds(&self) -> bool {
        match self {
            Self::Ntp(_) => true,
            Self::Refclock(clock) => !matches!(clock.device, RefclockDevice::Pps(_)),
        }
    }

    /// Can what it tells not be forged on the way? With NTS it cannot, and a clock of this host has
    /// no way; but every user of this host can write to shared memory that is for everybody.
    pub fn is_authenticated(&self) -> bool {
        match self {
            Self::Ntp(source) => source.address.ke_port.is_some(),
            Self::Refclock(clock) => clock.device.is_private(),
        }
    }

    /// What it is to the other sources.
    pub fn part(&self) -> &SourcePart {
        match self {
            Self::Ntp(source) => &source.part,
            Self::Refclock(clock) => &clock.part,
        }
    }

    /// How many sources it can be at most: a pool is several.
    pub fn most(&self) -> u32 {
        match self {
            Self::Ntp(source) if source.address.kind == SourceKind::Pool => {
                source.settings.pool_size
            }
            Self::Ntp(_) | Self::Refclock(_) => 1,
        }
    }

    /// Are both the same source, whatever their settings?
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ntp(one), Self::Ntp(two)) => one.address.is_same(&two.address),
            (Self::Refclock(one), Self::Refclock(two)) => one.device == two.device,
            _ => false,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ntp(source) => source.address.fmt(f),
            Self::Refclock(clock) => clock.device.fmt(f),
        }
    }
}

section! {
    /// The keys of `[[source]]` that say which source it is.
    struct AddressKeys {
        /// One server.
        "server" => server: Option<Host> = None;
        /// Several servers behind one name.
        "pool" => pool: Option<Host> = None;
        /// A PTP hardware clock.
        "phc" => phc: Option<PhcName> = None;
        /// A pulse per second.
        "pps" => pps: Option<PathBuf> = None;
        /// A socket on which another program gives time.
        "sock" => sock: Option<PathBuf> = None;
        /// The unit of a shared memory segment in which another program gives time.
        "shm" => shm: Option<u8> = None;
        /// The UDP port of a server or pool.
        "port" => port: u16 = NTP_PORT, if source_port;
    }
}

/// Which of the kinds a source is, as found in its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Server,
    Pool,
    Phc,
    Pps,
    Sock,
    Shm,
}

impl Kind {
    const REFCLOCKS: [Self; 4] = [Self::Phc, Self::Pps, Self::Sock, Self::Shm];
    const ALL: [Self; 6] = [
        Self::Server,
        Self::Pool,
        Self::Phc,
        Self::Pps,
        Self::Sock,
        Self::Shm,
    ];

    /// The key that makes a source of this kind.
    const fn key(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Pool => "pool",
            Self::Phc => "phc",
            Self::Pps => "pps",
            Self::Sock => "sock",
            Self::Shm => "shm",
        }
    }

    /// What such a source is.
    const fn words(self) -> &'static str {
        match self {
            Self::Server => "one server",
            Self::Pool => "a pool",
            Self::Phc => "a PTP hardware clock",
            Self::Pps => "a pulse per second",
            Self::Sock => "a socket",
            Self::Shm => "a shared memory segment",
        }
    }

    /// The kinds that the key `name` goes with, where it does not go with all.
    fn having(name: &str) -> &'static [Self] {
        match name {
            "port" | "nts" | "interleaved" | "iburst" | "ports" | "max_delay" => {
                &[Self::Server, Self::Pool]
            }
            "pool_size" => &[Self::Pool],
            "offset" | "delay" | "refid" | "stratum" | "precision" | "filter"
            | "max_dispersion" => &Self::REFCLOCKS,
            "timescale" => &[Self::Phc, Self::Sock, Self::Shm],
            "edge" => &[Self::Pps],
            "lock" => &[Self::Pps, Self::Sock],
            "group" => &[Self::Sock],
            _ => &Self::ALL,
        }
    }

    /// Which kind the table `value` is: it must have exactly one of their keys.
    fn of(value: &DeValue<'_>) -> Result<Self, Wrong> {
        let given = Self::ALL
            .into_iter()
            .filter(|kind| value.get(kind.key()).is_some());
        let given: Vec<Self> = given.collect();
        match given[..] {
            [kind] => Ok(kind),
            [] => Err(
                Wrong::new(format!("this source has none of {}", keys_of(&Self::ALL)))
                    .help("for example server = \"time.example.net\""),
            ),
            [one, other, ..] => {
                let message = format!(
                    "a source has `{}` or `{}`, not both",
                    one.key(),
                    other.key()
                );
                Err(Wrong::new(message).help("write a [[source]] table for each"))
            }
        }
    }
}

/// The keys of these kinds, as a sentence has them.
fn keys_of(kinds: &[Kind]) -> String {
    let keys: Vec<String> = kinds.iter().map(|k| format!("`{}`", k.key())).collect();
    match keys.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// Reads one `[[source]]`; `None` if anything about it is wrong.
fn read(value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) -> Option<Source> {
    let before = reader.count();
    let kind = Kind::of(value.get_ref());
    let mut address = AddressKeys::default();
    let mut settings = SourceSettings::default();
    let mut refclock = RefclockSettings::default();
    let mut part = SourcePart::default();
    if kind
        .as_ref()
        .is_ok_and(|kind| Kind::REFCLOCKS.contains(kind))
    {
        settings.poll = RefclockConfig::DEFAULT_POLL;
    }
    let default_poll = settings.poll.clone();
    reader.table(
        value,
        &mut [&mut address, &mut settings, &mut part, &mut refclock],
    );
    if reader.count() != before {
        return None;
    }
    let kind = match kind {
        Ok(kind) => kind,
        Err(wrong) => {
            reader.wrong(&value.span(), wrong);
            return None;
        }
    };
    check_keys(kind, value, reader);
    check_part(&part, value, reader);
    check_poll(&settings.poll, &default_poll, value, reader);
    check_pool(address.pool.as_ref(), value, reader);
    check_sock(address.sock.as_ref(), value, reader);
    if reader.count() != before {
        return None;
    }
    source_of(kind, address, settings, refclock, part)
}

/// The source that the keys amount to. They have been checked: the one that `kind` stands for is
/// there.
fn source_of(
    kind: Kind,
    keys: AddressKeys,
    settings: SourceSettings,
    refclock: RefclockSettings,
    part: SourcePart,
) -> Option<Source> {
    let ntp = |kind, host, settings: SourceSettings, part: SourcePart| {
        let address = SourceAddress {
            kind,
            host,
            port: keys.port,
            ke_port: settings.nts.as_ref().map(|nts| nts.port),
        };
        Source::Ntp(SourceConfig {
            address,
            settings,
            part,
        })
    };
    let device = match kind {
        Kind::Server => return Some(ntp(SourceKind::Server, keys.server?, settings, part)),
        Kind::Pool => return Some(ntp(SourceKind::Pool, keys.pool?, settings, part)),
        Kind::Phc => RefclockDevice::Phc(keys.phc?),
        Kind::Pps => RefclockDevice::Pps(keys.pps?),
        Kind::Sock => RefclockDevice::Sock(keys.sock?),
        Kind::Shm => RefclockDevice::Shm(keys.shm?),
    };
    Some(Source::Refclock(RefclockConfig {
        device,
        poll: settings.poll,
        part,
        settings: refclock,
    }))
}

/// Refuses keys that make no sense for a source of this kind: they would have no effect.
fn check_keys(kind: Kind, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
    let names = SourceSettings::default().names().iter();
    let names = names
        .chain(RefclockSettings::default().names())
        .chain(&["port"]);
    for name in names {
        let having = Kind::having(name);
        if let Some(given) = value
            .get_ref()
            .get(name)
            .filter(|_| !having.contains(&kind))
        {
            let wrong = Wrong::new(format!(
                "`{name}` goes with {}, and this source is {}",
                keys_of(having),
                kind.words()
            ));
            reader.wrong(&given.span(), wrong);
        }
    }
}

/// Refuses a source that is never followed and yet to be followed first, to decide or to be there.
fn check_part(part: &SourcePart, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
    if !part.noselect {
        return;
    }
    for name in part.names().into_iter().filter(|name| *name != "noselect") {
        let message = format!("`{name}` and `noselect` contradict each other");
        let help =
            "a source with noselect = true is measured and never followed; remove one of them";
        reader.wrong(&span_of(name, value), Wrong::new(message).help(help));
    }
}

fn check_poll(
    poll: &PollLimits,
    default: &PollLimits,
    value: &Spanned<DeValue<'_>>,
    reader: &mut Reader<'_>,
) {
    let PollLimits { min, max } = poll;
    if min > max {
        let message =
            format!("the shortest poll interval, {min}, is longer than the longest, {max}");
        let PollLimits { min, max } = default;
        let help = format!("where one is not given it is min = \"{min}\" or max = \"{max}\"");
        reader.wrong(&span_of("poll", value), Wrong::new(message).help(help));
    }
}

fn check_pool(pool: Option<&Host>, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
    if let Some(Host::Address(pool)) = pool {
        let message = format!("{pool} is one server; a pool is a name that stands for several");
        let help = format!("write server = \"{pool}\"");
        reader.wrong(&span_of("pool", value), Wrong::new(message).help(help));
    }
}

fn check_sock(sock: Option<&PathBuf>, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
    let length = sock.map_or(0, |path| path.as_os_str().len());
    if length > LONGEST_SOCKET {
        let message =
            format!("the path of a socket has at most {LONGEST_SOCKET} octets, this one {length}");
        reader.wrong(&span_of("sock", value), Wrong::new(message));
    }
}

/// Where `key` of the table `value` is.
fn span_of(key: &str, value: &Spanned<DeValue<'_>>) -> std::ops::Range<usize> {
    value.get_ref().get(key).map_or(value.span(), Spanned::span)
}

/// Sources append: each file adds its own to those of the files before it.
impl Value for Vec<Source> {
    fn apply(&mut self, value: &Spanned<DeValue<'_>>, reader: &mut Reader<'_>) {
        tables::append(
            self,
            value,
            "sources are written as [[source]]",
            reader,
            read,
        );
    }

    fn describe(&self, path: &str, keys: &mut Vec<Key>) {
        AddressKeys::default().describe(path, keys);
        SourceSettings::default().describe(path, keys);
        SourcePart::default().describe(path, keys);
        RefclockSettings::default().describe(path, keys);
    }

    fn differences(&self, new: &Self, path: &str, changed: &mut Vec<String>) {
        if self != new {
            changed.push(path.to_owned());
        }
    }
}
