//! How far each source may be followed, by `selection.authentication`.

use clockwright_discipline::{SourceId, SourceOptions, Standing};

use super::daemon::Daemon;
use super::sources::Source;
use crate::config::{Authentication, Config};

impl Daemon {
    /// How the discipline is to treat a server.
    pub(super) fn options_of(&self, source: &Source) -> SourceOptions {
        let poll = &source.config.settings.poll;
        SourceOptions {
            poll: (poll.min, poll.max),
            standing: match source.config.address.ke_port {
                Some(_) => Standing::Ordinary,
                None => of_unauthenticated(&self.config),
            },
        }
    }

    /// Tells the discipline how to treat all servers by the configuration that is now in force:
    /// how far one may be followed also depends on the others.
    pub(super) fn take_over_options(&mut self) {
        let now = self.clock.timescale().now();
        let options: Vec<(SourceId, SourceOptions)> = self
            .sources
            .iter()
            .flat_map(|source| {
                let options = self.options_of(source);
                source
                    .members
                    .iter()
                    .map(move |member| (member.id, options))
            })
            .collect();
        for (id, options) in options {
            self.discipline.set_options(id, options, now);
        }
    }
}

/// The standing of servers that are asked without NTS, which anybody on the way can forge. It follows
/// from what is configured, not from what answers: who keeps NTS from this host must not have it
/// follow the others.
fn of_unauthenticated(config: &Config) -> Standing {
    let with_nts = config
        .servers()
        .any(|source| source.address.ke_port.is_some());
    match config.selection.authentication {
        Authentication::Require => Standing::Ignored,
        Authentication::Prefer if with_nts => Standing::Ignored,
        Authentication::Mix if with_nts => Standing::Subordinate,
        Authentication::Prefer | Authentication::Mix | Authentication::Ignore => Standing::Ordinary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const PLAIN: &str = "[[source]]\nserver = 'a'\n";
    const NTS: &str = "[[source]]\nserver = 'b'\nnts = true\n";
    const CLOCK: &str = "[[source]]\nphc = 'eth0'\n";

    /// Without NTS, beside `others`.
    fn standing(authentication: &str, others: &str) -> Standing {
        let text = format!("{PLAIN}{others}[selection]\nauthentication = '{authentication}'\n");
        of_unauthenticated(&Config::from_text(Path::new("test.toml"), &text).unwrap())
    }

    #[test]
    fn without_nts_a_source_stands_as_is_configured() {
        use Standing::{Ignored, Ordinary, Subordinate};
        // Alone; beside a clock of this host, which does not make it less than it was; beside one
        // with NTS.
        for (authentication, alone, with_clock, with_nts) in [
            ("prefer", Ordinary, Ordinary, Ignored),
            ("mix", Ordinary, Ordinary, Subordinate),
            ("ignore", Ordinary, Ordinary, Ordinary),
        ] {
            let found = ["", CLOCK, NTS].map(|others| standing(authentication, others));
            assert_eq!(found, [alone, with_clock, with_nts], "{authentication}");
        }
        assert_eq!(standing("require", CLOCK), Ignored);
        assert_eq!(standing("require", NTS), Ignored);
    }
}
