//! The tracker against clocks whose true time is known, in virtual time.

use clockwright_discipline::SteadyState;
use clockwright_sys::ptp::Between;

use super::*;
use crate::band::Band;

/// A host with a PTP clock; deterministic.
struct World {
    raw: Timestamp<Raw>,
    /// The clock minus raw.
    offset: Duration,
    /// Rate of the clock minus rate of raw, s/s.
    frequency: f64,
    /// Wander, s/s per √s.
    wander: f64,
    seed: u64,
    band: Band,
}

impl World {
    fn new(frequency: f64, wander: f64) -> Self {
        Self {
            raw: Timestamp::from_timespec(1_000, 0),
            offset: Duration::from_secs(1_700_000_000),
            frequency,
            wander,
            seed: 42,
            band: Band::default(),
        }
    }

    /// A number of [0, 1).
    fn uniform(&mut self) -> f64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Of zero mean and unit variance (Irwin–Hall).
    fn gauss(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    fn pass(&mut self, seconds: f64) {
        let elapsed = Duration::from_secs_f64(seconds);
        self.raw += elapsed;
        // Random-walk FM, exactly: the phase gets half of the interval's frequency step and its
        // own part of q·t³/12.
        let step = self.wander * seconds.sqrt() * self.gauss();
        let own = self.wander * (seconds.powi(3) / 12.0).sqrt() * self.gauss();
        self.offset += elapsed.scaled(self.frequency + step / 2.0) + Duration::from_secs_f64(own);
        self.frequency += step;
    }

    fn phc(&self) -> Timestamp<Phc> {
        self.raw.shifted_to(self.offset)
    }

    /// A cross-timestamp; the kernel rounds to nanoseconds.
    fn precise(&mut self) -> Reading {
        Reading {
            phc: in_nanos(self.phc()),
            raw: in_nanos(self.raw),
            half_width: Duration::ZERO,
            excess: Duration::ZERO,
            method: Method::Precise,
        }
    }

    /// 25 readings, each half of whose delay is drawn by `half` (s).
    fn extended(&mut self, mut half: impl FnMut(&mut Self) -> (f64, f64)) -> Reading {
        let mut batch = Vec::new();
        for _ in 0..25 {
            let (there, back) = half(self);
            let before = in_nanos(self.raw);
            self.pass(there);
            let phc = in_nanos(self.phc());
            self.pass(back);
            let after = in_nanos(self.raw);
            batch.push(Between { before, phc, after });
            self.pass(100e-9);
        }
        let placed = self.band.choose(&batch).unwrap();
        Reading {
            phc: placed.phc,
            raw: placed.raw,
            half_width: placed.half_width,
            excess: placed.excess,
            method: Method::Extended,
        }
    }

    fn bus(&mut self) -> Reading {
        self.extended(|w| (500e-9 + 100e-9 * w.uniform(), 500e-9 + 100e-9 * w.uniform()))
    }
}

fn in_nanos<B>(at: Timestamp<B>) -> Timestamp<B> {
    let nano = Duration::from_nanos(1).as_units();
    Timestamp::from_epoch(Duration::from_units(
        at.since_epoch().as_units().div_euclid(nano) * nano,
    ))
}

/// Errors of conversions, s.
#[derive(Default)]
struct Errors {
    squares: f64,
    sum: f64,
    worst: f64,
    count: u32,
}

impl Errors {
    /// Converts a stamp whose true instant is known; the bound must hold each time.
    fn check(&mut self, tracker: &Tracker, stamp: Timestamp<Phc>, truth: Timestamp<Raw>) {
        let instant = tracker.instant_of(stamp).unwrap();
        let error = instant.at - truth;
        assert!(
            error.abs() <= instant.uncertainty,
            "off by {error:?}, bound {:?}, at {truth:?}",
            instant.uncertainty
        );
        let error = error.as_secs_f64();
        self.squares += error * error;
        self.sum += error;
        self.worst = self.worst.max(error.abs());
        self.count += 1;
    }

    fn rms(&self) -> f64 {
        (self.squares / f64::from(self.count)).sqrt()
    }

    fn mean(&self) -> f64 {
        self.sum / f64::from(self.count)
    }
}

/// Reads every `interval` seconds and converts, each time, a stamp of `age` seconds before.
fn run(
    world: &mut World,
    tracker: &mut Tracker,
    (interval, age, count): (f64, f64, u32),
    mut read: impl FnMut(&mut World) -> Reading,
) -> Errors {
    let mut errors = Errors::default();
    for n in 0..count {
        world.pass(interval - age);
        let (stamp, truth) = (world.phc(), world.raw);
        // Readings fall on any part of a nanosecond.
        let late = 1e-6 * world.uniform();
        world.pass(age + late);
        let reading = read(world);
        tracker.take(&reading);
        // What was learnt counts, not the learning.
        if n >= count / 4 {
            errors.check(tracker, stamp, truth);
        }
    }
    errors
}

#[test]
fn cross_timestamps_are_used_as_well_as_possible() {
    for wander in [1e-10, 1e-9, 1e-8] {
        for interval in [1.0 / 16.0, 1.0, 8.0] {
            let (mut world, mut tracker) = (World::new(100e-6, wander), Tracker::new());
            let errors = run(
                &mut world,
                &mut tracker,
                (interval, 1e-3, 2000),
                World::precise,
            );
            // Two clocks truncated to a nanosecond each.
            let noise = 1e-9 / 6_f64.sqrt();
            let limit = SteadyState::new(noise, wander, interval).after_update_s;
            let rms = errors.rms();
            assert!(
                rms < 1.25 * limit.max(0.05e-9),
                "{rms:e} of {limit:e} at {interval} s, wander {wander:e}: {:?}",
                tracker.status()
            );
            assert!(errors.mean().abs() < 0.1e-9, "{:e}", errors.mean());
            assert_eq!(tracker.status().jumps, 0);
        }
    }
}

#[test]
fn readings_over_a_bus_are_used_as_well_as_possible() {
    for wander in [1e-10, 1e-9] {
        let (mut world, mut tracker) = (World::new(100e-6, wander), Tracker::new());
        let errors = run(&mut world, &mut tracker, (1.0, 1e-3, 2000), World::bus);
        // What the least squares of 25 midpoints would leave: uniform noise of 100 ns each way.
        let noise = 100e-9 / 24_f64.sqrt() / 5.0;
        let limit = SteadyState::new(noise, wander, 1.0).after_update_s;
        let rms = errors.rms();
        assert!(
            rms < 1.3 * limit,
            "{rms:e} of {limit:e}: {:?}",
            tracker.status()
        );
        let bound = tracker.instant_of(world.phc()).unwrap().uncertainty;
        assert!(bound < Duration::from_nanos(580), "{bound:?}");
    }
}

#[test]
fn a_heavy_tail_of_delays_does_little_harm() {
    let (mut world, mut tracker) = (World::new(-50e-6, 1e-9), Tracker::new());
    let errors = run(&mut world, &mut tracker, (1.0, 5e-3, 2000), |world| {
        world.extended(|w| {
            let tail = |w: &mut World| -1e-6 * (1.0 - w.uniform()).ln();
            (500e-9 + tail(w), 500e-9 + tail(w))
        })
    });
    assert!(errors.rms() < 60e-9, "{:e}", errors.rms());
}

#[test]
fn a_read_that_is_all_on_one_side_stays_within_the_bound() {
    let (mut world, mut tracker) = (World::new(10e-6, 1e-9), Tracker::new());
    let errors = run(&mut world, &mut tracker, (1.0, 1e-3, 500), |world| {
        world.extended(|w| (1e-9, 1e-6 + 50e-9 * w.uniform()))
    });
    assert!(
        (0.45e-6..0.53e-6).contains(&errors.mean().abs()),
        "{:e}",
        errors.mean()
    );
}

#[test]
fn between_distant_readings_both_ends_count() {
    let (mut world, mut tracker) = (World::new(100e-6, 1e-9), Tracker::new());
    let errors = run(&mut world, &mut tracker, (64.0, 32.0, 400), World::precise);
    // A random walk of the frequency between two known phases is best known to w·T^1.5/√192 and
    // somewhat worse where the frequencies at the ends are only estimated.
    let limit = 1e-9 * 64_f64.powf(1.5) / 48_f64.sqrt();
    assert!(errors.rms() < limit, "{:e} of {limit:e}", errors.rms());
}

/// ptp4l in lock: every second a somewhat different frequency.
#[test]
fn a_clock_that_is_steered_each_second_is_followed() {
    for step in [10e-9, 1e-6, 30e-6] {
        let (mut world, mut tracker) = (World::new(0.0, 1e-10), Tracker::new());
        let mut steering = World::new(0.0, 0.0);
        steering.seed = 7;
        let mut frequency = 0.0;
        let mut errors = Errors::default();
        for n in 0..1000 {
            // Steered at some instant between two readings, not at one.
            let when = steering.uniform();
            world.pass(when);
            frequency = 0.5 * frequency + step * steering.gauss();
            world.frequency = frequency;
            world.pass(1.0 - when);
            let (stamp, truth) = (world.phc(), world.raw);
            world.pass(1e-3);
            let reading = world.precise();
            let taken = tracker.take(&reading);
            assert!(
                !matches!(taken, Taken::Poor | Taken::Jumped { .. }),
                "{n}: {taken:?}"
            );
            // As the daemon does.
            if tracker.is_unsettled() {
                world.pass(2e-3);
                tracker.take(&world.precise());
            }
            if n > 100 {
                errors.check(&tracker, stamp, truth);
            }
        }
        // A stamp 1 ms before the reading: at most a few times the frequency's change over it.
        let limit = 2e-9 + 3.0 * step * 1e-3;
        let status = tracker.status();
        assert!(
            errors.rms() < limit,
            "{:e} of {limit:e}, {status:?}",
            errors.rms()
        );
    }
}

#[test]
fn a_frequency_that_changes_suddenly_is_followed_at_once() {
    for change in [1e-6, 50e-6, -300e-6] {
        for after in [0.1, 0.5, 0.95] {
            let (mut world, mut tracker) = (World::new(20e-6, 1e-10), Tracker::new());
            run(&mut world, &mut tracker, (1.0, 1e-3, 200), World::precise);
            world.pass(after);
            world.frequency += change;
            world.pass(1.0 - after);
            let (stamp, truth) = (world.phc(), world.raw);
            world.pass(1e-3);
            assert_eq!(tracker.take(&world.precise()), Taken::Good);
            assert!(tracker.is_unsettled());
            let mut first = Errors::default();
            first.check(&tracker, stamp, truth);
            assert!(
                first.worst < 1e-9 + 25.0 * change.abs() * 1e-3,
                "{:e}",
                first.worst
            );
            // As the daemon does: read again soon.
            world.pass(5e-3);
            assert_eq!(tracker.take(&world.precise()), Taken::Good);
            let errors = run(&mut world, &mut tracker, (1.0, 1e-3, 8), World::precise);
            assert!(errors.rms() < 3e-9, "{:e} after {change:e}", errors.rms());
            assert_eq!(tracker.status().jumps, 0);
        }
    }
}

#[test]
fn a_step_is_told_and_changes_no_frequency() {
    for step_ns in [1_000, -20_000, 1_000_000, -37_000_000_000, 1_000_000_000] {
        let (mut world, mut tracker) = (World::new(20e-6, 1e-10), Tracker::new());
        run(&mut world, &mut tracker, (1.0, 1e-3, 200), World::precise);
        let (before, then) = (world.phc(), world.raw);
        world.pass(0.3);
        world.offset += Duration::from_nanos(step_ns);
        world.pass(0.7);
        let mut taken = Vec::new();
        for gap in [0.0, 5e-3, 1.0, 1.0] {
            world.pass(gap);
            taken.push(tracker.take(&world.precise()));
        }
        let jumps: Vec<i64> = taken
            .iter()
            .filter_map(|taken| match taken {
                Taken::Jumped { by } => Some(by.as_nanos()),
                _ => None,
            })
            .collect();
        assert!(
            matches!(jumps[..], [by] if (by - step_ns).abs() < 20),
            "{step_ns}: {taken:?}"
        );
        assert_eq!(tracker.status().jumps, 1);
        let ppm = tracker.status().frequency_ppm;
        assert!((ppm - 20.0).abs() < 0.01, "{step_ns}: {ppm}");
        // Stamps from before it are still placed by what was known before it.
        let mut errors = Errors::default();
        errors.check(&tracker, before, then);
        let errors = run(&mut world, &mut tracker, (1.0, 1e-3, 40), World::precise);
        assert!(errors.rms() < 2e-9, "{step_ns}: {:e}", errors.rms());
    }
}

/// The host slept: its oscillator did not count, the clock went on.
#[test]
fn sleep_of_the_host_is_no_jump_of_the_clock_after_a_restart() {
    let (mut world, mut tracker) = (World::new(20e-6, 1e-10), Tracker::new());
    run(&mut world, &mut tracker, (1.0, 1e-3, 200), World::precise);
    let before = tracker.status();
    world.offset += Duration::from_secs(3_600);
    world.pass(0.1);
    let mut unaware = tracker.clone();
    assert!(matches!(
        unaware.take(&world.precise()),
        Taken::Jumped { .. }
    ));
    tracker.restart();
    assert_eq!(tracker.instant_of(world.phc()), None);
    assert_eq!(
        (tracker.last_reading(), tracker.time_at(world.raw)),
        (None, None)
    );
    assert_eq!(tracker.take(&world.precise()), Taken::Started);
    assert!(tracker.is_unsettled());
    let after = tracker.status();
    assert_eq!((after.jumps, after.readings), (0, before.readings + 1));
    assert!((after.frequency_ppm - before.frequency_ppm).abs() < 1e-9);
    world.pass(5e-3);
    assert_eq!(tracker.take(&world.precise()), Taken::Good);
    let errors = run(&mut world, &mut tracker, (1.0, 1e-3, 20), World::precise);
    assert!(errors.rms() < 3e-9, "{:e}", errors.rms());
}

#[test]
fn noise_is_no_jump() {
    let (mut world, mut tracker) = (World::new(5e-6, 1e-9), Tracker::new());
    // A cross-timestamp less exact than it says, as some virtual clocks'.
    let errors = run(&mut world, &mut tracker, (1.0, 1e-3, 2000), |world| {
        let mut reading = world.precise();
        reading.phc += Duration::from_secs_f64(20e-9 * world.gauss());
        reading
    });
    assert_eq!(tracker.status().jumps, 0);
    let noise = tracker.status().noise_s;
    assert!((14e-9..28e-9).contains(&noise), "{noise:e}");
    let limit = SteadyState::new(20e-9, 1e-9, 1.0).after_update_s;
    assert!(
        errors.rms() < 1.3 * limit,
        "{:e} of {limit:e}",
        errors.rms()
    );
}

#[test]
fn a_poor_reading_is_ignored_unless_it_is_all_there_is() {
    let (mut world, mut tracker) = (World::new(5e-6, 1e-9), Tracker::new());
    run(&mut world, &mut tracker, (1.0, 1e-3, 100), World::bus);
    let slow = |world: &mut World| world.extended(|w| (500e-9, 50e-6 + 1e-6 * w.uniform()));
    world.pass(1.0);
    let last = tracker.last_reading();
    assert_eq!(tracker.take(&slow(&mut world)), Taken::Poor);
    assert_eq!(tracker.last_reading(), last);
    let mut errors = Errors::default();
    errors.check(&tracker, world.phc(), world.raw);
    assert!(errors.worst < 50e-9, "{:e}", errors.worst);
    // After hours, what has been extrapolated is worse.
    world.pass(36_000.0);
    assert_eq!(tracker.take(&slow(&mut world)), Taken::Good);
    errors.check(&tracker, world.phc(), world.raw);
}

#[test]
fn what_the_clock_shows_is_the_inverse_of_when() {
    let (mut world, mut tracker) = (World::new(100e-6, 1e-9), Tracker::new());
    assert_eq!(tracker.time_at(world.raw), None);
    assert_eq!(tracker.instant_of(world.phc()), None);
    run(&mut world, &mut tracker, (1.0, 1e-3, 50), World::bus);
    let now = tracker.last_reading().unwrap();
    for back_ms in [-5_000, -1, 0, 1, 300, 999, 1_700, 20_000, 90_000] {
        let at = now - Duration::from_millis(back_ms);
        let (shown, _) = tracker.time_at(at).unwrap();
        let back = tracker.instant_of(shown).unwrap().at;
        assert!(
            (back - at).abs() < Duration::from_nanos(1),
            "{back_ms}: {:?}",
            back - at
        );
    }
}

#[test]
fn readings_as_often_as_they_may_be() {
    let (mut world, mut tracker) = (World::new(100e-6, 1e-9), Tracker::new());
    let errors = run(&mut world, &mut tracker, (8e-3, 1e-3, 5000), World::bus);
    assert!(errors.rms() < 4e-9, "{:e}", errors.rms());
    assert_eq!(tracker.status().jumps, 0);
}

#[test]
fn readings_out_of_order_are_not_believed() {
    let (mut world, mut tracker) = (World::new(0.0, 0.0), Tracker::new());
    let early = world.precise();
    world.pass(1.0);
    assert_eq!(tracker.take(&world.precise()), Taken::Started);
    assert_eq!(tracker.take(&early), Taken::Poor);
}

/// What the daemon itself does to a clock is no surprise.
#[test]
fn own_steering_is_known() {
    let (mut world, mut tracker) = (World::new(40e-6, 1e-10), Tracker::new());
    run(&mut world, &mut tracker, (1.0, 1e-3, 50), World::precise);
    let mut errors = Errors::default();
    for n in 0..200 {
        world.pass(0.4);
        let (early, then) = (world.phc(), world.raw);
        let by = if n % 2 == 0 { 50e-6 } else { -50e-6 };
        world.pass(1e-3);
        world.frequency += by;
        tracker.steered(world.raw, by);
        errors.check(&tracker, early, then);
        world.pass(0.3);
        let (stamp, truth) = (world.phc(), world.raw);
        errors.check(&tracker, stamp, truth);
        world.pass(0.3);
        tracker.take(&world.precise());
        assert!(!tracker.is_unsettled(), "{n}");
        errors.check(&tracker, stamp, truth);
    }
    assert!(errors.rms() < 1.5e-9, "{:e}", errors.rms());
    assert!(tracker.status().wander < 1e-8, "{:?}", tracker.status());
}

#[test]
fn an_own_step_is_no_jump() {
    let (mut world, mut tracker) = (World::new(40e-6, 1e-10), Tracker::new());
    run(&mut world, &mut tracker, (1.0, 1e-3, 50), World::precise);
    let (before, then) = (world.phc(), world.raw);
    world.pass(0.5);
    // The driver took its time.
    world.offset += Duration::from_nanos(-2_000_000_000 + 3_100);
    tracker.stepped(world.raw, Duration::from_secs(-2));
    world.pass(0.5);
    let (shown, _) = tracker.time_at(world.raw).unwrap();
    assert!((shown - world.phc()).abs() < Duration::from_micros(4));
    assert_eq!(tracker.take(&world.precise()), Taken::Good);
    let mut errors = Errors::default();
    errors.check(&tracker, before, then);
    let errors = run(&mut world, &mut tracker, (1.0, 1e-3, 40), World::precise);
    assert!(errors.rms() < 2e-9, "{:e}", errors.rms());
    assert_eq!(tracker.status().jumps, 0);
}

/// Two readings for each exchange, and now and then one that is off by what a cross-timestamp may
/// be.
#[test]
fn an_odd_reading_is_neither_a_jump_nor_a_change_of_frequency() {
    let (mut world, mut tracker) = (World::new(20e-6, 1e-10), Tracker::new());
    let mut errors = Errors::default();
    for n in 0..2_000 {
        world.pass(if n % 2 == 0 { 1.0 } else { 1e-3 });
        if n > 100 && n % 50 == 0 {
            // The odd one was the last.
            let (shown, _) = tracker.time_at(world.raw).unwrap();
            assert!((shown - world.phc()).abs() < Duration::from_micros(1));
        }
        let (stamp, truth) = (world.phc(), world.raw);
        let late = 1e-6 * world.uniform();
        world.pass(1e-4 + late);
        let mut reading = world.precise();
        if n % 50 == 49 {
            reading.phc += Duration::from_nanos(30);
        }
        tracker.take(&reading);
        if n > 100 && n % 50 != 49 {
            errors.check(&tracker, stamp, truth);
        }
    }
    assert_eq!(tracker.status().jumps, 0);
    assert!(
        errors.worst < 35e-9 && errors.rms() < 3e-9,
        "{:e} {:e}",
        errors.worst,
        errors.rms()
    );
}

/// Ten minutes of readings show a wander that samples of a network would take hours to show.
#[test]
fn the_wander_between_two_oscillators_is_seen_and_none_is_not() {
    for wander in [1e-10, 1e-9, 1e-8] {
        let (mut world, mut tracker) = (World::new(5e-6, wander), Tracker::new());
        run(&mut world, &mut tracker, (1.0, 1e-3, 600), World::bus);
        let seen = tracker.status().seen_wander.unwrap();
        assert!((0.3..3.0).contains(&(seen / wander)), "{wander}: {seen}");
    }
    let (mut world, mut tracker) = (World::new(5e-6, 0.0), Tracker::new());
    for _ in 0..5 {
        run(&mut world, &mut tracker, (1.0, 1e-3, 600), World::bus);
        assert_eq!(tracker.status().seen_wander, None, "{:?}", tracker.status());
    }
}

#[test]
fn what_was_seen_of_a_clock_counts_no_more_once_it_was_set() {
    let (mut world, mut tracker) = (World::new(5e-6, 1e-9), Tracker::new());
    run(&mut world, &mut tracker, (1.0, 1e-3, 600), World::bus);
    assert!(tracker.status().seen_wander.is_some());
    world.offset += Duration::from_millis(5);
    world.pass(1.0);
    let reading = world.bus();
    assert!(matches!(tracker.take(&reading), Taken::Jumped { .. }));
    assert_eq!(tracker.status().seen_wander, None);
}
