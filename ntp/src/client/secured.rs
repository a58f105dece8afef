//! A client that proves itself and its server by NTS (RFC 8915 section 5.7).
//!
//! Once a client is [told to](Client::secure), it sends nothing that is not sealed and believes
//! nothing that is not: there is no way back to plain NTP.

use clockwright_timebase::{Duration, Raw, Timestamp};

use super::action::Action;
use super::keeping::{AuthStatus, Keeping, KeyPace};
use super::reply::{self, Match};
use super::request::PendingRequest;
use super::statistics::count;
use super::timers::Timer;
use super::{Client, UNREACHABLE_AFTER};
use crate::nts::Session;
use crate::nts::field::{NtsFields, unique_id};
use crate::nts::seal::{cookies, open_reply};
use crate::{KissCode, Rejection};

impl Client {
    /// Authenticates all from now on. Without a `session` to go on with, which is so old, keys are
    /// asked for ([`Action::EstablishKeys`]) when the first request would be due.
    pub fn secure(&mut self, session: Option<(Session, Duration)>, now: Timestamp<Raw>) {
        let mut keeping = Keeping::default();
        if let Some((session, age)) = session {
            keeping.resume(session, age, now);
        }
        self.pending = None;
        self.last = None;
        self.keeping = Some(keeping);
    }

    /// Keys have been established. Requests begin at `now`, if there were no keys before.
    pub fn keys_established(&mut self, session: Session, now: Timestamp<Raw>) {
        let Some(keeping) = &mut self.keeping else {
            return;
        };
        let was_without = !keeping.has_keys();
        keeping.established(session, now);
        self.timers.cancel(Timer::Keys);
        if was_without && !self.polling.limited() {
            self.polling.forget_last();
            self.polling.begin_burst(&self.config);
            self.timers.set(Timer::Transmit, now);
        }
    }

    /// Keys could not be established. It is tried again, after longer and longer waits; soon if
    /// the failure was `local`: if nothing left this host.
    pub fn keys_failed(&mut self, local: bool, now: Timestamp<Raw>) {
        if let Some(keeping) = &mut self.keeping {
            let again = keeping.failed(local, now);
            self.timers.set(Timer::Keys, again);
        }
    }

    /// Has new keys established at once, whatever the wait after earlier failures: whom to trust has
    /// been configured anew. Keys that are there serve until then.
    pub fn renew_keys(&mut self, now: Timestamp<Raw>) {
        if let Some(keeping) = &mut self.keeping {
            keeping.renew();
            self.timers.set(Timer::Keys, now);
        }
    }

    /// How far the waits between key establishments have grown.
    pub fn key_pace(&self) -> Option<KeyPace> {
        self.keeping.as_ref().map(Keeping::pace)
    }

    /// Goes on with the waits of another client that this one takes the place of: it is another
    /// address of the same server, which is to be asked no more often for that.
    pub fn keep_key_pace(&mut self, pace: KeyPace) {
        if let Some(keeping) = &mut self.keeping {
            keeping.keep_pace(pace);
        }
    }

    /// The network has changed: if an establishment of keys has failed, it is tried again soon.
    pub fn hasten_keys(&mut self, now: Timestamp<Raw>) {
        if let Some(at) = self.keeping.as_mut().and_then(|k| k.hasten(now)) {
            self.timers.set(Timer::Keys, at);
        }
    }

    /// Throws keys and cookies away; new ones are asked for in their time.
    pub fn drop_keys(&mut self, now: Timestamp<Raw>) {
        if let Some(keeping) = &mut self.keeping {
            keeping.surrender(now);
            self.pending = None;
            self.last = None;
        }
    }

    /// Gives keys and cookies away, with their age, to be kept for the next start. The client has
    /// none then, so that no cookie is ever used twice.
    pub fn surrender_session(&mut self, now: Timestamp<Raw>) -> Option<(Session, Duration)> {
        self.keeping.as_mut()?.surrender(now)
    }

    /// How this client proves itself and its server; `None` if it does not.
    pub fn auth(&self, now: Timestamp<Raw>) -> Option<AuthStatus> {
        self.keeping.as_ref().map(|keeping| keeping.status(now))
    }

    /// Are there keys, without which nothing is sent?
    pub fn has_keys(&self) -> bool {
        self.keeping.as_ref().is_some_and(Keeping::has_keys)
    }

    /// Is everything authenticated?
    pub const fn is_secured(&self) -> bool {
        self.keeping.is_some()
    }

    /// The time for new keys has come.
    pub(super) fn establish_keys(&mut self, now: Timestamp<Raw>) {
        let wanted = self.keeping.as_ref().and_then(|k| k.wanted(now));
        if let Some(keeping) = self.keeping.as_mut().filter(|_| wanted.is_some()) {
            keeping.begin(now);
            count(&mut self.statistics.key_establishments);
            self.actions.push(Action::EstablishKeys);
        }
    }

    /// Sees to it that keys are established when they are missing or old.
    pub(super) fn plan_keys(&mut self, now: Timestamp<Raw>) {
        let wanted = self.keeping.as_ref().and_then(|k| k.wanted(now));
        match wanted {
            Some(at) if at <= now => self.establish_keys(now),
            Some(at) => self.timers.set(Timer::Keys, at),
            None => {}
        }
    }

    /// A request is due and there are no keys: to the outside that is as if it had gone unanswered.
    pub(super) fn go_without_keys(&mut self, now: Timestamp<Raw>) {
        self.plan_keys(now);
        self.reach <<= 1;
        if self.unanswered < UNREACHABLE_AFTER {
            self.count_silence();
        }
        let interval = self.polling.poll().interval();
        self.timers.set(Timer::Transmit, now + interval);
    }

    /// A request is over: did anything authentic come?
    pub(super) fn note_unsealed(&mut self, request: &PendingRequest) {
        if let (Some(keeping), Some(seal)) = (&mut self.keeping, &request.seal)
            && !seal.authentic
        {
            keeping.unanswered(seal.nak, seal.establishment);
        }
    }

    /// Is `answer`, which was read from `packet`, authentic? Gives where that ends which may be
    /// believed of it; `None` if it is the server's word that it cannot open the cookie, which has
    /// been noted.
    pub(super) fn authenticate(
        &mut self,
        packet: &[u8],
        answer: &Match<'_>,
    ) -> Result<Option<usize>, Rejection> {
        let (Some(keeping), Some(pending)) = (&mut self.keeping, &mut self.pending) else {
            return Ok(Some(packet.len()));
        };
        let seal = pending.seal.as_mut().ok_or(Rejection::Unexpected)?;
        let Some(fields) = NtsFields::read(&answer.extensions).map_err(Rejection::Nts)? else {
            let kiss = reply::kiss_of(&answer.header);
            let id = unique_id(&answer.extensions).map_err(Rejection::Nts)?;
            return match (kiss, id) {
                (Some(KissCode::NtsNak), Some(id)) if *id == seal.unique_id => {
                    if seal.nak || seal.authentic {
                        return Err(Rejection::Duplicate);
                    }
                    seal.nak = true;
                    keeping.nak();
                    count(&mut self.statistics.nts_naks);
                    self.actions.push(Action::Kiss(KissCode::NtsNak));
                    Ok(None)
                }
                (Some(KissCode::NtsNak), Some(_)) => Err(Rejection::WrongUniqueId),
                _ => Err(Rejection::NotAuthenticated),
            };
        };
        if *fields.unique_id != seal.unique_id {
            return Err(Rejection::WrongUniqueId);
        }
        let hidden = open_reply(packet, &fields, &seal.s2c).ok_or(Rejection::NotAuthentic)?;
        let fresh = cookies(&hidden).map_err(Rejection::Nts)?;
        // A replay of what was authentic before must not bring its cookies again.
        if !std::mem::replace(&mut seal.authentic, true) {
            keeping.authentic(fresh, seal.establishment);
        }
        Ok(Some(fields.authenticator.offset))
    }
}
