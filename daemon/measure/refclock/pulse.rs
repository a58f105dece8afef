//! Pulses at the beginning of each second, stamped by the kernel (`/dev/ppsN`) or by a PTP hardware
//! clock that has them on a pin (`/dev/ptpN`).
//!
//! A pulse says when a second begins, not which one. Another source numbers it, or the disciplined
//! clock once it is right to a fraction of a second.

use std::io;
use std::path::{Path, PathBuf};

use clockwright_discipline::Leap;
use clockwright_phc::{Selector, Tracked};
use clockwright_sys::clock::raw_now;
use clockwright_sys::pps;
use clockwright_timebase::{Duration, Raw, Timestamp, Utc};
use nix::errno::Errno;

use super::median::Point;
use super::refusal::{Refusal, Tally};
use super::{Found, Numbering, difference};
use crate::clock::Clock;
use crate::config::{PulseEdge, RefclockSettings};

/// The channel, and the pin it is on, of a PTP hardware clock that stamps pulses.
const CHANNEL: u32 = 0;
/// Whoever numbers seconds must be right to this, or the number may be a wrong one.
const WELL_BELOW_HALF: Duration = Duration::from_millis(200);
/// So far from a whole second a pulse is none of the seconds', s.
const FARTHEST: Duration = Duration::from_millis(400);

/// A source of pulses that is opened when it can be.
#[derive(Debug)]
pub(super) struct Pulses {
    path: PathBuf,
    open: Option<Stamped>,
    /// Was the system clock set since the last look?
    clock_was_set: bool,
    /// Has the host's oscillator lost count of time since the last look?
    lost_count: bool,
}

/// By whom pulses are stamped.
#[derive(Debug)]
enum Stamped {
    ByKernel {
        device: pps::Device,
        last: Option<u32>,
    },
    ByClock(Box<Tracked>),
}

impl Pulses {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            open: None,
            clock_was_set: false,
            lost_count: false,
        }
    }

    /// The system clock was set, which the kernel stamps by: the next pulse found may be of before.
    pub(super) fn restart(&mut self) {
        self.clock_was_set = true;
    }

    /// The host's oscillator has lost count of time, against which a clock is tracked that stamps
    /// pulses: the next ones found may be of before.
    pub(super) fn restart_tracker(&mut self) {
        self.lost_count = true;
    }

    /// Has it opened anew. A clock that stamped events for us stamps no more.
    pub(super) fn close(&mut self) {
        if let Some(Stamped::ByClock(tracked)) = self.open.take()
            && let Some(device) = tracked.clock().device()
        {
            // One that is gone stamps nothing either.
            let _ = device.stamp_events(CHANNEL, false);
        }
    }

    /// The pulses since the last look.
    pub(super) fn look(
        &mut self,
        settings: &RefclockSettings,
        clock: &dyn Clock,
        numbering: Numbering<'_>,
        tally: &mut Tally,
    ) -> Result<Found, String> {
        let clock_was_set = std::mem::take(&mut self.clock_was_set);
        let lost_count = std::mem::take(&mut self.lost_count);
        let mut stamped = match self.open.take() {
            Some(open) => open,
            None => open(&self.path, settings.edge)?,
        };
        let pulses = match &mut stamped {
            Stamped::ByKernel { device, last } => {
                let pulses = by_kernel(device, last, clock)
                    .map_err(|error| format!("{}: {error}", self.path.display()))?;
                if clock_was_set {
                    for _ in &pulses {
                        tally.note(Refusal::ClockSet);
                    }
                    Vec::new()
                } else {
                    pulses
                }
            }
            Stamped::ByClock(tracked) if lost_count => {
                tracked.tracker_mut().restart();
                by_clock(tracked, clock)?;
                Vec::new()
            }
            Stamped::ByClock(tracked) => by_clock(tracked, clock)?,
        };
        self.open = Some(stamped);
        let mut points = Vec::new();
        for pulse in pulses {
            match number(pulse, settings.offset, numbering) {
                Ok(point) => points.push(point),
                Err(refusal) => tally.note(refusal),
            }
        }
        Ok(Found::Points(points))
    }
}

impl Drop for Pulses {
    fn drop(&mut self) {
        self.close();
    }
}

/// A pulse before it has a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pulse {
    /// When it came.
    pub(super) at: Timestamp<Raw>,
    /// How far off that may be.
    pub(super) half_width: Duration,
}

fn open(path: &Path, edge: PulseEdge) -> Result<Stamped, String> {
    if is_clock(path) {
        return open_clock(path);
    }
    let captured = match edge {
        PulseEdge::Assert => pps::Edge::Assert,
        PulseEdge::Clear => pps::Edge::Clear,
    };
    match pps::Device::open(path, captured) {
        Ok(device) => {
            // A pulse from before may be of another time.
            let last = device.newest().ok().flatten().map(|pulse| pulse.sequence);
            Ok(Stamped::ByKernel { device, last })
        }
        Err(error) => Err(explain(path, &error)),
    }
}

fn explain(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT) => format!(
            "{path}: no such source of pulses (ls /sys/class/pps shows those this host has)"
        ),
        Some(Errno::ENOTTY) => format!("{path} is not a source of pulses"),
        Some(Errno::EOPNOTSUPP) => format!("{path} does not have this `edge`"),
        Some(Errno::EACCES) => format!("{path}: not permitted to open it"),
        Some(Errno::EPERM) => format!("{path}: to choose its `edge` CAP_SYS_TIME is needed"),
        _ => format!("{path}: {error}"),
    }
}

/// Is it a PTP hardware clock, whose pin has the pulses?
fn is_clock(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with("ptp"))
}

fn open_clock(path: &Path) -> Result<Stamped, String> {
    let selector = Selector::Path(path.to_owned());
    let tracked = Tracked::open_to_change(&selector).map_err(|error| error.to_string())?;
    let capabilities = tracked
        .clock()
        .capabilities()
        .map_err(|error| error.to_string())?;
    let path = path.display();
    if capabilities.external_timestamps == 0 {
        return Err(format!("{path} cannot stamp external events"));
    }
    let device = tracked.clock().device();
    let device = device.ok_or_else(|| format!("{path} has no pins"))?;
    if capabilities.pins > 0 {
        device
            .assign_pin(0, CHANNEL)
            .map_err(|error| format!("{path}: its pin 0 cannot stamp events: {error}"))?;
    }
    device
        .stamp_events(CHANNEL, true)
        .map_err(|error| format!("{path}: it does not stamp events: {error}"))?;
    Ok(Stamped::ByClock(Box::new(tracked)))
}

/// The newest pulse, unless it is known.
fn by_kernel(
    device: &pps::Device,
    last: &mut Option<u32>,
    clock: &dyn Clock,
) -> io::Result<Vec<Pulse>> {
    let Some(pulse) = device.newest()? else {
        return Ok(Vec::new());
    };
    if last.replace(pulse.sequence) == Some(pulse.sequence) {
        return Ok(Vec::new());
    }
    let window = clock.window();
    // Older than a second: the system clock was set since.
    let instant = window.instant_of(pulse.at).ok();
    Ok(instant
        .map(|at| Pulse {
            at,
            half_width: window.half_width(),
        })
        .into_iter()
        .collect())
}

/// The events since the last look.
fn by_clock(tracked: &mut Tracked, clock: &dyn Clock) -> Result<Vec<Pulse>, String> {
    let refreshed = tracked.refresh(raw_now(), Duration::ZERO);
    refreshed.map_err(|error| error.to_string())?;
    let path = tracked.path().display().to_string();
    let device = tracked.clock().device();
    let events = device.map_or(Ok(Vec::new()), clockwright_phc::Device::events);
    let events = events.map_err(|error| format!("{path}: {error}"))?;
    Ok(events
        .iter()
        .filter(|event| event.channel == CHANNEL)
        .filter_map(|event| tracked.instant_of(event.at))
        .map(|instant| Pulse {
            at: clock.timescale().at_host(instant.at),
            half_width: instant.uncertainty,
        })
        .collect())
}

/// Gives a pulse, which came `offset` after the beginning of a second, the number of that second.
pub(super) fn number(
    pulse: Pulse,
    offset: Duration,
    numbering: Numbering<'_>,
) -> Result<Point, Refusal> {
    let (ahead, bound) = numbering(pulse.at).ok_or(Refusal::Unnumbered)?;
    if bound > WELL_BELOW_HALF {
        return Err(Refusal::Coarse(bound));
    }
    // UTC at the pulse as whoever numbers it has it, and as the pulse has it.
    let about: Timestamp<Utc> = pulse.at.shifted_to(ahead - offset);
    let second = nearest_second(about.since_epoch());
    let off = (about.since_epoch() - second).abs();
    if off > FARTHEST {
        return Err(Refusal::BetweenSeconds(off));
    }
    let utc = Timestamp::from_epoch(second + offset);
    Ok(Point {
        at: pulse.at,
        offset: difference(utc, pulse.at),
        half_width: pulse.half_width,
        error: Duration::ZERO,
        leap: Leap::None,
    })
}

fn nearest_second(time: Duration) -> Duration {
    let second = Duration::from_secs(1).as_units();
    let seconds = (time + Duration::from_millis(500))
        .as_units()
        .div_euclid(second);
    Duration::from_units(seconds * second)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pulse at raw 100.25 s, where UTC is 1.8e9 s and `late_ms` ahead of that.
    fn numbered(late_ms: i64, bound_ms: i64, offset_ns: i64) -> Result<Point, Refusal> {
        let pulse = Pulse {
            at: Timestamp::from_epoch(Duration::from_millis(100_250)),
            half_width: Duration::ZERO,
        };
        let ahead = Duration::from_secs(1_800_000_000) + Duration::from_millis(750 + late_ms);
        let bound = Duration::from_millis(bound_ms);
        number(pulse, Duration::from_nanos(offset_ns), &|_| {
            Some((ahead, bound))
        })
    }

    #[test]
    fn the_second_is_numbered_and_nothing_else_of_the_numbering_counts() {
        let exact = Duration::from_secs(1_800_000_000) + Duration::from_millis(750);
        for late in [-300, -1, 0, 150, 399] {
            assert_eq!(numbered(late, 10, 0).unwrap().offset, exact, "{late}");
        }
        let point = numbered(150, 10, -370).unwrap();
        assert_eq!(point.offset, exact - Duration::from_nanos(370));
    }

    #[test]
    fn a_pulse_between_seconds_or_without_a_number_is_none() {
        let refusal = |late, bound| numbered(late, bound, 0).unwrap_err().key();
        assert_eq!(refusal(450, 10), "between_seconds");
        assert_eq!(refusal(0, 300), "coarse_numbering");
        let pulse = Pulse {
            at: Timestamp::EPOCH,
            half_width: Duration::ZERO,
        };
        assert_eq!(
            number(pulse, Duration::ZERO, &|_| None),
            Err(Refusal::Unnumbered)
        );
    }

    #[test]
    fn devices_that_are_not_there_say_so() {
        let missing = open(Path::new("/dev/pps4000000"), PulseEdge::Assert).unwrap_err();
        assert!(missing.contains("ls /sys/class/pps"), "{missing}");
        let wrong = open(Path::new("/dev/null"), PulseEdge::Assert).unwrap_err();
        assert_eq!(wrong, "/dev/null is not a source of pulses");
        assert!(open(Path::new("/dev/ptp4000000"), PulseEdge::Assert).is_err());
    }
}
