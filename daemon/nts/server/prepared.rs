//! A configuration that can be taken over: everything is read and open that may fail.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tracing::warn;

use super::KeServer;
use super::common::Terms;
use super::descriptors;
use super::error::KeError;
use super::identity::Identity;
use super::key_store::KeyStore;
use super::listener::{self, Listener, Opened};
use super::moment::Moment;
use crate::config::{NTP_PORT, ServerConfig, ServerNtsConfig};
use crate::measure::OsEntropy;
use crate::serve::access::Access;
use crate::serve::rate::Limit;

/// What [`KeServer::take_over`] takes over.
#[derive(Debug)]
pub struct Prepared {
    pub(super) parts: Parts,
    /// Other cookie keys; `None`: those in use stay.
    pub(super) store: Option<KeyStore>,
}

/// All but the cookie keys.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) config: ServerNtsConfig,
    pub(super) terms: Terms,
    /// `None` where nobody is listened to: then the cookie keys are all there is.
    pub(super) identity: Option<Identity>,
    pub(super) tls: Option<Arc<rustls::ServerConfig>>,
    /// Listeners that there were not.
    pub(super) opened: Vec<Opened>,
}

impl Prepared {
    /// Reads the files and opens the sockets of a configuration for `running`, whose sockets and
    /// cookie keys are not opened again where they are the same. To be called within the tokio
    /// runtime.
    ///
    /// # Errors
    /// What cannot be used, and what to do. Nothing has changed then.
    pub fn new(
        server: &ServerConfig,
        nts: &ServerNtsConfig,
        state: &Path,
        running: &KeServer,
        now: Moment,
    ) -> Result<Self, KeError> {
        let parts = Parts::open(server, nts, &running.listeners, now)?;
        // Last, since it may write a file.
        let store = if running.store.is_configured(nts) {
            None
        } else {
            Some(KeyStore::open(nts, state, now, &mut OsEntropy::new())?)
        };
        Ok(Self { parts, store })
    }
}

impl Parts {
    /// Opens what is not in `listeners`.
    pub(super) fn open(
        server: &ServerConfig,
        nts: &ServerNtsConfig,
        listeners: &[Listener],
        now: Moment,
    ) -> Result<Self, KeError> {
        let identity = if nts.listen.is_empty() {
            None
        } else {
            Some(Identity::load(nts, now)?)
        };
        let tls = identity.as_ref().map(Identity::tls).transpose()?;
        let is_fresh = |address: &&SocketAddr| !listeners.iter().any(|it| it.address == **address);
        let fresh = nts.listen.iter().filter(is_fresh);
        let open = |address: &SocketAddr| {
            listener::open(*address).map_err(|error| KeError::Listen(*address, error))
        };
        Ok(Self {
            config: nts.clone(),
            terms: terms(server, nts),
            identity,
            tls,
            opened: fresh.map(open).collect::<Result<_, _>>()?,
        })
    }
}

/// What connections need to know of the configuration.
fn terms(server: &ServerConfig, nts: &ServerNtsConfig) -> Terms {
    let wanted = usize::try_from(nts.max_connections).unwrap_or(usize::MAX);
    let most = if nts.listen.is_empty() {
        wanted
    } else {
        descriptors::room_for(wanted)
    };
    if most < wanted {
        warn!(
            "this process may have too few files open for server.nts.max_connections = {wanted}: \
             {most} connections are accepted at once. Set LimitNOFILE= in its unit"
        );
    }
    Terms {
        access: Access::new(&server.allow, &server.deny),
        ntp_server: nts.ntp_server.as_ref().map(ToString::to_string),
        ntp_port: nts.ntp_port.unwrap_or_else(|| served_port(server, nts)),
        most,
        most_per_address: nts.max_connections_per_address,
        rate: nts.connection_rate.as_ref().map(Limit::from),
    }
}

/// The usual port, unless clients are to come to this host, and that answers on others only. Nobody
/// is sent to smeared time who could have other.
fn served_port(server: &ServerConfig, nts: &ServerNtsConfig) -> u16 {
    let smeared = server.smear.as_ref().map(|smear| smear.listen.as_slice());
    let listen = match server.listen.as_slice() {
        [] => smeared.unwrap_or_default(),
        some => some,
    };
    let mut ports = listen.iter().map(SocketAddr::port);
    match ports.clone().next() {
        Some(first) if nts.ntp_server.is_none() && ports.all(|port| port != NTP_PORT) => first,
        _ => NTP_PORT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SmearConfig;

    #[test]
    fn clients_are_sent_to_the_port_that_answers() {
        let port = |listen: &[&str], ntp_server: Option<&str>| {
            let server = ServerConfig {
                listen: listen.iter().map(|it| it.parse().unwrap()).collect(),
                ..ServerConfig::default()
            };
            let nts = ServerNtsConfig {
                ntp_server: ntp_server.map(|it| it.parse().unwrap()),
                ..ServerNtsConfig::default()
            };
            terms(&server, &nts).ntp_port
        };
        assert_eq!(port(&["0.0.0.0:123"], None), 123);
        assert_eq!(port(&["0.0.0.0:1123", "[::]:123"], None), 123);
        assert_eq!(port(&["0.0.0.0:1123", "[::]:1124"], None), 1123);
        assert_eq!(port(&[], None), 123);
        let smeared = |listen: &[&str]| {
            let server = ServerConfig {
                listen: listen.iter().map(|it| it.parse().unwrap()).collect(),
                smear: Some(SmearConfig {
                    listen: vec!["[::]:1125".parse().unwrap()],
                }),
                ..ServerConfig::default()
            };
            terms(&server, &ServerNtsConfig::default()).ntp_port
        };
        assert_eq!((smeared(&["[::]:1124"]), smeared(&[])), (1124, 1125));
        assert_eq!(port(&["0.0.0.0:1123"], Some("ntp.example")), 123);
    }
}
