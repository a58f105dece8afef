//! What a client of an NTS server keeps: keys, cookies, and when to have new ones established
//! (RFC 8915 sections 4.2 and 5.7).

use std::collections::VecDeque;

use clockwright_timebase::{Duration, Raw, Timestamp};

use crate::nts::seal::placeholders;
use crate::nts::{Algorithm, COOKIES, Cookie, Key, Session, SessionKeys};

/// Between two establishments at least, and the first wait after a failure (section 4.2).
const FIRST_RETRY: Duration = Duration::from_secs(10);
/// The longest wait: five days (section 4.2).
const LAST_RETRY: Duration = Duration::from_secs(432_000);
/// Waits after which it is certainly reached: 10 s × 1.5²⁷ is more than five days.
const MOST_GROWTH: u32 = 27;
/// After a failure that never left this host, such as a missing route: nobody is bothered by
/// another attempt, and the network may be up by then. Doubles with each further one.
const LOCAL_RETRY: Duration = Duration::from_secs(4);
/// Doublings after which such a wait grows no more: 64 s.
const LOCAL_DOUBLINGS: u32 = 4;
/// Keys are used for so long, four weeks, and then replaced.
const REFRESH: Duration = Duration::from_secs(4 * 7 * 86_400);

/// Keys and cookies of a client, and the plan to get new ones.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    live: Option<Live>,
    /// Is an establishment under way?
    under_way: bool,
    /// When the last one began.
    begun: Option<Timestamp<Raw>>,
    /// When the next one may, if that does not follow from the above.
    retry: Option<Timestamp<Raw>>,
    /// Establishments begun since the last one that came to something: that succeeded, and brought
    /// an authentic reply. Keys that nothing comes of are no success (section 4.2).
    attempts: u32,
    /// Failures in a row that never left this host.
    local_failures: u32,
    /// Establishments that succeeded.
    established: u32,
    /// Are the keys to be replaced, old or not?
    renewal: Renewal,
    /// Did a request go unanswered but for a kiss that says the server cannot open the cookie?
    refused: bool,
    /// Kisses of that kind that were noted.
    naks: u64,
}

/// Somebody's wish to have the keys replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Renewal {
    /// Nobody's.
    #[default]
    None,
    /// To be fulfilled by an establishment that is yet to begin.
    Wanted,
    /// To be fulfilled by the one that is under way.
    UnderWay,
}

/// Keys in use.
#[derive(Debug)]
struct Live {
    keys: SessionKeys,
    alternative: Option<SessionKeys>,
    cookies: VecDeque<Cookie>,
    since: Timestamp<Raw>,
}

/// How far the waits between key establishments have grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyPace {
    attempts: u32,
    begun: Option<Timestamp<Raw>>,
}

/// What one request takes.
#[derive(Debug)]
pub(super) struct Provision {
    /// Used for this request and no other.
    pub(super) cookie: Cookie,
    /// How many more the reply should bring.
    pub(super) placeholders: usize,
    /// Seals the request.
    pub(super) c2s: Key,
    /// Opens the reply.
    pub(super) s2c: Key,
    /// Whose cookies the reply's will be.
    pub(super) establishment: u32,
}

/// How a client proves itself and its server, for reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthStatus {
    /// The algorithm of the keys; `None` while there are none.
    pub algorithm: Option<Algorithm>,
    /// Key establishments that succeeded since the client was made.
    pub established: u32,
    /// How old the keys are.
    pub age: Option<Duration>,
    /// Establishments begun since the last authentic reply.
    pub attempts: u32,
    /// Is one under way?
    pub under_way: bool,
    /// Kisses that say the server could not open a cookie.
    pub naks: u64,
    /// Cookies left.
    pub cookies: usize,
    /// Octets of the next one.
    pub cookie_length: usize,
}

impl Keeping {
    /// Takes over keys and cookies, `age` old.
    pub(super) fn resume(&mut self, session: Session, age: Duration, now: Timestamp<Raw>) {
        let cookies: VecDeque<Cookie> = session.cookies.into_iter().take(COOKIES).collect();
        self.live = (!cookies.is_empty()).then_some(Live {
            keys: session.keys,
            alternative: session.alternative,
            cookies,
            since: now - age,
        });
        self.refused = false;
    }

    /// An establishment has succeeded.
    pub(super) fn established(&mut self, session: Session, now: Timestamp<Raw>) {
        self.under_way = false;
        self.retry = None;
        if self.renewal == Renewal::UnderWay {
            self.renewal = Renewal::None;
        }
        self.local_failures = 0;
        self.established = self.established.wrapping_add(1);
        self.resume(session, Duration::ZERO, now);
    }

    /// An establishment has failed; says when to try again. `local`: nothing left this host.
    pub(super) fn failed(&mut self, local: bool, now: Timestamp<Raw>) -> Timestamp<Raw> {
        self.under_way = false;
        if self.renewal == Renewal::UnderWay {
            self.renewal = Renewal::Wanted;
        }
        let wait = if local {
            self.attempts = self.attempts.saturating_sub(1);
            let doublings = self.local_failures.min(LOCAL_DOUBLINGS);
            self.local_failures = self.local_failures.saturating_add(1);
            LOCAL_RETRY * (1 << doublings)
        } else {
            self.local_failures = 0;
            self.wait()
        };
        *self.retry.insert(now + wait)
    }

    /// The network is another one than when an attempt failed: it is tried again as soon as is
    /// polite. Says when, if something is waited for.
    pub(super) fn hasten(&mut self, now: Timestamp<Raw>) -> Option<Timestamp<Raw>> {
        let retry = self.retry?;
        self.local_failures = 0;
        let polite = self.begun.map_or(now, |begun| begun + FIRST_RETRY).max(now);
        self.retry = Some(retry.min(polite));
        self.retry
    }

    /// How far the waits have grown, for a client that takes this one's place.
    pub(super) const fn pace(&self) -> KeyPace {
        KeyPace {
            attempts: self.attempts,
            begun: self.begun,
        }
    }

    /// Goes on with the waits of the client whose place this one takes.
    pub(super) const fn keep_pace(&mut self, pace: KeyPace) {
        self.attempts = pace.attempts;
        self.begun = pace.begun;
    }

    /// An establishment begins.
    pub(super) fn begin(&mut self, now: Timestamp<Raw>) {
        self.under_way = true;
        self.begun = Some(now);
        self.retry = None;
        if self.renewal == Renewal::Wanted {
            self.renewal = Renewal::UnderWay;
        }
        self.attempts = self.attempts.saturating_add(1);
    }

    /// New keys are to be established at once, by somebody's wish; those there are serve until then.
    pub(super) const fn renew(&mut self) {
        self.renewal = Renewal::Wanted;
        self.begun = None;
        self.retry = None;
    }

    /// When new keys should be established, if they should and that is not under way.
    pub(super) fn wanted(&self, now: Timestamp<Raw>) -> Option<Timestamp<Raw>> {
        let old = |live: &Live| self.renewal == Renewal::Wanted || now - live.since >= REFRESH;
        if self.under_way || self.live.as_ref().is_some_and(|live| !old(live)) {
            return None;
        }
        let next = self.begun.map(|begun| begun + self.wait());
        self.retry.or(next).max(Some(now))
    }

    /// The least time between the last establishment and the next.
    fn wait(&self) -> Duration {
        let growth = self.attempts.saturating_sub(1).min(MOST_GROWTH);
        // 3ⁿ/2ⁿ in integers: 3²⁷ times ten seconds is far below what a Duration holds.
        let grown = (0..growth).fold(FIRST_RETRY, |wait, _| wait * 3 / 2);
        grown.min(LAST_RETRY)
    }

    /// What the next request takes; `None` without keys or cookies. Each cookie is given out once.
    pub(super) fn provision(&mut self) -> Option<Provision> {
        let live = self.live.as_mut()?;
        let Some(cookie) = live.cookies.pop_front() else {
            self.live = None;
            return None;
        };
        Some(Provision {
            placeholders: placeholders(live.cookies.len(), cookie.expose().len()),
            cookie,
            c2s: live.keys.c2s().clone(),
            s2c: live.keys.s2c().clone(),
            establishment: self.established,
        })
    }

    /// An authentic reply brought these cookies, to a request of this establishment.
    pub(super) fn authentic(&mut self, cookies: Vec<Cookie>, establishment: u32) {
        self.refused = false;
        // Old keys may serve on while new ones cannot be had: that is no success of those attempts.
        if !self.under_way && self.retry.is_none() {
            self.attempts = 0;
        }
        if establishment != self.established {
            return;
        }
        if let Some(live) = &mut self.live {
            live.alternative = None;
            live.cookies.extend(cookies);
            let surplus = live.cookies.len().saturating_sub(COOKIES);
            live.cookies.drain(..surplus);
        }
    }

    /// A kiss said that the server cannot open the cookie. Anybody may have sent it.
    pub(super) const fn nak(&mut self) {
        self.naks = self.naks.wrapping_add(1);
    }

    /// A request of this establishment is over without authentic reply; `nak`: it met that kiss.
    ///
    /// One such request is no proof, since whoever can see requests can forge the kiss; so keys are
    /// given up only when the next one brings nothing authentic either. A server that reads the
    /// exporter's context differently refuses in the same way: then the other keys are tried.
    pub(super) fn unanswered(&mut self, nak: bool, establishment: u32) {
        if establishment != self.established {
            return;
        }
        if self.refused {
            self.refused = false;
            self.live = None;
            return;
        }
        if !nak {
            return;
        }
        let Some(live) = &mut self.live else { return };
        match live.alternative.take() {
            Some(other) => live.keys = other,
            None => self.refused = true,
        }
    }

    /// Gives keys and cookies away, with their age; none are left here.
    pub(super) fn surrender(&mut self, now: Timestamp<Raw>) -> Option<(Session, Duration)> {
        let live = self.live.take()?;
        let session = Session {
            keys: live.keys,
            alternative: live.alternative,
            cookies: live.cookies.into(),
        };
        (!session.cookies.is_empty()).then_some((session, now - live.since))
    }

    /// Are there keys?
    pub(super) const fn has_keys(&self) -> bool {
        self.live.is_some()
    }

    /// For reports.
    pub(super) fn status(&self, now: Timestamp<Raw>) -> AuthStatus {
        let live = self.live.as_ref();
        let next = live.and_then(|live| live.cookies.front());
        AuthStatus {
            algorithm: live.map(|live| live.keys.algorithm()),
            established: self.established,
            age: live.map(|live| now - live.since),
            attempts: self.attempts,
            under_way: self.under_way,
            naks: self.naks,
            cookies: live.map_or(0, |live| live.cookies.len()),
            cookie_length: next.map_or(0, |cookie| cookie.expose().len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp<Raw> {
        Timestamp::from_timespec(secs, 0)
    }

    fn keys(fill: u8) -> SessionKeys {
        let key = |fill| Key::new(Algorithm::Aes128GcmSiv, &[fill; 16]).unwrap();
        SessionKeys::new(key(fill), key(fill + 1)).unwrap()
    }

    fn session(cookies: usize) -> Session {
        Session {
            keys: keys(1),
            alternative: None,
            cookies: vec![Cookie::new(&[7; 68]).unwrap(); cookies],
        }
    }

    fn with_keys() -> Keeping {
        let mut keeping = Keeping::default();
        keeping.begin(at(0));
        keeping.established(session(8), at(0));
        keeping
    }

    #[test]
    fn waits_grow_by_half_from_ten_seconds_to_five_days() {
        // RFC 8915 section 4.2: t = min(10 × 1.5ⁿ⁻¹, 432000).
        let mut keeping = Keeping::default();
        let mut now = at(0);
        assert_eq!(keeping.wanted(now), Some(now), "at once");
        let mut waits = Vec::new();
        for _ in 0..40 {
            keeping.begin(now);
            assert_eq!(keeping.wanted(now), None, "one at a time");
            let next = keeping.failed(false, now);
            assert_eq!(keeping.wanted(now), Some(next));
            waits.push((next - now).as_secs_f64());
            now = next;
        }
        for (n, wait) in (0..).zip(&waits) {
            let rule = (10.0 * 1.5_f64.powi(n)).min(432_000.0);
            assert!((wait - rule).abs() < 1e-6, "{n}: {wait} {rule}");
        }
    }

    #[test]
    fn a_failure_that_bothered_nobody_is_retried_soon() {
        let mut keeping = Keeping::default();
        for wait in [4, 8, 16, 32, 64, 64, 64] {
            keeping.begin(at(0));
            assert_eq!(keeping.failed(true, at(0)), at(wait));
            assert_eq!(keeping.wanted(at(0)), Some(at(wait)));
        }
        keeping.begin(at(100));
        assert_eq!(
            keeping.failed(false, at(100)),
            at(110),
            "the first that counts"
        );
    }

    #[test]
    fn keys_that_nothing_comes_of_do_not_shorten_the_wait() {
        let mut keeping = with_keys();
        keeping.unanswered(true, 1);
        keeping.unanswered(false, 1);
        assert_eq!(keeping.wanted(at(1)), Some(at(10)));
        keeping.begin(at(10));
        keeping.established(session(8), at(10));
        keeping.unanswered(true, 2);
        keeping.unanswered(false, 2);
        assert_eq!(keeping.wanted(at(11)), Some(at(25)), "10 × 1.5 later");
        keeping.begin(at(25));
        keeping.established(session(8), at(25));
        keeping.authentic(Vec::new(), 3);
        keeping.unanswered(true, 3);
        keeping.unanswered(false, 3);
        assert_eq!(keeping.wanted(at(26)), Some(at(35)), "ten again");
    }

    #[test]
    fn one_refusal_is_no_proof() {
        let mut keeping = with_keys();
        keeping.unanswered(true, 1);
        assert!(keeping.provision().is_some(), "the keys stay for another");
        keeping.authentic(Vec::new(), 1);
        keeping.unanswered(false, 1);
        assert!(keeping.provision().is_some(), "an authentic reply forgives");
        keeping.unanswered(true, 1);
        keeping.unanswered(true, 1);
        assert!(keeping.provision().is_none());
    }

    #[test]
    fn a_refusal_makes_the_other_keys_be_tried_first() {
        let mut keeping = Keeping::default();
        let session = Session {
            alternative: Some(keys(50)),
            ..session(8)
        };
        keeping.established(session, at(0));
        assert_eq!(keeping.provision().unwrap().c2s, *keys(1).c2s());
        keeping.unanswered(true, 1);
        assert_eq!(keeping.provision().unwrap().c2s, *keys(50).c2s());
        keeping.authentic(Vec::new(), 1);
        assert_eq!(keeping.provision().unwrap().c2s, *keys(50).c2s());
    }

    #[test]
    fn keys_are_replaced_after_four_weeks_and_used_until_then() {
        let mut keeping = with_keys();
        let weeks = |n: i64| at(n * 7 * 86_400);
        assert_eq!(keeping.wanted(weeks(3)), None);
        assert_eq!(keeping.wanted(weeks(4)), Some(weeks(4)));
        assert!(keeping.provision().is_some());
    }

    #[test]
    fn keys_are_replaced_at_once_where_somebody_wishes_it() {
        let mut keeping = with_keys();
        keeping.renew();
        assert_eq!(keeping.wanted(at(1)), Some(at(1)));
        assert!(
            keeping.provision().is_some(),
            "the old ones serve until then"
        );
        keeping.begin(at(1));
        keeping.established(session(8), at(2));
        assert_eq!(keeping.wanted(at(3)), None);
        // Also in the midst of a long wait.
        let mut keeping = Keeping::default();
        for _ in 0..20 {
            keeping.begin(at(0));
            keeping.failed(false, at(0));
        }
        keeping.renew();
        assert_eq!(keeping.wanted(at(1)), Some(at(1)));
    }

    #[test]
    fn old_keys_that_serve_on_do_not_shorten_the_wait_for_new_ones() {
        let mut keeping = with_keys();
        keeping.authentic(Vec::new(), 1);
        let mut now = at(4 * 7 * 86_400);
        let mut waits = Vec::new();
        for _ in 0..8 {
            keeping.begin(now);
            let next = keeping.failed(false, now);
            waits.push((next - now).as_nanos() / 1_000_000_000);
            // The old keys bring authentic replies all the while.
            keeping.authentic(Vec::new(), 1);
            assert_eq!(keeping.wanted(now), Some(next));
            now = next;
        }
        assert_eq!(waits, [10, 15, 22, 33, 50, 75, 113, 170]);
    }

    #[test]
    fn an_establishment_that_began_before_the_wish_does_not_fulfil_it() {
        let mut keeping = with_keys();
        keeping.renew();
        keeping.begin(at(1));
        keeping.renew();
        keeping.established(session(8), at(2));
        assert!(keeping.wanted(at(3)).is_some(), "whom to trust has changed");
        keeping.begin(at(20));
        keeping.failed(false, at(20));
        assert!(keeping.wanted(at(21)).is_some(), "the wish is still there");
        keeping.begin(at(60));
        keeping.established(session(8), at(61));
        assert_eq!(keeping.wanted(at(62)), None);
    }

    #[test]
    fn another_network_is_tried_soon_and_politely() {
        let mut keeping = Keeping::default();
        let mut now = at(0);
        for _ in 0..20 {
            keeping.begin(now);
            now = keeping.failed(false, now);
        }
        keeping.begin(now);
        keeping.failed(false, now);
        let (soon, later) = (
            now + Duration::from_secs(3),
            now + Duration::from_secs(1000),
        );
        assert_eq!(keeping.hasten(soon), Some(now + FIRST_RETRY));
        assert_eq!(
            keeping.hasten(later),
            Some(now + FIRST_RETRY),
            "which is past"
        );
        assert_eq!(keeping.wanted(later), Some(later));
        assert_eq!(with_keys().hasten(at(1)), None, "nothing is waited for");
    }

    #[test]
    fn another_address_of_the_same_name_goes_on_with_the_waits() {
        let mut keeping = Keeping::default();
        for _ in 0..5 {
            keeping.begin(at(0));
            keeping.failed(false, at(0));
        }
        let mut next = Keeping::default();
        next.keep_pace(keeping.pace());
        assert_eq!(next.wanted(at(1)), keeping.wanted(at(1)));
    }

    #[test]
    fn the_stash_is_filled_up_and_never_overfilled() {
        let mut keeping = with_keys();
        let first = keeping.provision().unwrap();
        assert_eq!(first.placeholders, 0, "seven are left and one comes");
        // Three replies are lost.
        for expected in 1..=3 {
            assert_eq!(keeping.provision().unwrap().placeholders, expected);
        }
        let fresh = vec![Cookie::new(&[9; 68]).unwrap(); 8];
        keeping.authentic(fresh.clone(), 1);
        assert_eq!(keeping.status(at(0)).cookies, 8);
        keeping.authentic(fresh, 0);
        assert_eq!(keeping.status(at(0)).cookies, 8, "of other keys");
        for _ in 0..8 {
            assert_eq!(keeping.provision().unwrap().cookie.expose()[0], 9);
        }
        assert!(keeping.provision().is_none());
        assert!(keeping.wanted(at(20)).is_some());
    }

    #[test]
    fn what_is_given_away_is_not_used_any_more() {
        let mut keeping = with_keys();
        keeping.provision();
        let (session, age) = keeping.surrender(at(60)).unwrap();
        assert_eq!((session.cookies.len(), age), (7, Duration::from_secs(60)));
        assert!(keeping.provision().is_none());
        let mut other = Keeping::default();
        other.resume(session, age, at(1000));
        assert_eq!(other.status(at(1000)).age, Some(age));
        assert_eq!(other.wanted(at(1000)), None, "no new keys are needed");
    }
}
