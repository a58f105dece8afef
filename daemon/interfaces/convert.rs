//! From a packet's stamps to instants.

use std::sync::Arc;

use clockwright_ntp::{Arrival, Stamps};
use clockwright_sys::socket::Message;
use clockwright_timebase::{Duration, Raw, Stamp, StampKind, Timestamp, Utc};

use super::fallback::Fallback;
use super::nic::Airtime;
use super::stamp::{Arrived, HardwareStamp, Medium, Sent};
use super::table::Interfaces;
use super::tally::Direction;
use crate::clock::{Implausible, Window};

/// A stamp of an arrival that is older than this is not of the packet it came with.
const OLDEST_ARRIVAL: Duration = Duration::from_secs(1);

/// How old the last reading of a PTP hardware clock may be when a stamp is converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// For measuring: one reading an exchange, taken when the reply is there, so that both ends of
    /// the exchange are converted by the same state of the clock.
    Measuring,
    /// For serving: readings cost time that replies would have to wait for.
    Serving,
    /// For a stamp that comes after its exchange's reading.
    Late,
}

impl Freshness {
    const fn max_age(self) -> Duration {
        match self {
            // Replies that come together share a reading.
            Self::Measuring => Duration::from_millis(4),
            Self::Serving => Duration::from_millis(62),
            Self::Late => Duration::from_secs(1),
        }
    }
}

impl Interfaces {
    /// Takes in a packet that has arrived, with all its stamps. `window` was read just now.
    pub fn arrived(
        &mut self,
        message: &Message<'_>,
        medium: Medium,
        freshness: Freshness,
        window: &Window,
    ) -> Arrived {
        let interface = taker(message, |index| self.device_of(index));
        let arrived = take_in(
            message,
            medium,
            interface,
            window,
            |stamp, length, latest| self.arrival_instant(stamp, length, freshness, latest, window),
        );
        if let Some(interface) = interface {
            let best = arrived.arrival.stamps.best();
            let kind = best.map_or(StampKind::Daemon, |best| best.kind);
            let how = (medium.transport, arrived.fallback);
            self.count(Direction::Receive, interface, kind, how, window.host_now());
        }
        arrived
    }

    /// When the end of a frame arrived, of which a NIC stamped the beginning, and how long it took
    /// on the wire. By `latest` the kernel had it.
    fn arrival_instant(
        &mut self,
        stamp: HardwareStamp,
        frame_length: u32,
        freshness: Freshness,
        latest: Timestamp<Raw>,
        window: &Window,
    ) -> Result<(Stamp<Raw>, Duration), Fallback> {
        let now = window.host_now();
        let (nic, ethtool) = self
            .nic_mut(stamp.interface)
            .ok_or(Fallback::UnknownInterface)?;
        nic.refresh_speed(stamp.interface, ethtool, now);
        let airtime = nic.frame_time(frame_length);
        let (clock, correction) = (Arc::clone(&nic.clock), nic.wishes.rx_compensation);
        self.clocks
            .refresh(&clock, now, freshness.max_age(), &mut self.notices);
        // The packet was there before the clock was read.
        let start = self.clocks.instant_of(&clock, stamp.at, now)?;
        arrival(start, airtime, correction, latest, window)
    }

    /// When a packet left, by a NIC's stamp.
    ///
    /// # Errors
    /// Why the stamp is of no use.
    pub fn departure_instant(
        &mut self,
        stamp: HardwareStamp,
        sent: Sent,
        freshness: Freshness,
        window: &Window,
    ) -> Result<Stamp<Raw>, Fallback> {
        let nic = self
            .nic(stamp.interface)
            .ok_or(Fallback::UnknownInterface)?;
        let (clock, correction) = (Arc::clone(&nic.clock), nic.wishes.tx_compensation);
        let now = window.host_now();
        self.clocks
            .refresh(&clock, now, freshness.max_age(), &mut self.notices);
        let start = self.clocks.instant_of(&clock, stamp.at, sent.host)?;
        departure(start, correction, sent, window)
    }

    /// When a packet left, by the kernel's stamp.
    ///
    /// # Errors
    /// The stamp cannot be right.
    pub fn kernel_departure(
        stamp: Timestamp<Utc>,
        sent: Sent,
        window: &Window,
    ) -> Result<Stamp<Raw>, Implausible> {
        let at = window.instant_of(stamp)?;
        let early = sent.earliest - at;
        if early > window.half_width() {
            return Err(Implausible::BeforeSending(early));
        }
        Ok(Stamp {
            at,
            kind: StampKind::Kernel,
            uncertainty: window.half_width(),
        })
    }
}

/// The interface that took a packet in, as far as that can be told; `device_of` finds the device
/// below an interface.
pub(super) fn taker(
    message: &Message<'_>,
    device_of: impl FnOnce(u32) -> Option<u32>,
) -> Option<u32> {
    let taken_by = message.stamped_by.filter(|index| *index != 0);
    let local = message.local.map(|local| local.ifindex);
    taken_by.or_else(|| device_of(local?)).or(local)
}

/// All stamps of a packet that `interface` took in. `place` tells when a frame of which the NIC
/// stamped the beginning had arrived, and how long that took: of the stamp, the frame's length
/// without check sequence, and the latest that it can have been.
pub(super) fn take_in(
    message: &Message<'_>,
    medium: Medium,
    interface: Option<u32>,
    window: &Window,
    place: impl FnOnce(HardwareStamp, u32, Timestamp<Raw>) -> Result<(Stamp<Raw>, Duration), Fallback>,
) -> Arrived {
    let mut stamps = Stamps::default();
    stamps.note(Stamp {
        at: window.now(),
        kind: StampKind::Daemon,
        uncertainty: window.half_width(),
    });
    let kernel = message.kernel.map(|stamp| window.instant_of(stamp));
    if let Some(Ok(at)) = kernel {
        stamps.note(Stamp {
            at,
            kind: StampKind::Kernel,
            uncertainty: window.half_width(),
        });
    }
    let mut fallback = None;
    let mut frame = Duration::ZERO;
    if let (Some(at), Some(interface)) = (message.hardware, interface) {
        let stamp = HardwareStamp { at, interface };
        let length = message
            .frame_length
            .filter(|length| *length != 0)
            .unwrap_or_else(|| medium.frame_length(message.payload.len()));
        let latest = stamps.best().map_or(window.now(), |best| best.at);
        match place(stamp, length, latest) {
            Ok((stamp, airtime)) => {
                stamps.note(stamp);
                frame = airtime;
            }
            Err(why) => fallback = Some(why),
        }
    } else if message.hardware.is_some() {
        fallback = Some(Fallback::UnknownInterface);
    }
    Arrived {
        arrival: Arrival {
            stamps,
            transport: medium.transport,
            frame,
        },
        interface,
        fallback,
        kernel: kernel.and_then(Result::err),
    }
}

/// When the end of a frame arrived whose beginning was stamped at `start` (on the host's oscillator,
/// with its uncertainty), and how long it took on the wire. By `latest` the kernel had it.
pub(super) fn arrival(
    (start, error): (Timestamp<Raw>, Duration),
    airtime: Airtime,
    compensation: Duration,
    latest: Timestamp<Raw>,
    window: &Window,
) -> Result<(Stamp<Raw>, Duration), Fallback> {
    let at = window.on_timescale(start) + airtime.known - compensation;
    let uncertainty = error + airtime.doubt;
    let doubt = uncertainty + window.half_width();
    if at - latest > doubt {
        return Err(Fallback::Implausible(Implausible::Future(at - latest)));
    }
    if window.now() - at > OLDEST_ARRIVAL {
        return Err(Fallback::Implausible(Implausible::Old(window.now() - at)));
    }
    let stamp = Stamp {
        at,
        kind: StampKind::Hardware,
        uncertainty,
    };
    Ok((stamp, airtime.known))
}

/// When a frame left whose beginning was stamped at `start` (on the host's oscillator, with its
/// uncertainty).
pub(super) fn departure(
    (start, uncertainty): (Timestamp<Raw>, Duration),
    compensation: Duration,
    sent: Sent,
    window: &Window,
) -> Result<Stamp<Raw>, Fallback> {
    let at = window.on_timescale(start) + compensation;
    let doubt = uncertainty + window.half_width();
    let early = sent.earliest - at;
    if early > doubt {
        return Err(Fallback::Implausible(Implausible::BeforeSending(early)));
    }
    let late = at - window.now();
    if late > doubt {
        return Err(Fallback::Implausible(Implausible::Future(late)));
    }
    Ok(Stamp {
        at,
        kind: StampKind::Hardware,
        uncertainty,
    })
}
