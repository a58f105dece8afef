//! Shared memory in which other programs give time, as they do to ntpd: gpsd, ptp4l.

use clockwright_sys::shm::{Segment, Stamp, Taken, Writers, Written};
use clockwright_timebase::{Duration, Raw, Timestamp, Utc};
use nix::errno::Errno;
use nix::unistd::Uid;

use super::median::Point;
use super::refusal::{Refusal, Tally};
use super::told::{Quarantine, Told, leap};
use super::{Found, Numbering};
use crate::clock::Clock;
use crate::config::{RefclockDevice, RefclockSettings};

/// After so long without a sample the segment is attached anew: it may have been removed, and the
/// writer have another one by now.
const ATTACH_AGAIN: Duration = Duration::from_secs(10);
/// What a writer says of its clock counts within these limits: 2^-30 s is 1 ns.
const PRECISION: std::ops::RangeInclusive<i32> = -30..=0;

/// A segment that is attached when it can be.
#[derive(Debug)]
pub(super) struct Shm {
    unit: u8,
    attached: Option<(Segment, Timestamp<Raw>)>,
    quarantine: Quarantine,
}

impl Shm {
    pub(super) fn new(unit: u8) -> Self {
        Self {
            unit,
            attached: None,
            quarantine: Quarantine::default(),
        }
    }

    /// The system clock was set.
    pub(super) fn restart(&mut self) {
        self.quarantine.begin();
    }

    /// The sample since the last look.
    pub(super) fn look(
        &mut self,
        settings: &RefclockSettings,
        clock: &dyn Clock,
        numbering: Numbering<'_>,
        tally: &mut Tally,
    ) -> Result<Found, String> {
        let quarantined = self.quarantine.holds(clock);
        let now = clock.timescale().now();
        self.attached
            .take_if(|(_, since)| now - *since > ATTACH_AGAIN);
        let (segment, since) = match &mut self.attached {
            Some(attached) => attached,
            none => none.insert((attach(self.unit)?, now)),
        };
        let written = match segment.take() {
            Taken::Nothing => return Ok(Found::Points(Vec::new())),
            Taken::Torn => Err(Refusal::Torn),
            Taken::Whole(written) => Ok(written),
        };
        *since = now;
        let point = written
            .and_then(read)
            .and_then(|told| {
                if quarantined {
                    return Err(Refusal::ClockSet);
                }
                told.point(settings, &clock.window(), numbering)
            })
            .inspect_err(|refusal| tally.note(*refusal));
        let points: Vec<Point> = point.into_iter().collect();
        Ok(Found::Points(points))
    }
}

fn attach(unit: u8) -> Result<Segment, String> {
    let segment = Segment::attach(unit).map_err(|error| {
        let key = Segment::key(unit);
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EACCES) => format!(
                "shared memory {unit} belongs to another user: run this program as that one or as \
                 root, or remove it (ipcrm -M {key:#x}) and start this program first"
            ),
            Some(Errno::EINVAL) => format!(
                "shared memory {unit} is too short to be NTP's: remove it (ipcrm -M {key:#x})"
            ),
            Some(Errno::ENOSYS) => "this kernel has no System V shared memory".to_owned(),
            _ => format!("shared memory {unit}: {error}"),
        }
    })?;
    let writers = segment
        .writers()
        .map_err(|error| format!("shared memory {unit}: {error}"))?;
    match stranger(unit, writers, Uid::effective().as_raw()) {
        None => Ok(segment),
        Some(who) => Err(format!(
            "{who} can write to shared memory {unit} and so set the clock: remove it (ipcrm -M \
             {:#x}) and start this program first",
            Segment::key(unit)
        )),
    }
}

/// Who besides root and this program's user can write to a segment that is for these alone.
fn stranger(unit: u8, writers: Writers, me: u32) -> Option<String> {
    if !RefclockDevice::Shm(unit).is_private() {
        return None;
    }
    let trusted = |user: &u32| *user == 0 || *user == me;
    match writers.users.iter().find(|user| !trusted(user)) {
        Some(user) => Some(format!("user {user}")),
        None => writers.others.then(|| "any user".to_owned()),
    }
}

/// Reads what was written.
fn read(written: Written) -> Result<Told, Refusal> {
    if !matches!(written.mode, 0 | 1) {
        return Err(Refusal::Mode(written.mode));
    }
    let shown = instant(written.received)?;
    let precision = written
        .precision
        .clamp(*PRECISION.start(), *PRECISION.end());
    Ok(Told {
        shown,
        ahead: instant(written.clock)? - shown,
        pulse: false,
        leap: leap(written.leap)?,
        precision: Duration::from_secs_f64(f64::from(precision).exp2()),
    })
}

/// Nanoseconds count if they agree with the microseconds, which older writers have alone.
fn instant(stamp: Stamp) -> Result<Timestamp<Utc>, Refusal> {
    let is_time = (0..1 << 40).contains(&stamp.seconds) && (0..1_000_000).contains(&stamp.micros);
    if !is_time {
        return Err(Refusal::NoTime);
    }
    let of_micros = i64::from(stamp.micros) * 1000;
    let of_nanos = i64::from(stamp.nanos);
    let agree = (of_micros..of_micros + 1000).contains(&of_nanos);
    let nanos = if agree { of_nanos } else { of_micros };
    Ok(Timestamp::from_timespec(stamp.seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clockwright_discipline::Leap;

    const WRITTEN: Written = Written {
        mode: 1,
        clock: Stamp {
            seconds: 1_800_000_000,
            micros: 0,
            nanos: 0,
        },
        received: Stamp {
            seconds: 1_799_999_999,
            micros: 999_000,
            nanos: 999_000_250,
        },
        leap: 2,
        precision: -10,
    };

    #[test]
    fn what_is_written_is_the_clock_minus_the_system_clock() {
        let told = Told {
            shown: Timestamp::from_timespec(1_799_999_999, 999_000_250),
            ahead: Duration::from_nanos(999_750),
            pulse: false,
            leap: Leap::Delete,
            precision: Duration::from_secs_f64(1.0 / 1024.0),
        };
        assert_eq!(read(WRITTEN), Ok(told));
        // A writer that knows microseconds alone leaves anything in the other field.
        let old = Written {
            mode: 0,
            received: Stamp {
                nanos: 0xdead_beef,
                ..WRITTEN.received
            },
            ..WRITTEN
        };
        assert_eq!(read(old).unwrap().ahead, Duration::from_micros(1000));
    }

    #[test]
    fn what_is_no_sample_is_refused_with_the_reason() {
        let mode = Written { mode: 2, ..WRITTEN };
        assert_eq!(read(mode), Err(Refusal::Mode(2)));
        let leap = Written { leap: 3, ..WRITTEN };
        assert_eq!(read(leap), Err(Refusal::Unsynchronized));
        for (seconds, micros) in [(-1, 0), (i64::MAX, 0), (5, -1), (5, 1_000_000)] {
            let clock = Stamp {
                seconds,
                micros,
                nanos: 0,
            };
            let wrong = Written { clock, ..WRITTEN };
            assert_eq!(read(wrong), Err(Refusal::NoTime), "{seconds} {micros}");
        }
    }

    #[test]
    fn nobody_else_may_write_to_a_private_unit() {
        let writers = |owner, creator, others| Writers {
            users: [owner, creator],
            others,
        };
        for (unit, of, who) in [
            (0, writers(0, 0, false), None),
            (0, writers(7, 0, false), None),
            (1, writers(0, 1000, false), Some("user 1000")),
            (1, writers(1000, 0, false), Some("user 1000")),
            (0, writers(0, 0, true), Some("any user")),
            (2, writers(1000, 1000, true), None),
        ] {
            assert_eq!(stranger(unit, of, 7).as_deref(), who, "{unit} {of:?}");
        }
    }
}
