//! How far each source may be followed, by `selection.authentication`.

use clockwright_discipline::{Role, Selection, SourceId, SourceOptions, Standing};

use super::daemon::Daemon;
use super::sources::Source;
use crate::config::{Authentication, Config, Source as Configured, SourcePart};

impl Daemon {
    /// How the discipline is to treat a server.
    pub(super) fn options_of(&self, source: &Source) -> SourceOptions {
        let poll = &source.config.settings.poll;
        SourceOptions {
            poll: (poll.min, poll.max),
            standing: match source.config.address.ke_port {
                _ if source.config.part.noselect => Standing::Measured,
                Some(_) => Standing::Ordinary,
                None => of_unauthenticated(&self.config),
            },
            role: role_of(&source.config.part),
        }
    }

    /// Tells the discipline how to treat all servers by the configuration that is now in force:
    /// how far one may be followed also depends on the others.
    pub(super) fn take_over_options(&mut self) {
        let now = self.clock.timescale().now();
        self.discipline.set_selection(selection(&self.config), now);
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

/// What a source is to the others, as the discipline wants it.
pub(super) const fn role_of(part: &SourcePart) -> Role {
    Role {
        prefer: part.prefer,
        trust: part.trust,
        require: part.require,
    }
}

/// How sources are selected, as the discipline wants it. One that is required counts as required
/// before its name has an address, too.
pub(super) fn selection(config: &Config) -> Selection {
    let asked = &config.selection;
    let is_required = |source: &Configured| source.part().require;
    Selection {
        min_sources: usize::try_from(asked.min_sources).unwrap_or(usize::MAX),
        strata: (asked.min_stratum, asked.max_stratum),
        max_distance_s: asked.largest_distance().as_secs_f64(),
        min_distance_s: asked.min_distance.as_secs_f64(),
        combine_limit: f64::from(asked.combine_limit),
        reselect_distance_s: asked.reselect_distance.as_secs_f64(),
        stratum_weight_s: asked.stratum_weight.as_secs_f64(),
        required: config.sources.iter().any(is_required),
    }
}

/// The standing of servers that are asked without NTS, which anybody on the way can forge, and of shared
/// memory that everybody can write to. It follows
/// from what is configured, not from what answers: who keeps NTS from this host must not have it
/// follow the others.
pub(super) fn of_unauthenticated(config: &Config) -> Standing {
    let with_nts = config
        .servers()
        .any(|source| source.address.ke_port.is_some() && !source.part.noselect);
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
