//! `clockwright check`.

use std::fs::File;
use std::path::Path;

use super::{CheckArgs, Exit};
use crate::config::{
    Authentication, Config, FollowConfig, InterfacePattern, Loaded, Network, ServerConfig,
    ServerNtsConfig, SourceConfig, SourceKind, TimestampingConfig,
};
use crate::nts::server::remarks;
use crate::output::{complain, print};

/// Reads the configuration as `run` would, and says what it amounts to or what is wrong.
pub(super) fn main(args: &CheckArgs) -> Exit {
    match Config::load(&args.config) {
        Ok(loaded) => print(&summary(&loaded)),
        Err(invalid) => {
            complain(&format!("the configuration is not valid\n{invalid}"));
            Exit::Usage
        }
    }
}

/// What a valid configuration amounts to, and what is to be noted about it.
fn summary(loaded: &Loaded) -> Vec<String> {
    let Loaded { config, files } = loaded;
    let files = files.iter().map(|file| file.display());
    let mut lines = vec![
        "the configuration is valid".to_owned(),
        format!("  files:   {}", list(files)),
        format!("  sources: {}", list(&config.sources)),
        format!("  stamps:  {}", stamps(&config.timestamping)),
        format!("  clock:   {}", config.clock.kind),
    ];
    if !config.follow.is_empty() {
        let show = |follow: &FollowConfig| {
            let scale = follow.settings.timescale.name().to_uppercase();
            format!("{} in {scale}", follow.clock)
        };
        let follow = config.follow.iter().map(show);
        lines.push(format!("  follow:  {}", list(follow)));
    }
    lines.push(format!("  serves:  {}", serves(config.server.as_ref())));
    if let Some(nts) = config
        .server
        .as_ref()
        .and_then(|server| server.nts.as_ref())
    {
        lines.push(format!("  keys:    {}", hands_out(nts)));
    }
    lines.extend(notes(config));
    lines
}

/// All `items`, in words.
fn list(items: impl IntoIterator<Item = impl ToString>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() {
        "none".to_owned()
    } else {
        items.join(", ")
    }
}

/// Who is told the time, and where.
fn serves(server: Option<&ServerConfig>) -> String {
    let Some(server) = server.filter(|server| server.addresses().next().is_some()) else {
        return "nobody".to_owned();
    };
    let mut allow = vec!["this host".to_owned()];
    allow.extend(server.allow.iter().map(ToString::to_string));
    let except = match server.deny.as_slice() {
        [] => String::new(),
        deny => format!(" except {}", list(deny)),
    };
    let smeared = server.smear.iter().flat_map(|smear| &smear.listen);
    let smeared = smeared.map(|address| format!("{address} (smeared)"));
    let listen = server.listen.iter().map(ToString::to_string).chain(smeared);
    format!("{}{except} on {}", list(allow), list(listen))
}

/// Where keys for NTS are handed out, and for which server if not for this one.
fn hands_out(nts: &ServerNtsConfig) -> String {
    if nts.only_opens_cookies() {
        return "handed out by another host".to_owned();
    }
    let server = nts.ntp_server.as_ref();
    let server = server.map_or_else(String::new, |server| format!(" for {server}"));
    format!("handed out on {}{server}", list(&nts.listen))
}

/// What is valid and may yet be a mistake. A configuration may well be checked where its files are
/// not, or by who may not read them.
fn notes(config: &Config) -> Vec<String> {
    let mut notes = Vec::new();
    for source in config.servers() {
        let Some(nts) = &source.settings.nts else {
            continue;
        };
        let files = nts.trusted_certificates.iter();
        notes.extend(files.filter_map(|file| unreadable("source.nts.trusted_certificates", file)));
        if !nts.check_time {
            notes.push(format!(
                "note: {}: check_time = false: who got hold of an old key of this server can forge \
                 its time",
                source.address
            ));
        }
    }
    notes.extend(note_on_a_single_source(config));
    notes.extend(config.server.iter().flat_map(notes_on_serving));
    let Some(nts) = config
        .server
        .as_ref()
        .and_then(|server| server.nts.as_ref())
    else {
        return notes;
    };
    notes.extend(notes_on_key_server(nts));
    if config.server.as_ref().is_some_and(|it| it.allow.is_empty()) {
        notes.push("note: server.allow is empty: only this host gets keys".to_owned());
    }
    notes
}

/// Who is kept out that nobody had let in, and time of two kinds.
fn notes_on_serving(server: &ServerConfig) -> Vec<String> {
    let around = |network: &Network| {
        server
            .allow
            .iter()
            .any(|allow| allow.prefix() <= network.prefix() && allow.contains(network.address()))
    };
    let idle = server.deny.iter().filter(|network| !around(network));
    let mut notes: Vec<String> = idle
        .map(|network| {
            format!(
                "note: server.deny: {network} is in no network of server.allow, and would not be \
                 answered anyway"
            )
        })
        .collect();
    if let Some(smear) = &server.smear
        && !server.listen.is_empty()
    {
        notes.push(format!(
            "note: {} and {} tell different times around a leap second, up to 1 s apart: no client \
             may have sources of both kinds, and those of smeared time only others that smear in \
             the same way",
            list(&server.listen),
            list(&smear.listen)
        ));
    }
    notes
}

/// Files that cannot be read from here; if all can, what the daemon would say of them.
fn notes_on_key_server(nts: &ServerNtsConfig) -> Vec<String> {
    let certificates = nts.certificates.iter();
    let certificates = certificates.filter_map(|file| unreadable("server.nts.certificate", file));
    let keys = nts.private_keys.iter();
    let keys = keys.filter_map(|file| unreadable("server.nts.key", file));
    let shared = nts.keys.iter();
    let shared = shared.filter_map(|file| unreadable("server.nts.keys", file));
    let unreadable: Vec<String> = certificates.chain(keys).chain(shared).collect();
    if unreadable.is_empty() {
        let remarks = remarks(nts).into_iter();
        remarks.map(|remark| format!("note: {remark}")).collect()
    } else {
        unreadable
    }
}

/// A note that without the only source with NTS none is followed.
fn note_on_a_single_source(config: &Config) -> Option<String> {
    let with_nts = |source: &&SourceConfig| source.address.ke_port.is_some();
    let mut authenticated = config.servers().filter(with_nts);
    let (only, None) = (authenticated.next()?, authenticated.next()) else {
        return None;
    };
    let matters = config.selection.authentication != Authentication::Ignore;
    let alone = config.servers().all(|source| with_nts(&source)) || config.refclocks().count() > 0;
    (matters && !alone && only.address.kind == SourceKind::Server).then(|| {
        format!(
            "note: {} is the only source with NTS: while it cannot be had, the others are not \
             followed (selection.authentication)",
            only.address
        )
    })
}

/// A note that whoever runs this cannot read a file.
fn unreadable(key: &str, file: &Path) -> Option<String> {
    let error = File::open(file).err()?;
    Some(format!(
        "note: {key}: {} cannot be read from here: {error}",
        file.display()
    ))
}

/// Which interfaces are to stamp in hardware.
fn stamps(timestamping: &TimestampingConfig) -> String {
    let names: Vec<&str> = timestamping
        .interfaces
        .iter()
        .map(InterfacePattern::as_str)
        .collect();
    match names.as_slice() {
        [] => "in software".to_owned(),
        ["*"] => "in hardware on every interface that can".to_owned(),
        some => format!("in hardware on {}", some.join(", ")),
    }
}
