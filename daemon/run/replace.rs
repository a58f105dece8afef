//! Members of pools that answer and are of no use: when they make room for others.

use std::net::SocketAddr;

use clockwright_discipline::{ClockReading, Reason, SourceId, SourceStatus, State};
use clockwright_timebase::{Duration, Raw, Timestamp};

use super::daemon::Daemon;
use super::sources::Source;
use crate::config::SourceKind;
use crate::output::si::span;

/// How long one may be of no use, without interruption.
const PATIENCE: Duration = Duration::from_secs(900);
/// How long an address that was given up is not tried again.
const GIVEN_UP_FOR: Duration = Duration::from_secs(6 * 3600);
/// Addresses that are remembered as given up, of each pool.
const MOST_GIVEN_UP: usize = 32;
/// Noise up to this is no reason to look for another server, s ...
const QUIET_S: f64 = 10e-3;
/// ... nor is it up to this many times that of the quietest source.
const NOISIER: f64 = 10.0;

/// How long a member has been of no use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Patience {
    since: Option<Timestamp<Raw>>,
    /// Why, once it has been for too long.
    exhausted: Option<String>,
}

impl Patience {
    /// It is of no use now, for this reason, or it is of use. True: it has just been the former for
    /// too long.
    pub(super) fn note(&mut self, why: Option<String>, now: Timestamp<Raw>) -> bool {
        let Some(why) = why else {
            *self = Self::default();
            return false;
        };
        let since = *self.since.get_or_insert(now);
        let is_news = self.exhausted.is_none() && now - since >= PATIENCE;
        if is_news {
            self.exhausted = Some(why);
        }
        is_news
    }

    /// Why it is to make room; `None`: it is not.
    pub(super) fn exhausted(&self) -> Option<&str> {
        self.exhausted.as_deref()
    }
}

/// Addresses of a pool that have been of no use.
#[derive(Debug, Clone, Default)]
pub(super) struct GivenUp(Vec<(SocketAddr, Timestamp<Raw>)>);

impl GivenUp {
    /// Remembers one, and forgets the oldest where there are too many.
    pub(super) fn add(&mut self, address: SocketAddr, now: Timestamp<Raw>) {
        self.0.retain(|(other, _)| *other != address);
        if self.0.len() >= MOST_GIVEN_UP {
            self.0.remove(0);
        }
        self.0.push((address, now));
    }

    /// Was this one given up lately?
    pub(super) fn contains(&self, address: SocketAddr, now: Timestamp<Raw>) -> bool {
        let mut all = self.0.iter();
        all.any(|(other, at)| *other == address && now - *at < GIVEN_UP_FOR)
    }
}

/// Why a source that answers is of no use beside others, of which the quietest has `least_s` of
/// jitter; `None`: it is of use, or nobody can say.
fn uselessness(status: &SourceStatus, least_s: f64) -> Option<String> {
    let is_useless = match status.state {
        State::Falseticker => true,
        State::Unusable => matches!(
            status.reason,
            Reason::TooDistant { .. } | Reason::Stratum { .. }
        ),
        State::Selected | State::Combined | State::Candidate => {
            let jitter_s = status.jitter_s;
            if jitter_s > QUIET_S.max(NOISIER * least_s) {
                return Some(format!(
                    "its jitter is {}, and another source's {}",
                    span(jitter_s),
                    span(least_s)
                ));
            }
            false
        }
        State::Waiting | State::Unreachable => false,
    };
    is_useless.then(|| status.reason.to_string())
}

impl Daemon {
    /// Looks for members of pools that have been of no use for too long. The name is looked up
    /// then, unless it has been lately.
    pub(super) fn watch_pools(&mut self, reading: ClockReading) {
        let is_pool = |source: &Source| source.config.address.kind == SourceKind::Pool;
        if !self.sources.iter().any(is_pool) {
            return;
        }
        let status = |id: SourceId| self.discipline.source_status(id, reading);
        let all = self.sources.members().filter_map(|one| status(one.id));
        let least_s = all
            .filter(|status| status.samples > 0)
            .map(|status| status.jitter_s)
            .fold(f64::INFINITY, f64::min);
        let mut found: Vec<(SourceId, Option<String>)> = Vec::new();
        for source in self.sources.iter() {
            if is_pool(source) {
                let members = source.members.iter().filter_map(|one| {
                    let status = status(one.id)?;
                    Some((one.id, uselessness(&status, least_s)))
                });
                found.extend(members);
            }
        }
        for (id, why) in found {
            let Some(member) = self.sources.member_mut(id) else {
                continue;
            };
            if member.patience.note(why, reading.raw) {
                self.sources.silent(id, reading.raw);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp<Raw> {
        Timestamp::from_timespec(secs, 0)
    }

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 123))
    }

    fn status(state: State, reason: Reason, jitter_s: f64) -> SourceStatus {
        SourceStatus {
            state,
            reason,
            offset_s: None,
            delay_s: None,
            jitter_s,
            correlation: 0.0,
            frequency: None,
            error_bound_s: None,
            samples: 20,
            last_sample_age_s: None,
        }
    }

    #[test]
    fn only_who_is_of_no_use_for_a_quarter_of_an_hour_on_end_goes() {
        let why = || Some("lies".to_owned());
        let mut patience = Patience::default();
        assert!(!patience.note(why(), at(0)));
        assert!(!patience.note(why(), at(899)));
        assert!(!patience.note(None, at(900)));
        assert!(!patience.note(why(), at(901)));
        assert!(!patience.note(why(), at(1800)));
        assert!(patience.note(why(), at(1801)));
        assert_eq!(patience.exhausted(), Some("lies"));
        assert!(!patience.note(why(), at(1802)), "said once");
        patience.note(None, at(1803));
        assert_eq!(patience.exhausted(), None);
    }

    #[test]
    fn what_was_given_up_is_not_tried_for_a_while_and_the_list_is_bounded() {
        let mut given_up = GivenUp::default();
        for last in 0..40 {
            given_up.add(address(last), at(last.into()));
        }
        assert_eq!(given_up.0.len(), MOST_GIVEN_UP);
        assert!(!given_up.contains(address(7), at(100)));
        assert!(given_up.contains(address(39), at(100)));
        assert!(!given_up.contains(address(39), at(39 + 6 * 3600)));
    }

    #[test]
    fn liars_the_distant_and_the_noisy_are_of_no_use() {
        let far = Reason::TooDistant {
            distance_s: 4.0,
            limit_s: 3.0,
        };
        let of = |state, reason, jitter_s| uselessness(&status(state, reason, jitter_s), 1e-3);
        assert!(of(State::Falseticker, Reason::Agrees, 1e-3).is_some());
        assert!(of(State::Unusable, far, 1e-3).is_some());
        assert_eq!(
            of(State::Combined, Reason::Agrees, 20e-3).as_deref(),
            Some("its jitter is 20.0 ms, and another source's 1.00 ms")
        );
        assert!(of(State::Combined, Reason::Agrees, 9e-3).is_none());
        // Nobody knows who of them is to blame, or it is as configured.
        let none = Reason::NoMajority {
            agree: 1,
            of: 2,
            trusted: false,
        };
        for reason in [none, Reason::NoSelect, Reason::NotAuthenticated] {
            assert!(of(State::Unusable, reason, 1e-3).is_none(), "{reason}");
        }
    }
}
