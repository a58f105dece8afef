//! A server and its clients in one process, over loopback.

mod crowded;
mod exchange;
mod hostile;
mod renewal;

use std::fs;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration as StdDuration, Instant};

use clockwright_ntp::nts::SessionKeys;
use clockwright_ntp::nts::ke::{self, session_keys};
use clockwright_timebase::Duration;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{KeServer, Moment};
use crate::config::{ServerConfig, ServerNtsConfig};
use crate::nts::scratch::Scratch;
use crate::nts::secret;

/// 2026-07-01, as `date` has it.
pub(super) const NOW: u64 = 1_782_864_000;
const NAME: &str = "ntp.example";

/// A certificate that vouches for itself, and its key.
pub(super) struct Issued {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Issued {
    /// For these names, for a long time.
    pub(super) fn new(names: &[&str]) -> Self {
        Self::valid(names, 2020, 2120)
    }

    /// From the first day of a year to the first day of another.
    pub(super) fn valid(names: &[&str], from: i32, to: i32) -> Self {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().unwrap();
        Self {
            certificate: params.self_signed(&key).unwrap(),
            key,
        }
    }

    /// The key as its file has it.
    pub(super) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Writes both files.
    pub(super) fn write(&self, certificate: &Path, key: &Path) {
        fs::write(certificate, self.certificate.pem()).unwrap();
        secret::replace(key, self.key_pem().as_bytes()).unwrap();
    }
}

/// A server with one certificate, on a port of its own.
struct Host {
    scratch: Scratch,
    issued: Issued,
    nts: ServerNtsConfig,
    server: KeServer,
}

impl Host {
    /// With the configuration that `change` makes of the usual one.
    fn new(name: &str, change: impl FnOnce(&mut ServerNtsConfig)) -> Self {
        let scratch = Scratch::new(name);
        let issued = Issued::new(&[NAME]);
        let (certificate, key) = (scratch.path("crt"), scratch.path("key"));
        issued.write(&certificate, &key);
        let mut nts = ServerNtsConfig {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            certificates: vec![certificate],
            private_keys: vec![key],
            ..ServerNtsConfig::default()
        };
        change(&mut nts);
        let (served, state) = (ServerConfig::default(), scratch.directory());
        let server = KeServer::new(&served, &nts, state, Moment::now()).unwrap();
        Self {
            scratch,
            issued,
            nts,
            server,
        }
    }

    fn address(&self) -> SocketAddr {
        self.server.addresses().next().unwrap()
    }

    /// Certificates anew for the next handshake.
    fn renew(&mut self, issued: Issued) {
        issued.write(&self.scratch.path("crt"), &self.scratch.path("key"));
        self.issued = issued;
    }

    /// A client that trusts this host's certificate.
    fn client(&self) -> Client {
        Client {
            address: self.address(),
            config: client_config(&self.issued, &[ke::ALPN]),
        }
    }
}

fn client_config(trusted: &Issued, alpn: &[&[u8]]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.certificate.der().clone()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

/// Somebody who asks.
struct Client {
    address: SocketAddr,
    config: ClientConfig,
}

/// What came of that.
struct Asked {
    answer: Vec<u8>,
    stream: TlsStream<TcpStream>,
}

impl Client {
    async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        let connector = TlsConnector::from(Arc::new(self.config.clone()));
        let name = ServerName::try_from(NAME).unwrap();
        connector.connect(name, stream).await
    }

    /// Sends a request, reads to the end of the stream, which TLS has to confirm.
    async fn ask(&self, request: &[u8]) -> std::io::Result<Asked> {
        let mut stream = self.connect().await?;
        stream.write_all(request).await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(Asked { answer, stream })
    }
}

impl Asked {
    fn keys(&self, algorithm: clockwright_ntp::nts::Algorithm, compliant: bool) -> SessionKeys {
        let connection = self.stream.get_ref().1;
        session_keys(algorithm, compliant, |context, key| {
            connection
                .export_keying_material(key, ke::EXPORTER_LABEL, Some(context))
                .map(|_| ())
        })
        .unwrap()
    }
}

/// Runs a test as the daemon runs: on one thread.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(test)
}

/// Waits until `look` gives something; panics after a time that only a hung machine needs.
async fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            start.elapsed() < StdDuration::from_secs(30),
            "waited for {what}"
        );
        tokio::time::sleep(StdDuration::from_millis(5)).await;
    }
}
