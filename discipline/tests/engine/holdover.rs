//! Sources that are lost and found again.

use clockwright_discipline::{SourceId, State};
use clockwright_timebase::Duration;

use crate::bench::{Bench, NEVER, ms, step};

/// A clock that has followed one source for some minutes.
fn settled() -> Bench {
    let mut bench = Bench::new(ms(0), step(ms(1), 1000));
    bench.add(1);
    for round in 0..600 {
        let noise = Duration::from_nanos([50, -20, -40, 10][round % 4]);
        bench.rounds(1, &[(1, noise)]);
    }
    bench
}

fn lose(bench: &mut Bench) {
    bench.discipline.set_reachable(SourceId(1), false);
    bench.pass(ms(1));
}

#[test]
fn holdover_counts_from_the_last_update_and_ends_with_the_next() {
    let mut bench = settled();
    assert_eq!(bench.status().holdover_s, None);
    bench.pass(Duration::from_secs(8));
    lose(&mut bench);
    let held = bench.status().holdover_s;
    assert!(held.is_some_and(|s| (s - 8.001).abs() < 1e-6), "{held:?}");
    bench.pass(Duration::from_secs(100));
    let held = bench.status().holdover_s;
    assert!(held.is_some_and(|s| (s - 108.001).abs() < 1e-6), "{held:?}");
    bench.rounds(1, &[(1, ms(0))]);
    assert_eq!(bench.state(1), State::Selected);
    assert_eq!(bench.status().holdover_s, None);
}

#[test]
fn a_source_that_is_taken_away_leaves_the_clock_in_holdover() {
    let mut bench = settled();
    bench.discipline.remove_source(SourceId(1));
    bench.pass(Duration::from_secs(60));
    let status = bench.status();
    assert!(status.synchronized && status.holdover_s.is_some());
}

#[test]
fn what_is_served_in_holdover_grows_vaguer_until_it_is_unsynchronised() {
    let mut bench = settled();
    let stratum = bench.status().stratum;
    lose(&mut bench);
    let mut before = bench.status();
    let mut hours = 0;
    while before.synchronized {
        bench.pass(Duration::from_secs(3600));
        let status = bench.status();
        assert!(status.root_dispersion_s > before.root_dispersion_s);
        assert!((status.root_delay_s - before.root_delay_s).abs() < 1e-15);
        if status.synchronized {
            assert_eq!(status.stratum, stratum);
        } else {
            assert_eq!(status.stratum, 16);
            assert!(status.error_bound_s >= 3.0);
        }
        before = status;
        hours += 1;
        assert!(hours < 24 * 365, "never unsynchronised");
    }
    assert!(hours > 24, "{hours}");
}

#[test]
fn a_source_found_again_moves_the_clock_smoothly() {
    let mut bench = settled();
    // Steps were allowed at first, and are not any more.
    bench.discipline.reconfigure(NEVER, 0.05);
    bench.steps.clear();
    lose(&mut bench);
    bench.pass(Duration::from_secs(1800));
    let before = bench.status();
    let error = bench.error();
    // Meanwhile UTC and the oscillator have moved apart by 30 us.
    bench.say(1, Duration::from_micros(30));
    if bench.status().holdover_s.is_some() {
        bench.rounds(1, &[(1, Duration::from_micros(30))]);
    }
    let found = bench.status();
    assert_eq!(found.holdover_s, None);
    assert!(
        found.error_bound_s <= before.error_bound_s + 60e-6,
        "{found:?} after {before:?}"
    );
    let jump = bench.error() - error;
    assert!(jump.abs() < Duration::from_micros(1), "{jump:?}");
    bench.rounds(20, &[(1, Duration::from_micros(30))]);
    let off = bench.error() - Duration::from_micros(30);
    assert!(off.abs() < Duration::from_micros(2), "{off:?}");
    assert!(bench.status().error_bound_s < before.error_bound_s);
    assert_eq!(bench.steps, []);
}
