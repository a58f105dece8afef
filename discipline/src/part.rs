//! What part a source plays, and why, in words.

use core::fmt;

use crate::orphan::OrphanReason;
use crate::smear::Smear;

/// Nothing is believed that may be further off than this, s (chrony's maxdistance).
pub(crate) const MAX_DISTANCE_S: f64 = 3.0;

/// What part a source plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its stratum and root distance are ours.
    Selected,
    /// It tells the truth and is averaged with the selected one.
    Combined,
    /// It tells the truth and is not needed.
    Candidate,
    /// It contradicts the majority.
    Falseticker,
    /// Too little is known of it yet.
    Waiting,
    /// It can't be believed, or no majority agrees.
    Unusable,
    /// It does not answer.
    Unreachable,
}

impl State {
    /// The name used in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Selected => "selected",
            Self::Combined => "combined",
            Self::Candidate => "candidate",
            Self::Falseticker => "falseticker",
            Self::Waiting => "waiting",
            Self::Unusable => "unusable",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Why a source is in its state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reason {
    /// The smallest root distance of those that agree, s.
    Closest {
        /// Its root distance, s.
        distance_s: f64,
    },
    /// It agrees with the majority, and its root distance is not much above the selected one's.
    Agrees,
    /// It agrees, but its root distance is several times the selected one's.
    Distant {
        /// Its root distance, s.
        distance_s: f64,
        /// The selected one's, s.
        best_s: f64,
    },
    /// Its interval misses what the majority agrees on.
    Outside {
        /// How far it is from the middle of that, s; positive: it is ahead of the others.
        by_s: f64,
        /// How much of that the root distances explain, s.
        explained_s: f64,
        /// How many sources agree.
        agree: usize,
        /// Of how many.
        of: usize,
        /// Are these the trusted ones only?
        trusted: bool,
    },
    /// It is subordinate, and its interval misses what the majority of those with a voice agrees
    /// on.
    Contradicted {
        /// How far it is from the middle of that, s; positive: it is ahead of the others.
        by_s: f64,
        /// How much of that the root distances explain, s.
        explained_s: f64,
        /// How many sources agree.
        agree: usize,
        /// Of how many.
        of: usize,
    },
    /// It is subordinate and agrees, but with it the clock might leave what the majority agrees
    /// on.
    Beside {
        /// How far its offset is from that, s; positive: it is ahead.
        by_s: f64,
    },
    /// It is subordinate, and no majority of those with a voice is there to agree with.
    Unsupported,
    /// It is not authenticated, and may not be followed for that.
    NotAuthenticated,
    /// It has not shown yet that it is who it should be.
    Unproven,
    /// No majority agrees.
    NoMajority {
        /// The largest number that agrees.
        agree: usize,
        /// Of how many.
        of: usize,
        /// Are these the trusted ones only?
        trusted: bool,
    },
    /// It may be further off than is to be believed.
    TooDistant {
        /// Its root distance, s.
        distance_s: f64,
        /// What is to be believed, s.
        limit_s: f64,
    },
    /// It agrees, and one that is preferred is followed.
    NotPreferred,
    /// It agrees with others, and they are fewer than are asked for.
    TooFew {
        /// How many agree.
        have: usize,
        /// How many must.
        need: usize,
    },
    /// It agrees with the majority, and none of those that are required does.
    RequiredMissing,
    /// Its stratum is outside the limits.
    Stratum {
        /// Its stratum.
        stratum: u8,
        /// The lowest that is followed.
        min: u8,
        /// The highest that is followed.
        max: u8,
    },
    /// The user wants it measured only.
    NoSelect,
    /// It spreads a leap second over hours, and the others do not.
    Smears(Smear),
    /// It does not spread the leap second that most sources spread over hours.
    DoesNotSmear(Smear),
    /// It has given too few samples.
    FewSamples {
        /// How many it has given.
        have: u32,
        /// How many are needed.
        need: u32,
    },
    /// The other sources have not had their chance to contradict it yet.
    WaitingForOthers,
    /// The last eight requests went unanswered.
    NoAnswer,
    /// It follows this host itself.
    FollowsUs,
    /// Its stratum is so far above the selected source's that it may follow this host.
    MayFollowUs {
        /// Its stratum.
        stratum: u8,
    },
    /// It is known no better than this clock, which has no source at present, and its stratum is
    /// such that it may follow this host.
    KnowsLess {
        /// Its root distance, s.
        distance_s: f64,
        /// This clock's own, s.
        own_s: f64,
    },
    /// Its stratum is above that of orphans, so that it follows one.
    AboveOrphans {
        /// Its stratum.
        stratum: u8,
        /// That of orphans.
        orphan: u8,
    },
    /// It serves its own clock for want of a source.
    Orphan(OrphanReason),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Closest { distance_s } => {
                write!(f, "closest to UTC: root distance {}", Si(distance_s))
            }
            Self::Distant { distance_s, best_s } => write!(
                f,
                "agrees, but its root distance of {} is too far from the best one's {}",
                Si(distance_s),
                Si(best_s)
            ),
            Self::Outside {
                by_s,
                explained_s,
                agree,
                of,
                trusted,
            } => write!(
                f,
                "{} the {agree} of {of} {}sources that agree; root distances explain only {}",
                Lead(by_s),
                trusted_word(trusted),
                Si(explained_s),
            ),
            Self::Contradicted {
                by_s,
                explained_s,
                agree,
                of,
            } => write!(
                f,
                "{} the {agree} of {of} authenticated sources that agree; root distances explain \
                 only {}",
                Lead(by_s),
                Si(explained_s),
            ),
            Self::Beside { by_s } => write!(
                f,
                "agrees, but lies {} what the authenticated sources agree on",
                Lead(by_s)
            ),
            Self::NoMajority { agree, of, trusted } => write!(
                f,
                "no majority: at most {agree} of {of} {}sources agree with each other",
                trusted_word(trusted)
            ),
            Self::TooDistant {
                distance_s,
                limit_s,
            } => write!(
                f,
                "root distance {} is not below {}",
                Si(distance_s),
                Si(limit_s)
            ),
            Self::FewSamples { have, need } => write!(f, "{have} of {need} samples"),
            _ => self.write_about_policy(f),
        }
    }
}

impl Reason {
    /// Those of what the user asks of the selection, and of smears.
    fn write_about_policy(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooFew { have, need } => write!(
                f,
                "{have} of the {need} sources that must agree (selection.min_sources)"
            ),
            Self::Stratum { stratum, min, max } => write!(
                f,
                "stratum {stratum} is not within {min} to {max} (selection.min_stratum, \
                 selection.max_stratum)"
            ),
            Self::Smears(smear) => write!(
                f,
                "smears a leap second, and other sources do not: {}",
                Apart(smear)
            ),
            Self::DoesNotSmear(smear) => write!(
                f,
                "does not smear the leap second that most sources smear: {}",
                Apart(smear)
            ),
            _ => self.write_about_circles(f),
        }
    }

    /// Those of servers that ask each other.
    fn write_about_circles(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MayFollowUs { stratum } => write!(
                f,
                "agrees, but at stratum {stratum} it may follow this host"
            ),
            Self::KnowsLess { distance_s, own_s } => write!(
                f,
                "may follow this host: its root distance {} is not below this clock's own {}",
                Si(distance_s),
                Si(own_s)
            ),
            Self::AboveOrphans { stratum, orphan } => write!(
                f,
                "stratum {stratum} is not below the orphan stratum {orphan}"
            ),
            _ => f.write_str(self.words()),
        }
    }

    /// Those that have no figures; nothing for the others.
    const fn words(&self) -> &'static str {
        match self {
            Self::Agrees => "agrees with the selected source",
            Self::NotPreferred => "agrees, and a preferred source is followed",
            Self::RequiredMissing => {
                "agrees with the majority, but no required source does (source.require)"
            }
            Self::NoSelect => "measured only (source.noselect)",
            Self::Unsupported => {
                "no authenticated source can be believed, and this one is not followed alone"
            }
            Self::NotAuthenticated => "not authenticated, which selection.authentication asks for",
            Self::Unproven => {
                "whether its certificate is valid is in doubt, as is this clock; waiting for a \
                 majority of the NTS sources"
            }
            Self::WaitingForOthers => "waiting for the other sources",
            Self::NoAnswer => "does not answer",
            Self::FollowsUs => "follows this host",
            Self::Orphan(reason) => reason.words(),
            _ => "",
        }
    }
}

/// How far ahead a source is, s: `1.2 ms ahead of`, `1.2 ms behind`.
struct Lead(f64);

impl fmt::Display for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.0 > 0.0 { "ahead of" } else { "behind" };
        write!(f, "{} {side}", Si(self.0.abs()))
    }
}

/// How a source that smears, or the one beside those that do, differs from the others.
struct Apart(Smear);

impl fmt::Display for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Smear { by_s, rate, said } = self.0;
        let pace = if rate < 0.0 { "slower" } else { "faster" };
        write!(
            f,
            "{} them and {:.1} ppm {pace}",
            Lead(by_s),
            rate.abs() * 1e6
        )?;
        if said {
            f.write_str(", and its reference id says so")?;
        }
        Ok(())
    }
}

const fn trusted_word(trusted: bool) -> &'static str {
    if trusted { "trusted " } else { "" }
}

/// Seconds, shown with the unit that suits.
struct Si(f64);

impl fmt::Display for Si {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0.abs() {
            s if s >= 1.0 => (self.0, "s"),
            s if s >= 1e-3 => (self.0 * 1e3, "ms"),
            s if s >= 1e-6 => (self.0 * 1e6, "us"),
            _ => (self.0 * 1e9, "ns"),
        };
        write!(f, "{value:.1} {unit}")
    }
}
