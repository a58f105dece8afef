//! Keys of NTS for those who ask this host, and the cookies that hold them.

use clockwright_timebase::{Raw, Timestamp};
use tracing::info;

use super::daemon::Daemon;
use crate::config::Config;
use crate::control::KeyServerReport;
use crate::nts::server::{KeError, KeServer, Moment, Prepared};

/// The key server that a configuration asks for, with everything read and open that may fail.
#[derive(Debug)]
pub(super) enum NextKeyServer {
    /// None.
    None,
    /// One where there was none.
    New(Box<KeServer>),
    /// The one there is, with changes.
    Changed(Box<Prepared>),
}

impl Daemon {
    /// Reads the certificates and keys of a configuration, and opens its sockets.
    ///
    /// # Errors
    /// What cannot be used. Nothing has changed then.
    pub(super) fn prepare_key_server(&self, config: &Config) -> Result<NextKeyServer, KeError> {
        let now = Moment::now();
        // Keys of the last run are where this one's are, whatever the new configuration says.
        let state = &self.config.state.directory;
        let Some((server, nts)) = config
            .server
            .as_ref()
            .and_then(|server| Some((server, server.nts.as_ref()?)))
        else {
            return Ok(NextKeyServer::None);
        };
        Ok(match &self.key_server {
            Some(running) => {
                let prepared = Prepared::new(server, nts, state, running, now)?;
                NextKeyServer::Changed(Box::new(prepared))
            }
            None => NextKeyServer::New(Box::new(KeServer::new(server, nts, state, now)?)),
        })
    }

    /// Hands out keys as has been prepared.
    pub(super) fn take_over_key_server(&mut self, next: NextKeyServer) {
        match (next, &mut self.key_server) {
            (NextKeyServer::None, running) => {
                if let Some(mut ended) = running.take() {
                    ended.save(Moment::now());
                }
            }
            (NextKeyServer::New(server), running) => *running = Some(*server),
            (NextKeyServer::Changed(prepared), Some(running)) => running.take_over(*prepared),
            // There was one when it was prepared.
            (NextKeyServer::Changed(_), None) => {}
        }
        self.publish_cookie_keys();
    }

    /// When cookie keys are to be replaced, or files to be looked at, next.
    pub(super) fn key_server_due(&self) -> Option<Timestamp<Raw>> {
        let due = self.key_server.as_ref()?.next_timeout();
        Some(self.clock.timescale().at_host(due))
    }

    /// Does that.
    pub(super) fn handle_key_server(&mut self) {
        self.tend_key_server(KeServer::handle_time);
    }

    /// Looks now whether certificates or shared cookie keys were changed: somebody asks for it.
    pub(super) fn check_key_files(&mut self) {
        self.tend_key_server(KeServer::check_files);
    }

    fn tend_key_server(&mut self, tend: impl FnOnce(&mut KeServer, Moment)) {
        let Some(server) = &mut self.key_server else {
            return;
        };
        let before = server.keys();
        tend(server, Moment::now());
        if !std::sync::Arc::ptr_eq(&before, &server.keys()) {
            self.publish_cookie_keys();
        }
    }

    /// Lets those who answer requests open the cookies that are handed out.
    fn publish_cookie_keys(&mut self) {
        let keys = self.key_server.as_ref().map(KeServer::keys);
        self.serving.set_cookie_keys(keys);
    }

    /// Keeps the cookie keys, and says what was done with them.
    pub(super) fn stop_key_server(&mut self) {
        let Some(server) = &mut self.key_server else {
            return;
        };
        server.save(Moment::now());
        let counts = server.counts();
        if counts.accepted > 0 {
            info!(
                "gave NTS keys to {} clients; {} connections came to nothing",
                counts.established,
                counts.refused()
            );
        }
    }

    /// The report about it; `None` where nobody can connect.
    pub(super) fn key_server_report(&self) -> Option<KeyServerReport> {
        let server = self.key_server.as_ref()?;
        let listening: Vec<_> = server.addresses().map(|it| it.to_string()).collect();
        if listening.is_empty() {
            return None;
        }
        let (counts, keys) = (server.counts(), server.keys());
        let refused = counts.by_reason().into_iter();
        Some(KeyServerReport {
            listening,
            accepted: counts.handshakes,
            established: counts.established,
            refused: refused
                .filter(|(_, count)| *count > 0)
                .map(|(reason, count)| (reason.to_owned(), count))
                .collect(),
            open: counts.open,
            cookie_key: format!("{:08x}", keys.sealing.id()),
            cookie_keys: u32::try_from(1 + keys.others.len()).unwrap_or(u32::MAX),
        })
    }
}
