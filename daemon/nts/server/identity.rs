//! The certificates that are configured, read again when their files change.

use std::sync::Arc;

use clockwright_timebase::{Duration, Raw, Timestamp};
use tracing::{info, warn};

use super::certificates::Certificates;
use super::error::KeError;
use super::fingerprint::Fingerprint;
use super::moment::Moment;
use super::tls;
use crate::config::ServerNtsConfig;
use crate::output::date;

/// How often it is said that a certificate is about to expire or has.
const REMIND_EVERY: Duration = Duration::from_secs(86_400);

/// Who this server says it is.
#[derive(Debug)]
pub(super) struct Identity {
    seen: Fingerprint,
    certificates: Arc<Certificates>,
    remind_at: Timestamp<Raw>,
}

impl Identity {
    /// Reads the certificates and keys.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub(super) fn load(config: &ServerNtsConfig, now: Moment) -> Result<Self, KeError> {
        let seen = fingerprint(config);
        let certificates = Certificates::load(&config.certificates, &config.private_keys)?;
        let mut identity = Self {
            seen,
            certificates: Arc::new(certificates),
            remind_at: now.raw,
        };
        identity.remind(now);
        Ok(identity)
    }

    /// TLS with these certificates.
    ///
    /// # Errors
    /// The TLS library refuses.
    pub(super) fn tls(&self) -> Result<Arc<rustls::ServerConfig>, KeError> {
        tls::config(Arc::clone(&self.certificates)).map_err(KeError::Tls)
    }

    /// Reads them again if the files have changed; true if they were taken over. If they cannot be
    /// used, that is said once, and those in use stay: programs that renew certificates write two
    /// files one after the other.
    pub(super) fn check_files(&mut self, config: &ServerNtsConfig, now: Moment) -> bool {
        let seen = fingerprint(config);
        let changed = seen != self.seen;
        if changed {
            match Self::load(config, now) {
                Ok(anew) => {
                    *self = anew;
                    let until = self.until();
                    info!("certificates for NTS key establishment read anew, valid until {until}");
                }
                Err(error) => {
                    self.seen = seen;
                    warn!("{error}; the certificates in use stay");
                    return false;
                }
            }
        }
        self.remind(now);
        changed
    }

    /// When the first certificate expires, in words.
    pub(super) fn until(&self) -> String {
        let end = self.certificates.not_after();
        end.map_or_else(
            || "a date that cannot be read".to_owned(),
            |end| date(Timestamp::from_timespec(end, 0)),
        )
    }

    /// Says what is wrong with the dates, once a day.
    fn remind(&mut self, now: Moment) {
        if self.remind_at <= now.raw {
            self.remind_at = now.raw + REMIND_EVERY;
            for remark in self.certificates.remarks(now.unix_s) {
                warn!("{remark}");
            }
        }
    }
}

fn fingerprint(config: &ServerNtsConfig) -> Fingerprint {
    Fingerprint::of(config.certificates.iter().chain(&config.private_keys))
}
