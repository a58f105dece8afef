//! Leap seconds in virtual time: servers that make one, and a clock that has to get over it.

#![expect(clippy::unwrap_used, reason = "tests")]

mod world;

use clockwright_discipline::{Leap, LeapManner, State};
use clockwright_timebase::Duration;
use world::{Count, MIDNIGHT_S, World, us};

/// What a clock of four sources with 20 us of jitter is within, once it has settled.
const SETTLED: f64 = 100e-6;

/// Four servers, and a clock that has followed them since three in the afternoon.
fn settled(leap: Leap) -> World {
    let mut world = World::new(leap);
    for _ in 0..4 {
        world.add(Count::InTime);
    }
    world.run_to(-600.0);
    assert!(world.error_s().abs() < SETTLED, "{}", world.error_s());
    world
}

/// The clock is within its bound at each sample, and within `most` of the truth, as long as it is
/// run to `until` seconds from midnight.
fn check_until(world: &mut World, until: f64, most: f64) {
    while world.midnight_ago_s() < until - 1e-6 {
        world.run_to((world.midnight_ago_s() + 0.37).min(until));
        let (error, status) = (world.error_s(), world.status());
        let at = world.midnight_ago_s();
        assert!(error.abs() < most, "{at}: {error}");
        assert!(status.synchronized, "{at}: {status:?}");
        assert!(
            error.abs() <= status.error_bound_s,
            "{at}: off by {error}, {status:?}"
        );
        assert!(
            (status.offset_s + error).abs() < SETTLED,
            "{at}: {error} {status:?}"
        );
    }
}

#[test]
fn a_clock_that_makes_the_leap_second_itself_is_right_before_and_after_it() {
    for leap in [Leap::Insert, Leap::Delete] {
        // The kernel makes it when its own clock comes to midnight, early or late.
        for late in [-300, 0, 300] {
            let mut world = settled(leap);
            world.kernel_makes_it(Duration::from_millis(late));
            world.expect(LeapManner::ByItself);
            check_until(&mut world, -0.4, SETTLED);
            // Meanwhile one is a second off, and the other is not.
            world.run_to(0.8);
            check_until(&mut world, 900.0, SETTLED);
            assert_eq!(world.steps, 0, "{leap:?} {late}");
            assert!(world.most_frequency < 50e-6, "{}", world.most_frequency);
            assert_eq!(world.leaps, 1);
        }
    }
}

#[test]
fn a_clock_is_stepped_at_the_instant_where_nobody_else_does_it() {
    for leap in [Leap::Insert, Leap::Delete] {
        let mut world = settled(leap);
        world.expect(LeapManner::Step);
        check_until(&mut world, 900.0, SETTLED);
        assert_eq!((world.steps, world.leaps), (0, 1));
        assert!(world.most_frequency < 50e-6, "{}", world.most_frequency);
    }
}

/// It was started in the last moment: the kernel had been told by the one before it.
#[test]
fn a_leap_second_that_the_kernel_makes_before_anything_is_known_does_not_come_again() {
    for leap in [Leap::Insert, Leap::Delete] {
        let mut world = settled(leap);
        world.kernel_makes_it(Duration::ZERO);
        let turn = if leap == Leap::Insert { 0.0 } else { -1.0 };
        world.run_to(turn + 0.05);
        world.was_made();
        // The list goes on to have it for this day, which in the doubled second is not over.
        for _ in 0..40 {
            world.expect(LeapManner::ByItself);
            world.run_to(world.midnight_ago_s() + 0.1);
            assert_eq!(world.votes(), Leap::None);
        }
        assert_eq!(world.in_hand(), None);
        world.run_to(60.0);
        check_until(&mut world, 900.0, SETTLED);
        assert_eq!((world.steps, world.leaps), (0, 0));
    }
}

/// It ends the correction that is under way, not the day.
#[test]
fn a_daemon_that_ends_makes_no_leap_second_that_is_still_to_come() {
    let mut world = settled(Leap::Insert);
    world.expect(LeapManner::Step);
    world.run_to(-300.0);
    world.end();
    assert_eq!((world.steps, world.leaps), (0, 0));
    assert!(world.error_s().abs() < SETTLED, "{}", world.error_s());
}

#[test]
fn a_slewed_leap_second_is_in_the_bound_until_it_is_gone() {
    for leap in [Leap::Insert, Leap::Delete] {
        let mut world = settled(leap);
        world.expect(LeapManner::Slew);
        check_until(&mut world, -0.1, SETTLED);
        // 50 000 ppm take 20 s for it.
        check_until(&mut world, 10.0, 1.001);
        let half = world.error_s().abs();
        assert!((0.4..0.6).contains(&half), "{half}");
        world.run_to(24.0);
        check_until(&mut world, 900.0, SETTLED);
        assert_eq!((world.steps, world.leaps), (0, 1));
    }
}

#[test]
fn sources_that_jump_without_warning_are_followed_and_the_frequency_stays() {
    // `ignore`: nothing is expected, and the sources jump.
    for leap in [Leap::Insert, Leap::Delete] {
        let mut world = settled(leap);
        let before = world.status().frequency;
        check_until(&mut world, -0.1, SETTLED);
        while world.midnight_ago_s() < 120.0 {
            let at = world.midnight_ago_s();
            world.run_to(at + 0.5);
            let frequency = world.status().frequency;
            assert!(
                (frequency - before).abs() < 2e-6,
                "{at}: {before} {frequency}"
            );
        }
        assert!(world.error_s().abs() < SETTLED, "{}", world.error_s());
        check_until(&mut world, 900.0, SETTLED);
        assert_eq!((world.steps, world.leaps), (0, 0));
    }
}

#[test]
fn servers_that_are_early_or_late_are_understood() {
    for leap in [Leap::Insert, Leap::Delete] {
        let mut world = World::new(leap);
        for late in [
            Duration::from_secs(-1),
            us(0),
            us(700_000),
            Duration::from_secs(40),
        ] {
            world.add(Count::Late(late));
        }
        world.run_to(-600.0);
        world.expect(LeapManner::Step);
        for until in [-0.5, 0.5, 5.0, 20.0, 39.0, 45.0, 900.0] {
            check_until(&mut world, until, SETTLED);
            for id in 0..4 {
                let state = world.state(id);
                assert_ne!(state, State::Falseticker, "{leap:?} {id} {until}");
            }
        }
        for id in 0..4 {
            assert!(
                world.suspects(id) < 2,
                "{leap:?} {id}: {}",
                world.suspects(id)
            );
        }
    }
}

#[test]
fn a_server_that_never_makes_it_is_a_falseticker_in_the_end() {
    let mut world = settled(Leap::Insert);
    let id = world.add(Count::Never);
    world.run_to(-300.0);
    world.expect(LeapManner::Step);
    check_until(&mut world, 55.0, SETTLED);
    assert_ne!(world.state(id), State::Falseticker);
    check_until(&mut world, 200.0, SETTLED);
    assert_eq!(world.state(id), State::Falseticker);
}

#[test]
fn what_was_measured_before_and_comes_in_after_is_understood() {
    let mut world = settled(Leap::Insert);
    world.expect(LeapManner::Step);
    // Longer before than a source may be early; nothing newer is taken in of this one.
    world.run_to(-4.0);
    let old = world.sample(0);
    world.mute(0);
    world.run_to(5.0);
    let id = world.add(Count::InTime);
    world.run_to(6.0);
    world.hand_in(0, &old);
    assert_eq!(world.suspects(0), 0);
    check_until(&mut world, 300.0, SETTLED);
    assert_ne!(world.state(id), State::Falseticker);
}

#[test]
fn one_that_is_announced_again_does_not_come_twice() {
    let mut world = settled(Leap::Insert);
    world.expect(LeapManner::Step);
    world.run_to(-1.0);
    assert_eq!(world.votes(), Leap::Insert);
    // The servers go on announcing it for ten minutes, and it is the last day once more for a
    // second.
    let mut until = -1.0;
    while until < 600.0 {
        until += 0.25;
        world.run_to(until);
        world.expect(LeapManner::Step);
        if until > 0.0 {
            assert_eq!(world.votes(), Leap::None);
        }
    }
    assert_eq!(world.leaps, 1);
    check_until(&mut world, 900.0, SETTLED);
    // It stays in hand for the kernel while its clock may be late, and no longer.
    assert_eq!(world.in_hand(), None);
    assert_eq!(
        world.passed().unwrap().day_ends.since_epoch(),
        Duration::from_secs(MIDNIGHT_S)
    );
}

#[test]
fn one_that_is_not_announced_any_more_does_not_come() {
    let mut world = World::new(Leap::None);
    for _ in 0..4 {
        world.add(Count::InTime);
    }
    world.run_to(-600.0);
    world.expect_kind(Leap::Insert, LeapManner::Step);
    assert!(world.in_hand().is_some());
    world.run_to(-3.0);
    world.expect_kind(Leap::None, LeapManner::Step);
    check_until(&mut world, 300.0, SETTLED);
    assert_eq!(world.leaps, 0);
}

#[test]
fn one_that_comes_while_the_host_sleeps_is_not_made_up_for() {
    let mut world = settled(Leap::Insert);
    world.expect(LeapManner::Step);
    world.sleep_to(50.0);
    // As the kernel's clock after a leap second in its sleep.
    world.expect(LeapManner::Step);
    world.run_to(600.0);
    assert_eq!(world.leaps, 0);
    assert!(world.error_s().abs() < SETTLED, "{}", world.error_s());
}

#[test]
fn servers_that_smear_have_no_vote() {
    let mut world = World::new(Leap::Insert);
    world.add(Count::InTime);
    for _ in 0..2 {
        let id = world.add(Count::InTime);
        world.name(id, [254, 0, 0, 1]);
        world.announce(id, Leap::None);
    }
    world.run_to(-600.0);
    assert_eq!(world.votes(), Leap::Insert);
    let id = world.add(Count::InTime);
    world.announce(id, Leap::None);
    world.run_to(-500.0);
    assert_eq!(world.votes(), Leap::None, "half is no majority");
}

#[test]
fn what_workers_know_stays_true_over_the_instant() {
    for leap in [Leap::Insert, Leap::Delete] {
        let mut world = settled(leap);
        world.kernel_makes_it(us(0));
        world.expect(LeapManner::ByItself);
        world.run_to(-0.5);
        let posted = world.outlook();
        world.run_to(0.9);
        // They have not been told anything yet.
        let status = posted.status(world.reading());
        assert!(status.error_bound_s < 10e-3, "{status:?}");
        assert!(status.error_bound_s >= world.error_s().abs());
    }
}
