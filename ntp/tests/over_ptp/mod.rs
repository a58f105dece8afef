//! NTP over PTP (RFC 10030): whether it is found, left and found again, and what it gives.

use clockwright_ntp::{ClientConfig, PtpUse, Transport};
use clockwright_timebase::{Duration, Poll, StampKind};

use crate::world::{Conditions, Ptp, World};
use crate::{MINUTE, close, config, interleaved};

const SERVED: Ptp = Ptp {
    served: true,
    carried: true,
    transparent: false,
    exaggeration: Duration::ZERO,
};

/// A client that tries PTP, with a NIC that stamps it.
fn trying(interleaved: bool, conditions: Conditions, ptp: Ptp, seed: u64) -> World {
    let mut world = World::new(config(interleaved), conditions, seed);
    world.client.set_ptp(PtpUse::Try);
    world
        .client
        .set_stamping(StampKind::Hardware, Duration::from_millis(10));
    world.ptp = ptp;
    world
}

/// The exchanges since `from` that are of this kind.
fn of_kind(world: &World, from: usize, kind: StampKind) -> usize {
    let seen = world.seen[from..].iter();
    seen.filter(|seen| seen.exchange.worst_kind() == kind)
        .count()
}

#[test]
fn a_server_that_answers_over_ptp_is_asked_over_ptp() {
    for mode in [false, true] {
        let mut world = trying(mode, Conditions::PERFECT, SERVED, 30);
        world.run(MINUTE);
        world.check(&[world.offset]);
        assert!(!world.asked.contains('u'), "{}", world.asked);
        assert_eq!(world.client.transport(), Transport::Ptp);
        assert!(world.seen.len() >= 57, "{}", world.seen.len());
        assert_eq!(of_kind(&world, 0, StampKind::Hardware), world.seen.len());
        assert_eq!(world.client.reach(), 0xff);
        assert!(!mode || interleaved(&world.seen) >= 55);
        for seen in &world.seen[if mode { 2 } else { world.seen.len() }..] {
            assert!(close(seen.measured.offset, world.offset), "{seen:?}");
            assert_eq!(seen.exchange.residence, None, "no switch said anything");
        }
    }
}

#[test]
fn one_that_does_not_loses_nothing_by_being_tried() {
    for ptp in [
        Ptp {
            served: false,
            ..SERVED
        },
        Ptp {
            carried: false,
            ..SERVED
        },
    ] {
        for mode in [false, true] {
            let mut world = trying(mode, Conditions::PERFECT, ptp, 31);
            world.run(MINUTE * 10);
            world.check(&[world.offset]);
            let tried = world.asked.matches('p').count();
            assert!((6..40).contains(&tried), "{tried}");
            assert!(world.asked.starts_with("pupup"), "{}", world.asked);
            assert!(world.seen.len() + tried >= 590, "{}", world.seen.len());
            assert_eq!(of_kind(&world, 0, StampKind::Kernel), world.seen.len());
            assert_eq!(world.client.reach(), 0xff, "silence over PTP is no silence");
            assert_eq!(world.client.statistics().fallbacks, 0);
            assert!(!mode || interleaved(&world.seen) + tried + 5 >= world.seen.len());
        }
    }
}

#[test]
fn at_long_intervals_an_attempt_delays_the_time_by_two_seconds_only() {
    let slow = ClientConfig {
        poll_min: Poll::new(10),
        poll_max: Poll::new(10),
        ..config(false)
    };
    let mut world = World::new(slow, Conditions::PERFECT, 32);
    world.client.set_ptp(PtpUse::Try);
    world.run(Duration::from_secs(3));
    assert_eq!((world.asked.as_str(), world.seen.len()), ("pu", 1));
    world.run(MINUTE * 60 * 24);
    let longest = world
        .seen
        .windows(2)
        .map(|pair| pair[1].given - pair[0].given)
        .max()
        .unwrap();
    assert!(
        longest < Duration::from_secs(1024 + 1024 / 50 + 3),
        "{longest:?}"
    );
}

#[test]
fn a_path_that_stops_carrying_it_is_noticed_within_a_few_polls() {
    for mode in [false, true] {
        let mut world = trying(mode, Conditions::PERFECT, SERVED, 33);
        world.run(MINUTE);
        world.ptp.carried = false;
        let (seen, asked) = (world.seen.len(), world.asked.len());
        world.run(Duration::from_secs(7));
        let since: String = world.asked.chars().skip(asked).collect();
        assert!(since.starts_with("ppppu"), "{since}");
        assert!(world.seen.len() > seen, "synchronised again");
        assert!(world.reachable);
        world.run(MINUTE);
        assert!(of_kind(&world, seen, StampKind::Kernel) > 50);
        // And found again.
        world.ptp.carried = true;
        world.run(MINUTE);
        assert!(world.asked.ends_with("pppppppp"), "{}", world.asked);
        assert_eq!(world.client.transport(), Transport::Ptp);
        assert_eq!(world.client.interleaved(), mode);
        world.check(&[world.offset]);
    }
}

#[test]
fn a_lossy_path_is_no_reason_to_leave_it_for_long() {
    let conditions = Conditions {
        loss: 15,
        ..Conditions::PERFECT
    };
    let mut world = trying(true, conditions, SERVED, 34);
    world.run(MINUTE * 20);
    world.check(&[world.offset]);
    let hardware = of_kind(&world, 0, StampKind::Hardware);
    assert!(hardware * 10 > world.seen.len() * 9, "{hardware}");
}

#[test]
fn switches_that_say_how_long_they_kept_a_packet_are_believed() {
    let conditions = Conditions {
        jitter: Duration::from_micros(400),
        ..Conditions::PERFECT
    };
    let transparent = Ptp {
        transparent: true,
        ..SERVED
    };
    let mut plain = trying(true, conditions, SERVED, 35);
    let mut world = trying(true, conditions, transparent, 35);
    for world in [&mut plain, &mut world] {
        world.run(MINUTE * 5);
        world.check(&[world.offset]);
    }
    let worst = |world: &World| {
        let seen = world.seen.iter().skip(3);
        let errors = seen.map(|seen| (seen.measured.offset - world.offset).abs());
        errors.max().unwrap()
    };
    assert!(worst(&plain) > Duration::from_micros(100));
    assert!(
        worst(&world) <= Duration::from_nanos(2),
        "{:?}",
        worst(&world)
    );
    for seen in &world.seen[3..] {
        let kept = seen.exchange.residence.expect("told in both directions");
        let wires = conditions.delay * 2;
        // One part in 10 000 stays in, in case the switches' clocks are fast.
        let left = (kept.request + kept.reply) / 10_000;
        assert!(close(seen.measured.delay, wires + left), "{seen:?}");
        assert!(seen.measured.uncertainty >= kept.request.max(kept.reply));
    }
}

#[test]
fn a_switch_that_lies_is_not_believed_beyond_what_is_possible() {
    // 400 us claimed where 200 us passed: the client sees that it cannot be.
    let liar = Ptp {
        transparent: true,
        exaggeration: Duration::from_micros(400),
        ..SERVED
    };
    let mut world = trying(true, Conditions::PERFECT, liar, 36);
    world.run(MINUTE);
    world.check(&[world.offset]);
    assert!(world.seen.len() > 50);
    assert!(
        world
            .seen
            .iter()
            .all(|seen| seen.exchange.residence.is_none())
    );
}

#[test]
fn always_means_always() {
    let mut world = trying(
        false,
        Conditions::PERFECT,
        Ptp {
            served: false,
            ..SERVED
        },
        37,
    );
    world.client.set_ptp(PtpUse::Always);
    world.run(MINUTE);
    assert!(!world.asked.contains('u'), "{}", world.asked);
    assert!(world.seen.is_empty() && !world.reachable);
}
