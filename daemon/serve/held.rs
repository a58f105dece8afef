//! Sockets that the service manager keeps while the daemon is restarted, so that requests which come
//! meanwhile wait in them and are answered, by their true time of arrival, afterwards.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use clockwright_sys::held;
use clockwright_sys::socket::{Options, UdpSocket};
use tracing::{debug, info, warn};

/// What their names begin with.
const PREFIX: &str = "ntp-";

/// Sockets that the manager has passed and nobody has taken yet, in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Held(VecDeque<OwnedFd>);

impl Held {
    /// Those that were passed to this process.
    pub(super) fn take() -> Self {
        match held::take() {
            Ok(mut passed) => {
                // Places in the kernel's list are those of the numbers only if all are taken up.
                passed.sort_by_key(|(_, name)| number(name));
                Self(passed.into_iter().map(|(fd, _)| fd).collect())
            }
            Err(error) => {
                warn!("sockets that the service manager has passed cannot be used: {error}");
                Self::default()
            }
        }
    }

    /// Takes over those that are bound to the address of `options`, `most` at most. Others of that
    /// address are closed.
    pub(super) fn adopt(&mut self, options: &Options, most: u16) -> Vec<Arc<UdpSocket>> {
        let mut adopted = Vec::new();
        for fd in std::mem::take(&mut self.0) {
            if !is_bound_to(&fd, options.bind) {
                self.0.push_back(fd);
                continue;
            }
            if adopted.len() >= usize::from(most) {
                continue;
            }
            match UdpSocket::adopt(fd, options) {
                Ok(socket) => adopted.push(Arc::new(socket)),
                Err(error) => warn!(
                    "a socket for {} that the service manager has passed cannot be used: {error}",
                    options.bind
                ),
            }
        }
        if !adopted.is_empty() {
            info!(
                "{} sockets for {} were held by the service manager: what has come meanwhile is \
                 answered",
                adopted.len(),
                options.bind
            );
        }
        adopted
    }
}

fn is_bound_to(fd: &OwnedFd, address: SocketAddr) -> bool {
    clockwright_sys::socket::bound_to(fd.as_fd()).is_ok_and(|bound| bound == address)
}

/// Has the manager keep a socket, and let go of it when told.
pub(super) fn keep(address: SocketAddr, number: u16, socket: &UdpSocket) {
    if let Err(error) = held::hold(&name(address, number), socket.as_fd()) {
        debug!("the service manager does not keep a socket for {address}: {error}");
    }
}

/// Has the manager let go of a socket.
pub(super) fn let_go(address: SocketAddr, number: u16) {
    // It does so by itself when the service is stopped.
    let _ = held::let_go(&name(address, number));
}

/// What the manager calls it: `ntp-0-0.0.0.0-123`. A colon must not be in it.
fn name(address: SocketAddr, number: u16) -> String {
    let ip = address.ip().to_string().replace(':', "_");
    format!("{PREFIX}{number}-{ip}-{}", address.port())
}

/// The number in a name; names that are not ours come last, in the order in which they were passed.
fn number(name: &str) -> u16 {
    let number = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('-'))
        .and_then(|(number, _)| number.parse().ok());
    number.unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_which_worker_and_have_no_colon() {
        let one = name("[2001:db8::1]:123".parse().unwrap(), 12);
        assert_eq!(one, "ntp-12-2001_db8__1-123");
        assert_eq!(number(&one), 12);
        assert_eq!(number("clockwright.socket"), u16::MAX);
    }
}
