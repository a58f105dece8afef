//! What the daemon has to do with those who serve: it posts what they go by, and sees to what they
//! need.

use std::sync::Arc;

use clockwright_discipline::{ClockReading, Outlook};
use clockwright_ntp::Leap;
use clockwright_ntp::nts::CookieKeys;
use clockwright_sys::clock::raw_now;
use clockwright_sys::socket::{LoopBack, Stamping, packets_may_come_back};
use clockwright_timebase::Duration;
use tracing::{info, warn};

use super::daemon::Daemon;
use super::desk::Desk;
use super::leap_file::LeapFile;
use crate::clock::Clock;
use crate::config::ServerConfig;
use crate::interfaces::{Interfaces, Sight};
use crate::output::date;
use crate::serve::board::{Need, Needs};
use crate::serve::policy::Policy;
use crate::serve::posted::Posted;
use crate::serve::rate::ClientTable;
use crate::serve::smear::{LeapKind, Smear};
use crate::serve::{ListenError, Plan, Service};

/// Clocks that were read so recently are not read again for the workers.
const RECENT: Duration = Duration::from_millis(20);

/// The workers, and what is posted for them.
#[derive(Debug)]
pub(super) struct Serving {
    /// The workers.
    pub(super) service: Service,
    /// Where requests over PTP are answered, which come to a port that the sources share.
    pub(super) desk: Desk,
    policy: Arc<Policy>,
    cookie_keys: Option<Arc<CookieKeys>>,
    sight: Arc<Sight>,
    /// Of the interfaces, when `sight` was made; `None`: it never was.
    seen: Option<u64>,
    smear: Option<Smear>,
    leap_file: LeapFile,
}

impl Serving {
    /// Nobody is served yet.
    pub(super) fn new(
        config: Option<&ServerConfig>,
        clock: &dyn Clock,
        precision: i8,
        outlook: &Outlook,
        leap_file: LeapFile,
    ) -> Self {
        let policy = Arc::new(policy(config));
        let sight = Arc::new(Sight::default());
        let posted = Posted {
            timescale: *clock.timescale(),
            pace: clock.pace(),
            shown: clock.shown(),
            fresh_until: None,
            outlook: *outlook,
            reference_id: None,
            leap: Leap::Unsynchronized,
            precision,
            local: None,
            smear: None,
            sight: Arc::clone(&sight),
            policy: Arc::clone(&policy),
            cookie_keys: None,
        };
        Self {
            service: Service::new(posted),
            desk: Desk::new(),
            policy,
            cookie_keys: None,
            sight,
            seen: None,
            smear: leap_file.load(),
            leap_file,
        }
    }

    /// The clock was stepped, or found to have been.
    pub(super) fn clock_stepped(&mut self) {
        self.desk.clock_stepped();
        self.service.board().stepped();
    }

    /// What the tables of one worker take, octets.
    pub(super) fn octets_of_a_worker(&self) -> u64 {
        let clients = ClientTable::octets(self.policy.clients);
        let replies = clockwright_ntp::Server::octets(self.policy.replies);
        u64::try_from(clients + replies).unwrap_or(u64::MAX)
    }

    /// Who is answered, and how often.
    pub(super) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy)
    }

    /// Cookies are made and opened with these from now on.
    pub(super) fn set_cookie_keys(&mut self, keys: Option<Arc<CookieKeys>>) {
        self.desk.server.set_cookie_keys(keys.as_deref());
        self.cookie_keys = keys;
    }
}

/// What the workers' sockets are asked for: hardware stamps, where anything gives them.
fn stamping(interfaces: &Interfaces) -> Stamping {
    let stamping = interfaces.stamping();
    if stamping.loop_back == LoopBack::Nothing && packets_may_come_back() {
        Stamping {
            loop_back: LoopBack::Shared,
            ..stamping
        }
    } else {
        stamping
    }
}

/// The policy of a server; without one nobody is answered.
fn policy(config: Option<&ServerConfig>) -> Policy {
    config.map_or_else(|| Policy::new(&ServerConfig::default()), Policy::new)
}

impl Daemon {
    /// Serves as this configuration says, and on no other addresses.
    ///
    /// # Errors
    /// An address cannot be served on; then nothing has changed.
    pub(super) fn serve(&mut self, server: Option<&ServerConfig>) -> Result<(), ListenError> {
        let stamping = stamping(&self.instruments.interfaces);
        self.serving.service.set_stamping(stamping);
        self.serving.service.serve(&Plan::new(server))?;
        self.serving.policy = Arc::new(policy(server));
        self.post();
        Ok(())
    }

    /// Posts what is known now, if there is anybody to read it.
    pub(super) fn post(&mut self) {
        if !self.serving.service.is_serving() {
            return;
        }
        let reading = self.clock.read();
        let about = self.about(reading);
        self.follow_leap_second(reading);
        let interfaces = &self.instruments.interfaces;
        let version = Some(interfaces.version());
        if self.serving.seen != version {
            self.serving.seen = version;
            self.serving.sight = Arc::new(interfaces.sight(&self.serving.sight));
            self.serving.service.set_stamping(stamping(interfaces));
        }
        let now = raw_now();
        let posted = Posted {
            timescale: *self.clock.timescale(),
            pace: self.clock.pace(),
            shown: self.clock.shown(),
            fresh_until: self.clock.shown_for().map(|long| now + long),
            outlook: self.discipline.outlook(),
            reference_id: about.reference_id,
            leap: about.leap,
            precision: about.precision,
            local: self.active_local().cloned(),
            smear: self.serving.smear,
            sight: Arc::clone(&self.serving.sight),
            policy: Arc::clone(&self.serving.policy),
            cookie_keys: self.serving.cookie_keys.clone(),
        };
        self.serving.service.board().post(posted);
    }

    /// Knows of a leap second that is to be smeared from its day's beginning, before the smear's, to
    /// the smear's end, when nobody announces it any more.
    fn follow_leap_second(&mut self, reading: ClockReading) {
        let smears = |server: &ServerConfig| server.smear.is_some();
        let smears = self.config.server.as_ref().is_some_and(smears);
        let (before, now) = (self.serving.smear, reading.clock);
        let known = before.filter(|smear| smears && !smear.is_over(now));
        let found = self.leap_today(reading).map(|second| {
            let kind = if second.inserted {
                LeapKind::Insert
            } else {
                LeapKind::Delete
            };
            Smear::new(second.day_ends, kind)
        });
        let smear = known.or(found.filter(|_| smears));
        if smear == before {
            return;
        }
        self.serving.smear = smear;
        if let Some(smear) = smear {
            info!(
                "a leap second comes before {}: from noon before to noon after it, the time served \
                 on server.smear.listen is smeared",
                date(smear.leap_at())
            );
        }
        if let Err(error) = self.serving.leap_file.save(smear.as_ref()) {
            warn!(
                "the leap second cannot be kept in the state directory: {error}; after a restart \
                 between midnight and noon the time served on server.smear.listen would jump"
            );
        }
    }

    /// Sees to what workers need.
    pub(super) fn handle_needs(&mut self, needs: Needs) {
        if needs.include(Need::Clocks) {
            let interfaces = &mut self.instruments.interfaces;
            interfaces.refresh_clocks(RECENT, raw_now());
        }
        if needs.include(Need::Counts) {
            self.take_outcomes();
            if let Some(address) = self.serving.service.take_denied() {
                self.tell_of_denial(address);
            }
        }
        self.tell_of_interfaces();
    }

    /// Adds what the workers have counted of packets' stamps to the interfaces' counts.
    pub(super) fn take_outcomes(&mut self) {
        let now = raw_now();
        for outcome in self.serving.service.take_outcomes() {
            self.instruments.interfaces.count_many(
                outcome.direction,
                outcome.interface,
                (outcome.kind, outcome.fallback),
                outcome.packets,
                now,
            );
        }
    }
}
