//! The table against a naive model, and what it promises.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000;

/// A time that is nothing special.
const NOW: u64 = 1_000 * SECOND;

/// No randomness leaks through this: it is the largest.
const NEVER: u32 = u32::MAX;

fn per_second(burst: u16) -> Limit {
    Limit::new(Duration::from_secs(1), burst)
}

fn hosts() -> Prefixes {
    Prefixes::new(32, 64)
}

fn client(text: &str) -> ClientKey {
    hosts().client(text.parse().unwrap())
}

/// How many of `count` requests at `now` are answered.
fn answered(table: &ClientTable, who: ClientKey, now: u64, limit: &Limit, count: u32) -> usize {
    let ask = |_| table.note(table.expect(who), Bucket::Open, now, Some(limit), NEVER);
    (0..count)
        .map(ask)
        .filter(|it| *it == Verdict::Answer)
        .count()
}

#[test]
fn a_client_is_a_network_and_can_be_shown() {
    for (prefixes, address, network) in [
        (hosts(), "192.0.2.7", ("192.0.2.7", 32)),
        (hosts(), "::ffff:192.0.2.7", ("192.0.2.7", 32)),
        (hosts(), "255.255.255.255", ("255.255.255.255", 32)),
        (hosts(), "2001:db8:1:2:3:4:5:6", ("2001:db8:1:2::", 64)),
        (hosts(), "::1", ("::", 64)),
        (Prefixes::new(8, 16), "10.9.8.7", ("10.0.0.0", 8)),
        (Prefixes::new(24, 48), "10.9.8.7", ("10.9.8.0", 24)),
        (
            Prefixes::new(24, 48),
            "2001:db8:1:2::",
            ("2001:db8:1::", 48),
        ),
        (Prefixes::new(0, 0), "10.9.8.7", ("0.0.0.0", 0)),
        (Prefixes::new(0, 0), "2001:db8::1", ("::", 0)),
    ] {
        let key = prefixes.client(address.parse().unwrap());
        let expected = (network.0.parse().unwrap(), network.1);
        assert_eq!(prefixes.network(key), expected, "{address}");
        assert_ne!(key.0, NOBODY);
    }
    assert_eq!(client("2001:db8::1"), client("2001:db8::2"));
    assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
}

#[test]
fn a_burst_is_answered_and_then_one_each_interval() {
    let table = ClientTable::new(64);
    let (who, limit) = (client("192.0.2.1"), per_second(4));
    assert_eq!(answered(&table, who, NOW, &limit, 10), 4);
    assert_eq!(answered(&table, who, NOW + SECOND - 1, &limit, 10), 0);
    assert_eq!(answered(&table, who, NOW + SECOND, &limit, 10), 1);
    // The bucket is full again after a pause of the whole burst, and not fuller later.
    assert_eq!(answered(&table, who, NOW + 4 * SECOND, &limit, 10), 3);
    assert_eq!(answered(&table, who, NOW + 1000 * SECOND, &limit, 10), 4);
    // Another one has a bucket of its own.
    assert_eq!(answered(&table, client("192.0.2.2"), NOW, &limit, 10), 4);
}

#[test]
fn who_keeps_to_the_interval_is_always_answered() {
    let table = ClientTable::new(8);
    let (who, limit) = (client("192.0.2.1"), per_second(1));
    for second in 0..100 {
        assert_eq!(answered(&table, who, NOW + second * SECOND, &limit, 1), 1);
    }
}

#[test]
fn requests_with_nts_have_a_bucket_of_their_own() {
    let table = ClientTable::new(8);
    let (who, limit) = (client("192.0.2.1"), per_second(2));
    assert_eq!(answered(&table, who, NOW, &limit, 5), 2);
    let authentic = |_| {
        table.note(
            table.expect(who),
            Bucket::Authentic,
            NOW,
            Some(&limit),
            NEVER,
        )
    };
    let answered: Vec<Verdict> = (0..3).map(authentic).collect();
    assert_eq!(answered, [Verdict::Answer, Verdict::Answer, Verdict::Drop]);
    let all = table.top(1)[0];
    assert_eq!((all.requests, all.limited), (8, 4));
}

#[test]
fn without_a_limit_or_a_table_everybody_is_answered() {
    let table = ClientTable::new(8);
    let who = client("192.0.2.1");
    for _ in 0..1000 {
        assert_eq!(
            table.note(table.expect(who), Bucket::Open, NOW, None, 0),
            Verdict::Answer
        );
    }
    // They were no debt.
    assert_eq!(answered(&table, who, NOW, &per_second(3), 9), 3);
    let talker = Talker {
        client: who,
        requests: 1009,
        limited: 6,
    };
    assert_eq!(table.top(5), [talker]);
    let none = ClientTable::new(0);
    assert_eq!(answered(&none, who, NOW, &per_second(1), 9), 9);
    assert_eq!((none.top(5), ClientTable::octets(0)), (vec![], 0));
}

#[test]
fn a_debt_from_a_stricter_limit_is_forgiven_when_it_is_relaxed() {
    let table = ClientTable::new(8);
    let who = client("192.0.2.1");
    let strict = Limit::new(Duration::from_secs(3600), 100);
    assert_eq!(answered(&table, who, NOW, &strict, 200), 100);
    let limit = per_second(4);
    assert_eq!(answered(&table, who, NOW, &limit, 1), 0);
    assert_eq!(answered(&table, who, NOW + SECOND, &limit, 5), 1);
    assert_eq!(answered(&table, who, NOW + 5 * SECOND, &limit, 5), 4);
}

#[test]
fn one_in_so_many_leaks_and_one_in_so_many_of_the_others_is_told() {
    let limit = Limit {
        leak: 4,
        kiss: 3,
        ..per_second(1)
    };
    let mut counts = HashMap::new();
    // Evenly over all values there are.
    for step in 0..1_200_000_u32 {
        let random = step.wrapping_mul(0x9e37_79b1);
        *counts
            .entry(format!("{:?}", limit.beyond(random)))
            .or_insert(0) += 1;
    }
    for (verdict, expected) in [("Answer", 300_000), ("Kiss", 300_000), ("Drop", 600_000)] {
        let count: i32 = counts[verdict];
        assert!((count - expected).abs() < 3_000, "{verdict}: {count}");
    }
    let always = Limit {
        kiss: 1,
        ..per_second(1)
    };
    let never = per_second(1);
    for random in [0, 1, 1 << 31, NEVER] {
        assert_eq!(always.beyond(random), Verdict::Kiss);
        assert_eq!(never.beyond(random), Verdict::Drop);
    }
}

#[test]
fn what_leaks_does_not_make_the_debt_greater() {
    let table = ClientTable::new(8);
    let limit = Limit {
        leak: 2,
        ..per_second(1)
    };
    let who = client("192.0.2.1");
    for _ in 0..1000 {
        assert_eq!(
            table.note(table.expect(who), Bucket::Open, NOW, Some(&limit), 0),
            Verdict::Answer
        );
    }
    assert_eq!(answered(&table, who, NOW + SECOND, &limit, 2), 1);
}

#[test]
fn limits_are_made_of_the_configuration() {
    let config = RateConfig {
        interval: Duration::from_millis(250),
        burst: 5,
        leak: 6,
        kiss: 7,
    };
    let limit = Limit {
        interval: 250_000,
        early: 1_000_000,
        leak: 6,
        kiss: 7,
    };
    assert_eq!(Limit::from(&config), limit);
    let config = NtsRateConfig {
        interval: Duration::from_micros(1),
        burst: 1,
        leak: 0,
    };
    assert_eq!(
        Limit::from(&config),
        Limit::new(Duration::from_micros(1), 1)
    );
    assert_eq!(Limit::new(Duration::from_nanos(1_500), 1).interval, 2);
    // The largest that can be configured is far from the end of what can be counted.
    let largest = Limit::new(Duration::from_secs(3600), u16::MAX);
    assert!(largest.latest(1 << 62) < u64::MAX);
}

#[test]
fn the_one_that_was_silent_the_longest_makes_room_and_leaves_no_debt() {
    // One set, which all share.
    let table = ClientTable::new(8);
    let limit = per_second(2);
    let host = |number: usize| client(&format!("192.0.2.{number}"));
    for number in 0..8 {
        assert_eq!(
            answered(&table, host(number), NOW + number as u64, &limit, 9),
            2
        );
    }
    // The first is heard of again, so the second is the oldest.
    answered(&table, host(0), NOW + 10, &limit, 1);
    assert_eq!(answered(&table, host(100), NOW + 11, &limit, 9), 2);
    let known = |number| table.top(9).iter().any(|it| it.client == host(number));
    assert!(known(0) && !known(1) && known(2) && known(100));
    let newcomer = table.top(9).into_iter().find(|it| it.client == host(100));
    assert_eq!(newcomer.map(|it| (it.requests, it.limited)), Some((9, 7)));
    // Those that stayed are still in debt, and who was forgotten is not.
    assert_eq!(answered(&table, host(0), NOW + 12, &limit, 1), 0);
    assert_eq!(answered(&table, host(1), NOW + 13, &limit, 9), 2);
}

#[test]
fn the_memory_is_what_is_said_and_a_million_clients_do_not_change_it() {
    assert_eq!(ClientTable::octets(16_384), 16_384 * 40);
    assert_eq!((ClientTable::octets(1), ClientTable::octets(9)), (320, 640));
    let table = ClientTable::new(1000);
    let (place, sets) = (table.sets.as_ptr(), table.sets.len());
    for number in 0..1_000_000_u32 {
        let who = hosts().client(Ipv4Addr::from_bits(number).into());
        table.note(table.expect(who), Bucket::Open, u64::from(number), None, 0);
    }
    assert_eq!((table.sets.as_ptr(), table.sets.len()), (place, sets));
    assert_eq!(size_of_val(&*table.sets), ClientTable::octets(1000));
    assert_eq!(table.top(usize::MAX).len(), 1000);
}

/// As many clients as there are places fill most of them: no address pattern is bad.
#[test]
fn clients_spread_over_the_sets() {
    for step in [1, 256, 65_536] {
        let table = ClientTable::new(1 << 12);
        for number in 0..1 << 12 {
            let address = Ipv4Addr::from_bits(u32::wrapping_mul(number, step));
            table.note(
                table.expect(hosts().client(address.into())),
                Bucket::Open,
                1,
                None,
                0,
            );
        }
        // Of places filled at random in sets of eight 86 % are taken (Poisson); where addresses
        // repeat there are fewer to place.
        let distinct = ((1_u64 << 32) / u64::from(step)).min(1 << 12);
        let kept = table.top(usize::MAX).len();
        assert!(kept as u64 * 100 > distinct * 82, "{step}: {kept}");
    }
}

#[test]
fn in_another_table_other_clients_share_a_set() {
    let (one, two) = (ClientTable::new(4096), ClientTable::new(4096));
    let place = |table: &ClientTable, number| {
        let who = hosts().client(Ipv4Addr::from_bits(number).into());
        table.set_of(who).unwrap()
    };
    let same = (0..1000).filter(|it| place(&one, *it) == place(&two, *it));
    assert!(same.count() < 20);
}

#[test]
fn the_top_is_sorted_and_no_longer_than_asked_for() {
    let table = ClientTable::new(4096);
    let host = |number: u32| hosts().client(Ipv4Addr::from_bits(number).into());
    for number in 0..100_u32 {
        for _ in 0..=number / 2 {
            table.note(table.expect(host(number)), Bucket::Open, NOW, None, 0);
        }
    }
    let top = |most| -> Vec<(ClientKey, u64)> {
        let all = table.top(most).into_iter();
        all.map(|it| (it.client, it.requests)).collect()
    };
    let three = vec![(host(98), 50), (host(99), 50), (host(96), 49)];
    assert_eq!(top(3), three);
    assert_eq!((top(0).len(), top(1000).len()), (0, 100));

    // Of several workers, the sums.
    let other = ClientTable::new(8);
    for _ in 0..3 {
        other.note(other.expect(host(96)), Bucket::Open, NOW, None, 0);
    }
    let all = top_of_all(&[&table, &other], 2);
    assert_eq!((all[0].client, all[0].requests), (host(96), 52));
    assert_eq!(
        (all[1].client, all[1].requests, all.len()),
        (host(98), 50, 2)
    );
}

#[test]
fn others_may_look_while_requests_come_in() {
    let table = Arc::new(ClientTable::new(8));
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (table, done) = (Arc::clone(&table), Arc::clone(&done));
        std::thread::spawn(move || {
            let mut looked = 0_u64;
            while looked < 100 || !done.load(Ordering::Relaxed) {
                for talker in table.top(8) {
                    // Nobody asks more than a thousand times before he is forgotten.
                    assert!(talker.requests <= 1000, "{talker:?}");
                    assert!(talker.client.0 >= IPV4, "{talker:?}");
                }
                looked += 1;
            }
        })
    };
    for round in 0..2_000_u32 {
        let who = hosts().client(Ipv4Addr::from_bits(round).into());
        for _ in 0..1000 {
            table.note(table.expect(who), Bucket::Open, u64::from(round), None, 0);
        }
    }
    done.store(true, Ordering::Relaxed);
    reader.join().unwrap();
}

/// A bucket as it is usually described: tokens, which time adds to, in microseconds.
struct Tokens {
    level: u64,
    at: u64,
}

proptest! {
    /// The table answers as buckets of tokens do that are kept for ever, as long as nobody has to
    /// make room.
    #[test]
    fn the_table_is_a_bucket_for_each_client(
        interval in 1_u32..2_000,
        burst in 1_u16..9,
        requests in proptest::collection::vec((0_u8..6, 0_u64..3_000), 0..300),
    ) {
        let limit = Limit::new(Duration::from_micros(interval.into()), burst);
        let table = ClientTable::new(64);
        let interval = u64::from(interval);
        let full = interval * u64::from(burst);
        let mut buckets: HashMap<u8, Tokens> = HashMap::new();
        let mut now = NOW;
        for (who, pause) in requests {
            now += pause;
            let bucket = buckets.entry(who).or_insert(Tokens { level: full, at: now });
            bucket.level = (bucket.level + (now - bucket.at)).min(full);
            bucket.at = now;
            let fits = bucket.level >= interval;
            if fits {
                bucket.level -= interval;
            }
            let key = ClientKey(IPV4 | u64::from(who));
            let verdict = table.note(table.expect(key), Bucket::Open, now, Some(&limit), NEVER);
            prop_assert_eq!(verdict == Verdict::Answer, fits);
        }
    }

    /// Whatever the clock and the limit: no panic, and never more than the burst at once.
    #[test]
    fn no_time_is_too_early_or_too_late(
        times in proptest::collection::vec(prop_oneof![any::<u64>(), 0_u64..9, u64::MAX - 9..], 1..40),
        burst in 1_u16..,
        seconds in 0_i64..=3600,
    ) {
        let limit = Limit::new(Duration::from_secs(seconds), burst);
        let table = ClientTable::new(8);
        for now in times {
            table.note(table.expect(ClientKey(now)), Bucket::Open, now, Some(&limit), NEVER);
            table.note(table.expect(ClientKey(5)), Bucket::Open, now, Some(&limit), NEVER);
        }
    }
}
