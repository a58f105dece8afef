//! `clockwright check`.

use super::{CheckArgs, Exit};
use crate::config::{Config, FollowConfig, InterfacePattern, Loaded, TimestampingConfig};
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

/// What a valid configuration amounts to.
fn summary(loaded: &Loaded) -> Vec<String> {
    let Loaded { config, files } = loaded;
    let list = |items: Vec<String>| {
        if items.is_empty() {
            "none".to_owned()
        } else {
            items.join(", ")
        }
    };
    let files = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let sources = config.sources.iter().map(ToString::to_string).collect();
    let serves = config.server.as_ref().map_or_else(
        || "nobody".to_owned(),
        |server| {
            let listen = server.listen.iter().map(ToString::to_string).collect();
            let mut allow = vec!["this host".to_owned()];
            allow.extend(server.allow.iter().map(ToString::to_string));
            format!("{} on {}", allow.join(", "), list(listen))
        },
    );
    let mut lines = vec![
        "the configuration is valid".to_owned(),
        format!("  files:   {}", list(files)),
        format!("  sources: {}", list(sources)),
        format!("  stamps:  {}", stamps(&config.timestamping)),
        format!("  clock:   {}", config.clock.kind),
    ];
    if !config.follow.is_empty() {
        let show = |follow: &FollowConfig| {
            let scale = follow.settings.timescale.name().to_uppercase();
            format!("{} in {scale}", follow.clock)
        };
        let follow = config.follow.iter().map(show).collect();
        lines.push(format!("  follow:  {}", list(follow)));
    }
    lines.push(format!("  serves:  {serves}"));
    lines
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
