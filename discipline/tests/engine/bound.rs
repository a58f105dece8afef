//! What the bound says when samples contradict each other, or themselves.

use clockwright_discipline::{Leap, Sample, Verdict};
use clockwright_timebase::Duration;

use crate::bench::{Bench, NEVER, ms};

impl Bench {
    /// The clock is within the bound of UTC, now and until just before the next second.
    fn assert_bound_holds(&mut self) {
        for _ in 0..9 {
            let (error, bound) = (self.error().as_secs_f64(), self.status().error_bound_s);
            assert!(error.abs() <= bound, "{:?}: {error} {bound}", self.now);
            self.pass(ms(100));
        }
        self.pass(ms(100));
    }

    /// A sample whose delay is as said.
    fn sample_of(&self, error: Duration, delay: Duration) -> Sample {
        Sample {
            delay,
            ..self.sample(error, Leap::None)
        }
    }
}

#[test]
fn a_source_that_is_set_while_it_is_new_is_within_the_bound_from_then_on() {
    for wrong in 1..16 {
        let mut bench = Bench::new(ms(0), NEVER);
        bench.add(1);
        bench.rounds(wrong, &[(1, ms(1))]);
        bench.pass(ms(1000));
        for _ in 0..100 {
            bench.say(1, ms(0));
            bench.assert_bound_holds();
        }
    }
}

#[test]
fn a_round_trip_of_less_than_nothing_neither_moves_the_clock_nor_shrinks_the_bound() {
    let mut bench = Bench::new(ms(0), NEVER);
    bench.add(1);
    bench.rounds(60, &[(1, ms(0))]);
    let before = bench.status();
    for _ in 0..40 {
        // The server said that it would send by 8.3 us + 200 us later than it did.
        bench.pass(ms(1000));
        let sample = bench.sample_of(Duration::from_micros(104), -Duration::from_nanos(8300));
        bench.hand_in(1, &sample);
    }
    let after = bench.status();
    let error = bench.error().as_secs_f64().abs();
    assert!(error < after.error_bound_s, "{error}");
    assert!(error < 105e-6, "{error}");
    assert!(after.error_bound_s >= before.error_bound_s);
}

#[test]
fn the_bound_grows_at_the_rate_that_a_suspect_sample_shows() {
    let mut bench = Bench::new(ms(0), NEVER);
    bench.add(1);
    bench.rounds(60, &[(1, ms(0))]);
    bench.pass(ms(1000));
    let verdict = bench.say(1, Duration::from_micros(10));
    assert_eq!(verdict, Some(Verdict::Suspect));
    let then = bench.status().error_bound_s;
    bench.pass(ms(2000));
    let later = bench.status().error_bound_s;
    assert!((later - then - 20e-6).abs() < 1e-6, "{then} {later}");
    // The next one refutes it.
    bench.say(1, ms(0));
    assert!(bench.status().error_bound_s < then - 9e-6);
}

#[test]
fn an_oscillator_that_may_jump_makes_the_bound_grow_between_samples() {
    let mut bench = Bench::new(ms(0), NEVER);
    bench.add(1);
    bench.rounds(60, &[(1, ms(0))]);
    bench.discipline.set_max_frequency_step(10e-6);
    bench.rounds(1, &[(1, ms(0))]);
    let then = bench.status().error_bound_s;
    bench.pass(ms(3000));
    let grown = bench.status().error_bound_s - then;
    assert!((30e-6..31e-6).contains(&grown), "{grown}");
}
