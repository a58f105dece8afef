//! What is different after the host slept or was moved.

use clockwright_discipline::{Leap, Sample, SourceId};
use clockwright_timebase::{Duration, Poll};

use super::bench::{Bench, NEVER, ms, step};

/// A clock that has followed a source for a while.
fn settled(policy: clockwright_discipline::StepPolicy) -> Bench {
    let mut bench = Bench::new(ms(0), policy);
    bench.add(1);
    bench.rounds(30, &[(1, ms(0))]);
    bench
}

fn disrupt(bench: &mut Bench) {
    bench.discipline.restart(bench.now);
    bench.carry_out();
}

#[test]
fn after_a_disruption_the_clock_is_stepped_by_the_policy_for_that() {
    let mut bench = settled(NEVER);
    bench.discipline.set_resume_policy(step(ms(100), 3));
    disrupt(&mut bench);
    bench.rounds(4, &[(1, ms(5_000))]);
    assert_eq!(bench.steps, [ms(5_000)]);
    let mut bench = settled(step(ms(100), 3));
    bench.discipline.set_resume_policy(NEVER);
    disrupt(&mut bench);
    bench.rounds(4, &[(1, ms(5_000))]);
    assert!(bench.steps.is_empty(), "{:?}", bench.steps);
}

#[test]
fn the_policy_for_after_a_disruption_does_not_count_at_the_start() {
    let mut bench = Bench::new(ms(5_000), NEVER);
    bench.discipline.set_resume_policy(step(ms(100), 3));
    bench.add(1);
    bench.rounds(10, &[(1, ms(0))]);
    assert!(bench.steps.is_empty(), "{:?}", bench.steps);
}

#[test]
fn after_a_move_the_frequency_is_that_of_any_crystal_and_after_sleep_as_it_was() {
    let mut bench = settled(NEVER);
    let known = bench.status().frequency_sd;
    disrupt(&mut bench);
    let after_sleep = bench.status().frequency_sd;
    assert!(after_sleep < 2.0 * known, "{after_sleep:e} {known:e}");
    bench.discipline.restart_elsewhere(bench.now);
    bench.carry_out();
    let status = bench.status();
    assert!(!status.synchronized);
    assert!(status.frequency_sd >= 100e-6, "{status:?}");
}

#[test]
fn after_a_disruption_sources_are_asked_as_often_as_they_may_be() {
    let mut bench = Bench::new(ms(0), NEVER);
    bench.add(1);
    // So far away that its noise is not noticed.
    for round in 0..120 {
        bench.pass(Duration::from_secs(1));
        let error = Duration::from_micros(if round % 2 == 0 { 30 } else { -30 });
        let near = bench.sample(error, Leap::None);
        let far = Sample {
            delay: Duration::from_millis(200),
            ..near
        };
        bench.hand_in(1, &far);
    }
    assert!(
        bench
            .polls
            .last()
            .is_some_and(|(_, poll)| *poll > Poll::new(0))
    );
    disrupt(&mut bench);
    assert_eq!(bench.polls.last(), Some(&(SourceId(1), Poll::new(0))));
}
