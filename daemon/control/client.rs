//! The asking side of the control socket.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use serde::de::DeserializeOwned;

use super::protocol::{Answer, Request};
use crate::output::printable;

/// How long to wait for the daemon at each turn, s: it answers within milliseconds or not at all.
const PATIENCE: i64 = 5;

/// Longest answer read, octets: tens of thousands of sources.
const MAX_ANSWER: u64 = 32 << 20;

/// Why the daemon gave no answer.
#[derive(Debug)]
pub struct AskError {
    socket: PathBuf,
    cause: Cause,
}

/// Who is at fault.
#[derive(Debug)]
enum Cause {
    /// There is no daemon.
    Absent(io::Error),
    /// The user may not ask.
    Forbidden(io::Error),
    /// The daemon does not answer in time.
    Silent,
    /// Talking to it failed in another way.
    Broken(io::Error),
    /// It refused, and said why.
    Refused(String),
    /// What it said makes no sense to this version.
    Unintelligible(String),
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::NotFound | Kind::ConnectionRefused => Self::Absent(error),
            Kind::PermissionDenied => Self::Forbidden(error),
            Kind::WouldBlock | Kind::TimedOut => Self::Silent,
            _ => Self::Broken(error),
        }
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let socket = self.socket.display();
        match &self.cause {
            Cause::Absent(error) => write!(
                f,
                "no daemon answers at {socket}: {error}\n\
                 is it running? see: systemctl status clockwright\n\
                 if its control socket is elsewhere, give --socket PATH"
            ),
            Cause::Forbidden(error) => write!(
                f,
                "not allowed to open {socket}: {error}\n\
                 run as root, or become a member of the group of that socket \
                 (control.group in the configuration)"
            ),
            Cause::Silent => write!(
                f,
                "the daemon at {socket} did not answer within {PATIENCE} s\n\
                 is it stopped or overloaded? see: systemctl status clockwright"
            ),
            Cause::Broken(error) => write!(f, "asking the daemon at {socket} failed: {error}"),
            Cause::Refused(why) => write!(f, "the daemon refused: {}", printable(why)),
            Cause::Unintelligible(why) => write!(
                f,
                "the answer from {socket} makes no sense: {why}\n\
                 are the daemon and this command of the same version?"
            ),
        }
    }
}

impl std::error::Error for AskError {}

/// Asks the daemon behind `socket` one question.
///
/// # Errors
/// Why there is no answer, and what to do about it.
pub fn ask<T: DeserializeOwned>(socket: &Path, request: Request) -> Result<T, AskError> {
    exchange(socket, request).map_err(|cause| AskError {
        socket: socket.to_owned(),
        cause,
    })
}

fn exchange<T: DeserializeOwned>(socket: &Path, request: Request) -> Result<T, Cause> {
    let mut stream = open(socket)?;
    let mut line = serde_json::to_vec(&request).map_err(io::Error::from)?;
    line.push(b'\n');
    // A daemon that has too many clients answers and closes before it reads the request.
    let written = stream.write_all(&line);
    let mut answer = String::new();
    BufReader::new(stream)
        .take(MAX_ANSWER)
        .read_line(&mut answer)?;
    if answer.is_empty() {
        written?;
        return Err(Cause::Unintelligible("it is empty".to_owned()));
    }
    match serde_json::from_str(&answer) {
        Ok(Answer::Ok(answer)) => Ok(answer),
        Ok(Answer::Error(why)) => Err(Cause::Refused(why)),
        Err(error) => Err(Cause::Unintelligible(error.to_string())),
    }
}

/// Connects, with a limit on every wait; the standard library has none on connecting.
fn open(path: &Path) -> io::Result<UnixStream> {
    let fd = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    setsockopt(&fd, sockopt::SendTimeout, &TimeVal::new(PATIENCE, 0))?;
    setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(PATIENCE, 0))?;
    connect(std::os::fd::AsRawFd::as_raw_fd(&fd), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(fd))
}
