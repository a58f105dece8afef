//! Certificates and clocks that do not agree.

use clockwright_timebase::Duration;

use super::certificates::{Authority, GOOD, Wanted};
use super::*;
use crate::nts::bootstrap::{Holds, Interval, Server, Standing, Verdict, judge};
use crate::nts::client::{CertificateProof, Whose};

/// A root, and where its certificate is.
fn root(files: &Files) -> (Authority, Vec<PathBuf>) {
    let root = Authority::root("a root");
    let file = files.write("root.pem", &root.pem());
    (root, vec![file])
}

#[test]
fn out_of_date_is_told_with_both_dates() {
    let files = Files::new();
    let (root, trusted) = root(&files);
    let words = rejected(tried(root.issue(GOOD), &trusted, on(191))).to_string();
    assert!(
        words.contains("the server's certificate expired at 2026-07-10 00:00:00 UTC"),
        "{words}"
    );
    assert!(
        words.contains("this host's clock says 2026-07-11 00:00:00 UTC"),
        "{words}"
    );
    let words = rejected(tried(root.issue(GOOD), &trusted, on(99))).to_string();
    assert!(
        words.contains("the server's certificate is not valid before 2026-04-11 00:00:00 UTC"),
        "{words}"
    );
    assert!(
        words.contains("says 2026-04-10 00:00:00 UTC") && words.contains("clock.restore"),
        "{words}"
    );
    // The first and the last second are within.
    for number in [100, 190] {
        tried(root.issue(GOOD), &trusted, on(number)).unwrap();
    }
}

#[test]
fn an_issuers_certificate_that_is_out_of_date_is_told_apart() {
    let files = Files::new();
    let (root, trusted) = root(&files);
    let below = root.below("below", (0, 140));
    let rejection = rejected(tried(below.issue(GOOD), &trusted, |_| ()));
    assert!(
        matches!(rejection, Rejection::Expired(Whose::Issuer, until, _) if until == day(140)),
        "{rejection:?}"
    );
}

#[test]
fn it_is_never_earlier_than_the_lower_bound() {
    let files = Files::new();
    let (root, trusted) = root(&files);
    // A clock that was set back into the validity of a certificate does not revive it.
    let set_back = by(day(150), day(200), false);
    let words = rejected(tried(root.issue(GOOD), &trusted, set_back)).to_string();
    assert!(
        words.contains("it is 2026-07-20 00:00:00 UTC at least"),
        "{words}"
    );
    assert!(words.contains("clock says 2026-05-31"), "{words}");
    // Unless the bound is wrong.
    assert!(
        words.contains("drift.json in state.directory: remove"),
        "{words}"
    );
    // A clock in the past does no harm where the bound is within it.
    let established = tried(root.issue(GOOD), &trusted, by(day(-9000), day(120), false));
    assert!(!established.unwrap().proof.is_provisional());
}

#[test]
fn what_was_or_will_be_valid_since_the_lower_bound_is_accepted_provisionally() {
    let files = Files::new();
    let (root, trusted) = root(&files);
    let below = root.below("below", (90, 170));
    // Of a clock that is in 1970, of one that is years ahead, and of one that is right.
    for (clock, provisional) in [(day(-9000), true), (day(2000), true), (day(150), false)] {
        let doubtful = by(clock, day(30), true);
        let established = tried(below.issue(GOOD), &trusted, doubtful).unwrap();
        let proof = &established.proof;
        assert_eq!(proof.is_provisional(), provisional);
        for (number, holds) in [(99, false), (100, true), (170, true), (171, false)] {
            assert_eq!(proof.holds_at(day(number)).is_ok(), holds, "day {number}");
        }
        let early = proof.holds_at(day(50)).unwrap_err();
        assert!(matches!(early, Rejection::NotYetValid(..)), "{early:?}");
        let late = proof.holds_at(day(2000)).unwrap_err().to_string();
        assert!(
            late.contains("expired") && late.contains("2031-06-24"),
            "{late}"
        );
    }
}

#[test]
fn when_a_proof_holds_is_known_to_the_second() {
    let files = Files::new();
    let (root, trusted) = root(&files);
    // Between the two certificates of its issuer there is no way to the root.
    let below = root.below("below", (0, 120));
    let below = below.certified_again(&root, "below", (150, 170));
    let doubtful = by(day(-9000), day(30), true);
    let proof = tried(below.issue(GOOD), &trusted, doubtful).unwrap().proof;
    let second = Duration::from_secs(1);
    for (number, before, at, after) in [
        (100, false, true, true),
        (120, true, true, false),
        (135, false, false, false),
        (150, false, true, true),
        (170, true, true, false),
        (190, false, false, false),
    ] {
        let times = [day(number) - second, day(number), day(number) + second];
        let expected = [before, at, after];
        assert_eq!(times.map(|it| Holds::holds_at(&&proof, it)), expected);
        assert_eq!(times.map(|it| proof.holds_at(it).is_ok()), expected);
    }
    assert!(proof.is_early_at(day(100) - second) && !proof.is_early_at(day(100)));
    assert!(!proof.is_early_at(day(135)) && !proof.is_early_at(day(2000)));
}

#[test]
fn what_expired_before_the_lower_bound_is_not_accepted_at_all() {
    let files = Files::new();
    let (root, trusted) = root(&files);
    for clock in [day(-9000), day(150), day(2000)] {
        let doubtful = by(clock, day(191), true);
        let rejection = rejected(tried(root.issue(GOOD), &trusted, doubtful));
        assert!(rejection.is_about_dates(), "{rejection:?}");
    }
    tried(root.issue(GOOD), &trusted, by(day(2000), day(190), true)).unwrap();
}

#[test]
fn what_is_never_valid_at_once_is_not_accepted_at_all() {
    let files = Files::new();
    let (root, trusted) = root(&files);
    for days in [(0, 90), (200, 300)] {
        let below = root.below("below", days);
        let doubtful = by(day(-9000), day(-9000), true);
        let rejection = rejected(tried(below.issue(GOOD), &trusted, doubtful));
        assert!(rejection.is_about_dates(), "{rejection:?}");
    }
}

fn ignore(order: &mut KeOrder) {
    order.dates = DatePolicy::Ignore;
}

#[test]
fn check_time_false_accepts_any_date_for_good() {
    let files = Files::new();
    let (root, trusted) = root(&files);
    for number in [-9000, 150, 9000] {
        let established = tried(root.issue(GOOD), &trusted, |order| {
            ignore(order);
            order.time = day(number);
        });
        let proof = established.unwrap().proof;
        assert!(!proof.is_provisional());
        proof.holds_at(day(-9000)).unwrap();
        assert!(Holds::holds_at(&&proof, day(-9000)) && !proof.is_early_at(day(-9000)));
    }
}

#[test]
fn nothing_but_dates_is_ever_let_pass() {
    let files = Files::new();
    let (root, trusted) = root(&files);
    let unknown = Authority::root("another root");
    let names = &["other.example"];
    for (number, lenient) in [(150, true), (150, false), (9000, true), (9000, false)] {
        let change = |order: &mut KeOrder| {
            if lenient {
                ignore(order);
            } else {
                by(day(0), day(0), true)(order);
            }
            order.time = day(number);
        };
        let wrong = root.issue(Wanted { names, ..GOOD });
        assert!(rejected(tried(wrong, &trusted, change)) != Rejection::SelfSigned);
        let wrong = unknown.issue(GOOD);
        assert!(tried(wrong, &trusted, change).is_err());
        let client = Wanted {
            for_servers: false,
            ..GOOD
        };
        assert!(tried(root.issue(client), &trusted, change).is_err());
        tried(root.issue(GOOD), &trusted, change).unwrap();
    }
}

#[test]
fn proofs_decide_with_the_time_that_servers_say() {
    let files = Files::new();
    let (root, trusted) = root(&files);
    let proof = |days| {
        let issued = root.issue(Wanted { days, ..GOOD });
        let established = tried(issued, &trusted, by(day(-9000), day(30), true));
        established.unwrap().proof
    };
    let (good, other, expired) = (proof((100, 190)), proof((140, 160)), proof((0, 149)));
    let says = |proof, number| {
        let time = day(number);
        let says = Some(Interval {
            from: time,
            until: time,
        });
        let standing = Standing::Provisional(proof);
        Server::<&CertificateProof> { standing, says }
    };
    let decide = |number| {
        let servers = [&good, &other, &expired].map(|it| says(it, number));
        judge(&servers, day(30))
    };
    let Verdict::Accept(agreement) = decide(TODAY) else {
        panic!("{:?}", decide(TODAY));
    };
    assert_eq!(agreement.agreeing, [0, 1]);
    assert_eq!(agreement.refused, [2]);
    // On that day only one certificate is valid.
    assert!(matches!(decide(170), Verdict::Wait(_)));
}
