//! A PTP hardware clock, or a hypervisor's, that tells the time.

use clockwright_discipline::Leap;
use clockwright_phc::{PhcError, Reading, Taken, Tracked};
use clockwright_sys::clock::raw_now;
use clockwright_timebase::Duration;

use super::median::Point;
use super::{Found, difference};
use crate::clock::{Timescale, ahead_of_utc};
use crate::config::{PhcName, RefclockSettings};

/// A clock that is opened when it can be.
#[derive(Debug)]
pub(super) struct Hardware {
    name: PhcName,
    open: Option<Tracked>,
}

impl Hardware {
    pub(super) const fn new(name: PhcName) -> Self {
        Self { name, open: None }
    }

    /// The host's oscillator has lost count of time: that it was set by so much against it is no news.
    pub(super) fn restart_tracker(&mut self) {
        if let Some(tracked) = &mut self.open {
            tracked.tracker_mut().restart();
        }
    }

    /// Reads the clock once.
    pub(super) fn read(
        &mut self,
        settings: &RefclockSettings,
        timescale: &Timescale,
    ) -> Result<Found, String> {
        let mut tracked = match self.open.take() {
            Some(open) => open,
            None => Tracked::open(&self.name.selector()).map_err(|error| error.to_string())?,
        };
        let taken = match tracked.refresh(raw_now(), Duration::ZERO) {
            Ok(taken) => taken,
            Err(PhcError::Moved(_)) => {
                self.open = Some(tracked);
                return Ok(Found::Moved);
            }
            // The device may be gone; it is opened again next time.
            Err(error) => return Err(error.to_string()),
        };
        let found = match taken {
            Some(Taken::Started | Taken::Good) => {
                let point = tracked
                    .newest()
                    .map(|reading| point(reading, &tracked, settings, timescale));
                Found::Points(point.into_iter().collect())
            }
            Some(Taken::Jumped { by }) => Found::Set(by),
            Some(Taken::Poor) | None => Found::Points(Vec::new()),
        };
        self.open = Some(tracked);
        Ok(found)
    }
}

fn point(
    reading: &Reading,
    tracked: &Tracked,
    settings: &RefclockSettings,
    timescale: &Timescale,
) -> Point {
    let at = timescale.at_host(reading.raw);
    let utc = reading
        .phc
        .shifted_to(settings.offset - ahead_of_utc(settings.timescale));
    Point {
        at,
        offset: difference(utc, at),
        half_width: reading.half_width,
        error: tracked.clock().error_bound().unwrap_or_default(),
        leap: Leap::None,
    }
}
