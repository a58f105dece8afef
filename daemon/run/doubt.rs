//! Certificates that are out of date by a clock which may be wrong: whom to believe all the same,
//! and taking that back (see [`bootstrap`]).

use std::mem::discriminant;

use clockwright_discipline::{ClockReading, SourceId};
use clockwright_timebase::{Duration, Raw, Timestamp, Utc};
use tracing::{info, warn};

use super::daemon::Daemon;
use super::sources::{Member, MemberKeys};
use crate::nts::bootstrap::{self, Holds, Interval, Reason, Server, Standing, Verdict};
use crate::nts::client::CertificateProof;
use crate::output::date;

/// Keys that are in doubt are established anew after so long.
pub(super) const RENEW_DOUBTFUL: Duration = Duration::from_secs(900);

impl Daemon {
    /// Looks again at the servers whose certificates are out of date by the clock. To be called when
    /// keys were established, and when such a server was measured.
    pub(super) fn judge_certificates(&mut self) {
        if self.sources.members().all(|member| !member.is_in_doubt()) {
            return;
        }
        if self.was_synchronized {
            self.check_certificates(Member::is_in_doubt);
        } else {
            if self.is_evidently_behind() {
                self.doubt_the_others();
            } else {
                self.believe_the_valid();
            }
            self.renew_the_doubtful();
            self.ask_the_majority();
        }
    }

    /// Is there a certificate that is not valid yet? It says that the clock is behind. (One that has
    /// expired says no such thing: mostly somebody has forgotten to renew it, and that must not stop
    /// the others.)
    fn is_evidently_behind(&self) -> bool {
        let time = self.utc().max(self.lower_bound);
        let early = |member: &Member| {
            let proof = member.keys.as_ref().filter(|keys| keys.in_doubt);
            let proof = proof.and_then(|keys| keys.proof.as_ref());
            proof.is_some_and(|proof| proof.is_early_at(time))
        };
        self.sources.members().any(early)
    }

    /// While the clock is evidently behind, certificates that are valid by it are no better than
    /// others: one that is old, with a key that somebody has got hold of, may be valid at just that
    /// time. So they are not believed alone, either.
    fn doubt_the_others(&mut self) {
        let reading = self.reading();
        for member in self.sources.members_mut() {
            let checked = |keys: &&mut MemberKeys| {
                let proof = keys.proof.as_ref();
                !keys.in_doubt && proof.is_some_and(CertificateProof::checks_dates)
            };
            if let Some(keys) = member.keys.as_mut().filter(checked) {
                keys.in_doubt = true;
                self.discipline.set_proven(member.id, false, reading.raw);
            }
        }
    }

    /// What is valid by the clock is in doubt no longer: somebody has set the clock, the time has come
    /// for a certificate, or the server that said it was behind is gone.
    fn believe_the_valid(&mut self) {
        let time = self.utc().max(self.lower_bound);
        let valid = |member: &&Member| {
            let keys = member.keys.as_ref().filter(|keys| keys.is_waiting());
            let proof = keys.and_then(|keys| keys.proof.as_ref());
            proof.is_some_and(|proof| Holds::holds_at(&proof, time))
        };
        let valid: Vec<SourceId> = self.sources.members().filter(valid).map(|m| m.id).collect();
        for id in valid {
            let name = self.name_of(id).unwrap_or_default();
            info!("{name}: its certificate is valid at what this clock shows now");
            self.trust(id);
        }
    }

    /// A certificate that was out of date may have been renewed, which only new keys can tell.
    fn renew_the_doubtful(&mut self) {
        let now = self.clock.timescale().now();
        for member in self.sources.members_mut() {
            if let Some(keys) = member.keys.as_mut().filter(|keys| keys.is_waiting())
                && keys.renew_at.is_some_and(|at| at <= now)
            {
                keys.renew_at = Some(now + RENEW_DOUBTFUL);
                member.asked.client_mut().renew_keys(now);
            }
        }
    }

    /// What is wrong with the certificate of a server that is in doubt, in words.
    pub(super) fn doubt_about(&self, keys: &MemberKeys) -> Option<String> {
        let proof = keys.proof.as_ref().filter(|_| keys.in_doubt)?;
        let wrong = proof.objection(self.utc(), self.lower_bound);
        Some(wrong.map_or_else(
            || {
                "its certificate is valid by this host's clock, and another server's says that the \
                 clock is behind"
                    .to_owned()
            },
            |rejection| rejection.to_string(),
        ))
    }

    /// The clock is right for the first time: all certificates are looked at by it, those too that were
    /// valid by what it showed before.
    pub(super) fn check_all_certificates(&mut self) {
        self.check_certificates(|_| true);
    }

    /// The clock is right now: the certificates of `those` are valid by it, or they are believed no
    /// more.
    fn check_certificates(&mut self, those: impl Fn(&Member) -> bool) {
        let time = self.utc();
        let mut verdicts = Vec::new();
        for member in self.sources.members().filter(|member| those(member)) {
            let keys = member.keys.as_ref();
            let proof = keys.and_then(|keys| keys.proof.as_ref());
            let verdict = proof.map(|proof| proof.holds_at(time));
            verdicts.extend(verdict.map(|it| (member.id, member.is_in_doubt(), it)));
        }
        for (id, was_in_doubt, verdict) in verdicts {
            let name = self.name_of(id).unwrap_or_default();
            match verdict {
                Ok(()) if was_in_doubt => {
                    info!("{name}: its certificate is valid at {}", date(time));
                    self.trust(id);
                }
                Ok(()) => {}
                Err(rejection) => {
                    let why = rejection.to_string();
                    warn!("{name}: {why}; it is not believed any more");
                    self.distrust(id, why);
                }
            }
        }
    }

    /// The clock is in doubt: do a majority of the servers agree on what is right?
    fn ask_the_majority(&mut self) {
        let reading = self.reading();
        let (ids, verdict) = {
            let (ids, servers) = self.nts_servers(reading);
            (ids, bootstrap::judge(&servers, self.lower_bound))
        };
        match verdict {
            Verdict::NoDoubt => {}
            Verdict::Wait(reason) => self.tell_doubt(reason, reading.raw),
            Verdict::Accept(agreement) => {
                self.told_doubt = None;
                let of = |indices: &[usize]| -> Vec<SourceId> {
                    let ids = indices.iter().filter_map(|index| ids.get(*index).copied());
                    ids.flatten().collect()
                };
                let (agreeing, refused) = (of(&agreement.agreeing), of(&agreement.refused));
                self.vouch_for(&agreeing, ids.len(), agreement.time.from);
                for id in refused {
                    let why = format!(
                        "its certificate is not valid at {}, which a majority of the NTS servers \
                         agree on",
                        date(agreement.time.from)
                    );
                    let name = self.name_of(id).unwrap_or_default();
                    if let Some(leave) = self.limiter.leave("refused by all", reading.raw) {
                        warn!("{name}: {why}{leave}");
                    }
                    self.distrust(id, why);
                }
            }
        }
    }

    /// Says why nobody is believed yet: once, and again when it is for another reason.
    fn tell_doubt(&mut self, reason: Reason, now: Timestamp<Raw>) {
        let kind = discriminant(&reason);
        if self.told_doubt != Some(kind)
            && let Some(leave) = self.limiter.leave("doubt", now)
        {
            self.told_doubt = Some(kind);
            warn!("{reason}{leave}");
        }
    }

    /// These of `all` agree on what time it is, and that their certificates are valid then.
    fn vouch_for(&mut self, agreeing: &[SourceId], all: usize, time: Timestamp<Utc>) {
        let now = self.clock.timescale().now();
        let mut fresh = false;
        for id in agreeing {
            let keys = self.sources.member_mut(*id).and_then(|m| m.keys.as_mut());
            if let Some(keys) = keys.filter(|keys| keys.in_doubt && !keys.vouched_for) {
                keys.vouched_for = true;
                fresh = true;
                self.discipline.set_proven(*id, true, now);
            }
        }
        if fresh {
            info!(
                "this host's clock was in doubt; {} of {all} NTS servers agree that it is {}, when \
                 their certificates are valid: they are believed, and looked at again once the \
                 clock is right",
                agreeing.len(),
                date(time)
            );
        }
    }

    /// One server of each NTS source that is configured, one without an address included. A pool has
    /// one voice, that of its first member that can be heard: all of it may well be one operator's.
    fn nts_servers(
        &self,
        reading: ClockReading,
    ) -> (Vec<Option<SourceId>>, Vec<Server<&CertificateProof>>) {
        let sources = self.sources.iter();
        sources
            .filter(|source| source.config.address.ke_port.is_some())
            .map(|source| {
                let mut heard = source.members.iter().map(|member| {
                    let standing = member.standing();
                    let says = self.says(member.id, reading);
                    (Some(member.id), Server { standing, says })
                });
                let nobody = Server {
                    standing: Standing::NotEstablished,
                    says: None,
                };
                let can_speak = |(_, server): &(_, Server<_>)| {
                    server.says.is_some() && !matches!(server.standing, Standing::NotEstablished)
                };
                heard.find(can_speak).unwrap_or((None, nobody))
            })
            .unzip()
    }

    /// What a server's samples say of the time.
    fn says(&self, id: SourceId, reading: ClockReading) -> Option<Interval> {
        let status = self.discipline.source_status(id, reading)?;
        let middle = reading.clock + Duration::from_secs_f64(status.offset_s?);
        let bound_s = status.error_bound_s.filter(|bound| bound.is_finite())?;
        let bound = Duration::from_secs_f64(bound_s);
        Some(Interval {
            from: middle - bound,
            until: middle + bound,
        })
    }

    /// A server's certificate is valid, which is no longer in doubt.
    fn trust(&mut self, id: SourceId) {
        let now = self.clock.timescale().now();
        if let Some(keys) = self.sources.member_mut(id).and_then(|m| m.keys.as_mut()) {
            keys.in_doubt = false;
            keys.vouched_for = false;
        }
        self.discipline.set_proven(id, true, now);
    }

    /// A server's certificate is not valid: its keys are thrown away, and what it said is
    /// forgotten.
    pub(super) fn distrust(&mut self, id: SourceId, why: String) {
        let now = self.clock.timescale().now();
        self.forget_samples(id);
        self.discipline.set_proven(id, false, now);
        if let Some(member) = self.sources.member_mut(id) {
            member.drop_keys(why, now);
        }
    }
}

impl MemberKeys {
    /// Are they in doubt, and does nobody vouch for them?
    const fn is_waiting(&self) -> bool {
        self.in_doubt && !self.vouched_for
    }
}

impl Member {
    /// Is it in doubt whether the server's certificate is valid, since the clock may be wrong?
    pub(super) fn is_in_doubt(&self) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.in_doubt)
    }

    /// How far keys have got.
    fn standing(&self) -> Standing<&CertificateProof> {
        let keys = self.keys.as_ref();
        match keys.and_then(|keys| Some((keys.proof.as_ref()?, keys.in_doubt))) {
            None => Standing::NotEstablished,
            Some((proof, true)) if proof.is_provisional() => Standing::Provisional(proof),
            Some((proof, _)) => Standing::Valid(proof),
        }
    }
}
