//! TLS as RFC 8915 section 4 wants it.

use std::sync::Arc;

use clockwright_ntp::nts::ke;
use rustls::crypto::aws_lc_rs::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;
use rustls::{ServerConfig, SupportedCipherSuite};

use super::certificates::Certificates;

/// Octets that wait in the TLS library to be sent; an answer is a thousand.
pub(super) const BUFFER: usize = 8 * 1024;

/// The keys that TLS hands over here are of 128 bits' strength, whichever suite they come from, so the
/// cheapest is first: SHA-256, which processors compute in hardware, where SHA-384 is a tenth of the
/// cost of a handshake. Clients that lack it get another.
const SUITES: [SupportedCipherSuite; 3] = [
    TLS13_AES_128_GCM_SHA256,
    TLS13_AES_256_GCM_SHA384,
    TLS13_CHACHA20_POLY1305_SHA256,
];

/// TLS 1.3 and nothing older, for this protocol and no other. No session is resumed: a client comes
/// once in days, its keys are to be new, and tickets are one more secret to keep.
///
/// # Errors
/// The TLS library does not know the version that it was chosen for.
pub(super) fn config(certificates: Arc<Certificates>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = CryptoProvider {
        cipher_suites: SUITES.to_vec(),
        ..aws_lc_rs::default_provider()
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![ke::ALPN.to_vec()];
    config.ignore_client_order = true;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}
