//! Servers on loopback that do what a test wants, good or bad, with one client.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use clockwright_ntp::nts::ke::{EXPORTER_LABEL, session_keys};
use clockwright_ntp::nts::{Algorithm, SessionKeys};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::version::TLS13;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificates::Issued;

/// What is answered to a request.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// This, and then the connection is closed properly.
    Octets(Vec<u8>),
    /// This, and nothing more, and the connection stays open.
    Held(Vec<u8>),
    /// This, again and again.
    Endless(Vec<u8>),
}

/// What a server saw of its client.
#[derive(Debug)]
pub(super) struct Seen {
    /// The name that the client asked for.
    pub(super) name: Option<String>,
    /// The request.
    pub(super) request: Vec<u8>,
    /// The keys, by the algorithm and whether the context names it.
    pub(super) keys: Vec<(Algorithm, bool, SessionKeys)>,
    /// The client closed TLS, not just the connection.
    pub(super) closed_properly: bool,
}

/// A server that waits for one client.
pub(super) struct Server<T> {
    pub(super) address: SocketAddr,
    pub(super) served: JoinHandle<io::Result<T>>,
}

impl<T: Send + 'static> Server<T> {
    /// Does `serve` with the first client.
    async fn new<F: Future<Output = io::Result<T>> + Send + 'static>(
        serve: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tokio::spawn(async move {
            let (stream, _) = listener.accept().await?;
            serve(stream).await
        });
        Self { address, served }
    }

    pub(super) async fn served(self) -> T {
        self.served.await.unwrap().unwrap()
    }
}

/// A server that speaks TLS 1.3, with these protocols.
pub(super) async fn tls(issued: Issued, alpn: &[&[u8]], answer: Answer) -> Server<Seen> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(issued.chain, issued.key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|it| it.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::new(|stream| async move {
        let mut stream = acceptor.accept(stream).await?;
        let mut request = vec![0; 1024];
        let length = stream.read(&mut request).await?;
        request.truncate(length);
        let mut seen = Seen {
            name: stream.get_ref().1.server_name().map(str::to_owned),
            request,
            keys: keys(&stream),
            closed_properly: false,
        };
        match answer {
            Answer::Octets(octets) => {
                stream.write_all(&octets).await?;
                stream.shutdown().await?;
                seen.closed_properly = matches!(stream.read(&mut [0; 1]).await, Ok(0));
            }
            Answer::Held(octets) => {
                stream.write_all(&octets).await?;
                stream.flush().await?;
                std::future::pending::<()>().await;
            }
            // Until the client does not take any more.
            Answer::Endless(octets) => while stream.write_all(&octets).await.is_ok() {},
        }
        Ok(seen)
    })
    .await
}

/// The keys that the server could mean.
fn keys(stream: &TlsStream<TcpStream>) -> Vec<(Algorithm, bool, SessionKeys)> {
    let tls = stream.get_ref().1;
    let both = |algorithm| [(algorithm, true), (algorithm, false)];
    let exported = Algorithm::ALL
        .into_iter()
        .flat_map(both)
        .map(|(algorithm, compliant)| {
            let keys = session_keys(algorithm, compliant, |context, key| {
                tls.export_keying_material(key, EXPORTER_LABEL, Some(context))
                    .map(drop)
            });
            (algorithm, compliant, keys.unwrap())
        });
    exported.collect()
}

/// A server that answers the first octets it gets with these, whatever they are, and hangs up.
pub(super) async fn raw(octets: &'static [u8]) -> Server<()> {
    Server::new(move |mut stream| async move {
        // All of it: a connection that is closed with something unread is reset.
        let mut hello = [0; 16_384];
        while stream.read(&mut hello).await? == hello.len() {}
        stream.write_all(octets).await?;
        stream.shutdown().await
    })
    .await
}

/// A server that takes connections and never says anything; gives what the client said.
pub(super) async fn silent() -> Server<Vec<u8>> {
    Server::new(|mut stream| async move {
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await?;
        Ok(said)
    })
    .await
}
