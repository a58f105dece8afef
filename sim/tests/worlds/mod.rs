//! Worlds drawn at random, within what clocks and networks are like.

use clockwright_sim::{
    Attack, Distribution, ErrorWander, LossBurst, OscillatorScenario, PathScenario, RouteChange,
    Scenario, SourceScenario, Span, StampScenario, TemperatureScenario, Way, WayScenario,
};

/// A generator of its own (`SplitMix64`): the worlds must not change when the simulator draws its
/// numbers in another way.
struct Draw(u64);

impl Draw {
    /// Uniform on [0, 1).
    fn part(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.part()
    }

    /// Of equal probability in each octave.
    fn octave(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.part())
    }

    fn chance(&mut self, p: f64) -> bool {
        self.part() < p
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        let mut left = self.part() * of.len() as f64;
        let chosen = of.iter().find(|_| {
            left -= 1.0;
            left < 0.0
        });
        *chosen.expect("there is something to choose from")
    }
}

/// How many exchanges a source makes, about.
const EXCHANGES: f64 = 2500.0;
/// How many looks are made beside those after samples.
const LOOKS: f64 = 110_000.0;

/// The world of a number.
pub(crate) fn world(number: u64, attacked: bool) -> Scenario {
    let mut draw = Draw(number.wrapping_mul(0x5851_f42d_4c95_7f2d));
    let poll = draw.one_of(&[-2_i8, 0, 0, 0, 2, 4, 6]);
    let duration_s = EXCHANGES * f64::from(poll).exp2();
    let sources = draw.one_of(&[1, 1, 1, 3, 4, 5]);
    let mut scenario = Scenario {
        name: format!("world {number}{}", if attacked { ", attacked" } else { "" }),
        seed: number,
        duration_s,
        settle_s: duration_s / 5.0,
        probe_s: duration_s / LOOKS,
        oscillator: oscillator(&mut draw),
        temperature: TemperatureScenario {
            swing_k: if draw.chance(0.3) {
                draw.between(0.1, 2.0)
            } else {
                0.0
            },
            period_s: draw.octave(3600.0, 86_400.0),
            ..TemperatureScenario::default()
        },
        stamps: stamps(&mut draw),
        ..Scenario::default()
    };
    scenario.clock.initial_error_s = draw.one_of(&[0.0, 1e-3, -0.5, 0.05]);
    if draw.chance(0.2) {
        scenario.outage.push(span(&mut draw, duration_s));
    }
    for _ in 0..sources {
        let source = source(&mut draw, poll, duration_s);
        scenario.source.push(source);
    }
    if attacked {
        for index in 0..sources {
            // The first one always.
            if index == 0 || draw.chance(0.3) {
                let attack = attack(&mut draw, duration_s, &scenario.source[index].path);
                scenario.source[index].path.attack.push(attack);
            }
        }
    }
    scenario
}

fn oscillator(draw: &mut Draw) -> OscillatorScenario {
    OscillatorScenario {
        frequency_ppm: draw.between(-100.0, 100.0),
        wander: draw.octave(1e-11, 3e-9),
        white: if draw.chance(0.3) {
            draw.octave(1e-11, 2e-9)
        } else {
            0.0
        },
        ppm_per_k: draw.between(-0.3, 0.3),
        ..OscillatorScenario::default()
    }
}

fn stamps(draw: &mut Draw) -> StampScenario {
    if draw.chance(0.7) {
        return StampScenario::default();
    }
    let read_s = draw.octave(0.3e-6, 4e-6);
    StampScenario {
        read_s,
        read_noise_s: read_s * draw.between(0.0, 0.25),
        read_asymmetry: draw.between(-1.0, 1.0),
    }
}

/// A fifth to a tenth of the time, after the first half of it.
fn span(draw: &mut Draw, duration_s: f64) -> Span {
    let from_s = duration_s * draw.between(0.5, 0.8);
    let until_s = from_s + duration_s * draw.between(0.02, 0.1);
    Span { from_s, until_s }
}

fn source(draw: &mut Draw, poll: i8, duration_s: f64) -> SourceScenario {
    let dispersion_s = draw.octave(1e-7, 1e-3);
    // What a server is wrong by is within what it says, at four deviations and more.
    let wander = ErrorWander {
        deviation_s: dispersion_s / 10.0,
        time_s: draw.octave(300.0, 30_000.0),
    };
    SourceScenario {
        error_s: dispersion_s * draw.between(-0.4, 0.4),
        error_wander: draw.chance(0.4).then_some(wander),
        root_dispersion_s: dispersion_s,
        poll_min: poll,
        poll_max: if draw.chance(0.5) { poll } else { poll + 4 },
        interleaved: draw.chance(0.7),
        iburst: draw.chance(0.7),
        outage: if draw.chance(0.1) {
            vec![span(draw, duration_s)]
        } else {
            Vec::new()
        },
        path: path(draw, duration_s),
        ..SourceScenario::default()
    }
}

fn path(draw: &mut Draw, duration_s: f64) -> PathScenario {
    let delay_s = draw.octave(2e-6, 50e-3);
    let mut path = PathScenario {
        delay_s,
        jitter_s: delay_s * draw.octave(1e-3, 1.0),
        distribution: Distribution::Exponential,
        queued: draw.one_of(&[1.0, 1.0, 0.5, 0.9, 0.1]),
        loss: draw.one_of(&[0.0, 0.0, 0.01, 0.2]),
        asymmetry_s: delay_s * draw.one_of(&[0.0, 0.0, 0.3, -0.95, 0.95]),
        loss_burst: draw.chance(0.1).then_some(LossBurst {
            every_s: duration_s / 20.0,
            length_s: duration_s / 200.0,
        }),
        ..PathScenario::default()
    };
    if draw.chance(0.3) {
        path.distribution = Distribution::Normal;
        path.jitter_s = delay_s * draw.octave(1e-4, 1e-2);
    }
    if draw.chance(0.3) {
        let way = WayScenario {
            load: Some(draw.between(0.1, 0.95)),
            service_s: Some(delay_s * draw.octave(0.01, 1.0)),
            ..WayScenario::default()
        };
        if draw.chance(0.5) {
            path.there = way.clone();
        }
        path.back = way;
    }
    // Short paths through crowded switches, where packets wait for many times the length of the path.
    if draw.chance(0.3) {
        let delay_s = draw.octave(2e-6, 100e-6);
        path.delay_s = delay_s;
        path.asymmetry_s = delay_s * draw.one_of(&[0.0, 0.0, -0.95, 0.95]);
        let mut way = || WayScenario {
            jitter_s: Some(delay_s * draw.octave(0.1, 50.0)),
            distribution: Some(draw.one_of(&[Distribution::Exponential, Distribution::Pareto])),
            queued: Some(draw.one_of(&[1.0, 0.97, 0.9, 0.5])),
            ..WayScenario::default()
        };
        (path.there, path.back) = (way(), way());
    }
    if draw.chance(0.2) {
        path.route.push(RouteChange {
            at_s: duration_s * draw.between(0.3, 0.9),
            delay_there_s: path.delay_s * draw.octave(0.3, 3.0),
            delay_back_s: path.delay_s * draw.octave(0.3, 3.0),
        });
    }
    path
}

fn attack(draw: &mut Draw, duration_s: f64, path: &PathScenario) -> Attack {
    let at_once = draw.chance(0.5);
    let most_s = path.delay_s * draw.octave(0.1, 100.0);
    Attack {
        from_s: duration_s * draw.between(0.0, 0.6),
        until_s: draw.chance(0.5).then_some(duration_s * 0.8),
        way: draw.one_of(&[Way::There, Way::Back]),
        delay_s: if at_once { most_s } else { 0.0 },
        growth: if at_once { 0.0 } else { most_s / duration_s },
    }
}
