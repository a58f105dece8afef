//! One key establishment, from connecting to the keys (RFC 8915 section 4).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clockwright_ntp::nts::ke::client::{Refusal, Response, ResponseReader, request};
use clockwright_ntp::nts::ke::record::{self, LONGEST_MESSAGE, Progress};
use clockwright_ntp::nts::ke::{ALPN, EXPORTER_LABEL};
use clockwright_ntp::nts::{Algorithm, Session};
use clockwright_timebase::{Timestamp, Utc};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::version::TLS13;
use rustls_pki_types::{DnsName, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use super::failure::{KeFailure, Phase};
use super::proof::CertificateProof;
use super::trust::{Trust, TrustError};
use super::verifier::{DatePolicy, Verifier};
use crate::config::Host;

/// An establishment that has not succeeded by then never will. chrony waits as long.
pub const DEADLINE: Duration = Duration::from_secs(16);
/// So long a server is waited for to close the connection, once everything is known.
const GOODBYE: Duration = Duration::from_secs(1);

/// With whom to establish keys, and how.
#[derive(Debug, Clone)]
pub struct KeOrder {
    /// Where to connect.
    pub address: SocketAddr,
    /// The name or address that the server's certificate has to be for. A name is told to the server
    /// (SNI), which may have several certificates.
    pub name: Host,
    /// Whom to trust besides the system's authorities: PEM files, each with certificates of
    /// authorities or of the server itself.
    pub trusted_certificates: Vec<PathBuf>,
    /// What the dates of certificates are worth.
    pub dates: DatePolicy,
    /// What time it is, as far as this host knows.
    pub time: Timestamp<Utc>,
    /// What the keys may be for, the best first; one at least.
    pub algorithms: Vec<Algorithm>,
}

/// What a server gave.
#[derive(Debug)]
pub struct Established {
    /// The keys and the cookies.
    pub session: Session,
    /// Where its NTP server is; `None`: at the address that was connected to.
    pub server: Option<Host>,
    /// The UDP port of its NTP server; `None`: 123.
    pub port: Option<u16>,
    /// The address that was connected to: a name in `server` is best looked up in its family.
    pub address: SocketAddr,
    /// What its certificates were accepted for.
    pub proof: CertificateProof,
}

/// Establishes keys, within [`DEADLINE`] (and the second that a server may take to hang up). Can be
/// dropped at any time; nothing is kept of it.
///
/// The certificates that this host trusts are read each time: establishments are rare, and those that
/// were renewed then count without a restart.
///
/// # Errors
/// Why there are no keys, and what to do about it.
pub async fn establish(order: KeOrder) -> Result<Established, KeFailure> {
    establish_by(Instant::now() + DEADLINE, order).await
}

/// The same with another deadline.
pub(super) async fn establish_by(
    deadline: Instant,
    order: KeOrder,
) -> Result<Established, KeFailure> {
    let address = order.address;
    let name = server_name(&order.name)?;
    let trust = timeout_at(deadline, load(order.trusted_certificates))
        .await
        .map_err(|_| KeFailure::Trust(TrustError::TooSlow))??;
    let verifier = Arc::new(Verifier::new(trust, order.dates, order.time));
    let config = tls(Arc::clone(&verifier))?;

    let stream = connect(address, deadline).await?;
    let connecting = TlsConnector::from(config).connect(name, stream);
    let failed = |error, phase| {
        let rejection = verifier.take_verdict().and_then(Result::err);
        KeFailure::of_stream(error, phase, address, rejection)
    };
    let mut stream = timeout_at(deadline, connecting)
        .await
        .map_err(|_| KeFailure::Timeout(Phase::Handshake))?
        .map_err(|error| failed(error, Phase::Handshake))?;
    if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(KeFailure::NotNtsKe);
    }
    // TLS does not end its handshake without; so it is a failure of TLS if there is none.
    let Some(Ok(proof)) = verifier.take_verdict() else {
        return Err(KeFailure::Tls(rustls::Error::NoCertificatesPresented));
    };
    let response = timeout_at(deadline, converse(&mut stream, &order.algorithms, address))
        .await
        .map_err(|_| KeFailure::Timeout(Phase::Response))??;
    let established = finish(&stream, response, proof, address)?;
    // It has told us everything, so whether it hangs up properly is its own affair.
    let _ = timeout(GOODBYE, hang_up(stream)).await;
    Ok(established)
}

/// The name as certificates have it.
fn server_name(host: &Host) -> Result<ServerName<'static>, KeFailure> {
    match host {
        Host::Address(address) => Ok(ServerName::IpAddress((*address).into())),
        Host::Name(name) => match DnsName::try_from(name.clone()) {
            Ok(name) => Ok(ServerName::DnsName(name)),
            Err(_) => Err(KeFailure::Name(name.clone())),
        },
    }
}

/// Reads files on a thread where that may take its time.
async fn load(files: Vec<PathBuf>) -> Result<Trust, KeFailure> {
    tokio::task::spawn_blocking(move || Trust::load(&files))
        .await
        .map_err(|ended| KeFailure::Setup(rustls::Error::General(ended.to_string())))?
        .map_err(KeFailure::Trust)
}

/// TLS 1.3 alone, and no tickets: the next establishment is to have keys of its own.
fn tls(verifier: Arc<Verifier>) -> Result<Arc<ClientConfig>, KeFailure> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(KeFailure::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

async fn connect(address: SocketAddr, deadline: Instant) -> Result<TcpStream, KeFailure> {
    let Ok(connected) = timeout_at(deadline, TcpStream::connect(address)).await else {
        return Err(KeFailure::ConnectTimeout(address));
    };
    // The request is not to wait until the end of the handshake has been acknowledged.
    connected
        .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
        .map_err(|error| KeFailure::Connect(address, error))
}

/// Sends the request and reads the answer, which is as long as it says, within limits.
async fn converse(
    stream: &mut TlsStream<TcpStream>,
    algorithms: &[Algorithm],
    address: SocketAddr,
) -> Result<Response, KeFailure> {
    let failed = |error| KeFailure::of_stream(error, Phase::Response, address, None);
    let request = request(algorithms);
    stream.write_all(&request).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;

    let mut reader = ResponseReader::new(algorithms);
    // There are cookies in it. It never grows, and so never leaves a copy behind.
    let mut received = Zeroizing::new(Vec::with_capacity(LONGEST_MESSAGE));
    loop {
        let room = LONGEST_MESSAGE.saturating_sub(received.len());
        let mut within = (&mut *stream).take(u64::try_from(room).unwrap_or(0));
        if within.read_buf(&mut *received).await.map_err(failed)? == 0 {
            return Err(if received.is_empty() {
                KeFailure::Closed(Phase::Response)
            } else {
                KeFailure::Response(Refusal::Truncated)
            });
        }
        match reader.read(&received).map_err(KeFailure::Response)? {
            Progress::Complete(response) => return Ok(response),
            Progress::Incomplete => {}
        }
    }
}

/// Exports the keys, and puts together what is known.
fn finish(
    stream: &TlsStream<TcpStream>,
    response: Response,
    proof: CertificateProof,
    address: SocketAddr,
) -> Result<Established, KeFailure> {
    let tls = stream.get_ref().1;
    let Ok(server) = response.server.as_deref().map(str::parse).transpose() else {
        return Err(KeFailure::Response(Refusal::Malformed(record::SERVER)));
    };
    let port = response.port;
    let session = response
        .session(|context, key| {
            tls.export_keying_material(key, EXPORTER_LABEL, Some(context))
                .map(drop)
        })
        .map_err(KeFailure::Tls)?;
    Ok(Established {
        session,
        server,
        port,
        address,
        proof,
    })
}

/// Says goodbye, and waits for the same; so that the server is not left with an error.
async fn hang_up(mut stream: TlsStream<TcpStream>) -> std::io::Result<()> {
    stream.shutdown().await?;
    stream.read(&mut [0; 64]).await.map(drop)
}
