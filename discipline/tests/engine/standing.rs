//! Sources that are not to be followed as far as others: those without a voice, those that are
//! ignored, and those that have not proven who they are.

use clockwright_discipline::{Leap, SourceId, Standing, State};
use clockwright_timebase::Duration;
use proptest::prelude::*;

use crate::bench::{Bench, NEVER, ms, step};

/// One source with a voice, and three without.
fn one_and_three(initial_error: Duration) -> Bench {
    let mut bench = Bench::new(initial_error, step(ms(100), 3));
    bench.add(1);
    for id in 2..=4 {
        bench.add_as(id, Standing::Subordinate);
    }
    bench
}

#[test]
fn three_without_a_voice_do_not_outvote_the_one_that_has_it() {
    let mut bench = one_and_three(ms(0));
    let liars = [(2, ms(500)), (3, ms(500)), (4, ms(500)), (1, ms(0))];
    bench.rounds(30, &liars);
    assert_eq!(bench.state(1), State::Selected);
    for id in 2..=4 {
        assert_eq!(bench.state(id), State::Falseticker);
    }
    assert!(
        bench.reason(2).starts_with("500.0 ms ahead of the 1 of 1"),
        "{}",
        bench.reason(2)
    );
    assert!(bench.steps.is_empty());
    assert!(bench.error().abs() < Duration::from_micros(1));
}

#[test]
fn those_without_a_voice_are_averaged_where_they_agree() {
    let mut bench = one_and_three(ms(0));
    let near = Duration::from_micros(30);
    bench.rounds(30, &[(1, ms(0)), (2, near), (3, near), (4, near)]);
    assert_eq!(bench.state(1), State::Selected);
    assert_eq!(bench.state(3), State::Combined);
    let error = bench.error();
    assert!(
        Duration::from_micros(10) < error && error < near,
        "{error:?}"
    );
}

#[test]
fn alone_they_set_nothing_also_before_the_others_have_come() {
    // Not even known yet, as where its name is still being looked up.
    let mut bench = Bench::new(ms(0), step(ms(100), 3));
    for id in 2..=4 {
        bench.add_as(id, Standing::Subordinate);
    }
    let liars = [(2, ms(500)), (3, ms(500)), (4, ms(500))];
    bench.rounds(30, &liars);
    assert!(!bench.status().synchronized && bench.steps.is_empty());
    assert_eq!(bench.state(2), State::Unusable);
    assert!(
        bench.reason(2).contains("not followed alone"),
        "{}",
        bench.reason(2)
    );

    bench.add(1);
    bench.rounds(30, &[(1, ms(0))]);
    assert_eq!(bench.status().selected, Some(SourceId(1)));
    // Nor after they have gone.
    bench.discipline.set_reachable(SourceId(1), false);
    let before = bench.error();
    bench.rounds(30, &liars);
    assert_eq!(bench.state(2), State::Unusable);
    assert_eq!((bench.error(), bench.steps.len()), (before, 0));
}

#[test]
fn those_with_a_voice_wait_for_each_other_and_for_nobody_else() {
    // The subordinate ones came first, and the second of the others has yet to answer.
    let mut bench = one_and_three(ms(0));
    bench.rounds(6, &[(2, ms(0)), (3, ms(0))]);
    bench.add(5);
    bench.rounds(3, &[(1, ms(300))]);
    assert_eq!(bench.state(1), State::Waiting);
    assert!(bench.steps.is_empty());
    bench.rounds(3, &[(1, ms(300)), (5, ms(0))]);
    assert!(bench.steps.is_empty(), "two contradict each other");

    // One that is ignored, or never says anything and has no voice, holds nobody up.
    let mut bench = one_and_three(ms(-500));
    bench.add_as(5, Standing::Ignored);
    bench.rounds(3, &[(1, ms(0))]);
    assert_eq!(bench.steps, [ms(500)]);
}

#[test]
fn the_bound_and_the_leap_second_are_of_those_with_a_voice() {
    let mut bench = Bench::new(ms(0), NEVER);
    bench.add(1);
    for _ in 0..20 {
        bench.pass(Duration::from_secs(1));
        bench.say(1, ms(0));
    }
    let alone = bench.status().error_bound_s;
    let mut bench = one_and_three(ms(0));
    for _ in 0..20 {
        bench.pass(Duration::from_secs(1));
        bench.say(1, ms(0));
        for id in 2..=4 {
            // Closer to UTC than is possible, and of another opinion about leap seconds.
            let mut sample = bench.sample(ms(0), Leap::Insert);
            sample.delay = Duration::from_micros(80);
            bench.hand_in(id, &sample);
        }
    }
    assert_eq!(bench.state(2), State::Combined);
    assert_eq!(bench.discipline.leap(bench.now), Leap::None);
    let bound = bench.status().error_bound_s;
    assert!(
        (0.95 * alone..1.05 * alone).contains(&bound),
        "{bound} {alone}"
    );
}

#[test]
fn the_bound_grows_by_what_others_have_made_of_the_frequency() {
    // How fast the bound grows once nobody says anything, and the frequency then, both s/s.
    let silence = |with_others: bool| {
        let mut bench = one_and_three(ms(0));
        for round in 1..=5 {
            bench.rounds(1, &[(1, ms(0))]);
            if with_others {
                let lie = Duration::from_micros(4) * round;
                for id in 2..=4 {
                    bench.say(id, lie);
                }
            }
        }
        // Until the correction under way has ended.
        bench.pass(Duration::from_secs(10));
        let before = bench.status().error_bound_s;
        bench.pass(Duration::from_secs(100));
        let after = bench.status();
        ((after.error_bound_s - before) / 100.0, after.frequency)
    };
    let (alone, none) = silence(false);
    let (growth, frequency) = silence(true);
    assert!(none.abs() < 1e-9 && frequency > 1e-9, "{none} {frequency}");
    assert!(growth > alone + 0.99 * frequency, "{growth} {alone}");
}

#[test]
fn who_is_ignored_is_measured_and_nothing_else() {
    let mut bench = Bench::new(ms(0), step(ms(100), 3));
    bench.add(1);
    for id in 2..=4 {
        bench.add_as(id, Standing::Ignored);
        assert_eq!(bench.state(id), State::Unusable);
    }
    let all = [(2, ms(500)), (3, ms(500)), (4, ms(500)), (1, ms(0))];
    bench.rounds(30, &all);
    assert_eq!(bench.state(1), State::Selected);
    assert!(bench.steps.is_empty());
    assert_eq!(bench.state(2), State::Unusable);
    assert_eq!(
        bench.reason(2),
        "not authenticated, which selection.authentication asks for"
    );
    let status = bench.source(2);
    assert_eq!(status.samples, 30);
    assert!(
        status
            .offset_s
            .is_some_and(|offset| (offset - 0.5).abs() < 1e-3)
    );
    // Silence is silence, whatever the standing.
    bench.discipline.set_reachable(SourceId(2), false);
    bench.rounds(1, &[(1, ms(0))]);
    assert_eq!(bench.state(2), State::Unreachable);
}

#[test]
fn another_standing_counts_at_once() {
    let mut bench = Bench::new(ms(0), step(ms(100), 3));
    bench.add(1);
    bench.add(2);
    bench.rounds(20, &[(1, ms(0)), (2, ms(0))]);
    bench.change(1, Standing::Ignored);
    assert_eq!(bench.state(1), State::Unusable);
    assert_eq!(bench.state(2), State::Selected);
    bench.change(2, Standing::Subordinate);
    assert_eq!(bench.state(2), State::Unusable);
    bench.change(1, Standing::Ordinary);
    assert_eq!(bench.state(1), State::Selected);
    assert_eq!(bench.state(2), State::Combined);
    // What is known of it has stayed.
    assert_eq!(bench.source(1).samples, 20);
}

#[test]
fn who_has_not_proven_who_it_is_is_not_followed_until_it_has() {
    let mut bench = Bench::new(ms(0), step(ms(100), 3));
    for id in 1..=2 {
        bench.add(id);
        bench.discipline.set_proven(SourceId(id), false, bench.now);
    }
    bench.rounds(20, &[(1, ms(500)), (2, ms(500))]);
    assert_eq!(bench.state(1), State::Unusable);
    assert!(
        bench
            .reason(1)
            .starts_with("whether its certificate is valid is in doubt"),
        "{}",
        bench.reason(1)
    );
    assert!(bench.steps.is_empty() && !bench.status().synchronized);
    // Neither other options nor sleep prove anything.
    bench.change(1, Standing::Ordinary);
    bench.discipline.restart(bench.now);
    bench.carry_out();
    bench.rounds(20, &[(1, ms(500)), (2, ms(500))]);
    assert_eq!(bench.state(1), State::Unusable);

    bench.discipline.set_proven(SourceId(1), true, bench.now);
    assert_eq!(bench.state(1), State::Selected);
    bench.rounds(1, &[(1, ms(500))]);
    assert_eq!(bench.steps, [ms(500)]);
    assert_eq!(bench.state(2), State::Unusable);
}

#[test]
fn who_has_not_proven_who_it_is_leaves_nobody_else_the_word() {
    let mut bench = one_and_three(ms(0));
    bench.discipline.set_proven(SourceId(1), false, bench.now);
    bench.rounds(30, &[(1, ms(0)), (2, ms(500)), (3, ms(500)), (4, ms(500))]);
    assert_eq!(bench.state(2), State::Unusable);
    assert!(bench.steps.is_empty() && !bench.status().synchronized);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever those without a voice say, and whenever they say it: the clock stays where the one
    /// that has a voice says that UTC is, and the error bound contains the truth.
    #[test]
    fn nobody_without_a_voice_moves_the_clock_out_of_what_the_others_say(
        lies in prop::collection::vec((-400_i64..400, 10_i64..400, any::<bool>()), 60..120),
    ) {
        let mut bench = one_and_three(ms(0));
        for (round, lies) in lies.chunks(3).enumerate() {
            bench.pass(Duration::from_secs(1));
            // Still as it was set a second ago.
            let (error, bound) = (bench.error().as_secs_f64().abs(), bench.status().error_bound_s);
            prop_assert!(error <= bound, "{error} {bound}");
            prop_assert!(round < 12 || bound < 400e-6, "{bound}");
            if round % 3 == 0 || lies.iter().any(|lie| lie.2) {
                bench.say(1, ms(0));
            }
            for (id, (lie_us, delay_us, _)) in (2..).zip(lies) {
                let mut sample = bench.sample(Duration::from_micros(*lie_us), Leap::None);
                sample.delay = Duration::from_micros(*delay_us);
                bench.hand_in(id, &sample);
            }
        }
    }
}
