//! The server's side of key establishment (RFC 8915 section 4): TLS connections, and the cookie
//! keys that servers of time need, too.
//!
//! Everything runs on the daemon's one thread: a task for each listener, and one for each
//! connection. Their number, the time each may take and the octets it may send are bounded, and
//! they go on in turns, so that the daemon is not kept from what it is there for.

mod certificates;
mod common;
mod connection;
mod counts;
mod crowd;
mod descriptors;
mod error;
mod fingerprint;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod identity;
mod key_file;
mod key_store;
mod keyring;
mod listener;
mod metered;
mod moment;
mod prepared;
mod shared_keys;
#[cfg(test)]
mod tests;
mod tls;
mod turns;
mod validity;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use clockwright_ntp::nts::CookieKeys;
use clockwright_timebase::{Duration, Raw, Timestamp};
use tracing::warn;

use crate::config::{ServerConfig, ServerNtsConfig};
use crate::measure::OsEntropy;
use certificates::Certificates;
use common::Common;
use identity::Identity;
use key_store::KeyStore;
use listener::Listener;
use prepared::Parts;
use shared_keys::SharedKeys;

pub use crate::nts::secret::SecretError;
pub use certificates::CertificateError;
pub use counts::KeServerCounts;
pub use error::KeError;
pub use moment::Moment;
pub use prepared::Prepared;
pub use shared_keys::SharedKeysError;

/// How often files are looked at.
const CHECK_EVERY: Duration = Duration::from_secs(60);

/// Establishes keys with clients, and keeps the keys of cookies. Connections are accepted until it
/// is dropped.
#[derive(Debug)]
pub struct KeServer {
    config: ServerNtsConfig,
    common: Arc<Common>,
    listeners: Vec<Listener>,
    identity: Option<Identity>,
    store: KeyStore,
    keys: Arc<CookieKeys>,
    entropy: OsEntropy,
    check_at: Timestamp<Raw>,
}

impl KeServer {
    /// Begins to serve. To be called within the tokio runtime.
    ///
    /// # Errors
    /// As [`Prepared::new`].
    pub fn new(
        server: &ServerConfig,
        nts: &ServerNtsConfig,
        state: &Path,
        now: Moment,
    ) -> Result<Self, KeError> {
        let parts = Parts::open(server, nts, &[], now)?;
        let store = KeyStore::open(nts, state, now, &mut OsEntropy::new())?;
        let keys = store.keys();
        let common = Common::new(parts.terms.clone(), &keys);
        let mut server = Self {
            config: nts.clone(),
            common: Arc::new(common),
            listeners: Vec::new(),
            identity: None,
            store,
            keys: Arc::new(keys),
            entropy: OsEntropy::new(),
            check_at: now.raw + CHECK_EVERY,
        };
        server.take_over(Prepared { parts, store: None });
        Ok(server)
    }

    /// Goes on with another configuration. Connections that are open are attended to their end. To
    /// be called within the tokio runtime.
    pub fn take_over(&mut self, prepared: Prepared) {
        let Prepared { parts, store } = prepared;
        self.config = parts.config;
        self.common.reconfigure(parts.terms, parts.tls);
        self.identity = parts.identity;
        match store {
            Some(store) => {
                self.store = store;
                self.publish_keys();
            }
            None => self.store.reconfigure(&self.config),
        }
        let listen = &self.config.listen;
        self.listeners.retain(|open| listen.contains(&open.address));
        let fresh = parts
            .opened
            .into_iter()
            .map(|opened| Listener::new(opened, &self.common));
        self.listeners.extend(fresh);
    }

    /// The cookie keys. Whenever they change it is another `Arc` ([`Arc::ptr_eq`]).
    pub fn keys(&self) -> Arc<CookieKeys> {
        Arc::clone(&self.keys)
    }

    /// What has become of the connections.
    pub fn counts(&self) -> KeServerCounts {
        self.common.counts()
    }

    /// When the first of its certificates expires, in words; `None` where nobody can connect.
    pub fn certified_until(&self) -> Option<String> {
        self.identity.as_ref().map(Identity::until)
    }

    /// Where it listens; a configured port 0 has become a real one.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.listeners.iter().map(Listener::local)
    }

    /// When [`handle_time`](Self::handle_time) has something to do, by the host's own clock.
    pub fn next_timeout(&self) -> Timestamp<Raw> {
        let store = self.store.next_timeout();
        store.map_or(self.check_at, |due| due.min(self.check_at))
    }

    /// Replaces cookie keys and looks at files when it is time.
    pub fn handle_time(&mut self, now: Moment) {
        if self.store.handle_time(now, &mut self.entropy) {
            self.publish_keys();
        }
        if self.check_at <= now.raw {
            self.check_files(now);
        }
    }

    /// Reads certificates and shared cookie keys again if they have changed on the disk.
    pub fn check_files(&mut self, now: Moment) {
        self.check_at = now.raw + CHECK_EVERY;
        if self.store.check_files() {
            self.publish_keys();
        }
        if let Some(identity) = &mut self.identity
            && identity.check_files(&self.config, now)
        {
            match identity.tls() {
                Ok(tls) => self.common.set_tls(tls),
                Err(error) => warn!("{error}; the certificates in use stay"),
            }
        }
    }

    /// Keeps what the next run should know.
    pub fn save(&mut self, now: Moment) {
        self.store.save(now);
    }

    fn publish_keys(&mut self) {
        let keys = self.store.keys();
        self.common.set_keys(&keys);
        self.keys = Arc::new(keys);
    }
}

/// What is to be said of the files that are configured, each a line: why they could not be used, or
/// that a certificate has expired or soon will. Not whose they are: whoever asks need not be the
/// daemon's user.
pub fn remarks(nts: &ServerNtsConfig) -> Vec<String> {
    let now = Moment::now().unix_s;
    let mut remarks = match Certificates::load(&nts.certificates, &nts.private_keys) {
        Ok(certificates) => certificates.remarks(now),
        Err(CertificateError::Key(SecretError::Foreign { .. })) => Vec::new(),
        Err(_) if nts.only_opens_cookies() => Vec::new(),
        Err(error) => vec![KeError::from(error).to_string()],
    };
    match nts.keys.as_ref().map(|path| SharedKeys::open(path)) {
        None
        | Some(
            Ok(_)
            | Err(
                SharedKeysError::Foreign(..)
                | SharedKeysError::Unusable(SecretError::Foreign { .. }),
            ),
        ) => {}
        Some(Err(error)) => remarks.push(KeError::Keys(error).to_string()),
    }
    remarks
}
