//! One connection: one handshake, one request, one answer.

use std::io::{self, Write as _};
use std::time::Duration;

use clockwright_ntp::nts::Algorithm;
use clockwright_ntp::nts::ke::record::{LONGEST_MESSAGE, Progress};
use clockwright_ntp::nts::ke::server::{Accepted, Refused, RequestReader, internal_error};
use clockwright_ntp::nts::ke::{self, session_keys};
use rustls::server::{Acceptor, ServerConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

use super::common::{Common, Place};
use super::counts::Refusal;
use super::metered::Metered;
use super::tls::BUFFER;

/// For everything until the answer is sent. An honest client on the worst of paths takes a second.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long a client may take to close its side after the answer.
const FAREWELL: Duration = Duration::from_secs(1);
/// All that a client may send, octets: the longest message, and twice as much as any handshake.
const QUOTA: usize = 2 * LONGEST_MESSAGE;
/// Read at a time, octets. A request has some 20.
const PIECE: usize = 512;
/// A fatal alert, `no_application_protocol`, in the clear (RFC 8446 section 6, RFC 7301).
const NO_APPLICATION_PROTOCOL: [u8; 7] = [21, 3, 3, 0, 2, 2, 120];

type Stream = TlsStream<Metered<TcpStream>>;

/// Attends to a connection until it ends, one way or the other.
pub(super) async fn attend(stream: TcpStream, place: Place) {
    // The answer is not to wait until the handshake has been acknowledged.
    let _ = stream.set_nodelay(true);
    let common = place.common();
    // Waiting for a turn counts, too.
    let exchange = common.turns().take(exchange(stream, common));
    match timeout(DEADLINE, exchange).await {
        Ok(Ok((stream, granted))) => {
            match granted {
                Ok(()) => common.count_established(),
                Err(refusal) => common.refuse(place.peer(), &refusal),
            }
            let _ = timeout(FAREWELL, part(stream)).await;
        }
        Ok(Err(refusal)) => common.refuse(place.peer(), &refusal),
        Err(_) => common.refuse(place.peer(), &Refusal::Timeout),
    }
}

/// Reads the request and answers it. Gives what was answered, and the stream, which is still open.
async fn exchange(
    stream: TcpStream,
    common: &Common,
) -> Result<(Stream, Result<(), Refusal>), Refusal> {
    let mut stream = shake_hands(stream, common).await?;
    common.count_handshake();
    let (answer, granted) = match read_request(&mut stream).await? {
        Ok(accepted) => match grant(accepted, stream.get_ref().1, common) {
            Some(answer) => (answer, Ok(())),
            None => (internal_error().into(), Err(Refusal::Internal)),
        },
        Err(refused) => (refused.answer().into(), Err(Refusal::Request(refused))),
    };
    // The answer and the goodbye leave together: two packets cost twice as much as one.
    let connection = stream.get_mut().1;
    connection.writer().write_all(&answer)?;
    connection.send_close_notify();
    stream.flush().await?;
    Ok((stream, granted))
}

/// TLS. Whoever does not offer this protocol is turned away before the private key is used.
async fn shake_hands(stream: TcpStream, common: &Common) -> Result<Stream, Refusal> {
    let stream = Metered::new(stream, QUOTA);
    let mut start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let offered = start.client_hello().alpn();
    if !offered.is_some_and(|mut names| names.any(|name| name == ke::ALPN)) {
        start.io.write_all(&NO_APPLICATION_PROTOCOL).await?;
        return Err(Refusal::NoAlpn);
    }
    let config = common
        .tls()
        .ok_or_else(|| Refusal::Io(io::ErrorKind::NotConnected.into()))?;
    let limit = |connection: &mut ServerConnection| connection.set_buffer_limit(Some(BUFFER));
    let stream = start.into_stream_with(config, limit).await?;
    if stream.get_ref().1.alpn_protocol() == Some(ke::ALPN) {
        Ok(stream)
    } else {
        Err(Refusal::NoAlpn)
    }
}

async fn read_request(stream: &mut Stream) -> Result<Result<Accepted, Refused>, Refusal> {
    let mut reader = RequestReader::new(&Algorithm::ALL);
    let mut received = Vec::with_capacity(PIECE);
    let mut piece = [0; PIECE];
    loop {
        let length = match stream.read(&mut piece).await? {
            0 => return Err(Refusal::Io(io::ErrorKind::UnexpectedEof.into())),
            length => length,
        };
        received.extend_from_slice(piece.get(..length).unwrap_or_default());
        if let Progress::Complete(decision) = reader.read(&received) {
            return Ok(decision);
        }
    }
}

/// The answer with cookies for this connection's keys.
fn grant(
    accepted: Accepted,
    connection: &ServerConnection,
    common: &Common,
) -> Option<Zeroizing<Vec<u8>>> {
    let export = |context: &[u8], key: &mut [u8]| {
        connection
            .export_keying_material(key, ke::EXPORTER_LABEL, Some(context))
            .map(|_| ())
    };
    let session = session_keys(accepted.algorithm, accepted.compliant, export).ok()?;
    common.answer(accepted, &session)
}

/// Closes this side, and waits until the client does. If the socket were closed while octets of the
/// client's are unread, the kernel would reset the connection, and the answer might be lost.
async fn part(mut stream: Stream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = [0; PIECE];
    while stream.get_mut().0.read(&mut rest).await? > 0 {}
    Ok(())
}
