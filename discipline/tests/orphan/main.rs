//! A group of servers that ask each other: who leads while none knows UTC, and what happens when
//! one gets to know it.

mod group;

use clockwright_timebase::Duration;

use group::{Group, WAIT};

/// Clocks that are wrong by different amounts, on oscillators that are, too.
fn three() -> Group {
    let ms = Duration::from_millis;
    Group::new(&[(ms(400), 3e-6), (ms(-700), -5e-6), (ms(90), 10e-6)])
}

fn minutes(count: i64) -> Duration {
    Duration::from_secs(60 * count)
}

/// Three that have found their leader.
fn with_leader() -> Group {
    let mut group = three();
    group.pass(WAIT + minutes(10));
    assert_eq!(group.strata(), [10, 11, 11]);
    group
}

#[test]
fn nobody_is_synchronised_until_the_wait_is_over() {
    let mut group = three();
    group.pass(WAIT - minutes(1));
    assert_eq!(group.strata(), [16, 16, 16]);
    group.pass(minutes(5));
    assert_eq!(group.strata(), [10, 11, 11]);
}

#[test]
fn the_lowest_leads_and_the_others_stay_with_it() {
    let mut group = with_leader();
    assert!(group.spread() < 1e-4, "{:?}", group.errors());
    let [first, ..] = &group.servers[..] else {
        panic!("there are three");
    };
    assert!(first.steps.is_empty(), "{:?}", first.steps);
    // And so it remains.
    let changes = group.changes;
    for _ in 0..100 {
        group.pass(minutes(10));
        assert_eq!(group.strata(), [10, 11, 11]);
        assert!(group.spread() < 1e-4, "{:?}", group.errors());
    }
    assert_eq!(group.changes, changes);
    assert_eq!(
        group.reason(0, 2),
        "follows this host",
        "as the leader sees a follower"
    );
    assert_eq!(
        group.reason(1, 3),
        "stratum 11 is not below the orphan stratum 10",
        "as a follower sees another"
    );
    assert!(group.servers[1].status(group.now).orphan);
}

#[test]
fn where_the_leader_is_lost_the_next_lowest_takes_over() {
    let mut group = with_leader();
    group.servers[0].up = false;
    let changes = group.changes;
    group.pass(minutes(5));
    assert_eq!(group.strata()[1..], [10, 11]);
    group.pass(minutes(60));
    assert_eq!(group.strata()[1..], [10, 11]);
    assert!(group.spread() < 1e-4, "{:?}", group.errors());
    // One that follows nobody any more, and one that follows another.
    assert!(group.changes - changes <= 3, "{}", group.changes - changes);

    // The old leader comes back and leads again: all follow it without a step.
    let steps = |group: &Group| group.servers[1].steps.len() + group.servers[2].steps.len();
    let before = steps(&group);
    group.servers[0].up = true;
    group.pass(minutes(30));
    assert_eq!(group.strata(), [10, 11, 11]);
    assert!(group.spread() < 1e-4, "{:?}", group.errors());
    assert_eq!(steps(&group), before);
}

#[test]
fn a_source_that_knows_utc_is_followed_by_all_through_the_one_that_has_it() {
    let mut group = with_leader();
    // Neither the leader nor the next.
    group.add_real(2);
    let steps: Vec<usize> = group.servers.iter().map(|one| one.steps.len()).collect();
    group.pass(minutes(30));
    group.assert_third_leads();
    for error in group.errors() {
        assert!(error.abs() < 1e-4, "{:?}", group.errors());
    }
    assert!(!group.servers[1].status(group.now).orphan);
    // The leader had followed nobody, so that its step policy allowed one.
    assert!(group.servers[0].steps.len() <= 1);
    for (server, before) in group.servers.iter().zip(steps).skip(1) {
        assert_eq!(server.steps.len(), before, "{:?}", server.steps);
    }
}

#[test]
fn the_one_that_had_it_goes_on_to_be_followed_and_when_it_knows_no_more_the_lowest_leads() {
    let mut group = with_leader();
    group.add_real(2);
    group.pass(minutes(120));
    group.assert_third_leads();
    group.servers[2].has_real = false;
    // It still knows the time well.
    for _ in 0..24 {
        group.pass(minutes(60));
        group.assert_third_leads();
        assert!(group.spread() < 1e-4, "{:?}", group.errors());
    }
    // After a sleep, say, it does not; but the others do.
    group.servers[2].sleep(group.now);
    for _ in 0..24 {
        group.pass(minutes(60));
        let strata = group.strata();
        assert!(strata.iter().all(|stratum| *stratum <= 6), "{strata:?}");
        assert!(group.spread() < 1e-4, "{:?}", group.errors());
    }
    // Nobody does.
    for server in &mut group.servers {
        server.sleep(group.now);
    }
    group.pass(minutes(15));
    assert_eq!(group.strata(), [10, 11, 11]);
    assert!(group.spread() < 1e-4, "{:?}", group.errors());
}

#[test]
fn a_clock_that_still_knows_the_time_does_not_follow_an_orphan() {
    let ms = Duration::from_millis;
    // The lowest has just been started, hours wrong.
    let mut group = Group::new(&[(ms(7_200_000), 0.0), (ms(0), 1e-6)]);
    group.servers[0].up = false;
    group.add_real(1);
    group.pass(minutes(60));
    group.servers[1].has_real = false;
    group.pass(minutes(30));
    assert_eq!(group.strata()[1], 3);
    group.servers[0].up = true;
    group.pass(minutes(30));
    assert_eq!(group.strata(), [4, 3]);
    for error in group.errors() {
        assert!(error.abs() < 1e-3, "{:?}", group.errors());
    }
}

/// Two of three had sources, and have lost them.
fn two_without_their_sources() -> Group {
    let mut group = with_leader();
    group.add_real(0);
    group.add_real(1);
    group.pass(minutes(60));
    assert_eq!(group.strata(), [3, 3, 4]);
    group.servers[0].has_real = false;
    group.servers[1].has_real = false;
    group
}

/// Each goes by the wander that it has learnt. Thus after days one may have become nearer to UTC than
/// the other by more than what lies between them: it is followed, and that is all.
#[test]
fn one_of_two_that_lost_their_sources_may_follow_the_other_and_no_more_changes_in_a_week() {
    let mut group = two_without_their_sources();
    let changes = group.changes;
    for _ in 0..24 * 7 {
        group.pass(minutes(60));
        let strata = group.strata();
        assert!(strata.iter().all(|stratum| *stratum <= 4), "{strata:?}");
        assert!(strata[..2].contains(&3), "{strata:?}");
        assert!(group.spread() < 1e-3, "{:?}", group.errors());
    }
    assert!(group.changes - changes <= 1, "{}", group.changes - changes);
}

#[test]
fn two_that_lose_their_sources_do_not_count_up_to_the_orphans() {
    let mut group = two_without_their_sources();
    let changes = group.changes;
    // Each other's time, and their own through the third, tell them nothing.
    for _ in 0..24 {
        group.pass(minutes(60));
        assert_eq!(group.strata(), [3, 3, 4]);
    }
    assert_eq!(group.changes, changes);
    assert!(
        group.reason(0, 2).starts_with("may follow this host"),
        "{}",
        group.reason(0, 2)
    );
    // One forgets, and follows the other.
    group.servers[0].sleep(group.now);
    group.pass(minutes(30));
    let strata = group.strata();
    assert_eq!(strata[1], 3, "{strata:?}");
    assert!(strata.iter().all(|stratum| *stratum <= 5), "{strata:?}");
    // All forget.
    for server in &mut group.servers {
        server.sleep(group.now);
    }
    group.pass(minutes(30));
    assert_eq!(group.strata(), [10, 11, 11]);
    assert!(group.spread() < 1e-4, "{:?}", group.errors());
}
