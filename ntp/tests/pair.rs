//! Client and server machines face to face, in virtual time, over networks good and bad.

#![expect(clippy::unwrap_used, reason = "tests")]

mod leap;
mod over_ptp;
mod secured;
mod world;

use clockwright_ntp::{
    ClientConfig, Header, KissCode, Leap, PtpUse, ReferenceId, Server, ServerConfig,
};
use clockwright_timebase::{Duration, Poll, StampKind};
use proptest::prelude::*;
use world::{Conditions, Dice, Ptp, SEND_LAG, Seen, World};

const MINUTE: Duration = Duration::from_secs(60);

fn config(interleaved: bool) -> ClientConfig {
    ClientConfig {
        interleaved,
        iburst: false,
        poll_min: Poll::new(0),
        poll_max: Poll::new(0),
        ..ClientConfig::default()
    }
}

fn close(a: Duration, b: Duration) -> bool {
    (a - b).abs() <= Duration::from_nanos(2)
}

/// How many of the exchanges were interleaved.
fn interleaved(seen: &[Seen]) -> usize {
    seen.iter().filter(|seen| seen.exchange.interleaved).count()
}

#[test]
fn basic_mode_is_off_by_half_the_send_lag() {
    let mut world = World::new(config(false), Conditions::PERFECT, 1);
    world.run(MINUTE);
    world.check(&[world.offset]);
    assert!(
        (58..=60).contains(&world.seen.len()),
        "{}",
        world.seen.len()
    );
    for Seen {
        exchange, measured, ..
    } in &world.seen
    {
        assert!(
            close(measured.offset - world.offset, -SEND_LAG.half()),
            "{measured:?}"
        );
        assert!(close(
            measured.delay,
            Conditions::PERFECT.delay * 2 + SEND_LAG
        ));
        assert_eq!(
            (exchange.t1.kind, exchange.t4.kind),
            (StampKind::Kernel, StampKind::Kernel)
        );
    }
    assert!(world.reachable);
    assert_eq!(world.client.reach(), 0xff);
    assert_eq!(world.server.statistics().interleaved, 0);
}

#[test]
fn interleaved_mode_is_exact() {
    let mut world = World::new(config(true), Conditions::PERFECT, 2);
    world.run(MINUTE);
    world.check(&[world.offset]);
    // Two exchanges in basic mode (the server remembers nothing for basic requests), one reply
    // that tells nothing new, and from then on one exchange a poll, in the next reply.
    let requests = usize::try_from(world.client.statistics().requests).unwrap();
    assert_eq!(world.seen.len(), requests - 1);
    assert_eq!(interleaved(&world.seen), requests - 3);
    assert_eq!(world.client.statistics().already_measured, 1);
    for Seen { measured, .. } in &world.seen[2..] {
        assert!(close(measured.offset, world.offset), "{measured:?}");
        assert!(close(measured.delay, Conditions::PERFECT.delay * 2));
    }
    assert!(world.client.interleaved());
    assert_eq!(world.client.statistics().rejected(), 0);
}

#[test]
fn stamps_that_come_after_the_reply_serve_all_the_same() {
    for mode in [false, true] {
        let conditions = Conditions {
            stamp_latency: Duration::from_millis(9),
            ..Conditions::PERFECT
        };
        let mut world = World::new(config(mode), conditions, 3);
        world.run(MINUTE);
        world.check(&[world.offset]);
        assert!(world.seen.len() >= 57, "{}", world.seen.len());
        assert!(
            world
                .seen
                .iter()
                .all(|seen| seen.exchange.t1.kind == StampKind::Kernel)
        );
        let held = world.client.statistics().held_replies;
        assert!(if mode { held <= 2 } else { held > 50 }, "{held}");
    }
}

#[test]
fn stamps_that_come_after_the_next_poll_serve_in_interleaved_mode() {
    let conditions = Conditions {
        stamp_latency: Duration::from_millis(900),
        ..Conditions::PERFECT
    };
    let mut world = World::new(config(true), conditions, 4);
    world.run(MINUTE * 2);
    world.check(&[world.offset]);
    let late = world.seen.iter().filter(|seen| seen.exchange.interleaved);
    let (total, kernel) = late.fold((0, 0), |(total, kernel), seen| {
        let is_kernel = seen.exchange.t1.kind == StampKind::Kernel;
        (total + 1, kernel + i32::from(is_kernel))
    });
    assert!(total > 80 && kernel == total, "{kernel} of {total}");
}

#[test]
fn a_lost_packet_now_and_then_hardly_hurts() {
    for mode in [false, true] {
        let conditions = Conditions {
            loss: 5,
            ..Conditions::PERFECT
        };
        // 300 requests each; one in ten, of these or of their replies, is lost, and in interleaved
        // mode the one after a loss is of less use.
        let (mut seen, mut basic) = (0, 0);
        for seed in 0..20 {
            let mut world = World::new(config(mode), conditions, seed);
            world.run(MINUTE * 5);
            world.check(&[world.offset]);
            seen += world.seen.len();
            basic += world.seen.len() - interleaved(&world.seen);
        }
        assert!(seen > 20 * 245, "{seen}");
        assert!(
            !mode || basic < 20 * 6,
            "{basic}: a basic reply waits for its better timestamp"
        );
    }
}

#[test]
fn an_awful_network_slows_but_never_deceives() {
    for mode in [false, true] {
        for seed in 0..20 {
            let mut world = World::new(config(mode), Conditions::AWFUL, seed);
            world.run(MINUTE * 5);
            world.check(&[world.offset]);
            assert!(world.seen.len() > 150, "{}", world.seen.len());
            assert!(
                !mode || interleaved(&world.seen) > 50,
                "{}",
                interleaved(&world.seen)
            );
            let statistics = world.client.statistics();
            assert!(statistics.bogus_origin > 20, "the forgeries were tried");
            assert!(statistics.duplicate > 20, "and so were replays");
            assert!(!world.client.denied());
            assert_eq!(world.client.poll(), Poll::new(0));
        }
    }
}

#[test]
fn a_restarted_server_is_interleaved_again_in_two_exchanges() {
    let mut world = World::new(config(true), Conditions::PERFECT, 6);
    world.run(MINUTE);
    let before = world.seen.len();
    world.server = Server::new(ServerConfig::default());
    world.run(Duration::from_secs(10));
    world.check(&[world.offset]);
    assert!(world.client.interleaved());
    let after = &world.seen[before..];
    assert!(after.len() >= 8, "{}", after.len());
    assert!(interleaved(after) + 1 >= after.len());
}

#[test]
fn a_step_of_the_server_is_never_mixed_into_an_exchange() {
    for (seed, step_ms) in [(7, 1), (8, -1), (9, 50), (10, -50), (11, 4000), (12, -4000)] {
        let step = Duration::from_millis(step_ms);
        for mode in [false, true] {
            let mut world = World::new(config(mode), Conditions::PERFECT, seed);
            let mut dice = Dice(seed);
            let mut offsets = vec![world.offset];
            for _ in 0..10 {
                // At any phase of the exchange.
                world.run(Duration::from_secs(5) + dice.up_to(Duration::from_secs(1)));
                world.offset += step;
                world.server.clock_stepped();
                offsets.push(world.offset);
            }
            world.run(Duration::from_secs(5));
            world.check(&offsets);
            assert!(world.seen.len() > 40, "{}", world.seen.len());
            let last = world.seen.last().unwrap();
            assert!((last.measured.offset - world.offset).abs() <= last.measured.delay.half());
        }
    }
}

#[test]
fn era_0_ends_and_nobody_notices() {
    // 2036-02-07T06:28:16Z (RFC 5905 section 6).
    let roll_over = Duration::from_secs(2_085_978_496);
    for mode in [false, true] {
        let mut world = World::new(config(mode), Conditions::PERFECT, 13);
        world.offset = roll_over - Duration::from_secs(30) - world.now.since_epoch();
        world.system.reference_time = world.utc();
        world.run(MINUTE);
        world.check(&[world.offset]);
        assert!(
            (57..=60).contains(&world.seen.len()),
            "{}",
            world.seen.len()
        );
        assert!(world.utc().since_epoch() > roll_over);
        let first = world.seen.first().unwrap().exchange.t2;
        let last = world.seen.last().unwrap().exchange.t2;
        assert!(first.to_bits() > last.to_bits(), "the wire has wrapped");
        assert_eq!(world.client.statistics().rejected(), 0);
    }
}

/// What a server does to a client that it finds too busy.
fn rate(reply: Header) -> Header {
    Header {
        leap: Leap::Unsynchronized,
        stratum: 0,
        reference_id: ReferenceId(*b"RATE"),
        ..reply
    }
}

#[test]
fn a_true_kiss_is_obeyed_and_forgiven() {
    let mut world = World::new(config(true), Conditions::PERFECT, 14);
    world.run(Duration::from_secs(10));
    world.rewrite = Some(rate);
    world.run(Duration::from_secs(20));
    let kisses = world.kisses.len();
    assert!(
        (3..=5).contains(&kisses),
        "{kisses}: the interval doubles each time"
    );
    assert!(world.kisses.iter().all(|kiss| *kiss == KissCode::Rate));
    assert!(world.client.poll() >= Poll::new(3));
    world.rewrite = None;
    world.run(MINUTE * 60);
    assert_eq!(world.client.poll(), Poll::new(0));
    world.rewrite = Some(|reply| reply);
    world.check(&[world.offset]);
}

#[test]
fn forged_kisses_have_no_effect() {
    let conditions = Conditions {
        forgery: 100,
        ..Conditions::PERFECT
    };
    for mode in [false, true] {
        let mut world = World::new(config(mode), conditions, 15);
        world.run(MINUTE);
        world.check(&[world.offset]);
        assert!(world.client.statistics().bogus_origin > 40);
        assert!(world.seen.len() >= 57, "{}", world.seen.len());
        assert_eq!(world.client.poll(), Poll::new(0));
    }
}

#[test]
fn an_unsynchronised_server_is_not_followed() {
    for (leap, stratum) in [(Leap::Unsynchronized, 1), (Leap::None, 16)] {
        let mut world = World::new(config(true), Conditions::PERFECT, 16);
        world.system.leap = leap;
        world.system.stratum = stratum;
        world.run(MINUTE);
        assert!(world.seen.is_empty());
        assert!(!world.reachable);
        assert!(world.client.statistics().unsynchronized > 10);
        assert!(world.kisses.is_empty());
        world.system = World::new(config(true), Conditions::PERFECT, 0).system;
        world.run(MINUTE);
        assert!(world.reachable);
        world.check(&[world.offset]);
    }
}

#[test]
fn a_server_without_memory_serves_an_interleaved_client_in_basic_mode() {
    let mut world = World::new(config(true), Conditions::PERFECT, 17);
    world.server = Server::new(ServerConfig {
        interleaved_capacity: 0,
    });
    world.run(MINUTE);
    world.check(&[world.offset]);
    assert!((58..=60).contains(&world.seen.len()));
    assert_eq!(interleaved(&world.seen), 0);
}

#[test]
fn a_dead_server_is_reported_and_found_again() {
    let mut world = World::new(config(true), Conditions::PERFECT, 18);
    world.run(MINUTE);
    world.conditions.loss = 100;
    world.run(MINUTE);
    assert!(!world.reachable);
    assert_eq!(world.client.reach(), 0);
    assert_eq!(world.client.statistics().fallbacks, 1);
    let before = world.seen.len();
    world.conditions.loss = 0;
    world.run(MINUTE);
    assert!(world.reachable && world.client.interleaved());
    assert!(world.seen.len() > before + 50);
    world.check(&[world.offset]);
}

#[test]
fn the_same_seed_makes_the_same_history() {
    let run = || {
        let mut world = World::new(config(true), Conditions::AWFUL, 19);
        world.run(MINUTE);
        let exchanges: Vec<_> = world.seen.iter().map(|seen| seen.exchange).collect();
        (
            exchanges,
            *world.client.statistics(),
            *world.server.statistics(),
        )
    };
    assert_eq!(run(), run());
}

fn conditions() -> impl Strategy<Value = Conditions> {
    (
        1i64..50_000,
        0i64..300_000,
        0u64..40,
        0u64..40,
        0i64..2_000,
        0u64..40,
        0u64..50,
        0u64..50,
        0u64..50,
    )
        .prop_map(
            |(delay, jitter, loss, duplication, latency, stamp_loss, forgery, replay, twice)| {
                Conditions {
                    delay: Duration::from_micros(delay),
                    jitter: Duration::from_micros(jitter),
                    loss,
                    duplication,
                    stamp_latency: Duration::from_millis(latency),
                    stamp_loss,
                    forgery,
                    replay,
                    stamp_duplication: twice,
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the network does, the truth is within half the delay, and nothing is counted
    /// twice.
    #[test]
    fn no_network_deceives(
        conditions in conditions(), mode: bool, iburst: bool, seed: u64, log2 in -4i8..5,
        ptp in prop::sample::select(&[PtpUse::Never, PtpUse::Try, PtpUse::Always]),
        served: bool, carried: bool, transparent: bool,
    ) {
        let config = ClientConfig {
            iburst,
            poll_min: Poll::new(log2),
            poll_max: Poll::new(log2 + 2),
            ..config(mode)
        };
        let mut world = World::new(config, conditions, seed);
        world.client.set_ptp(ptp);
        world.client.set_stamping(StampKind::Hardware, Duration::from_millis(10));
        world.ptp = Ptp { served, carried, transparent, exaggeration: Duration::ZERO };
        world.run(MINUTE * 3);
        world.check(&[world.offset]);
        prop_assert!(!world.client.denied());
    }
}
