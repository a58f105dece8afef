//! Measuring PTP hardware clocks for a moment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;

use clockwright_phc::{Clock, PhcError, Reading, Selector};
use clockwright_sys::clock::bracket;

use super::report::ClockProbe;

/// Readings of each clock. With the pause between them they take half a second, and stay below
/// what clocks of clouds allow (125 a second).
const READINGS: usize = 32;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(15);

/// A clock being measured.
struct Measured {
    clock: Result<Clock, PhcError>,
    readings: Vec<Reading>,
    /// What it showed minus the system clock, s.
    offset_s: Option<f64>,
    failure: Option<PhcError>,
}

impl Measured {
    fn open(path: PathBuf) -> Self {
        Self {
            clock: Clock::open(&Selector::Path(path)),
            readings: Vec::new(),
            offset_s: None,
            failure: None,
        }
    }

    fn read(&mut self) {
        let Ok(clock) = &mut self.clock else {
            return;
        };
        match clock.read() {
            Ok(reading) => {
                // The moments between the two cost nanoseconds at most.
                let offset = reading.offset() - bracket().offset();
                self.offset_s = Some(offset.as_secs_f64());
                self.readings.push(reading);
            }
            Err(error) => self.failure = Some(error),
        }
    }
}

/// Measures the clocks at `paths`, all at the same time, for half a second. Names, interfaces and
/// virtual clocks are left to the caller.
pub(super) fn measure(paths: &[PathBuf]) -> BTreeMap<PathBuf, ClockProbe> {
    let mut all: BTreeMap<PathBuf, Measured> = paths
        .iter()
        .map(|path| (path.clone(), Measured::open(path.clone())))
        .collect();
    for round in 0..READINGS {
        if all.values().all(|measured| measured.clock.is_err()) {
            break;
        }
        if round > 0 {
            thread::sleep(PAUSE);
        }
        all.values_mut().for_each(Measured::read);
    }
    all.into_iter()
        .map(|(path, measured)| {
            let found = describe(&path, &measured);
            (path, found)
        })
        .collect()
}

fn describe(path: &std::path::Path, measured: &Measured) -> ClockProbe {
    let capabilities = measured
        .clock
        .as_ref()
        .ok()
        .and_then(|c| c.capabilities().ok());
    let line = fit(&points(&measured.readings));
    let delay = measured
        .readings
        .iter()
        .map(|reading| reading.half_width.as_secs_f64() * 2.0)
        .min_by(f64::total_cmp);
    let failure = match (&measured.clock, &measured.failure) {
        (Err(error), _) => Some(error),
        // One of many that failed is no failure.
        (Ok(_), Some(error)) if measured.readings.is_empty() => Some(error),
        _ => None,
    };
    ClockProbe {
        path: path.display().to_string(),
        name: None,
        interfaces: Vec::new(),
        method: measured
            .readings
            .last()
            .map(|reading| reading.method.name().to_owned()),
        read_delay_s: delay,
        noise_s: line.map(|line| line.noise_s),
        frequency_ppm: line.map(|line| line.slope * 1e6),
        offset_s: measured.offset_s,
        max_adjustment_ppm: capabilities.map(|c| f64::from(c.max_adjustment_ppb) / 1e3),
        cross_timestamps: capabilities.is_some_and(|c| c.cross_timestamping),
        external_timestamps: capabilities.map_or(0, |c| c.external_timestamps),
        virtual_clocks: Vec::new(),
        error: failure.map(ToString::to_string),
    }
}

/// Readings as seconds since the first, and what the clock gained since then.
fn points(readings: &[Reading]) -> Vec<(f64, f64)> {
    let Some(first) = readings.first() else {
        return Vec::new();
    };
    readings
        .iter()
        .map(|reading| {
            let at = (reading.raw - first.raw).as_secs_f64();
            let gained = (reading.offset() - first.offset()).as_secs_f64();
            (at, gained)
        })
        .collect()
}

/// A straight line through points.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// Rise by unit of the abscissa.
    slope: f64,
    /// Standard deviation about the line.
    noise_s: f64,
}

/// The straight line with the least squares; `None` with fewer than three points, or all at once.
fn fit(points: &[(f64, f64)]) -> Option<Line> {
    if points.len() < 3 {
        return None;
    }
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (at, height) = (mean(|p| p.0), mean(|p| p.1));
    let spread: f64 = points.iter().map(|p| (p.0 - at).powi(2)).sum();
    if spread <= 0.0 {
        return None;
    }
    let together: f64 = points.iter().map(|p| (p.0 - at) * (p.1 - height)).sum();
    let slope = together / spread;
    let left: f64 = points
        .iter()
        .map(|p| (p.1 - height - slope * (p.0 - at)).powi(2))
        .sum();
    // Two degrees of freedom went into the line.
    let noise_s = (left / (count - 2.0)).sqrt();
    Some(Line { slope, noise_s })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_slope_and_the_noise_about_it() {
        let points: Vec<(f64, f64)> = (0..32_u32)
            .map(|n| {
                let at = f64::from(n) * 0.015;
                let jitter = if n % 2 == 0 { 5e-9 } else { -5e-9 };
                (at, at * 12e-6 + jitter)
            })
            .collect();
        let line = fit(&points).unwrap();
        assert!((line.slope - 12e-6).abs() < 5e-9, "{line:?}");
        assert!((line.noise_s - 5e-9).abs() < 0.3e-9, "{line:?}");
        assert!(fit(&points[..2]).is_none());
        assert!(fit(&[(1.0, 0.0); 5]).is_none());
    }

    #[test]
    fn a_clock_that_is_not_there_says_why() {
        let path = PathBuf::from("/dev/ptp4000000");
        let found = measure(std::slice::from_ref(&path)).remove(&path).unwrap();
        assert!(found.error.unwrap().contains("no such PTP hardware clock"));
        assert_eq!((found.method, found.noise_s), (None, None));
    }
}
