//! What is known of the interfaces at one moment, for threads that have no part in finding it out.

use std::path::Path;
use std::sync::Arc;

use clockwright_ntp::Transport;
use clockwright_phc::Tracker;
use clockwright_sys::socket::Message;
use clockwright_timebase::{Duration, Phc, Raw, Stamp, StampKind, Timestamp};

use super::convert::{arrival, departure, take_in, taker};
use super::fallback::Fallback;
use super::nic::Airtime;
use super::stamp::{Arrived, HardwareStamp, Medium, Sent};
use super::table::Interfaces;
use super::tally::Direction;
use crate::clock::Window;

/// The interfaces, their clocks, and how stamps are converted: all as it was when this was made.
/// Nothing is read, counted or reviewed here.
#[derive(Debug, Default)]
pub struct Sight {
    /// By index, ascending.
    interfaces: Vec<Seen>,
    clocks: Vec<SeenClock>,
}

/// An interface.
#[derive(Debug)]
struct Seen {
    index: u32,
    /// The device that does the work.
    device: Option<u32>,
    /// Why a packet over plain UDP has no hardware stamp: one that was sent, one that was received.
    reasons: (Fallback, Fallback),
    nic: Option<SeenNic>,
}

/// An interface's hardware.
#[derive(Debug)]
struct SeenNic {
    /// Its place among the clocks.
    clock: Option<usize>,
    transmits: bool,
    speed_mbps: Option<u32>,
    rx_compensation: Duration,
    tx_compensation: Duration,
}

/// A PTP hardware clock.
#[derive(Debug)]
struct SeenClock {
    path: Arc<Path>,
    tracker: Arc<Tracker>,
    /// When it was last found to have been set.
    set: Option<Timestamp<Raw>>,
    /// Can it not be read?
    faulty: bool,
}

/// What is known of an interface's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockSight {
    /// There is none.
    None,
    /// It cannot be read, and is tried again now and then.
    Faulty,
    /// It has not been read yet.
    NeverRead,
    /// It was read then, on the host's oscillator.
    Read(Timestamp<Raw>),
}

impl Interfaces {
    /// All that is known now.
    pub fn sight(&self, before: &Sight) -> Sight {
        let mut clocks = Vec::new();
        let interfaces = self.known.iter().map(|(index, interface)| {
            let nic = interface.nic().map(|nic| SeenNic {
                clock: self.place_of(&nic.clock, &mut clocks, before),
                transmits: nic.transmits(),
                speed_mbps: nic.speed_mbps,
                rx_compensation: nic.wishes.rx_compensation,
                tx_compensation: nic.wishes.tx_compensation,
            });
            Seen {
                index: *index,
                device: self.device_of(*index),
                reasons: (
                    interface.reason(Direction::Transmit, Transport::Udp),
                    interface.reason(Direction::Receive, Transport::Udp),
                ),
                nic,
            }
        });
        Sight {
            interfaces: interfaces.collect(),
            clocks,
        }
    }

    /// The place of the clock at `path` among `clocks`, to which it is added if need be. What was
    /// known of it `before` is shared if it has not been read since.
    fn place_of(
        &self,
        path: &Arc<Path>,
        clocks: &mut Vec<SeenClock>,
        before: &Sight,
    ) -> Option<usize> {
        if let Some(place) = clocks.iter().position(|clock| clock.path == *path) {
            return Some(place);
        }
        let clock = self.clocks.get(path)?;
        let tracker = clock.tracked()?.tracker();
        let newest = |tracker: &Tracker| (tracker.status().readings, tracker.last_reading());
        let same = before
            .clocks
            .iter()
            .find(|seen| seen.path == *path && newest(&seen.tracker) == newest(tracker));
        clocks.push(SeenClock {
            path: Arc::clone(path),
            tracker: same.map_or_else(
                || Arc::new(tracker.clone()),
                |seen| Arc::clone(&seen.tracker),
            ),
            set: clock.was_set_at(),
            faulty: clock.fault().is_some(),
        });
        Some(clocks.len() - 1)
    }

    /// Reads all clocks whose last reading is older than `max_age`.
    pub fn refresh_clocks(&mut self, max_age: Duration, now: Timestamp<Raw>) {
        let nics = self.known.values().filter_map(super::table::Interface::nic);
        let paths: Vec<Arc<Path>> = nics.map(|nic| Arc::clone(&nic.clock)).collect();
        for path in paths {
            self.clocks.refresh(&path, now, max_age, &mut self.notices);
        }
        let indices: Vec<u32> = self.known.keys().copied().collect();
        for index in indices {
            let Some((nic, ethtool)) = self.nic_mut(index) else {
                continue;
            };
            let before = nic.speed_mbps;
            nic.refresh_speed(index, ethtool, now);
            if nic.speed_mbps != before {
                self.changed();
            }
        }
    }
}

impl Sight {
    fn find(&self, index: u32) -> Option<&Seen> {
        let place = self
            .interfaces
            .binary_search_by_key(&index, |seen| seen.index);
        self.interfaces.get(place.ok()?)
    }

    /// Takes in a packet that has arrived over plain UDP, with all its stamps.
    pub fn arrived(&self, message: &Message<'_>, window: &Window) -> Arrived {
        let medium = Medium {
            transport: Transport::Udp,
            ipv6: message.source.is_ipv6(),
        };
        let interface = self.taker(message);
        take_in(
            message,
            medium,
            interface,
            window,
            |stamp, length, latest| {
                let (nic, clock) = self.hardware(stamp.interface)?;
                let start = clock.instant_of(stamp.at, window.host_now())?;
                let airtime = Airtime::of_frame(length, nic.speed_mbps);
                arrival(start, airtime, nic.rx_compensation, latest, window)
            },
        )
    }

    /// The interface that took a packet in.
    pub fn taker(&self, message: &Message<'_>) -> Option<u32> {
        taker(message, |index| self.find(index)?.device)
    }

    /// When a packet left, by a NIC's stamp.
    ///
    /// # Errors
    /// Why the stamp is of no use.
    pub fn departure_instant(
        &self,
        stamp: HardwareStamp,
        sent: Sent,
        window: &Window,
    ) -> Result<Stamp<Raw>, Fallback> {
        let (nic, clock) = self.hardware(stamp.interface)?;
        let start = clock.instant_of(stamp.at, sent.host)?;
        departure(start, nic.tx_compensation, sent, window)
    }

    /// The best transmit stamp that a packet sent through `interface` can get; `None` stands for
    /// an interface that nobody knows yet.
    pub fn best_transmit(&self, interface: Option<u32>) -> StampKind {
        let transmits = |seen: &Seen| seen.nic.as_ref().is_some_and(|nic| nic.transmits);
        let hardware = match interface {
            Some(index) => self.find(index).is_some_and(transmits),
            None => self.interfaces.iter().any(transmits),
        };
        if hardware {
            StampKind::Hardware
        } else {
            StampKind::Kernel
        }
    }

    /// Why a packet of this interface has no hardware stamp; `None`: there is no such interface.
    pub fn reason(&self, direction: Direction, interface: u32) -> Option<Fallback> {
        let (transmit, receive) = self.find(interface)?.reasons;
        Some(match direction {
            Direction::Transmit => transmit,
            Direction::Receive => receive,
        })
    }

    /// What is known of the clock that `interface` stamps by.
    pub fn clock(&self, interface: u32) -> ClockSight {
        match self.hardware(interface) {
            Err(_) => ClockSight::None,
            Ok((_, clock)) if clock.faulty => ClockSight::Faulty,
            Ok((_, clock)) => match clock.tracker.last_reading() {
                None => ClockSight::NeverRead,
                Some(read) => ClockSight::Read(read),
            },
        }
    }

    fn hardware(&self, interface: u32) -> Result<(&SeenNic, &SeenClock), Fallback> {
        let seen = self.find(interface).ok_or(Fallback::UnknownInterface)?;
        let nic = seen.nic.as_ref().ok_or(Fallback::UnknownInterface)?;
        let clock = nic.clock.and_then(|place| self.clocks.get(place));
        Ok((nic, clock.ok_or(Fallback::ClockUnreadable)?))
    }
}

impl SeenClock {
    /// The host's raw instant at which the clock showed `stamp`, and how far it can be wrong.
    /// The packet was stamped at `not_before` at the earliest.
    fn instant_of(
        &self,
        stamp: Timestamp<Phc>,
        not_before: Timestamp<Raw>,
    ) -> Result<(Timestamp<Raw>, Duration), Fallback> {
        if self.set.is_some_and(|set| not_before <= set) {
            return Err(Fallback::ClockSet);
        }
        let tracker = Some(&self.tracker).filter(|_| !self.faulty);
        let instant = tracker.and_then(|tracker| tracker.instant_of(stamp));
        let instant = instant.ok_or(Fallback::ClockUnreadable)?;
        Ok((instant.at, instant.uncertainty))
    }
}
