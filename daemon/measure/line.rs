//! A socket, and the requests that left from it and whose stamps are awaited.

use std::io;

use clockwright_sys::socket::Stamping;

use super::departure::Departures;
use super::instruments::Instruments;
use super::port::Port;

/// A socket and the requests that left from it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) port: Port,
    /// What the socket was asked to stamp.
    stamping: Stamping,
    pub(super) departures: Departures,
}

impl Line {
    /// A socket that nothing has left from.
    pub(super) fn new(port: Port, stamping: Stamping) -> Self {
        Self {
            port,
            stamping,
            departures: Departures::default(),
        }
    }

    /// Was the socket asked for these stamps?
    pub(super) fn stamps(&self, stamping: Stamping) -> bool {
        self.stamping == stamping
    }

    /// Is no stamp awaited?
    pub(super) fn is_quiet(&self) -> bool {
        self.departures.is_quiet()
    }

    /// Reads waiting stamps and errors; how many.
    pub(super) fn read_stamps(&self, instruments: &mut Instruments) -> io::Result<usize> {
        self.port.socket().recv_tx_stamps(&mut instruments.queue)
    }
}
