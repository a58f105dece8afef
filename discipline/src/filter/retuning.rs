//! An oscillator or a path that becomes another one, followed by the filter: how soon, and what the watch
//! over the innovations (`whiteness.rs`) has to do with it.

use clockwright_timebase::{Duration, Timestamp};

use super::*;
use crate::dice::gauss;
use crate::steady::SteadyState;

const PRIOR: Prior = Prior {
    frequency: 0.0,
    frequency_sd: 100e-6,
    wander: 1e-9,
    jump: 0.0,
    gains: None,
};

/// What is true of the measurements and of the oscillator.
#[derive(Debug, Clone, Copy)]
struct World {
    noise_s: f64,
    wander: f64,
}

/// What was seen after the change.
#[derive(Debug, Default)]
struct Run {
    /// Squared errors of the estimate, s².
    errors: Vec<f64>,
    /// s.
    innovations: Vec<f64>,
}

/// When it changes, and how long it is looked at then, s and polls.
const CHANGE: i64 = 2000;
const AFTER: i64 = 4096;

/// Follows an oscillator and a path that are like `from` first and like `to` later. Without the watch if
/// it is not to `retune`.
fn follow(from: World, to: World, seed: u64, retune: bool) -> Run {
    let mut seed = seed * 7919;
    let mut filter = SourceFilter::new(PRIOR);
    let (mut phase, mut frequency) = (0.0, 1e-6);
    let mut run = Run::default();
    for second in 1..=CHANGE + AFTER {
        let world = if second <= CHANGE { from } else { to };
        // Both integrals of a white noise over a second: the second has half of the first, and 1/12.
        let kick = world.wander * gauss(&mut seed);
        phase += frequency + kick / 2.0 + world.wander * gauss(&mut seed) / 12.0_f64.sqrt();
        frequency += kick;
        let ways = [(); 2].map(|()| world.noise_s * 2.0_f64.sqrt() * gauss(&mut seed));
        let sample = Sample {
            at: Timestamp::EPOCH + Duration::from_secs(second),
            offset: Duration::from_secs_f64(phase + (ways[0] - ways[1]) / 2.0),
            delay: Duration::from_secs_f64(200e-6 + ways[0] + ways[1]),
            uncertainty: Duration::ZERO,
            upstream: Upstream::default(),
        };
        let expected = filter.estimate().map(|it| it.carried_to(sample.at).offset);
        filter.update(&sample);
        if !retune {
            filter.whiteness = Whiteness::default();
        }
        if second > CHANGE {
            let found = filter.estimate().expect("there were samples").offset;
            run.errors.push((found.as_secs_f64() - phase).powi(2));
            let innovation = sample.offset - expected.expect("there were samples");
            run.innovations.push(innovation.as_secs_f64());
        }
    }
    run
}

const SEEDS: u64 = 20;
const BASE: World = World {
    noise_s: 50e-9,
    wander: 1e-9,
};

fn times(noise: f64, wander: f64) -> World {
    World {
        noise_s: BASE.noise_s * noise,
        wander: BASE.wander * wander,
    }
}

/// What becomes what: each change is beyond the bank's neighbours, or nearly.
fn changes() -> [(&'static str, World, World); 10] {
    [
        ("noise x 10", BASE, times(10.0, 1.0)),
        ("noise / 10", times(10.0, 1.0), BASE),
        ("noise / 100", times(100.0, 1.0), BASE),
        ("wander x 30", BASE, times(1.0, 30.0)),
        ("a small wander x 30", times(1.0, 0.01), times(1.0, 0.3)),
        ("a small wander x 300", times(1.0, 0.003), BASE),
        ("wander / 30", times(1.0, 30.0), BASE),
        ("noise / 10, wander x 30", times(10.0, 0.1), times(1.0, 3.0)),
        ("noise x 10, wander / 30", times(1.0, 3.0), times(10.0, 0.1)),
        ("nothing", BASE, BASE),
    ]
}

fn runs(from: World, to: World, retune: bool) -> Vec<Run> {
    (1..=SEEDS)
        .map(|seed| follow(from, to, seed, retune))
        .collect()
}

/// RMS error of all runs in these polls after the change, over what no filter can beat.
fn over_the_bound(runs: &[Run], to: World, polls: &core::ops::Range<usize>) -> f64 {
    let squares = runs.iter().flat_map(|run| &run.errors[polls.clone()]);
    let mean = squares.sum::<f64>() / (runs.len() * polls.len()) as f64;
    mean.sqrt() / SteadyState::new(to.noise_s, to.wander, 1.0).after_update_s
}

/// r₁ of the innovations from this poll on, the mean over all runs.
fn correlation(runs: &[Run], from: usize) -> f64 {
    let one = |run: &Run| {
        let innovations = &run.innovations[from..];
        let product: f64 = innovations.windows(2).map(|two| two[0] * two[1]).sum();
        product / innovations.iter().map(|it| it * it).sum::<f64>()
    };
    runs.iter().map(one).sum::<f64>() / runs.len() as f64
}

#[test]
fn after_a_change_innovations_are_white_again_and_the_error_is_that_of_the_new_world() {
    for (name, from, to) in changes() {
        let runs = runs(from, to, true);
        let late = over_the_bound(&runs, to, &(1024..4096));
        assert!(late < 1.12, "{name}: {late}");
        let soon = over_the_bound(&runs, to, &(256..1024));
        assert!(soon < 1.25, "{name}: {soon}");
        let r1 = correlation(&runs, 256);
        assert!(r1.abs() < 0.1, "{name}: {r1}");
    }
}

/// A state that was sure of itself is the worst: three hundred times the wander.
#[test]
fn a_filter_that_lags_is_there_sooner_with_the_watch_than_without() {
    let (from, to) = (times(1.0, 0.003), BASE);
    for (polls, less) in [(32..64, 0.75), (64..256, 0.6)] {
        let [with, without] =
            [true, false].map(|retune| over_the_bound(&runs(from, to, retune), to, &polls));
        assert!(with < less * without, "{polls:?}: {with} {without}");
    }
}

#[test]
fn the_watch_does_no_harm_where_it_does_not_help() {
    for (name, from, to) in changes() {
        let (with, without) = (runs(from, to, true), runs(from, to, false));
        for polls in [0..64, 64..256, 1024..4096] {
            let [with, without] = [&with, &without].map(|it| over_the_bound(it, to, &polls));
            assert!(with < 1.05 * without, "{name}, {polls:?}: {with} {without}");
        }
    }
}
