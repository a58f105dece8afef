//! One request after the other from an address of our choice, with the certainty that one that is not
//! answered will not be.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use clockwright_ntp::{Header, Mode, NtpTimestamp};

/// A fence's reply may take so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest datagram that is received.
const LONGEST: usize = 2048;

/// A plain request with this transmit timestamp.
pub(crate) fn plain(mark: u64) -> [u8; Header::LEN] {
    let mut header = Header::zeroed(Mode::Client);
    header.transmit = NtpTimestamp::from_bits(mark);
    header.to_bytes()
}

/// A reply's origin timestamp.
pub(crate) fn origin(reply: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*reply.get(24..)?.first_chunk()?))
}

/// A client at one address.
#[derive(Debug)]
pub(crate) struct Asker {
    socket: UdpSocket,
}

impl Asker {
    /// One that asks from `address` and one port.
    pub(crate) fn new(address: impl Into<IpAddr>, server: SocketAddr) -> Self {
        let address = address.into();
        let socket = UdpSocket::bind((address, 0))
            .unwrap_or_else(|error| panic!("a socket at {address}: {error}"));
        socket.connect(server).expect("connect a socket");
        Self { socket }
    }

    /// Sends a datagram.
    pub(crate) fn send(&self, datagram: &[u8]) {
        // The answer to an earlier one may have been that nobody is there.
        if self.socket.send(datagram).is_err() {
            self.socket.send(datagram).expect("send a datagram");
        }
    }

    /// What has come so far.
    pub(crate) fn received(&self) -> Vec<Vec<u8>> {
        self.socket.set_nonblocking(true).expect("do not wait");
        std::iter::from_fn(|| self.receive()).collect()
    }

    /// The next datagram within `patience`.
    pub(crate) fn wait(&self, patience: Duration) -> Option<Vec<u8>> {
        self.socket.set_nonblocking(false).expect("wait");
        let patience = Some(patience);
        self.socket
            .set_read_timeout(patience)
            .expect("wait so long");
        self.receive()
    }

    /// Asks something that is answered, and waits for that; gives what came before it. A server with
    /// one worker answers in order: whatever was sent earlier to it has been answered, or will not
    /// be.
    pub(crate) fn fence(&self, mark: u64) -> Vec<Vec<u8>> {
        self.send(&plain(mark));
        let mut before = Vec::new();
        loop {
            match self.wait(PATIENCE) {
                Some(reply) if origin(&reply) == Some(mark) => return before,
                Some(reply) => before.push(reply),
                None => panic!("no reply to {:?}", self.socket.local_addr()),
            }
        }
    }

    fn receive(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; LONGEST];
        let length = self.socket.recv(&mut buffer).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }
}
