//! Server and client over instants at which counts of seconds jump, or run over.

use clockwright_timebase::Duration;

use super::world::{Conditions, Dice, World};
use super::{MINUTE, config};

/// 2038-01-19T03:14:08Z, where 32-bit counts from 1970 run over.
const YEAR_2038: Duration = Duration::from_secs(1 << 31);
/// 2036-02-07T06:28:16Z, where NTP's era 0 ends (RFC 5905 section 6).
const YEAR_2036: Duration = Duration::from_secs(2_085_978_496);

#[test]
fn nothing_happens_where_counts_run_over() {
    for (seed, instant) in (0..).zip([YEAR_2036, YEAR_2038]) {
        for conditions in [Conditions::PERFECT, Conditions::AWFUL] {
            let mut world = World::new(config(true), conditions, seed);
            world.offset = instant - Duration::from_secs(300) - world.now.since_epoch();
            world.run(MINUTE * 10);
            world.check(&[world.offset]);
            let asked = world.client.statistics().requests;
            let enough = if conditions.loss == 0 {
                asked - 1
            } else {
                asked / 4
            };
            let seen = u64::try_from(world.seen.len()).unwrap_or(0);
            assert!(seen >= enough, "{seen} of {asked}");
        }
    }
}

/// Whatever is on its way when the server makes a leap second: each measurement is of the time
/// before or of the time after, and never of a mixture.
#[test]
fn no_measurement_mixes_the_times_before_and_after_a_leap_second() {
    let mut dice = Dice(5);
    for shift in [-1, 1] {
        for interleaved in [false, true] {
            for seed in 0..20 {
                let mut world = World::new(config(interleaved), Conditions::PERFECT, seed);
                let before = world.offset;
                world.run(Duration::from_secs(10));
                // In the quarter of a millisecond around a poll.
                let poll = world.client.next_timeout().map(|due| due - world.now);
                let wait = poll.unwrap_or(Duration::ZERO) - Duration::from_micros(20);
                world.run(wait + dice.up_to(Duration::from_micros(250)));
                world.offset = before + Duration::from_secs(shift);
                let after = world.offset;
                world.run(MINUTE);
                world.check(&[before, after]);
                let seen = world.seen.iter().filter(|seen| {
                    let measured = seen.measured;
                    (measured.offset - after).abs() < Duration::from_millis(1)
                });
                assert!(seen.count() > 50, "the time after is seen");
            }
        }
    }
}
