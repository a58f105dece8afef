//! Gains that are fixed, and sources that come and go.

use clockwright_discipline::{Gains, Leap, SourceId};
use clockwright_timebase::Duration;

use super::bench::{Bench, NEVER, ms};

const fn us(n: i64) -> Duration {
    Duration::from_micros(n)
}

/// A source whose samples are off by 1 us to either side, in turn.
fn settled(gains: Option<Gains>) -> Bench {
    let mut bench = Bench::new(ms(0), NEVER);
    bench.discipline.set_gains(gains);
    bench.add(1);
    for _ in 0..60 {
        bench.rounds(1, &[(1, us(1))]);
        bench.rounds(1, &[(1, us(-1))]);
    }
    bench
}

/// Of a sample that is off by 2 us, how much goes into the clock.
fn response(bench: &mut Bench) -> f64 {
    bench.pass(ms(1000));
    let before = bench.status().offset_s + bench.error().as_secs_f64();
    let sample = bench.sample(Duration::from_secs_f64(before) + us(2), Leap::None);
    bench.hand_in(1, &sample);
    let after = bench.status().offset_s + bench.error().as_secs_f64();
    (after - before) / 2e-6
}

#[test]
fn fixed_gains_are_what_a_sample_counts() {
    for (a, b) in [(0.7, 0.3), (0.1, 0.005)] {
        let found = response(&mut settled(Gains::new(a, b)));
        assert!((found - a).abs() < 0.01, "{found}, not {a}");
    }
    let free = response(&mut settled(None));
    assert!(free < 0.3, "{free}: noise alone is not worth following");
}

#[test]
fn gains_are_fixed_and_freed_while_it_runs() {
    let mut bench = settled(None);
    bench.discipline.set_gains(Gains::new(0.7, 0.3));
    bench.rounds(2, &[(1, us(1))]);
    assert!((response(&mut bench) - 0.7).abs() < 0.01);
    bench.discipline.set_gains(None);
    bench.rounds(2, &[(1, us(1))]);
    assert!(response(&mut bench) < 0.3);
}

/// The clock goes from the one to the other by its frequency, a microsecond in each second.
#[test]
fn a_change_of_sources_is_no_step() {
    let mut bench = Bench::new(ms(0), NEVER);
    bench.add(1);
    bench.add(2);
    let both = [(1, us(0)), (2, us(40))];
    bench.rounds(60, &both);
    for (leaves, stays) in [(1, 2), (2, 1)] {
        bench.discipline.remove_source(SourceId(leaves));
        let at = bench.frequencies.len();
        let error = if stays == 2 { us(40) } else { us(0) };
        bench.rounds(60, &[(stays, error)]);
        let fastest = bench.frequencies[at..]
            .iter()
            .fold(0.0_f64, |a, b| a.max(b.abs()));
        assert!(fastest < 200e-6, "{fastest}");
        let off = (bench.error() - error).abs();
        assert!(off < us(1), "{off:?}");
        bench.add(leaves);
        bench.rounds(60, &both);
    }
    assert!(bench.steps.is_empty());
}
