//! Keys of NTS sources: having them established, and what is believed of those who have them.

use std::net::SocketAddr;

use clockwright_discipline::SourceId;
use clockwright_ntp::nts::Algorithm;
use clockwright_timebase::{Duration, Raw, Timestamp, Utc};
use tracing::{info, warn};

use super::daemon::{Daemon, Finding};
use super::doubt::RENEW_DOUBTFUL;
use super::sources::Member;
use crate::config::NtsSettings;
use crate::measure::{NoKeys, find_keys};
use crate::nts::client::{DatePolicy, Established, KeFailure, KeOrder};

/// What came of having keys established.
#[derive(Debug)]
pub(super) struct KeysFound {
    /// For whom.
    id: SourceId,
    /// Whom to trust, as it was configured when they began to be established.
    settings: NtsSettings,
    /// The keys, and the server to ask with them.
    result: Result<(Established, SocketAddr), NoKeys>,
}

impl Daemon {
    /// Has keys established for a server, without waiting for it.
    pub(super) fn establish_keys(&mut self, id: SourceId) {
        let Some((source, member)) = self.sources.find(id) else {
            return;
        };
        let (Some(keys), Some(settings)) = (&member.keys, &source.config.settings.nts) else {
            return;
        };
        let dates = if settings.check_time {
            DatePolicy::Check {
                lower_bound: self.lower_bound,
                provisional: !self.was_synchronized,
            }
        } else {
            DatePolicy::Ignore
        };
        let order = KeOrder {
            address: keys.server,
            name: source.config.address.host.clone(),
            trusted_certificates: settings.trusted_certificates.clone(),
            dates,
            time: self.utc(),
            algorithms: Algorithm::ALL.to_vec(),
        };
        let (port, settings) = (source.config.address.port, settings.clone());
        let findings = self.findings.clone();
        let attempt = tokio::spawn(find_keys(order, port));
        tokio::spawn(async move {
            // However it ends, the source must hear of it: it waits for this before it tries again.
            let result = attempt.await.unwrap_or(Err(NoKeys::Abandoned));
            // Nobody listens when the daemon is about to end.
            let found = KeysFound {
                id,
                settings,
                result,
            };
            let _ = findings.send(Finding::Keys(Box::new(found)));
        });
    }

    /// What time it is, as far as that is known.
    pub(super) fn utc(&self) -> Timestamp<Utc> {
        let reading = self.reading();
        let status = self.discipline.status(reading);
        let offset_s = if status.updated.is_some() {
            status.offset_s
        } else {
            0.0
        };
        reading.clock + Duration::from_secs_f64(offset_s)
    }

    /// Keys have been established, or not.
    pub(super) fn handle_keys(&mut self, found: KeysFound) {
        let KeysFound {
            id,
            settings,
            result,
        } = found;
        let Some((source, member)) = self.sources.find(id) else {
            return;
        };
        let name = source.member_name(member);
        let outdated = source.config.settings.nts.as_ref() != Some(&settings);
        match result {
            Ok((_, server)) if self.sources.is_asked_by_another(id, server) => {
                let why = format!(
                    "the server of keys names {server}, which is asked for another source already"
                );
                self.no_keys(id, &name, why, false);
            }
            Ok((established, server)) => {
                self.take_keys(id, &name, established, server);
                let keys = self.sources.member_mut(id).and_then(|m| m.keys.as_mut());
                if let Some(keys) = keys {
                    keys.trust_changed = outdated;
                }
            }
            Err(failure) => {
                let (local, why) = (failure.is_local(), failure.to_string());
                if member_distrusts(member, &failure) {
                    self.distrust(id, why.clone());
                }
                self.no_keys(id, &name, why, local);
            }
        }
    }

    /// Keys have been established.
    fn take_keys(&mut self, id: SourceId, name: &str, made: Established, server: SocketAddr) {
        let now = self.clock.timescale().now();
        self.move_to(id, server);
        // Its certificate was judged by what the clock showed when this began; since then it may have
        // been found to be wrong.
        let is_valid_now = made.proof.objection(self.utc(), self.lower_bound).is_none();
        let Some(member) = self.sources.member_mut(id) else {
            return;
        };
        let Some(keys) = &mut member.keys else {
            return;
        };
        let dates_count = made.proof.checks_dates();
        let (algorithm, cookies) = (made.session.keys.algorithm(), made.session.cookies.len());
        let elsewhere = if server == member.found {
            String::new()
        } else {
            format!(", for asking {server}")
        };
        let was_in_doubt = keys.in_doubt;
        keys.error = None;
        keys.in_doubt = made.proof.is_provisional() || !is_valid_now;
        keys.renew_at = Some(now + RENEW_DOUBTFUL);
        keys.vouched_for = false;
        keys.proof = Some(made.proof);
        let in_doubt = keys.in_doubt;
        let key_server = keys.server;
        member.asked.keys_established(made.session, server, now);
        if let Some(leave) = self.limiter.leave("keys", now) {
            info!(
                "{name}: keys established with {key_server} ({algorithm}, {cookies} cookies)\
                 {elsewhere}{leave}"
            );
        }
        if !dates_count && let Some(leave) = self.limiter.leave("dates ignored", now) {
            warn!(
                "{name}: the dates of its certificate were not looked at (nts.check_time = false), \
                 which is insecure: who has got hold of an old key of the server can forge its \
                 time{leave}"
            );
        }
        if was_in_doubt && !in_doubt {
            // Somebody else may have said that.
            self.forget_samples(id);
        }
        self.discipline.set_proven(id, !in_doubt, now);
        let keys = self.sources.find(id).and_then(|(_, it)| it.keys.as_ref());
        if let Some(doubt) = keys.and_then(|keys| self.doubt_about(keys))
            && let Some(leave) = self.limiter.leave("provisional", now)
        {
            warn!(
                "{name}: {doubt}. It is asked, and believed only if a majority of the NTS servers \
                 agree{leave}"
            );
        }
        self.judge_certificates();
    }

    /// Another server is to be asked than so far: what the one before has said is not its word.
    fn move_to(&mut self, id: SourceId, server: SocketAddr) {
        let moves = |member: &Member| member.asked.server() != server && member.last.is_some();
        if self
            .sources
            .find(id)
            .is_some_and(|(_, member)| moves(member))
        {
            self.forget_samples(id);
            self.judge();
        }
    }

    /// Forgets what a server has said.
    pub(super) fn forget_samples(&mut self, id: SourceId) {
        let Some((source, _)) = self.sources.find(id) else {
            return;
        };
        let options = self.options_of(source);
        let now = self.clock.timescale().now();
        self.discipline.remove_source(id);
        self.discipline.add_source(id, options, now);
        if let Some(member) = self.sources.member_mut(id) {
            member.last = None;
        }
    }

    /// There are no keys.
    fn no_keys(&mut self, id: SourceId, name: &str, why: String, local: bool) {
        let now = self.clock.timescale().now();
        if let Some(leave) = self.limiter.leave("no keys", now) {
            warn!("{name}: {why}{leave}");
        }
        if let Some(member) = self.sources.member_mut(id) {
            member.lack_keys(why, local, now);
        }
        self.sources.silent(id, now);
    }

    /// Keeps keys and cookies for the next start. Nothing can be asked afterwards.
    pub(super) fn save_sessions(&mut self) {
        let now = self.clock.timescale().now();
        let sessions = self.sources.surrender(now);
        if let Err(error) = self.sessions.save(&sessions) {
            warn!("{error}");
        }
    }
}

/// Is this a server that is not trusted any more, since it was configured anew whom to trust? Its
/// keys are from before that.
fn member_distrusts(member: &Member, failure: &NoKeys) -> bool {
    let changed = member.keys.as_ref().is_some_and(|keys| keys.trust_changed);
    changed && matches!(failure, NoKeys::Establishment(KeFailure::Certificate(_)))
}

impl Member {
    /// The keys are not to be used any more.
    pub(super) fn drop_keys(&mut self, why: String, now: Timestamp<Raw>) {
        self.asked.client_mut().drop_keys(now);
        if let Some(keys) = &mut self.keys {
            keys.error = Some(why);
            keys.proof = None;
            keys.in_doubt = false;
            keys.vouched_for = false;
        }
    }

    /// Keys could not be established; `local`: nothing left this host.
    fn lack_keys(&mut self, why: String, local: bool, now: Timestamp<Raw>) {
        if let Some(keys) = &mut self.keys {
            keys.error = Some(why);
        }
        self.asked.keys_failed(local, now);
    }
}
