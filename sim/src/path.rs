//! Network paths: delay, jitter, queues, loss, routes, attackers.

use clockwright_timebase::{Duration, Timestamp};

use crate::True;
use crate::queue::Queue;
use crate::random::Random;
use crate::scenario::{Distribution, LossBurst, OneWay, PathScenario, Span, Way};

/// A path with its own randomness.
#[derive(Debug)]
pub(crate) struct Path {
    scenario: PathScenario,
    ways: [Lane; 2],
    /// When nothing gets through.
    outages: Vec<Span>,
    bursts: Option<Bursts>,
    /// Routes taken so far.
    routes: usize,
    random: Random,
}

/// One way.
#[derive(Debug)]
struct Lane {
    is: OneWay,
    queue: Queue,
}

impl Path {
    pub(crate) fn new(scenario: PathScenario, outages: Vec<Span>, mut random: Random) -> Self {
        let lane = |way| {
            let is = scenario.one_way(way);
            let queue = Queue::new(is.load, is.service_s);
            Lane { is, queue }
        };
        let ways = [lane(Way::There), lane(Way::Back)];
        let bursts = scenario.loss_burst.map(|of| Bursts::new(of, &mut random));
        let mut path = Self {
            scenario,
            ways,
            outages,
            bursts,
            routes: 0,
            random,
        };
        path.scenario
            .route
            .sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        path
    }

    /// How long a packet takes that leaves at `at`, no earlier than the one before it on the same
    /// way; `None` if it is lost.
    pub(crate) fn carry(&mut self, way: Way, at: Timestamp<True>) -> Option<Duration> {
        let at_s = at.since_epoch().as_secs_f64();
        self.take_route(at_s);
        let random = &mut self.random;
        let Lane { is, queue } = &mut self.ways[way as usize];
        let waits_s = queue.wait_s(at_s, random);
        let in_burst = self.bursts.as_mut().is_some_and(|b| b.hit(at_s, random));
        let is_lost = is.loss > 0.0 && random.uniform() <= is.loss;
        if in_burst || is_lost || self.outages.iter().any(|outage| outage.contains(at_s)) {
            return None;
        }
        let queued = is.queued >= 1.0 || random.uniform() <= is.queued;
        let jitter_s = match is.distribution {
            _ if !queued || is.jitter_s <= 0.0 => 0.0,
            Distribution::Normal => is.jitter_s * random.normal(),
            Distribution::Exponential => is.jitter_s * random.exponential(),
            // The mean of what is added to 1 is 2.
            Distribution::Pareto => is.jitter_s / 2.0 * ((random.exponential() / 1.5).exp() - 1.0),
        };
        let attacks = self
            .scenario
            .attack
            .iter()
            .filter(|attack| attack.way == way);
        let held_up_s: f64 = attacks.map(|attack| attack.delay_at(at_s)).sum();
        let delay_s = (is.delay_s + jitter_s).max(0.0) + waits_s + held_up_s;
        Some(Duration::from_secs_f64(delay_s))
    }

    fn take_route(&mut self, at_s: f64) {
        while let Some(route) = self.scenario.route.get(self.routes)
            && route.at_s <= at_s
        {
            self.ways[Way::There as usize].is.delay_s = route.delay_there_s;
            self.ways[Way::Back as usize].is.delay_s = route.delay_back_s;
            self.routes += 1;
        }
    }
}

/// When everything is lost, found as time goes on. Both ways ask, each in order of time but not
/// in order with the other; what lies between them, a round trip, is not looked at twice.
#[derive(Debug)]
struct Bursts {
    of: LossBurst,
    current: Span,
}

impl Bursts {
    fn new(of: LossBurst, random: &mut Random) -> Self {
        let mut bursts = Self {
            of,
            current: Span {
                from_s: 0.0,
                until_s: 0.0,
            },
        };
        bursts.next(random);
        bursts
    }

    fn hit(&mut self, at_s: f64, random: &mut Random) -> bool {
        while at_s >= self.current.until_s {
            self.next(random);
        }
        self.current.contains(at_s)
    }

    fn next(&mut self, random: &mut Random) {
        let from_s = self.current.until_s + self.of.every_s * random.exponential();
        let until_s = from_s + self.of.length_s * random.exponential();
        self.current = Span { from_s, until_s };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Attack, RouteChange, WayScenario};

    fn at(seconds: f64) -> Timestamp<True> {
        Timestamp::from_epoch(Duration::from_secs_f64(seconds))
    }

    fn quiet() -> PathScenario {
        PathScenario {
            jitter_s: 0.0,
            ..PathScenario::default()
        }
    }

    fn path(scenario: &PathScenario) -> Path {
        Path::new(scenario.clone(), Vec::new(), Random::new(5, 0))
    }

    #[test]
    fn offset_noise_is_what_the_path_makes() {
        let there = WayScenario {
            jitter_s: Some(30e-6),
            queued: Some(0.2),
            ..WayScenario::default()
        };
        for (distribution, queued, load, there) in [
            (Distribution::Normal, 1.0, 0.0, WayScenario::default()),
            (Distribution::Exponential, 1.0, 0.0, WayScenario::default()),
            (Distribution::Exponential, 0.5, 0.6, WayScenario::default()),
            (Distribution::Normal, 1.0, 0.0, there),
        ] {
            let scenario = PathScenario {
                distribution,
                queued,
                load,
                there,
                delay_s: 1e-3,
                ..PathScenario::default()
            };
            let mut path = path(&scenario);
            let n = 50_000;
            let offsets: Vec<f64> = (0..n)
                .map(|second| {
                    let mut take = |way| {
                        let took = path.carry(way, at(f64::from(second)));
                        took.map_or(f64::NAN, Duration::as_secs_f64)
                    };
                    (take(Way::There) - take(Way::Back)) / 2.0
                })
                .collect();
            let mean = offsets.iter().sum::<f64>() / f64::from(n);
            let square = offsets.iter().map(|o| (o - mean).powi(2)).sum::<f64>() / f64::from(n);
            let ratio = square.sqrt() / scenario.offset_noise_s();
            assert!((ratio - 1.0).abs() < 0.03, "{distribution:?} {ratio}");
        }
    }

    #[test]
    fn loss_loses() {
        let scenario = PathScenario {
            loss: 0.25,
            ..PathScenario::default()
        };
        let mut path = path(&scenario);
        let lost = (0..10_000)
            .filter(|_| path.carry(Way::There, at(0.0)).is_none())
            .count();
        assert!((2300..2700).contains(&lost), "{lost}");
    }

    #[test]
    fn bursts_lose_their_part_of_the_time_in_one_piece() {
        let scenario = PathScenario {
            loss_burst: Some(LossBurst {
                every_s: 90.0,
                length_s: 10.0,
            }),
            ..quiet()
        };
        let mut path = path(&scenario);
        let lost: Vec<bool> = (0..100_000)
            .map(|second| path.carry(Way::There, at(f64::from(second))).is_none())
            .collect();
        let part = lost.iter().filter(|l| **l).count() as f64 / 1e5;
        assert!((0.08..0.12).contains(&part), "{part}");
        let changes = lost.windows(2).filter(|w| w[0] != w[1]).count();
        assert!((1500..2500).contains(&changes), "{changes}");
    }

    #[test]
    fn routes_attacks_and_outages_come_when_they_should() {
        let scenario = PathScenario {
            asymmetry_s: 20e-6,
            route: vec![RouteChange {
                at_s: 10.0,
                delay_there_s: 300e-6,
                delay_back_s: 200e-6,
            }],
            attack: vec![Attack {
                from_s: 20.0,
                until_s: Some(30.0),
                way: Way::Back,
                delay_s: 1e-3,
                growth: 1e-4,
            }],
            ..quiet()
        };
        let outage = Span {
            from_s: 40.0,
            until_s: 41.0,
        };
        let mut path = Path::new(scenario, vec![outage], Random::new(5, 0));
        for (second, there_us, back_us) in [
            (9.0, 120, 80),
            (10.0, 300, 200),
            (25.0, 300, 1700),
            (30.0, 300, 200),
        ] {
            for (way, us) in [(Way::There, there_us), (Way::Back, back_us)] {
                let off = path
                    .carry(way, at(second))
                    .map(|d| d - Duration::from_micros(us));
                assert!(
                    off.is_some_and(|off| off.abs() < Duration::from_nanos(1)),
                    "{second} {way:?} {off:?}"
                );
            }
        }
        assert_eq!(path.carry(Way::There, at(40.5)), None);
        assert!(path.carry(Way::There, at(41.5)).is_some());
    }
}
