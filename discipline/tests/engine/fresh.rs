//! Exchanges that are handed in before they are complete.

use clockwright_discipline::{Fresh, Leap, SourceId, Verdict};
use clockwright_timebase::Duration;

use super::bench::{Bench, NEVER, ms};

const fn us(n: i64) -> Duration {
    Duration::from_micros(n)
}

/// A source of 1 us of noise that has been heard for two minutes, every second.
fn settled() -> Bench {
    let mut bench = Bench::new(ms(0), NEVER);
    bench.add(1);
    for _ in 0..60 {
        bench.rounds(1, &[(1, us(1))]);
        bench.rounds(1, &[(1, us(-1))]);
    }
    bench
}

/// What is foreseen of a source that is ahead of UTC by `error`.
fn foresee(bench: &mut Bench, error: Duration) -> Option<Verdict> {
    let fresh = Fresh {
        sample: bench.sample(error, Leap::None),
        deviation_s: 0.0,
    };
    let reading = bench.reading();
    let verdict = bench.discipline.handle_fresh(SourceId(1), &fresh, reading);
    bench.carry_out();
    verdict
}

/// How far ahead of the truth the discipline believes UTC to be.
fn believed_ns(bench: &Bench) -> f64 {
    (bench.status().offset_s + bench.error().as_secs_f64()) * 1e9
}

#[test]
fn what_is_foreseen_moves_the_clock_until_the_complete_one_comes() {
    let mut bench = settled();
    bench.pass(ms(1000));
    let before = believed_ns(&bench);
    assert_eq!(foresee(&mut bench, us(3)), Some(Verdict::Accepted));
    let moved = believed_ns(&bench) - before;
    assert!((20.0..2000.0).contains(&moved), "{moved}");
    bench.pass(ms(500));
    let shown = bench.error().as_secs_f64() * 1e9 - before;
    assert!((shown - moved).abs() < 0.3 * moved, "{shown}, not {moved}");
    // The complete one says otherwise: nothing of the guess is left.
    let untouched = {
        let mut other = settled();
        other.pass(ms(1500));
        other.say(1, ms(0));
        believed_ns(&other)
    };
    bench.say(1, ms(0));
    let left = believed_ns(&bench);
    assert!((left - untouched).abs() < 0.5, "{left}, not {untouched}");
}

#[test]
fn what_contradicts_the_estimate_widens_the_bound_and_moves_nothing() {
    let mut bench = settled();
    bench.pass(ms(1000));
    let before = bench.status().error_bound_s;
    assert_eq!(foresee(&mut bench, us(500)), Some(Verdict::Suspect));
    assert!(believed_ns(&bench).abs() < 1000.0);
    let after = bench.status().error_bound_s;
    assert!(after > before + 450e-6, "{before} to {after}");
}

#[test]
fn of_a_source_hardly_known_nothing_is_foreseen() {
    let mut bench = Bench::new(ms(0), NEVER);
    bench.add(1);
    bench.rounds(2, &[(1, ms(0))]);
    bench.pass(ms(1000));
    let verdict = foresee(&mut bench, us(50));
    assert_eq!(verdict, Some(Verdict::First));
    assert!(believed_ns(&bench).abs() < 100.0);
}

#[test]
fn one_of_the_first_few_counts_before_it_is_complete() {
    let mut bench = Bench::new(ms(0), NEVER);
    bench.add(1);
    for off in [us(10), us(-10), us(10), us(-10)] {
        bench.rounds(1, &[(1, off)]);
    }
    bench.pass(ms(1000));
    let before = believed_ns(&bench);
    let verdict = foresee(&mut bench, us(10));
    assert_eq!(verdict, Some(Verdict::Accepted));
    let moved = believed_ns(&bench) - before;
    assert!((1000.0..12_000.0).contains(&moved), "{moved}");
}
