//! The live table of interfaces.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use clockwright_ntp::Transport;
use clockwright_sys::ethtool::Ethtool;
use clockwright_sys::hwtstamp::Receives;
use clockwright_sys::link::{self, Change, Kind, Link};
use clockwright_sys::socket::{LoopBack, Stamping};
use clockwright_timebase::{Duration, Raw, StampKind, Timestamp};

use tracing::trace;

use super::clocks::Clocks;
use super::fallback::Fallback;
use super::latency::Latency;
use super::nic::{Grant, Nic, Review};
use super::notice::Notice;
use super::policy::Policy;
use super::tally::{Direction, Tally};

/// The longest chain from an interface down to its device: a VLAN on a VLAN on a bond on devices.
const DEEPEST: usize = 8;
/// Notices kept for an owner that does not fetch them.
const NOTICES: usize = 256;

/// What may be done to interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// They are brought to stamp.
    Configure,
    /// They are only looked at: what others have set is used.
    Look,
}

/// The host's interfaces, their clocks and what became of their packets.
#[derive(Debug)]
pub struct Interfaces {
    policy: Policy,
    access: Access,
    /// `None` where the kernel cannot be asked: nothing stamps in hardware then.
    pub(super) ethtool: Option<Ethtool>,
    pub(super) known: BTreeMap<u32, Interface>,
    pub(super) clocks: Clocks,
    pub(super) notices: Vec<Notice>,
    /// Counts what changes, other than clocks.
    changes: u64,
}

/// An interface and what became of its packets.
#[derive(Debug)]
pub(super) struct Interface {
    pub(super) link: Link,
    pub(super) hardware: Hardware,
    pub(super) tally: Tally,
    pub(super) latency: Latency,
}

/// Whether an interface stamps in hardware.
#[derive(Debug)]
pub(super) enum Hardware {
    /// It has none.
    None,
    /// It is not asked, since the configuration leaves it out.
    NotWanted,
    /// It has.
    Nic(Box<Nic>),
}

impl Interface {
    pub(super) fn new(link: Link) -> Self {
        Self {
            link,
            hardware: Hardware::None,
            tally: Tally::default(),
            latency: Latency::default(),
        }
    }

    /// Its hardware.
    pub(super) fn nic(&self) -> Option<&Nic> {
        match &self.hardware {
            Hardware::Nic(nic) => Some(nic),
            Hardware::None | Hardware::NotWanted => None,
        }
    }

    /// Why a packet of this interface has no hardware stamp.
    pub(super) fn reason(&self, direction: Direction, transport: Transport) -> Fallback {
        let nic = match &self.hardware {
            Hardware::None => return Fallback::NoHardware,
            Hardware::NotWanted => return Fallback::NotWanted,
            Hardware::Nic(nic) => nic,
        };
        if matches!(nic.grant, Grant::Refused(_)) {
            return Fallback::NotGranted;
        }
        let expected = match direction {
            Direction::Transmit => nic.transmits(),
            Direction::Receive => receives(nic.receives(), transport),
        };
        if expected {
            Fallback::Missing
        } else {
            Fallback::Filter
        }
    }
}

/// Does a device with this filter stamp NTP packets that come so?
const fn receives(filter: Receives, transport: Transport) -> bool {
    match (filter, transport) {
        (Receives::AllPackets, _)
        | (Receives::NtpOnly, Transport::Udp)
        | (Receives::PtpOnly { l4: true }, Transport::Ptp) => true,
        (Receives::NtpOnly, Transport::Ptp)
        | (Receives::PtpOnly { .. } | Receives::Nothing | Receives::Unsaid, _) => false,
    }
}

impl Interfaces {
    /// The interfaces there are now, those that `policy` wants brought to stamp in hardware.
    pub fn new(policy: Policy, access: Access, now: Timestamp<Raw>) -> Self {
        let mut interfaces = Self {
            policy,
            access,
            ethtool: None,
            known: BTreeMap::new(),
            clocks: Clocks::default(),
            notices: Vec::new(),
            changes: 0,
        };
        if interfaces.policy.any() {
            interfaces.ethtool = Ethtool::open().ok();
        }
        interfaces.list(now);
        interfaces
    }

    /// Takes over a changed configuration: interfaces that are wanted now are brought to stamp;
    /// those that are no longer wanted are left as they are, and not used.
    pub fn reconfigure(&mut self, policy: Policy, now: Timestamp<Raw>) {
        if policy == self.policy {
            return;
        }
        self.policy = policy;
        self.changed();
        if self.policy.any() && self.ethtool.is_none() {
            self.ethtool = Ethtool::open().ok();
        }
        let all: Vec<u32> = self.known.keys().copied().collect();
        for index in all {
            self.take_into_use(index, now);
        }
        self.close_unused_clocks();
    }

    /// The kernel says that interfaces changed.
    pub fn handle_changes(&mut self, changes: Vec<Change>, now: Timestamp<Raw>) {
        self.changed();
        for change in changes {
            match change {
                Change::Link(link) => self.link_changed(link, now),
                Change::Gone { index } => self.gone(index),
                Change::Missed => self.list(now),
                Change::Address | Change::Route => {}
            }
        }
        self.close_unused_clocks();
    }

    /// Counts the changes of anything that [`Interfaces::sight`] shows.
    pub const fn version(&self) -> u64 {
        self.changes.wrapping_add(self.clocks.readings())
    }

    /// Something has changed.
    pub(super) const fn changed(&mut self) {
        self.changes = self.changes.wrapping_add(1);
    }

    /// What an operator should know has happened, oldest first; each is told once.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// What sockets are to be asked for: hardware stamps, where anything gives them.
    pub fn stamping(&self) -> Stamping {
        if self.any_hardware() {
            Self::HARDWARE
        } else {
            Stamping::KERNEL
        }
    }

    /// What sockets that stay open are to be asked for, since an interface that stamps may come
    /// later: hardware stamps, where there are any.
    pub const HARDWARE: Stamping = Stamping {
        hardware: true,
        // The packet that comes back with its stamp says which device sent it.
        loop_back: LoopBack::Packet,
        ..Stamping::KERNEL
    };

    /// Does any interface stamp in hardware?
    pub fn any_hardware(&self) -> bool {
        let mut nics = self.known.values().filter_map(Interface::nic);
        nics.any(|nic| nic.transmits() || nic.receives() != Receives::Nothing)
    }

    /// Is there an interface that stamps what it sends by plain UDP, but of what it receives only
    /// PTP?
    pub fn any_ptp_only(&self) -> bool {
        self.known
            .values()
            .filter_map(Interface::nic)
            .any(stamps_ptp_only)
    }

    /// Does this interface stamp, of what it receives, only PTP?
    pub fn is_ptp_only(&self, interface: u32) -> bool {
        self.nic(interface).is_some_and(stamps_ptp_only)
    }

    /// The best transmit stamp that a packet sent through `interface` can get; `None` stands for
    /// an interface that is not known yet.
    pub fn best_transmit(&self, interface: Option<u32>) -> StampKind {
        let hardware = match interface {
            Some(interface) => self.nic(interface).is_some_and(Nic::transmits),
            None => self
                .known
                .values()
                .filter_map(Interface::nic)
                .any(Nic::transmits),
        };
        if hardware {
            StampKind::Hardware
        } else {
            StampKind::Kernel
        }
    }

    /// How long a transmit stamp of `interface` is worth waiting for.
    pub fn transmit_wait(&self, interface: Option<u32>) -> Duration {
        interface
            .and_then(|index| self.known.get(&index))
            .map_or_else(|| Latency::default().wait(), |found| found.latency.wait())
    }

    /// This process has set the clock at `path`: nobody needs to be warned of it.
    pub fn clock_was_set(&mut self, path: &Path) {
        self.clocks.was_set(path);
    }

    /// The host's oscillator has lost count of time, as it does in sleep: nothing is known any more
    /// of where the NICs' clocks stand against it, until they are read again.
    pub fn restart_clocks(&mut self, now: Timestamp<Raw>) {
        self.clocks.restart(now);
    }

    /// The interface's name, for messages.
    pub fn name(&self, interface: u32) -> Option<&str> {
        self.known
            .get(&interface)
            .map(|found| found.link.name.as_str())
    }

    /// Notes how long a transmit stamp took to come.
    pub fn note_latency(&mut self, interface: u32, took: Duration) {
        if let Some(found) = self.known.get_mut(&interface) {
            found.latency.note(took);
        }
    }

    /// Notes that a transmit stamp came when it was no longer waited for.
    pub fn note_late(&mut self, interface: u32) {
        if let Some(found) = self.known.get_mut(&interface) {
            found.tally.transmit_late += 1;
        }
    }

    /// Notes what a packet got: `kind` is its best stamp. Where it is not the hardware's, the reason
    /// is found out (unless it is known: `fallback`), and a device that should have given one is
    /// looked at again.
    pub fn count(
        &mut self,
        direction: Direction,
        interface: u32,
        kind: StampKind,
        (transport, fallback): (Transport, Option<Fallback>),
        now: Timestamp<Raw>,
    ) {
        let Some(found) = self.known.get_mut(&interface) else {
            return;
        };
        let fallback = (kind != StampKind::Hardware)
            .then(|| fallback.unwrap_or_else(|| found.reason(direction, transport)));
        found.tally.count(direction, kind, fallback, 1);
        trace!(
            interface = found.link.name,
            ?direction,
            "{kind} stamp{}",
            fallback.map(|why| format!(": {why}")).unwrap_or_default()
        );
        if matches!(fallback, Some(Fallback::Missing | Fallback::Filter)) {
            self.review(interface, now);
        }
    }

    /// Notes what so many packets got that others have counted; of those without a hardware stamp
    /// `fallback` says why.
    pub fn count_many(
        &mut self,
        direction: Direction,
        interface: u32,
        (kind, fallback): (StampKind, Option<Fallback>),
        packets: u64,
        now: Timestamp<Raw>,
    ) {
        let Some(found) = self.known.get_mut(&interface) else {
            return;
        };
        found.tally.count(direction, kind, fallback, packets);
        if matches!(fallback, Some(Fallback::Missing | Fallback::Filter)) {
            self.review(interface, now);
        }
    }

    /// The device that sends and receives for `interface`: itself, what is below a VLAN, or the one
    /// member of a bond that stamps; `None` where that is ambiguous.
    pub(super) fn device_of(&self, mut interface: u32) -> Option<u32> {
        for _ in 0..DEEPEST {
            let link = &self.known.get(&interface)?.link;
            interface = match link.lower {
                Some(lower) if link.kind.is_on_lower() => lower,
                _ if link.kind.has_members() => {
                    let members = self.known.values().filter(|member| {
                        member.link.master == Some(interface) && member.nic().is_some()
                    });
                    let members: Vec<u32> = members.map(|member| member.link.index).collect();
                    match members[..] {
                        [only] => only,
                        [] => return Some(interface),
                        _ => return None,
                    }
                }
                _ => return Some(interface),
            };
        }
        None
    }

    /// An interface's hardware.
    pub(super) fn nic(&self, interface: u32) -> Option<&Nic> {
        self.known.get(&interface).and_then(Interface::nic)
    }

    /// An interface's hardware, for changing, with what it is asked by.
    pub(super) fn nic_mut(&mut self, interface: u32) -> Option<(&mut Nic, &mut Ethtool)> {
        let Hardware::Nic(nic) = &mut self.known.get_mut(&interface)?.hardware else {
            return None;
        };
        Some((nic, self.ethtool.as_mut()?))
    }

    /// Keeps a notice, unless the owner has stopped to fetch them.
    fn notice(&mut self, notice: Notice) {
        if self.notices.len() < NOTICES {
            self.notices.push(notice);
        }
    }

    /// Compares the table with the interfaces there are.
    fn list(&mut self, now: Timestamp<Raw>) {
        let links = match link::list() {
            Ok(links) => links,
            Err(error) => {
                self.notice(Notice::Blind {
                    why: error.to_string(),
                });
                return;
            }
        };
        let gone: Vec<u32> = self
            .known
            .keys()
            .filter(|index| !links.iter().any(|link| link.index == **index))
            .copied()
            .collect();
        for index in gone {
            self.gone(index);
        }
        // First all of them, so that each is judged with what is above and below it.
        for link in &links {
            let place = self.known.entry(link.index);
            place.or_insert_with(|| Interface::new(link.clone())).link = link.clone();
        }
        for link in links {
            self.take_into_use(link.index, now);
        }
    }

    /// An interface came or changed.
    fn link_changed(&mut self, link: Link, now: Timestamp<Raw>) {
        let index = link.index;
        let Some(found) = self.known.get_mut(&index) else {
            self.known.insert(index, Interface::new(link));
            self.take_into_use(index, now);
            return;
        };
        let before = std::mem::replace(&mut found.link, link);
        let after = &found.link;
        if before.name != after.name || before.master != after.master {
            self.take_into_use(index, now);
            return;
        }
        let came_up = (after.up && !before.up) || (after.running && !before.running);
        if let Some((nic, ethtool)) = self.nic_mut(index) {
            // A cable plugged in again may have another speed.
            nic.read_speed(index, ethtool, now);
            if came_up {
                // Drivers forget their configuration when they are reset, which shows as this.
                nic.look_again();
                self.review(index, now);
            }
        } else if came_up {
            self.take_into_use(index, now);
        }
    }

    fn gone(&mut self, index: u32) {
        if let Some(gone) = self.known.remove(&index)
            && gone.nic().is_some()
        {
            self.notice(Notice::Gone {
                interface: gone.link.name,
            });
        }
    }

    /// Brings an interface to stamp in hardware if that is wanted and possible.
    fn take_into_use(&mut self, index: u32, now: Timestamp<Raw>) {
        let names = self.names_of(index);
        let (Some(found), Some(ethtool)) = (self.known.get_mut(&index), &mut self.ethtool) else {
            return;
        };
        let kind = &found.link.kind;
        let stamps_itself = !kind.has_members() && !kind.is_on_lower();
        if found.link.loopback || !stamps_itself {
            return;
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if !self.policy.wants(&names) {
            let stamps = ethtool
                .capabilities(index)
                .is_ok_and(|able| able.hardware_rx() || able.hardware_tx());
            found.hardware = if stamps {
                Hardware::NotWanted
            } else {
                Hardware::None
            };
            return;
        }
        let wishes = self.policy.wishes(&found.link.name);
        let told = found.nic().map(|nic| nic.grant.to_string());
        match Nic::open(index, wishes, self.access, ethtool, now) {
            Ok(Some(nic)) => {
                let clock = Arc::clone(&nic.clock);
                let tell = told.as_ref() != Some(&nic.grant.to_string());
                let notice = in_use(&found.link.name, &nic);
                found.hardware = Hardware::Nic(Box::new(nic));
                if tell {
                    self.notice(notice);
                }
                self.clocks.add(&clock, now, &mut self.notices);
            }
            // One that is gone again has nothing to say.
            Ok(None) | Err(_) => found.hardware = Hardware::None,
        }
    }

    /// The names an interface can be configured by: its own, and those of what is above it.
    pub(super) fn names_of(&self, index: u32) -> Vec<String> {
        let mut indices = vec![index];
        let mut at = 0;
        while let Some(&below) = indices.get(at) {
            let above = self.known.values().map(|found| &found.link).filter(|link| {
                let is_master = self
                    .known
                    .get(&below)
                    .is_some_and(|member| member.link.master == Some(link.index));
                let is_over = !matches!(link.kind, Kind::Veth) && link.lower == Some(below);
                is_master || is_over
            });
            for link in above {
                if !indices.contains(&link.index) {
                    indices.push(link.index);
                }
            }
            at += 1;
        }
        let names = indices.iter().filter_map(|index| self.name(*index));
        names.map(str::to_owned).collect()
    }

    /// Looks again at how a device is configured, after it gave no stamp.
    fn review(&mut self, index: u32, now: Timestamp<Raw>) {
        let access = self.access;
        let Some(interface) = self.name(index).map(str::to_owned) else {
            return;
        };
        let Some((nic, ethtool)) = self.nic_mut(index) else {
            return;
        };
        let review = nic.review(index, access, ethtool, now);
        let grant = nic.grant.to_string();
        if review != Review::Same {
            self.changed();
        }
        let notice = match review {
            Review::Same => return,
            Review::Changed => Notice::Changed { interface, grant },
            Review::Restored => Notice::Restored { interface, grant },
            Review::Lost => Notice::Lost {
                interface,
                why: grant,
            },
        };
        self.notice(notice);
    }

    fn close_unused_clocks(&mut self) {
        let nics = self.known.values().filter_map(Interface::nic);
        let needed: Vec<&Path> = nics.map(|nic| nic.clock.as_ref()).collect();
        self.clocks.retain(|path| needed.contains(&path));
    }
}

fn stamps_ptp_only(nic: &Nic) -> bool {
    nic.receives() == Receives::PtpOnly { l4: true }
}

/// What is to be said of an interface that was taken into use.
fn in_use(name: &str, nic: &Nic) -> Notice {
    let interface = name.to_owned();
    if let Grant::Refused(error) = &nic.grant {
        return Notice::Refused {
            interface,
            why: error.to_string(),
        };
    }
    let but = match (nic.transmits(), nic.receives()) {
        (_, Receives::AllPackets | Receives::NtpOnly) => None,
        (_, Receives::PtpOnly { l4: true }) => {
            Some("it stamps only PTP on arrival: NTP over PTP is used with servers that answer it")
        }
        (true, _) => Some(
            "it stamps nothing on arrival that NTP could use, so measurements are made with \
             software timestamps",
        ),
        (false, _) => Some("it stamps nothing, so software timestamps are used"),
    };
    Notice::InUse {
        interface,
        grant: nic.grant.to_string(),
        clock: nic.clock.to_path_buf(),
        but,
    }
}
