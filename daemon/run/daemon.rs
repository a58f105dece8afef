//! The daemon's state, and what happens to it: everything but the waiting.

use std::mem::Discriminant;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clockwright_discipline::{ClockReading, Discipline, SourceId};
use clockwright_sys::adjust::KernelLeap;
use clockwright_sys::clock::raw_now;
use clockwright_sys::link::Change;
use clockwright_timebase::{Duration, Raw, Timestamp, Utc};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use super::announced::Announced;
use super::companions::CompanionWatch;
use super::disruptions::Past;
use super::follow::Followers;
use super::keys::KeysFound;
use super::leap_file::LeapFile;
use super::leap_kernel::KernelLeaps;
use super::leap_list::ListFile;
use super::limiter::Limiter;
use super::local::LocalWatch;
use super::logging::LevelSwitch;
use super::moved::MoveWatch;
use super::ptp::PtpInbox;
use super::refclocks::Refclocks;
use super::serve::Serving;
use super::sessions::{SavedSession, SessionsFile};
use super::sources::{Sources, Turnover};
use super::state::StateFile;
use super::temperature::SensorWatch;
use crate::clock::Clock;
use crate::config::{Config, SourceAddress};
use crate::interfaces::Interfaces;
use crate::measure::{
    Arrival, Family, Instruments, PTP_OWNER, PtpPorts, Unresolved, Wakes, resolve,
};
use crate::nts::bootstrap;
use crate::nts::server::KeServer;

/// How often what has been learnt is saved.
const SAVE_EVERY: Duration = Duration::from_secs(3600);

/// What came of something that was begun and not waited for.
#[derive(Debug)]
pub(super) enum Finding {
    /// A name was looked up.
    Name(Resolution),
    /// Keys were established, or not.
    Keys(Box<KeysFound>),
}

/// What came of looking up a name.
#[derive(Debug)]
pub(super) struct Resolution {
    /// Of which source.
    pub(super) address: SourceAddress,
    /// Its addresses.
    pub(super) found: Result<Vec<SocketAddr>, Unresolved>,
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Samples taken in.
    pub(super) samples: u64,
    /// Steps made.
    pub(super) steps: u64,
}

/// Everything the daemon knows.
pub(super) struct Daemon {
    /// The configuration's main file.
    pub(super) main_file: PathBuf,
    /// The configuration in force.
    pub(super) config: Config,
    pub(super) level: LevelSwitch,
    pub(super) started: Timestamp<Raw>,
    pub(super) clock: Box<dyn Clock>,
    pub(super) precision: i8,
    pub(super) discipline: Discipline,
    pub(super) sources: Sources,
    pub(super) refclocks: Refclocks,
    pub(super) followers: Followers,
    pub(super) serving: Serving,
    /// Hands out keys, and replaces those of cookies.
    pub(super) key_server: Option<KeServer>,
    pub(super) instruments: Instruments,
    /// Buffers for what comes over PTP; absent only while they are being read.
    pub(super) ptp_inbox: Option<PtpInbox>,
    pub(super) limiter: Limiter,
    pub(super) local: LocalWatch,
    /// The list of leap seconds.
    pub(super) leap_list: ListFile,
    pub(super) sensor: SensorWatch,
    pub(super) companions: CompanionWatch,
    /// Was the clock in holdover when that was last told?
    pub(super) told_holdover: bool,
    pub(super) counts: Counts,
    pub(super) state: StateFile,
    pub(super) sessions: SessionsFile,
    save_at: Timestamp<Raw>,
    pub(super) findings: mpsc::UnboundedSender<Finding>,
    /// A time that is surely past: the program was built, or has known the time, then.
    pub(super) lower_bound: Timestamp<Utc>,
    /// Has the clock been synchronised since the start?
    pub(super) was_synchronized: bool,
    /// Why nobody was believed by a clock in doubt when that was last told.
    pub(super) told_doubt: Option<Discriminant<bootstrap::Reason>>,
    /// Was the clock synchronised when that was last told?
    pub(super) told_synchronized: Option<bool>,
    /// Have some servers been said to smear leap seconds, and others not to?
    pub(super) told_smears: bool,
    /// What the kernel was last told, and what is to be told.
    pub(super) announced: Announced,
    /// The leap second that the kernel was last told of.
    pub(super) told_leap: KernelLeap,
    pub(super) kernel_leaps: KernelLeaps,
    /// Who disagreed about a leap second when that was last told.
    pub(super) told_votes: Option<String>,
    /// Steps of the system clock by this process that the watch has yet to report.
    pub(super) own_steps: u32,
    /// Says when the machine was moved.
    pub(super) moves: MoveWatch,
    /// What has happened to the host's time.
    pub(super) past: Past,
}

/// What a daemon is made from.
pub(super) struct Parts {
    /// The configuration's main file.
    pub(super) main_file: PathBuf,
    /// The configuration.
    pub(super) config: Config,
    /// Changes what is logged.
    pub(super) level: LevelSwitch,
    /// The clock, opened.
    pub(super) clock: Box<dyn Clock>,
    /// The mathematics, knowing what was learnt before.
    pub(super) discipline: Discipline,
    /// Where that is kept.
    pub(super) state: StateFile,
    /// A time that is surely past.
    pub(super) lower_bound: Timestamp<Utc>,
    /// Where keys and cookies are kept, and what was.
    pub(super) sessions: (SessionsFile, Vec<SavedSession>),
    /// The interfaces that stamp.
    pub(super) interfaces: Interfaces,
    /// Where ports say that they have something to read.
    pub(super) wakes: Wakes,
    /// Where looked-up names and established keys are delivered.
    pub(super) findings: mpsc::UnboundedSender<Finding>,
}

impl Daemon {
    /// A daemon that has not asked anybody yet. To be called within the tokio runtime.
    pub(super) fn new(parts: Parts) -> Self {
        let now = parts.clock.timescale().now();
        let stamping = &parts.config.timestamping;
        let ptp = PtpPorts::new(stamping.ptp_transport, stamping.ptp_domain);
        let precision = clockwright_sys::clock::measure_precision();
        let serving = Serving::new(
            parts.config.server.as_ref(),
            parts.clock.as_ref(),
            precision,
            &parts.discipline.outlook(),
            LeapFile::new(&parts.config.state.directory),
        );
        let leap_list = ListFile::new(&parts.config.clock.leap_list, now);
        let kernel_leaps = KernelLeaps::new(parts.clock.as_ref());
        let mut daemon = Self {
            main_file: parts.main_file,
            config: parts.config,
            level: parts.level,
            started: now,
            precision,
            clock: parts.clock,
            discipline: parts.discipline,
            sources: Sources::default(),
            refclocks: Refclocks::default(),
            followers: Followers::default(),
            serving,
            key_server: None,
            instruments: Instruments::new(parts.wakes, parts.interfaces, ptp),
            ptp_inbox: Some(PtpInbox::new()),
            limiter: Limiter::default(),
            local: LocalWatch::new(now),
            leap_list,
            sensor: SensorWatch::new(now),
            companions: CompanionWatch::new(now),
            told_holdover: false,
            counts: Counts::default(),
            state: parts.state,
            sessions: parts.sessions.0,
            save_at: now + SAVE_EVERY,
            findings: parts.findings,
            lower_bound: parts.lower_bound,
            was_synchronized: false,
            told_doubt: None,
            told_synchronized: None,
            told_smears: false,
            announced: Announced::default(),
            told_leap: KernelLeap::None,
            kernel_leaps,
            told_votes: None,
            own_steps: 0,
            moves: MoveWatch::new(),
            past: Past::default(),
        };
        daemon.sources.remember(parts.sessions.1, now);
        daemon.take_over_orphans();
        // Before the first sample: what the temperature has done since the last run.
        daemon.read_temperature(now);
        daemon.take_over_options();
        daemon.begin(now);
        daemon
    }

    /// Begins to ask whom the configuration names.
    fn begin(&mut self, now: Timestamp<Raw>) {
        let sources: Vec<_> = self.config.servers().cloned().collect();
        for source in sources {
            let turnover = self.sources.add(source, now, &mut self.instruments);
            self.apply(turnover);
        }
        let refclocks: Vec<_> = self.config.refclocks().cloned().collect();
        for refclock in refclocks {
            self.attach(refclock);
        }
        self.followers = Followers::new(&self.config.follow);
        self.look_at_leap_list();
        self.carry_out();
        self.tell();
    }

    /// When something is due next, and what a timer of the kernel has to count until then.
    pub(super) fn due(&self) -> (Timestamp<Raw>, Duration) {
        let due = [
            self.sources.next_timeout(),
            self.refclocks.next_timeout(),
            self.followers
                .next_timeout()
                .map(|due| self.clock.timescale().at_host(due)),
            self.key_server_due(),
            self.local_due(),
            self.temperature_due(),
            self.companions_due(),
            self.discipline.next_timeout(),
            self.kernel_leap_due(),
            Some(self.leap_list.next_timeout()),
            Some(self.save_at),
        ];
        let next = due.into_iter().flatten().min().unwrap_or(self.save_at);
        let idle = self.clock.timescale().until(next, self.clock.timer_rate());
        (next, idle)
    }

    /// Does what is due.
    pub(super) fn handle_timeouts(&mut self) {
        let now = self.clock.timescale().now();
        self.read_temperature(now);
        self.compare_companions(now);
        if self.discipline.next_timeout().is_some_and(|due| due <= now) {
            let passed = self.discipline.leap_passed();
            self.discipline.handle_timeout(now);
            self.carry_out();
            if self.told_leap != KernelLeap::None || self.discipline.leap_passed() != passed {
                // It has been made, or is just being: the kernel need not be told any more, or it has
                // to be told what TAI is now.
                self.tell();
            }
        }
        if self.kernel_leap_due().is_some_and(|due| due <= now) {
            self.tell();
        }
        if self.leap_list.next_timeout() <= now {
            self.look_at_leap_list();
            self.tell();
        }
        let due: Vec<SourceId> = self
            .sources
            .members()
            .filter(|member| member.asked.next_timeout().is_some_and(|due| due <= now))
            .map(|member| member.id)
            .collect();
        for id in &due {
            if let Some(member) = self.sources.member_mut(*id) {
                member
                    .asked
                    .handle_timeout(&mut self.instruments, self.clock.as_ref());
            }
            self.handle_events(*id);
        }
        self.handle_refclocks(now);
        self.handle_followers();
        self.handle_key_server();
        for address in self.sources.due_names(now) {
            self.look_up(address);
        }
        if self.save_at <= now {
            self.save_at = now + SAVE_EVERY;
            self.save();
        }
        let local_begins = self.local_due().is_some_and(|due| due <= now);
        if !due.is_empty() || local_begins {
            self.serve_over_ptp();
            self.instruments.ptp.close_idle(raw_now());
            // Where answers come, they are told of; while none does, what is known grows vaguer.
            if !std::mem::take(&mut self.announced.answered) || local_begins {
                self.tell_again();
            }
        }
    }

    /// Reads what has arrived at a port.
    pub(super) fn handle_port(&mut self, arrival: Arrival) {
        let source = SourceId(arrival.port.owner);
        if arrival.port.owner == PTP_OWNER {
            self.handle_ptp_port(arrival.port);
        } else if let Some(member) = self.sources.member_mut(source) {
            member
                .asked
                .handle_port(arrival, &mut self.instruments, self.clock.as_ref());
            self.handle_events(source);
        }
        self.tell_of_interfaces();
    }

    /// Logs whose request was not answered.
    pub(super) fn tell_of_denial(&mut self, address: IpAddr) {
        if let Some(leave) = self.limiter.leave("denied", self.clock.timescale().now()) {
            info!("{address} asks for the time and is not in server.allow: not answered{leave}");
        }
    }

    /// Interfaces came, went or changed.
    pub(super) fn handle_links(&mut self, changes: Vec<Change>) {
        self.instruments
            .interfaces
            .handle_changes(changes, raw_now());
        self.serve_over_ptp();
        self.tell_of_interfaces();
        let now = self.clock.timescale().now();
        for member in self.sources.members_mut() {
            member.asked.client_mut().hasten_keys(now);
        }
    }

    /// Logs what has happened to interfaces and their clocks.
    pub(super) fn tell_of_interfaces(&mut self) {
        let now = self.clock.timescale().now();
        for notice in self.instruments.interfaces.take_notices() {
            let Some(leave) = self.limiter.leave(notice.kind(), now) else {
                continue;
            };
            if notice.is_warning() {
                warn!("{notice}{leave}");
            } else {
                info!("{notice}{leave}");
            }
        }
    }

    /// Looks a name up without waiting for it.
    fn look_up(&self, address: SourceAddress) {
        let findings = self.findings.clone();
        tokio::spawn(async move {
            let found = resolve(&address.host, address.port, Family::Any).await;
            // Nobody listens when the daemon is about to end.
            let _ = findings.send(Finding::Name(Resolution { address, found }));
        });
    }

    /// Something that was begun has come to its end.
    pub(super) fn handle_finding(&mut self, finding: Finding) {
        match finding {
            Finding::Name(resolution) => self.handle_resolution(&resolution),
            Finding::Keys(found) => self.handle_keys(*found),
        }
    }

    /// A name has been looked up.
    fn handle_resolution(&mut self, resolution: &Resolution) {
        let now = self.clock.timescale().now();
        let Resolution { address, found } = resolution;
        match found {
            Ok(addresses) => {
                debug!("{address}: {} addresses found", addresses.len());
                let turnover = self
                    .sources
                    .adopt(address, addresses, now, &mut self.instruments);
                let replaced = !turnover.left.is_empty();
                self.apply(turnover);
                self.sources.looked_up(address, None, replaced, now);
            }
            Err(failure) => {
                if let Some(leave) = self.limiter.leave("name", now) {
                    warn!("{}: {failure}{leave}", address.host);
                }
                self.sources.looked_up(address, Some(failure), false, now);
            }
        }
    }

    /// Makes the discipline know the same sources.
    pub(super) fn apply(&mut self, turnover: Turnover) {
        let now = self.clock.timescale().now();
        for id in turnover.left {
            self.discipline.remove_source(id);
        }
        for id in turnover.joined {
            if let Some((source, _)) = self.sources.find(id) {
                let options = self.options_of(source);
                self.discipline.add_source(id, options, now);
            }
        }
    }

    /// Saves what has been learnt.
    fn save(&mut self) {
        let Some(learnt) = self.discipline.learnt() else {
            return;
        };
        let now = self.clock.timescale().now();
        if let Err(error) = self.state.save(&learnt, self.utc())
            && let Some(leave) = self.limiter.leave("state", now)
        {
            warn!("{error}{leave}");
        }
    }

    /// Ends the correction under way; the frequency stays.
    fn end_correction(&mut self) {
        self.discipline.end_correction();
        self.carry_out();
    }

    /// Ends well: no correction goes on without us, and what has been learnt is kept.
    pub(super) fn stop(&mut self) {
        self.end_correction();
        self.followers.stop();
        self.save();
        self.save_sessions();
        self.stop_key_server();
        if self.serving.service.is_serving() {
            let counts = self.serving.service.counts();
            info!(
                "served {} replies, {} of them in interleaved mode, {} authenticated; {} requests \
                 were not allowed, {} beyond their clients' limits",
                counts.basic + counts.interleaved,
                counts.interleaved,
                counts.authenticated,
                counts.denied,
                counts.limited + counts.kisses
            );
        }
        self.serving.service.leave();
    }

    /// What the clock shows.
    pub(super) fn reading(&self) -> ClockReading {
        self.clock.read()
    }
}

impl Drop for Daemon {
    /// However the daemon ends, and be it by a panic, the clock must not go on being corrected
    /// with nobody there to stop it.
    fn drop(&mut self) {
        self.end_correction();
        self.followers.stop();
    }
}
