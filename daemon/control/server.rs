//! The answering side of the control socket.
//!
//! Nothing a client does can block or grow the daemon: the number of clients, the length of a
//! request and the time of every wait are bounded, and one answer at a time is in memory for a
//! client, made when its previous one has been taken.

use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};

use super::View;
use super::protocol::{Answer, MAX_REQUEST, Request};
use super::socket::ControlSocket;

/// Most clients at a time.
pub const MAX_CLIENTS: usize = 16;

/// How long a client may be silent between requests.
const IDLE: Duration = Duration::from_secs(60);

/// How long a client may take to read an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two answers to the same client, so that none can keep the daemon busy.
const PAUSE: Duration = Duration::from_millis(5);

/// After a connection could not be accepted: most likely descriptors have run out.
const RECOVERY: Duration = Duration::from_millis(100);

impl ControlSocket {
    /// Answers clients from `view`, for ever. Dropping the future disconnects them.
    ///
    /// Runs on the thread it is awaited on, in any kind of tokio runtime that has I/O and time.
    ///
    /// # Errors
    /// If the socket cannot be used with the runtime at all.
    pub async fn serve(&self, view: Rc<dyn View>) -> io::Result<Infallible> {
        let listener = self.listener()?;
        let local = LocalSet::new();
        local
            .run_until(async {
                let mut clients = JoinSet::new();
                loop {
                    tokio::select! {
                        accepted = listener.accept() => match accepted {
                            Ok((stream, _)) if clients.len() < MAX_CLIENTS => {
                                clients.spawn_local(attend(stream, Rc::clone(&view)));
                            }
                            Ok((stream, _)) => turn_away(&stream),
                            Err(_) => sleep(RECOVERY).await,
                        },
                        Some(_) = clients.join_next() => {}
                    }
                }
            })
            .await
    }
}

/// Tells a client that there are too many, without waiting for it.
fn turn_away(stream: &UnixStream) {
    let answer = refusal(format!(
        "{MAX_CLIENTS} clients are connected, which is the limit"
    ));
    // A fresh socket has room for this line; if not, the client sees the connection closed.
    let _ = stream.try_write(&answer);
}

/// Answers one client until it goes, errs, or takes too long.
async fn attend(mut stream: UnixStream, view: Rc<dyn View>) {
    let (read, mut write) = stream.split();
    let mut read = BufReader::with_capacity(MAX_REQUEST, read);
    let mut line = Vec::with_capacity(MAX_REQUEST);
    loop {
        line.clear();
        let mut bounded = (&mut read).take(MAX_REQUEST as u64);
        let Ok(Ok(1..)) = timeout(IDLE, bounded.read_until(b'\n', &mut line)).await else {
            return;
        };
        let complete = line.ends_with(b"\n");
        let reply = if !complete && line.len() == MAX_REQUEST {
            refusal(format!(
                "a request is a line of at most {MAX_REQUEST} octets"
            ))
        } else {
            answer(&line, view.as_ref())
        };
        let Ok(Ok(())) = timeout(PATIENCE, write.write_all(&reply)).await else {
            return;
        };
        if !complete {
            return;
        }
        sleep(PAUSE).await;
    }
}

/// The answer to one request line, as a line.
fn answer(request: &[u8], view: &dyn View) -> Vec<u8> {
    match serde_json::from_slice(request) {
        Ok(Request::Status) => line(&Answer::Ok(view.status())),
        Ok(Request::Sources) => line(&Answer::Ok(view.sources())),
        Ok(Request::Auth) => line(&Answer::Ok(view.auth())),
        Ok(Request::Server { talkers }) => {
            line(&Answer::Ok(view.server(talkers.min(super::MOST_TALKERS))))
        }
        Ok(Request::Timestamps) => line(&Answer::Ok(view.timestamps())),
        Err(error) => refusal(format!("not a request: {error}")),
    }
}

/// An error as an answer.
fn refusal(why: String) -> Vec<u8> {
    line(&Answer::<()>::Error(why))
}

/// Any answer as a line of JSON.
fn line(answer: &impl Serialize) -> Vec<u8> {
    // Reports have string keys and no I/O behind them, so this cannot fail; were one ever to,
    // the client would see the connection closed without an answer.
    let mut line = serde_json::to_vec(answer).unwrap_or_default();
    line.push(b'\n');
    line
}
