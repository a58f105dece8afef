//! The boot-clock rule: when to believe servers whose certificates' dates cannot be checked, since
//! this host's clock is what is in doubt (RFC 8915 section 8.5).
//!
//! A host without a working real-time clock starts in the past. Its servers' certificates are then
//! "not valid yet", and it cannot learn the time from anybody whom it can authenticate. An attacker
//! who has the key of an expired certificate likes that: what the host takes for the time decides
//! whether the certificate is good. So certificates whose dates alone are wrong are accepted
//! provisionally, and the time that comes of them counts only where
//!
//! - a strict majority of *all* configured NTS servers, and two at least, say the same within
//!   [`WINDOW`];
//! - that time is not before the lower bound (when the program was built, when it last knew);
//! - and the certificates of all of that majority are valid at that time.
//!
//! At least one of a majority is honest while liars are no more than half, so the time accepted is
//! within [`WINDOW`] of the truth. There is no I/O here and no state: [`judge`] is asked again
//! whenever something has changed, until the clock has been synchronised once; afterwards dates are
//! checked by the clock.

use std::fmt;

use clockwright_timebase::{Duration, Timestamp, Utc};

use crate::output::date;

/// How wide the interval may be that a server's samples leave for the time; and so, how far the time
/// that is accepted can be from the truth.
pub const WINDOW: Duration = Duration::from_secs(1);

/// Whatever knows when the certificates of a server are valid.
pub trait Holds {
    /// Are they all valid at this time?
    fn holds_at(&self, time: Timestamp<Utc>) -> bool;
}

impl<F: Fn(Timestamp<Utc>) -> bool> Holds for F {
    fn holds_at(&self, time: Timestamp<Utc>) -> bool {
        self(time)
    }
}

/// How far a server has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<H> {
    /// No keys yet, or refused for another reason than dates.
    NotEstablished,
    /// Its certificates are valid by this host's clock, or by the lower bound if that is later.
    Valid(H),
    /// They are valid at some time that is not before the lower bound, but not now.
    Provisional(H),
}

impl<H: Holds> Standing<H> {
    const fn proof(&self) -> Option<&H> {
        match self {
            Self::NotEstablished => None,
            Self::Valid(proof) | Self::Provisional(proof) => Some(proof),
        }
    }
}

/// Where the time is, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// It is not earlier.
    pub from: Timestamp<Utc>,
    /// It is not later.
    pub until: Timestamp<Utc>,
}

impl Interval {
    fn contains(&self, time: Timestamp<Utc>) -> bool {
        self.from <= time && time <= self.until
    }

    fn is_precise(&self) -> bool {
        self.from <= self.until && self.until - self.from <= WINDOW
    }
}

/// A configured NTS server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server<H> {
    /// How far it has got.
    pub standing: Standing<H>,
    /// What its authenticated samples say of the time; of all servers at the same instant. `None`:
    /// it has not been measured.
    pub says: Option<Interval>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// No certificate is provisional, so nothing is in doubt and this rule does not apply.
    NoDoubt,
    /// Nobody is to be believed yet.
    Wait(Reason),
    /// These are to be believed.
    Accept(Agreement),
}

/// What a majority agrees on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// The time, no wider than [`WINDOW`].
    pub time: Interval,
    /// Who says so, as indices.
    pub agreeing: Vec<usize>,
    /// Whose certificates do not hold at that time: provisional or not, they are to be dropped until
    /// they have been established anew.
    pub refused: Vec<usize>,
}

/// Why nobody is believed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There is only one server, and nobody who could confirm it.
    Alone,
    /// Too few have been measured, or precisely enough.
    TooFew(Tally),
    /// Too few of those that have say the same.
    NoAgreement(Tally),
    /// A majority says it is this time, which is before the lower bound.
    Past {
        /// What they say.
        time: Timestamp<Utc>,
        /// What is surely past.
        lower_bound: Timestamp<Utc>,
    },
    /// A majority says it is this time, and too many certificates of its members do not hold then.
    CertificatesFail {
        /// What they say.
        time: Timestamp<Utc>,
        /// How many of them there are whose certificates hold.
        tally: Tally,
    },
}

/// Who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// How many there are of those that the reason is about.
    pub have: usize,
    /// How many there would have to be.
    pub need: usize,
    /// How many are configured.
    pub configured: usize,
}

/// What to do about a clock that may be wrong. `servers` are all NTS servers that are configured,
/// whatever has become of them; `lower_bound` is surely past.
pub fn judge<H: Holds>(servers: &[Server<H>], lower_bound: Timestamp<Utc>) -> Verdict {
    let doubtful = |server: &Server<H>| matches!(server.standing, Standing::Provisional(_));
    if !servers.iter().any(doubtful) {
        return Verdict::NoDoubt;
    }
    if servers.len() < 2 {
        return Verdict::Wait(Reason::Alone);
    }
    let witnesses = witnesses(servers);
    let tally = |have| Tally {
        have,
        need: majority(servers.len()),
        configured: servers.len(),
    };
    if witnesses.len() < majority(servers.len()) {
        return Verdict::Wait(Reason::TooFew(tally(witnesses.len())));
    }
    let group = largest(&witnesses, lower_bound, H::holds_at);
    if group.members.len() >= majority(servers.len())
        && let Some(time) = group.time
    {
        return Verdict::Accept(Agreement {
            time,
            agreeing: group.members,
            refused: refused(servers, time),
        });
    }
    // Why not: were it not for the certificates, or for the lower bound, would they agree?
    let hold = group.members.len();
    for (earliest, is_past) in [(lower_bound, false), (Timestamp::EPOCH, true)] {
        let group = largest(&witnesses, earliest, |_, _| true);
        let Some(time) = group.time else { continue };
        if group.members.len() < majority(servers.len()) {
            continue;
        }
        let time = time.from;
        return Verdict::Wait(if is_past {
            Reason::Past { time, lower_bound }
        } else {
            let tally = tally(hold);
            Reason::CertificatesFail { time, tally }
        });
    }
    let most = largest(&witnesses, Timestamp::EPOCH, |_, _| true);
    Verdict::Wait(Reason::NoAgreement(tally(most.members.len())))
}

/// More than half of all servers, and never one alone.
const fn majority(configured: usize) -> usize {
    let more_than_half = configured / 2 + 1;
    if more_than_half < 2 {
        2
    } else {
        more_than_half
    }
}

/// A server that can say what time it is.
struct Witness<'s, H> {
    index: usize,
    says: Interval,
    proof: &'s H,
}

/// Those with keys whose samples fit the window. A wide interval is compatible with everything, so
/// counting it would let two that contradict each other both have a majority.
fn witnesses<H: Holds>(servers: &[Server<H>]) -> Vec<Witness<'_, H>> {
    let usable = servers.iter().enumerate().filter_map(|(index, server)| {
        Some(Witness {
            index,
            says: server.says.filter(Interval::is_precise)?,
            proof: server.standing.proof()?,
        })
    });
    usable.collect()
}

/// Servers that agree, and on what.
#[derive(Default)]
struct Group {
    members: Vec<usize>,
    time: Option<Interval>,
}

/// The largest group whose intervals have an instant in common that is not before `earliest`, and
/// that are `eligible` there. Such a group has it where one of the intervals begins.
fn largest<H>(
    witnesses: &[Witness<'_, H>],
    earliest: Timestamp<Utc>,
    eligible: impl Fn(&H, Timestamp<Utc>) -> bool,
) -> Group {
    let mut best = Group::default();
    for start in witnesses {
        let from = start.says.from.max(earliest);
        let agreeing = witnesses
            .iter()
            .filter(|it| it.says.contains(from) && eligible(it.proof, from));
        let Some(until) = agreeing.clone().map(|it| it.says.until).min() else {
            continue;
        };
        let members: Vec<usize> = agreeing
            .filter(|it| eligible(it.proof, until))
            .map(|it| it.index)
            .collect();
        if members.len() > best.members.len() {
            let time = Some(Interval { from, until });
            best = Group { members, time };
        }
    }
    best
}

/// Those whose certificates do not hold when it is this time.
fn refused<H: Holds>(servers: &[Server<H>], time: Interval) -> Vec<usize> {
    let fails = |server: &Server<H>| {
        let holds = |proof: &H| proof.holds_at(time.from) && proof.holds_at(time.until);
        server.standing.proof().is_some_and(|proof| !holds(proof))
    };
    let refused = servers.iter().enumerate().filter(|(_, it)| fails(it));
    refused.map(|(index, _)| index).collect()
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "certificates of NTS servers are out of date by this host's clock, and which of the two is \
             wrong is not known: ",
        )?;
        match self {
            Self::Alone => f.write_str(
                "the only NTS server there is cannot vouch for itself. Add others (a majority of at \
                 least two has to agree) or set the clock once. A clock that starts in the past wants a \
                 real-time clock, or clock.restore, so that it starts from the time that was saved \
                 last. As the last resort `nts = { check_time = false }` accepts certificates of any \
                 date, which is insecure",
            ),
            Self::TooFew(tally) => write!(
                f,
                "{tally} to agree on the time, and {} can say it to within {} s so far",
                tally.have,
                WINDOW.as_secs_f64()
            ),
            Self::NoAgreement(tally) => {
                write!(f, "{tally} to agree on the time, and no more than {} do", tally.have)
            }
            Self::Past { time, lower_bound } => write!(
                f,
                "what they agree on, {}, cannot be: this program was built, or knew the time, at {}. \
                 Are they wrong, or did somebody make that up? If the time that was saved is wrong, \
                 remove drift.json from state.directory",
                date(*time),
                date(*lower_bound)
            ),
            Self::CertificatesFail { time, tally } => write!(
                f,
                "{tally} to agree on the time; they agree on {}, but no more than {} have \
                 certificates that are valid then",
                date(*time),
                tally.have
            ),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} NTS servers have", self.need, self.configured)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lower bound, in seconds of these tests.
    const BOUND: i64 = 1_000_000;
    /// The truth, a month later.
    const TRUTH: i64 = BOUND + 2_592_000;

    fn at(second: i64) -> Timestamp<Utc> {
        Timestamp::from_timespec(second, 0)
    }

    /// Certificates that are valid from one second to another.
    #[derive(Debug, Clone, Copy)]
    struct Dates(i64, i64);

    impl Holds for Dates {
        fn holds_at(&self, time: Timestamp<Utc>) -> bool {
            at(self.0) <= time && time <= at(self.1)
        }
    }

    const GOOD: Dates = Dates(TRUTH - 1000, TRUTH + 1000);
    /// Expired before the lower bound, and stolen since.
    const STOLEN: Dates = Dates(BOUND - 2000, BOUND - 1000);

    /// The second, give or take.
    fn around(second: i64, milliseconds: i64) -> Interval {
        let either_side = Duration::from_millis(milliseconds);
        Interval {
            from: at(second) - either_side,
            until: at(second) + either_side,
        }
    }

    fn provisional(dates: Dates, second: i64) -> Server<Dates> {
        Server {
            standing: Standing::Provisional(dates),
            says: Some(around(second, 100)),
        }
    }

    const SILENT: Server<Dates> = Server {
        standing: Standing::Provisional(GOOD),
        says: None,
    };
    const ABSENT: Server<Dates> = Server {
        standing: Standing::NotEstablished,
        says: None,
    };

    fn accepted(servers: &[Server<Dates>]) -> Agreement {
        match judge(servers, at(BOUND)) {
            Verdict::Accept(agreement) => agreement,
            other => panic!("{other:?}"),
        }
    }

    fn waits(servers: &[Server<Dates>]) -> String {
        match judge(servers, at(BOUND)) {
            Verdict::Wait(reason) => reason.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn two_of_two_or_three_decide_and_what_they_agree_on_is_what_they_share() {
        let (first, second) = (provisional(GOOD, TRUTH), provisional(GOOD, TRUTH));
        let second = Server {
            says: Some(around(TRUTH, 20)),
            ..second
        };
        for third in [None, Some(SILENT), Some(ABSENT), Some(provisional(GOOD, 7))] {
            let servers: Vec<_> = [first, second].into_iter().chain(third).collect();
            let agreement = accepted(&servers);
            assert_eq!(agreement.time, around(TRUTH, 20));
            assert_eq!(agreement.agreeing, [0, 1]);
            assert_eq!(agreement.refused, Vec::<usize>::new());
        }
    }

    #[test]
    fn half_is_no_majority() {
        let agreeing = [provisional(GOOD, TRUTH); 2];
        let servers = [agreeing.as_slice(), &[SILENT, ABSENT]].concat();
        let words = waits(&servers);
        assert!(
            words.contains("3 of 4 NTS servers have to agree"),
            "{words}"
        );
        assert!(words.contains("and 2 can say it"), "{words}");
    }

    #[test]
    fn one_alone_waits_and_says_what_to_do() {
        let words = waits(&[provisional(GOOD, TRUTH)]);
        assert!(words.contains("clock.restore"), "{words}");
        assert!(words.contains("check_time = false"), "{words}");
        assert!(words.contains("insecure"), "{words}");
    }

    #[test]
    fn where_nothing_is_provisional_nothing_is_decided() {
        let valid = Server {
            standing: Standing::Valid(GOOD),
            says: Some(around(TRUTH, 1)),
        };
        for servers in [&[][..], &[valid], &[valid, ABSENT], &[ABSENT, ABSENT]] {
            assert_eq!(judge(servers, at(BOUND)), Verdict::NoDoubt);
        }
        // One that is valid by a wrong clock does not decide alone.
        let words = waits(&[valid, SILENT, SILENT]);
        assert!(words.contains("2 of 3"), "{words}");
    }

    #[test]
    fn what_is_too_vague_or_impossible_is_no_witness() {
        let vague = Server {
            says: Some(around(TRUTH, 501)),
            ..SILENT
        };
        let precise = Server {
            says: Some(around(TRUTH, 500)),
            ..SILENT
        };
        let backwards = Server {
            says: Some(around(TRUTH, -100)),
            ..SILENT
        };
        assert!(waits(&[precise, vague]).contains("1 can say it"));
        assert!(waits(&[precise, backwards]).contains("1 can say it"));
        assert_eq!(accepted(&[precise, precise]).time, around(TRUTH, 500));
    }

    #[test]
    fn those_who_contradict_each_other_are_not_believed() {
        let servers = [provisional(GOOD, TRUTH), provisional(GOOD, TRUTH + 1)];
        let words = waits(&servers);
        assert!(words.contains("no more than 1 do"), "{words}");
    }

    #[test]
    fn who_does_not_hold_at_the_time_agreed_on_is_refused() {
        let stolen = provisional(STOLEN, BOUND - 1500);
        let was_valid = Server {
            standing: Standing::Valid(STOLEN),
            ..stolen
        };
        let good = provisional(GOOD, TRUTH);
        let agreement = accepted(&[stolen, good, good, was_valid, good]);
        assert_eq!(agreement.agreeing, [1, 2, 4]);
        assert_eq!(agreement.refused, [0, 3]);
        // Also where it says what the others say.
        let agreement = accepted(&[good, provisional(STOLEN, TRUTH), good]);
        assert_eq!(
            (agreement.agreeing, agreement.refused),
            (vec![0, 2], vec![1])
        );
    }

    #[test]
    fn certificates_must_hold_for_all_of_the_time_agreed_on() {
        let ends_within = provisional(Dates(TRUTH - 10, TRUTH), TRUTH);
        let begins_within = provisional(Dates(TRUTH, TRUTH + 10), TRUTH);
        for server in [ends_within, begins_within] {
            let words = waits(&[server, provisional(GOOD, TRUTH)]);
            assert!(
                words.contains("no more than 1 have certificates"),
                "{words}"
            );
        }
    }

    #[test]
    fn certificates_stolen_and_replayed_do_not_set_the_time_back() {
        // All servers are the attacker's, and all certificates were valid then.
        let servers = [provisional(STOLEN, BOUND - 1500); 3];
        let words = waits(&servers);
        assert!(
            words.contains("cannot be") && words.contains("drift.json"),
            "{words}"
        );
        // The same with certificates that will not do at the time that is said.
        let servers = [provisional(STOLEN, BOUND + 1500); 3];
        let words = waits(&servers);
        assert!(
            words.contains("no more than 0 have certificates"),
            "{words}"
        );
    }

    /// An honest server: what it says contains the truth, and its certificates hold.
    fn honest() -> impl Strategy<Value = Server<Dates>> {
        (0i64..500, 0i64..500, any::<bool>()).prop_map(|(before, after, valid)| Server {
            standing: if valid {
                Standing::Valid(GOOD)
            } else {
                Standing::Provisional(GOOD)
            },
            says: Some(Interval {
                from: at(TRUTH) - Duration::from_millis(before),
                until: at(TRUTH) + Duration::from_millis(after),
            }),
        })
    }

    /// A server that says anything, often what nearly fits, with certificates of any dates.
    fn liar() -> impl Strategy<Value = Server<Dates>> {
        let near = TRUTH - 3..TRUTH + 3;
        let second = prop_oneof![near, BOUND - 2000..BOUND + 2000, 0..TRUTH * 2];
        let dates = prop_oneof![Just(Dates(0, i64::MAX / 2)), Just(STOLEN), Just(GOOD)];
        (second, 0i64..2000, dates, any::<bool>()).prop_map(|(second, width, dates, valid)| {
            Server {
                standing: if valid {
                    Standing::Valid(dates)
                } else {
                    Standing::Provisional(dates)
                },
                says: Some(around(second, width)),
            }
        })
    }

    fn mixed(servers: Vec<Server<Dates>>) -> impl Strategy<Value = Vec<Server<Dates>>> {
        Just(servers).prop_shuffle()
    }

    /// Liars, no more than half, among honest servers.
    fn mostly_honest() -> impl Strategy<Value = Vec<Server<Dates>>> {
        (1usize..5, 0usize..3)
            .prop_flat_map(|(liars, more)| {
                let honest = prop::collection::vec(honest(), liars + more);
                (prop::collection::vec(liar(), liars), honest)
            })
            .prop_flat_map(|(liars, honest)| mixed([liars, honest].concat()))
    }

    fn distance(time: Interval, truth: Timestamp<Utc>) -> Duration {
        (time.from - truth).abs().max((time.until - truth).abs())
    }

    proptest! {
        #[test]
        fn a_minority_of_liars_never_decides(servers in mostly_honest()) {
            if let Verdict::Accept(agreement) = judge(&servers, at(BOUND)) {
                prop_assert!(distance(agreement.time, at(TRUTH)) <= WINDOW, "{agreement:?}");
            }
        }

        #[test]
        fn a_majority_that_is_honest_is_enough(
            honest in prop::collection::vec(honest(), 3..6), liar in liar(),
        ) {
            // One of them is provisional in any case; else there would be nothing to decide.
            let servers = [honest, vec![SILENT, liar]].concat();
            let verdict = judge(&servers, at(BOUND));
            prop_assert!(matches!(verdict, Verdict::Accept(_)), "{verdict:?}");
        }

        #[test]
        fn nothing_is_accepted_that_is_not_as_promised(
            servers in prop::collection::vec(prop_oneof![liar(), honest(), Just(SILENT), Just(ABSENT)], 0..8),
        ) {
            let Verdict::Accept(agreement) = judge(&servers, at(BOUND)) else {
                return Ok(());
            };
            let time = agreement.time;
            prop_assert!(at(BOUND) <= time.from && time.from <= time.until);
            prop_assert!(time.until - time.from <= WINDOW);
            prop_assert!(agreement.agreeing.len() * 2 > servers.len() && agreement.agreeing.len() >= 2);
            for index in &agreement.agreeing {
                let server = &servers[*index];
                let says = server.says.unwrap();
                prop_assert!(says.from <= time.from && time.until <= says.until);
                let proof = server.standing.proof().unwrap();
                prop_assert!(proof.holds_at(time.from) && proof.holds_at(time.until));
                prop_assert!(!agreement.refused.contains(index));
            }
        }
    }
}
