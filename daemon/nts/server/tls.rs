//! TLS as RFC 8915 section 4 wants it.

use std::sync::Arc;

use clockwright_ntp::nts::ke;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;

use super::certificates::Certificates;

/// Octets that wait in the TLS library to be sent; an answer is a thousand.
pub(super) const BUFFER: usize = 8 * 1024;

/// TLS 1.3 and nothing older, for this protocol and no other. No session is resumed: a client comes
/// once in days, its keys are to be new, and tickets are one more secret to keep.
///
/// # Errors
/// The TLS library does not know the version that it was chosen for.
pub(super) fn config(certificates: Arc<Certificates>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![ke::ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}
