//! Serving this host's own clock while nobody tells it the time: `server.local`.

use clockwright_discipline::{Identities, Status};
use clockwright_timebase::{Duration, Raw, Timestamp};
use tracing::info;

use super::daemon::Daemon;
use super::sources::Member;
use crate::config::{Config, LocalConfig};
use crate::output::si::age;
use crate::serve::reference;

/// For how long this clock has been without the time, and what has been said about that.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalWatch {
    /// When it was last synchronised to a source that is no orphan; at first, when the daemon began.
    synchronized_at: Timestamp<Raw>,
    /// Was it served as it is when that was last told?
    told: bool,
}

impl LocalWatch {
    /// Of a daemon that begins now.
    pub(super) const fn new(now: Timestamp<Raw>) -> Self {
        Self {
            synchronized_at: now,
            told: false,
        }
    }

    /// When a clock that stays without the time begins to be served as `local` says.
    fn begins(&self, local: &LocalConfig) -> Timestamp<Raw> {
        self.synchronized_at + local.waits()
    }
}

impl Daemon {
    /// What is in force for a clock that is not synchronised, now: `None` if it is to be told so.
    /// Following an orphan is no being synchronised here, so that whoever loses its leader takes
    /// over at once.
    pub(super) fn active_local(&self) -> Option<&LocalConfig> {
        let local = configured(&self.config)?;
        let now = self.clock.timescale().now();
        (self.local.begins(local) <= now).then_some(local)
    }

    /// The stratum at which this clock is served as it is; `None` if it is not.
    pub(super) fn served_as_local(&self, status: &Status) -> Option<u8> {
        let local = self.active_local().filter(|_| !status.synchronized)?;
        Some(local.stratum)
    }

    /// When this clock begins to be served as it is, if nothing happens before; `None` if that has
    /// been told already.
    pub(super) fn local_due(&self) -> Option<Timestamp<Raw>> {
        let local = configured(&self.config).filter(|_| !self.local.told)?;
        let due = self.local.begins(local);
        // What is due is told at once where the clock is not synchronised, and else does not
        // matter.
        (self.told_synchronized == Some(false) || due > self.clock.timescale().now()).then_some(due)
    }

    /// Notes that the clock is synchronised, and tells when it begins and ceases to be served as
    /// it is.
    pub(super) fn watch_local(&mut self, status: &Status) {
        let now = self.clock.timescale().now();
        if status.synchronized && !status.orphan {
            self.local.synchronized_at = now;
        }
        let stratum = self.served_as_local(status);
        if std::mem::replace(&mut self.local.told, stratum.is_some()) == stratum.is_some() {
            return;
        }
        let Some(leave) = self.limiter.leave("local", now) else {
            return;
        };
        match (stratum, self.active_local().map(LocalConfig::waits)) {
            (Some(stratum), Some(waited)) if waited <= Duration::ZERO => {
                info!(
                    "not synchronised: this clock is served as it is, at stratum {stratum}{leave}"
                );
            }
            (Some(stratum), Some(waited)) => info!(
                "not synchronised for {}: this clock is served as it is, at stratum {stratum}{leave}",
                age(waited.as_secs_f64())
            ),
            _ => info!("this clock is no longer served as it is{leave}"),
        }
    }

    /// Makes the discipline know at which stratum servers without a source serve their own clocks.
    pub(super) fn take_over_orphans(&mut self) {
        let orphans = configured(&self.config).filter(|local| local.orphan);
        let stratum = orphans.map(|local| local.stratum);
        let now = self.clock.timescale().now();
        self.discipline.set_orphan_stratum(stratum, now);
    }
}

/// What is configured for a clock that is not synchronised.
fn configured(config: &Config) -> Option<&LocalConfig> {
    config.server.as_ref()?.local.as_ref()
}

/// How a server and this host are named as references, as the server sees it. Servers of this host
/// itself see themselves: with them nothing can be compared.
pub(super) fn identities(member: &Member) -> Option<Identities> {
    let source = member.asked.server().ip().to_canonical();
    let own = member.asked.local()?.to_canonical();
    (source != own && !own.is_loopback()).then(|| Identities {
        source: reference::of_server(source).0,
        own: reference::of_server(own).0,
    })
}
